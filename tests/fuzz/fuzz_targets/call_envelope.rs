//! Fuzzes the target `call_envelope`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| abide_fuzz::run("call_envelope", data));
