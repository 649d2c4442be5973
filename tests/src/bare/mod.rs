//! The built Worker on the runtime alone, without `wrangler dev` around it.
//!
//! One process of the runtime serves several branches: the same Worker, each with settings, objects and an origin of
//! its own. It is there in a tenth of the time that wrangler takes, so it can be killed hundreds of times. Objects and
//! the directory are in databases on disk. The doors are open sockets of ours: the ports stay while there is no runtime,
//! and requests wait at the door until there is one again.

mod config;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rustix::io::{FdFlags, fcntl_setfd};
use url::Url;

use crate::api::Api;
use crate::home::Home;
use crate::process::{Output, ProcessGroup};
use crate::settings::{API_KEY, Settings};
use crate::workerd;

/// What stands around the Worker where wrangler would: static assets and the directory.
const MODULES: [(&str, &str); 2] = [
    ("front.js", include_str!("front.js")),
    ("directory.js", include_str!("directory.js")),
];

/// The built Worker, started without ceremony, until it is killed or dropped.
#[derive(Debug)]
pub struct BareRuntime {
    home: Home,
    workerd: PathBuf,
    doors: Vec<TcpListener>,
    process: Option<ProcessGroup>,
    output: Output,
}

impl BareRuntime {
    /// Opens so many doors and builds the Worker if needed; nothing is started yet.
    pub async fn open(branches: usize) -> Result<Self> {
        let doors = (0..branches).map(|_| door()).collect::<Result<_>>()?;
        let home = Home::create().await?;
        for (name, text) in MODULES {
            fs::write(home.path().join("build").join(name), text)?;
        }
        fs::create_dir(home.storage())?;
        Ok(Self {
            home,
            workerd: workerd::executable()?,
            doors,
            process: None,
            output: Output::default(),
        })
    }

    /// The origin of a branch, which is its `PUBLIC_URL` too.
    pub fn origin(&self, branch: usize) -> Result<String> {
        let door = self.doors.get(branch).context("there is no such branch")?;
        Ok(format!("http://{}", door.local_addr()?))
    }

    /// Where Recall sends the webhooks of a branch.
    pub fn webhook_url(&self, branch: usize) -> Result<Url> {
        Ok(Url::parse(&format!(
            "{}/webhooks/recall",
            self.origin(branch)?
        ))?)
    }

    /// A client of a branch, with the key of tenant `default`.
    pub fn api(&self, branch: usize) -> Result<Api> {
        Ok(Api::new(&self.origin(branch)?, API_KEY))
    }

    /// Decides the settings of all branches.
    pub fn configure(&self, branches: &[Settings]) -> Result<()> {
        ensure!(branches.len() == self.doors.len(), "a door for each branch");
        let mut settings = Vec::new();
        for (number, branch) in branches.iter().enumerate() {
            settings.push(branch.clone().with("PUBLIC_URL", &self.origin(number)?));
        }
        let text = config::write(&workerd::compatibility_date()?, &settings);
        fs::write(self.config(), text).context("could not write the configuration")
    }

    /// Starts the runtime on the storage that there is; requests wait at the doors until it takes them.
    pub fn start(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the runtime is running");
        let mut command = Command::new(&self.workerd);
        command.arg("serve").arg(self.config());
        for (branch, door) in self.doors.iter().enumerate() {
            let (name, socket) = (config::door(branch), door.as_raw_fd());
            command.arg(format!("--socket-fd={name}={socket}"));
        }
        let (name, storage) = (config::STORAGE, self.home.storage());
        command.arg(format!("--directory-path={name}={}", storage.display()));
        self.process = Some(ProcessGroup::spawn(&command, &self.output)?);
        Ok(())
    }

    /// Kills the runtime without warning: SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// The last lines that the runtime printed, to explain a failure.
    pub fn last_words(&self) -> String {
        self.output.tail()
    }

    fn config(&self) -> PathBuf {
        self.home.path().join("build/config.capnp")
    }
}

/// A socket that the runtime inherits under the same number.
fn door() -> Result<TcpListener> {
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    fcntl_setfd(&door, FdFlags::empty()).context("the door cannot be passed on")?;
    Ok(door)
}
