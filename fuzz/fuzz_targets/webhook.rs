//! Webhooks, up to the meeting.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attache_fuzz::webhook::check(data));
