//! Where things are in the checkout.

use std::path::{Path, PathBuf};

/// The root of the checkout that cargo runs this for; checkouts may share compiled programs.
pub(crate) fn root() -> PathBuf {
    let folder =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&folder).parent();
    root.expect("xtask lies one level below the root")
        .to_path_buf()
}

/// The tools built for this checkout; fixed, so that `CARGO_TARGET_DIR` does not scatter them.
pub(crate) fn tools() -> PathBuf {
    root().join("target/tools")
}

/// What the Worker's build leaves for wrangler.
pub(crate) fn build() -> PathBuf {
    root().join("build")
}

/// The executables of the npm packages.
pub(crate) fn node_bin() -> PathBuf {
    root().join("node_modules/.bin")
}

/// The value for `PATH` that finds executables in `first` before the inherited ones.
pub(crate) fn path_with(first: &[PathBuf]) -> std::ffi::OsString {
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let all = first
        .iter()
        .cloned()
        .chain(std::env::split_paths(&inherited));
    std::env::join_paths(all).expect("entries of PATH and paths in the checkout hold no separator")
}
