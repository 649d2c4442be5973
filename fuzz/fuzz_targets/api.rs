//! What callers of the API send.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attache_fuzz::api::check(data));
