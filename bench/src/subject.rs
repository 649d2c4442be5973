//! What is measured: three Workers, and the place from which they are started.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use attache_tests::{checkout, workerd};
use tempfile::TempDir;

use crate::config;
use crate::process::Runtime;

/// A Worker that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The Worker as it is built for deployment.
    Attache,
    /// A plain JavaScript Worker that does the same work.
    JavaScript,
    /// A Worker that answers at once.
    Bare,
}

/// The order in which they take turns.
pub(crate) const ALL: [Subject; 3] = [Subject::Attache, Subject::JavaScript, Subject::Bare];

/// Where objects keep their databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// In memory: nothing waits for a disk, so what is left is what the Worker costs.
    Memory,
    /// In the folder for temporary files, usually on a disk, which every write is waited for.
    Disk,
}

/// Where Linux keeps a file system in memory.
const MEMORY: &str = "/dev/shm";

impl Storage {
    /// The first choice of this system.
    pub(crate) fn fastest() -> Self {
        if Path::new(MEMORY).is_dir() {
            Self::Memory
        } else {
            Self::Disk
        }
    }

    /// An empty folder there.
    pub(crate) fn folder(self) -> Result<TempDir> {
        let prefix = "attache-bench-";
        Ok(match self {
            Self::Memory => TempDir::with_prefix_in(prefix, MEMORY)?,
            Self::Disk => TempDir::with_prefix(prefix)?,
        })
    }
}

/// A file of a Worker, and where it comes from within the checkout.
pub(crate) struct Module {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
}

const fn module(name: &'static str, source: &'static str) -> Module {
    Module { name, source }
}

impl Subject {
    /// What the tables call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Attache => "attache",
            Self::JavaScript => "JavaScript",
            Self::Bare => "bare runtime",
        }
    }

    /// Its files, the one with the entry point first.
    pub(crate) fn modules(self) -> &'static [Module] {
        const ATTACHE: &[Module] = &[
            module("index.js", "build/index.js"),
            module("index_bg.wasm", "build/index_bg.wasm"),
        ];
        const JAVASCRIPT: &[Module] = &[
            module("javascript.js", "bench/workers/javascript.js"),
            module("relay.js", "bench/workers/relay.js"),
        ];
        const BARE: &[Module] = &[module("bare.js", "bench/workers/bare.js")];
        match self {
            Self::Attache => ATTACHE,
            Self::JavaScript => JAVASCRIPT,
            Self::Bare => BARE,
        }
    }
}

/// The KV namespace that the Worker is given.
pub(crate) const DIRECTORY: Module = module("directory.js", "bench/workers/directory.js");

/// A folder with a copy of everything that is started, so that a new build changes nothing half-way.
#[derive(Debug)]
pub(crate) struct Workshop {
    folder: TempDir,
    workerd: PathBuf,
    compatibility_date: String,
}

impl Workshop {
    /// Copies the Workers and finds the runtime.
    pub(crate) fn open() -> Result<Self> {
        let folder = TempDir::with_prefix("attache-bench-")?;
        let modules = ALL.iter().flat_map(|subject| subject.modules());
        for module in modules.chain([&DIRECTORY]) {
            fs::copy(
                checkout().join(module.source),
                folder.path().join(module.name),
            )
            .with_context(|| format!("could not copy {}", module.source))?;
        }
        Ok(Self {
            folder,
            workerd: workerd::executable()?,
            compatibility_date: workerd::compatibility_date()?,
        })
    }

    /// The runtime's executable.
    pub(crate) fn workerd(&self) -> &Path {
        &self.workerd
    }

    /// Where the copies are.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The size and content of a module.
    pub(crate) fn read(&self, module: &Module) -> Result<Vec<u8>> {
        fs::read(self.path().join(module.name))
            .with_context(|| format!("could not read {}", module.name))
    }

    /// Starts a Worker on this storage, with these variables, behind a socket that is already open.
    pub(crate) fn start(
        &self,
        subject: Subject,
        storage: &Path,
        door: std::net::TcpListener,
        variables: &[(&str, String)],
    ) -> Result<Runtime> {
        let text = config::write(subject, &self.compatibility_date, variables);
        // Next to the modules, which it names by relative paths.
        let file = self.path().join("config.capnp");
        fs::write(&file, text).context("could not write the configuration")?;
        Runtime::start(&self.workerd, &file, storage, door)
    }
}
