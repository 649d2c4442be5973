//! The bot's page: bundled into `web/dist`, tested in a real browser, pictured for the documentation.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{chromium, fingerprint, node, paths, run, say};

/// Everything whose change changes the built page.
const INPUTS: &[&str] = &[
    "web/bot",
    "web/_headers",
    "web/build.mjs",
    "web/tsconfig.json",
    "package-lock.json",
];

/// Checks the page's types and bundles it, unless the last bundle is of exactly these inputs.
pub(crate) fn build() -> Result<()> {
    let before = fingerprint::of(INPUTS, &[])?;
    // Not in `web/dist`, which is served as it is.
    let mark = paths::root().join("web/.built");
    let index = paths::root().join("web/dist/bot/index.html");
    if index.exists() && fs::read_to_string(&mark).is_ok_and(|built| built == before) {
        return Ok(());
    }
    node::ensure_packages()?;
    say::step("Building", "the bot's page into web/dist/");
    check_types("web")?;
    run::shown(node::program().arg("web/build.mjs"))?;
    fs::write(&mark, before).context("could not note what was bundled")
}

/// The tests of the page, in Node and in a real Chromium: a command whose output counts them.
pub(crate) fn tests() -> Result<Command> {
    build()?;
    check_types("web/test")?;
    let mut command = node::program();
    command
        // Few browsers at a time: they measure time and sound.
        .args(["--test", "--test-reporter=spec", "--test-concurrency=2"])
        .arg("web/test/**/*.test.ts")
        .env(chromium::VARIABLE, chromium::ensure()?);
    Ok(command)
}

/// Takes the pictures of the page in `docs/page`.
pub(crate) fn pictures() -> Result<()> {
    build()?;
    run::shown(
        node::program()
            .arg("web/test/pictures.ts")
            .env(chromium::VARIABLE, chromium::ensure()?),
    )
}

fn check_types(project: &str) -> Result<()> {
    let compiler: PathBuf = paths::node_bin().join("tsc");
    run::shown(
        Command::new(compiler)
            .args(["--project", project])
            .current_dir(paths::root()),
    )
}
