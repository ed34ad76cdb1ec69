#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| layerdiff_fuzz::journal(data));
