//! Fuzzes the target `history_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_fuzz::run("history_file", data));
