//! Frames of Recall's audio socket.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attache_fuzz::media::check(data));
