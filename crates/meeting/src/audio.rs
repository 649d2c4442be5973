//! Audio formats.
