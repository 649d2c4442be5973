//! What a build was made of, in a few letters, so that nothing is built twice.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::paths;

/// The fingerprint of files and folders of the checkout, and of the tools' names and versions.
pub(crate) fn of(inputs: &[&str], tools: &[String]) -> Result<String> {
    let mut files = BTreeMap::new();
    for input in inputs {
        collect(Path::new(input), &mut files)?;
    }
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    tools.hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

fn collect(input: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    let path = paths::root().join(input);
    if path.is_dir() {
        for entry in
            fs::read_dir(&path).with_context(|| format!("could not list {}", input.display()))?
        {
            collect(&input.join(entry?.file_name()), files)?;
        }
    } else if path.exists() {
        let content =
            fs::read(&path).with_context(|| format!("could not read {}", input.display()))?;
        files.insert(input.to_path_buf(), content);
    }
    Ok(())
}
