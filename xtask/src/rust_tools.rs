//! The tools built from crates, each at one exact version, under `target/tools`.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{paths, run, say};

/// A tool that `cargo install` provides.
pub(crate) struct Tool {
    krate: &'static str,
    version: &'static str,
    binary: &'static str,
    why: &'static str,
    arguments: &'static [&'static str],
    /// Built without optimisation a tool is there in half the time; it has to have little to do.
    opt_level: &'static str,
}

/// Must be the version of the `wasm-bindgen` crate in Cargo.lock, to the digit.
/// Built without its own lock file, which names versions that no longer build together.
pub(crate) const WASM_BINDGEN: Tool = Tool {
    krate: "wasm-bindgen-cli",
    version: "0.2.129",
    binary: "wasm-bindgen",
    why: "writes the JavaScript around the compiled Worker",
    arguments: &[],
    opt_level: "1",
};

/// Goes with the `worker` crate of the same version.
pub(crate) const WORKER_BUILD: Tool = Tool {
    krate: "worker-build",
    version: "0.8.7",
    binary: "worker-build",
    why: "turns the crate into a module for the runtime",
    arguments: &["--locked"],
    opt_level: "0",
};

/// Checks licences, duplicates and origins by the rules of deny.toml.
pub(crate) const CARGO_DENY: Tool = Tool {
    krate: "cargo-deny",
    version: "0.20.2",
    binary: "cargo-deny",
    why: "checks the dependencies' licences and origins",
    arguments: &["--locked"],
    opt_level: "0",
};

/// Builds the fuzz targets with the instrumentation that libFuzzer needs.
pub(crate) const CARGO_FUZZ: Tool = Tool {
    krate: "cargo-fuzz",
    version: "0.13.2",
    binary: "cargo-fuzz",
    why: "builds the fuzz targets",
    arguments: &["--locked"],
    opt_level: "0",
};

/// The tools run for seconds; building them fully optimised would take twice as long.
const QUICK_BUILD: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
];

impl Tool {
    /// Where the executable is once it is installed.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        paths::tools().join("bin").join(self.binary)
    }

    /// What identifies this tool and its version.
    pub(crate) fn identity(&self) -> String {
        format!("{} {}", self.krate, self.version)
    }

    /// Builds the tool unless this very version is there.
    pub(crate) fn ensure(&self) -> Result<()> {
        if self.path().exists() && self.is_recorded() {
            return Ok(());
        }
        say::step(
            "Installing",
            &format!("{}: {} (a minute or two)", self.identity(), self.why),
        );
        run::shown(
            Command::new("cargo")
                .args([
                    "install",
                    "--quiet",
                    "--force",
                    self.krate,
                    "--version",
                    &format!("={}", self.version),
                ])
                .args(self.arguments)
                .arg("--root")
                .arg(paths::tools())
                // A shared target directory would keep the leavings of the build.
                .env_remove("CARGO_TARGET_DIR")
                .envs(QUICK_BUILD)
                .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", self.opt_level)
                .current_dir(paths::root()),
        )
        .with_context(|| format!("could not install {}", self.identity()))
    }

    /// Whether cargo's own record in the tools directory names this version.
    fn is_recorded(&self) -> bool {
        let record = fs::read_to_string(paths::tools().join(".crates.toml")).unwrap_or_default();
        record.contains(&format!("\"{} ", self.identity()))
    }
}
