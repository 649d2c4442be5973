//! Signatures of webhooks and tokens of pages.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attache_fuzz::credentials::check(data));
