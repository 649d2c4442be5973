//! Measuring an mp3.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attache_fuzz::mp3::check(data));
