//! The socket of an avatar's session.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| attache_fuzz::avatar_link::check(data));
