//! Fuzzes the target `key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_fuzz::run("key", data));
