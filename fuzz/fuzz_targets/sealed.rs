#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| udpair_fuzz::sealed::run(data));
