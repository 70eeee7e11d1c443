//! Fuzzes the target `entry`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_fuzz::run("entry", data));
