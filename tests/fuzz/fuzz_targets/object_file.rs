//! Fuzzes the target `object_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_fuzz::run("object_file", data));
