//! A meeting, its page and everything around it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attache_fuzz::page::check(data));
