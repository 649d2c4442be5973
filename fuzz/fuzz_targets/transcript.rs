//! Transcripts as text and captions.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attache_fuzz::transcript::check(data));
