//! Sound and pictures: what is valid, how long it lasts, and where speech comes from.

pub(crate) mod jpeg;
pub mod mp3;
pub(crate) mod speech;
pub(crate) mod voices;
