//! Where things are in the checkout, and locks on what only one process at a time may do there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

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

/// Waits until no other process does what goes by this name, and keeps others from it until it is dropped.
pub(crate) fn lock(name: &str) -> Result<File> {
    fs::create_dir_all(tools()).context("could not create target/tools")?;
    let file = File::create(tools().join(format!(".{name}.lock")))
        .context("could not create a lock file")?;
    file.lock()
        .with_context(|| format!("could not lock target/tools/.{name}.lock"))?;
    Ok(file)
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
