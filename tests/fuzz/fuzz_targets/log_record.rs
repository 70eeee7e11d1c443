//! Fuzzes the target `log_record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_fuzz::run("log_record", data));
