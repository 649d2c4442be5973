//! A listening session at Deepgram.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attache_fuzz::listening::check(data));
