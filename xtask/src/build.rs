//! `cargo xtask build`: the Worker, compiled to wasm and wrapped for the runtime, in `build/`, and the bot's page.
//!
//! wrangler calls this before every start and deploy, so nothing happens when nothing changed: each build carries a
//! fingerprint of all that went into it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::nightly::Nightly;
use crate::rust_tools::{WASM_BINDGEN, WORKER_BUILD};
use crate::{fingerprint, nightly, node, page, paths, run, say};

/// Everything whose change changes the built Worker, except the tools' versions.
const INPUTS: &[&str] = &[
    "src",
    "crates/meeting",
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "package-lock.json",
];

/// What wrangler picks up.
const OUTPUTS: &[&str] = &["index.js", "index_bg.wasm"];

/// Installs what the build and the local runtime need.
pub(crate) fn setup() -> Result<()> {
    let _only_one = lock()?;
    install().map(drop)
}

/// Builds the Worker and the page, each unless its last build is of exactly its inputs.
pub(crate) fn run() -> Result<()> {
    let _only_one = lock()?;
    page::build()?;
    worker()
}

fn worker() -> Result<()> {
    let before = fingerprint()?;
    if is_built(&before) {
        return Ok(());
    }
    let nightly = install()?;
    say::step("Building", "the Worker into build/");
    let start = Instant::now();
    match fs::remove_file(mark()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    compile(&nightly)?;
    for output in OUTPUTS {
        ensure!(
            paths::build().join(output).exists(),
            "worker-build left no build/{output}"
        );
    }
    // The inputs as they were before: a change made during the build means another build.
    fs::write(mark(), before).context("could not note what was built")?;
    let size = fs::metadata(paths::build().join("index_bg.wasm"))?.len();
    say::step(
        "Built",
        &format!(
            "{} kB of wasm in {:.0} s",
            size / 1000,
            start.elapsed().as_secs_f32()
        ),
    );
    Ok(())
}

fn install() -> Result<Nightly> {
    node::ensure_packages()?;
    WASM_BINDGEN.ensure()?;
    WORKER_BUILD.ensure()?;
    nightly::ensure()
}

fn compile(nightly: &Nightly) -> Result<()> {
    let mut command = Command::new(WORKER_BUILD.path());
    nightly.apply(&mut command, &[paths::node_bin()])?;
    command
        .args(["--release", "--panic-unwind"])
        .env("WASM_BINDGEN_BIN", WASM_BINDGEN.path())
        .env("WASM_OPT_BIN", paths::node_bin().join("wasm-opt"))
        .env("ESBUILD_BIN", paths::node_bin().join("esbuild"))
        .current_dir(paths::root());
    run::shown(&mut command)
}

/// Two builds at a time would replace each other's output; the second waits and then finds it done.
fn lock() -> Result<File> {
    paths::lock("build")
}

fn mark() -> PathBuf {
    paths::build().join(".inputs")
}

fn is_built(fingerprint: &str) -> bool {
    OUTPUTS
        .iter()
        .all(|output| paths::build().join(output).exists())
        && fs::read_to_string(mark()).is_ok_and(|built| built == fingerprint)
}

fn fingerprint() -> Result<String> {
    fingerprint::of(INPUTS, &[WASM_BINDGEN.identity(), WORKER_BUILD.identity()])
}
