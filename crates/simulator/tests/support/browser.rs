//! What tests in a browser need.

use std::path::{Path, PathBuf};

use attache_simulator::Browser;

/// The vendor's client as it is installed, and the browser; a word about what is missing.
pub(crate) fn tools() -> Option<(PathBuf, String)> {
    let Some(chromium) = Browser::find() else {
        eprintln!("skipped: no Chromium is installed");
        return None;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let client = root.join("node_modules/livekit-client/dist/livekit-client.umd.js");
    let Ok(client) = std::fs::read_to_string(client) else {
        eprintln!("skipped: the package livekit-client is not installed");
        return None;
    };
    Some((chromium, client))
}
