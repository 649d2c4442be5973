//! A folder of its own for each started Worker: the build, the configuration, the storage.
//!
//! The build is copied, so that a new build does not change a Worker under test, and `wrangler.toml` is taken as it is
//! but for the build command. The developer's `.dev.vars` stays out.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::settings::Settings;

/// The root of the checkout that cargo runs this for; checkouts may share compiled programs.
pub fn checkout() -> PathBuf {
    let folder =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&folder).join("..")
}

/// The folder, removed when dropped.
#[derive(Debug)]
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    /// Lays out the folder, after building the Worker if that is needed.
    pub(crate) async fn create() -> Result<Self> {
        build_once().await?;
        let folder = TempDir::with_prefix("attache-")?;
        let from = checkout().join("build");
        let to = folder.path().join("build");
        fs::create_dir(&to)?;
        for file in ["index.js", "index_bg.wasm"] {
            fs::copy(from.join(file), to.join(file))
                .with_context(|| format!("could not copy build/{file}"))?;
        }
        Ok(Self { folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the runtime keeps the objects' databases.
    pub(crate) fn storage(&self) -> PathBuf {
        self.folder.path().join("storage")
    }

    /// Makes the built code another one that does the same.
    pub(crate) fn change_code(&self) -> Result<()> {
        let main = self.folder.path().join("build/index.js");
        let code = fs::read_to_string(&main).context("could not read build/index.js")?;
        fs::write(&main, format!("{code}\nglobalThis.rebuilt = true;\n"))?;
        Ok(())
    }

    /// Writes `wrangler.toml` and `.dev.vars`.
    pub(crate) fn write_settings(&self, settings: &Settings) -> Result<()> {
        let original = fs::read_to_string(checkout().join("wrangler.toml"))
            .context("could not read wrangler.toml")?;
        fs::write(
            self.path().join("wrangler.toml"),
            without_build(&original, settings)?,
        )?;
        fs::write(self.path().join(".dev.vars"), dev_vars(settings)?)?;
        Ok(())
    }
}

/// Runs `cargo xtask build` once in this process; it does nothing when the build is up to date.
async fn build_once() -> Result<()> {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    BUILT
        .get_or_try_init(|| async {
            let build = || {
                Command::new("cargo")
                    .args(["xtask", "build"])
                    .current_dir(checkout())
                    .status()
            };
            let status = tokio::task::spawn_blocking(build)
                .await?
                .context("could not start cargo")?;
            ensure!(status.success(), "the Worker does not build");
            Ok(())
        })
        .await
        .copied()
}

fn without_build(original: &str, settings: &Settings) -> Result<String> {
    let mut config: toml::Table = original.parse().context("wrangler.toml is not TOML")?;
    config.remove("build");
    if let Some(toml::Value::Table(assets)) = config.get_mut("assets")
        && let Some(toml::Value::String(directory)) = assets.get_mut("directory")
    {
        *directory = checkout().join(&*directory).display().to_string();
    }
    if let Some(toml::Value::Table(vars)) = config.get_mut("vars") {
        for (name, value) in settings.iter() {
            if value.is_none() {
                vars.remove(name);
            }
        }
    }
    if let Some(toml::Value::Array(limits)) = config.get_mut("ratelimits") {
        for limit in limits {
            let name = limit.get("name").and_then(toml::Value::as_str);
            let other = name.and_then(|name| settings.rate_limit(name));
            if let (Some(other), Some(simple)) = (other, limit.get_mut("simple")) {
                simple["limit"] = toml::Value::Integer(other.into());
            }
        }
    }
    Ok(config.to_string())
}

fn dev_vars(settings: &Settings) -> Result<String> {
    let mut text = String::new();
    for (name, value) in settings.iter() {
        let Some(value) = value else { continue };
        ensure!(
            !value.contains(['\'', '\n']),
            "{name} cannot be written to .dev.vars"
        );
        writeln!(text, "{name}='{value}'")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new(
            "http://127.0.0.1:1/api/v1",
            "http://127.0.0.1:2",
            "whsec_fake",
        )
    }

    #[test]
    fn the_configuration_under_test_is_the_deployed_one_without_its_build_command() {
        let original = "name = \"a\"\nmain = \"build/index.js\"\n[build]\ncommand = \"x\"\n[vars]\nA = \"1\"\nB = \"2\"\n";
        let config: toml::Table = without_build(original, &settings().without("A"))
            .unwrap()
            .parse()
            .expect("it stays TOML");
        assert_eq!(config["main"].as_str(), Some("build/index.js"));
        assert!(!config.contains_key("build"));
        assert_eq!(config["vars"].as_table().map(toml::Table::len), Some(1));
    }

    #[test]
    fn settings_are_quoted_and_what_is_unset_is_left_out() {
        let text = dev_vars(
            &settings()
                .with("COMPANY_NAME", "Acme & Co")
                .without("API_KEY"),
        )
        .unwrap();
        assert!(text.contains("COMPANY_NAME='Acme & Co'\n"));
        assert!(!text.contains("\nAPI_KEY="));
    }
}
