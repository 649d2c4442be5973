//! One authorised GET at a Worker, through the `curl` of the machine.
//!
//! An HTTP client with TLS would take longer to compile than everything else here, and this program is compiled
//! before anything else can happen. The key is handed over on standard input, where no list of processes shows it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// An answer takes milliseconds; a Worker that is starting takes a few seconds.
const PATIENCE_S: u32 = 20;

/// A page of a hundred entries is about 50 kB.
const MAX_ANSWER_BYTES: u32 = 8 << 20;

/// What curl says when nobody is there: the name is unknown, the connection is refused, or nothing comes in time.
const NOBODY_THERE: [i32; 3] = [6, 7, 28];

/// A Worker and the key of one of its tenants.
pub(crate) struct Worker {
    origin: String,
    key: String,
}

impl Worker {
    pub(crate) fn new(url: &str, key: &str) -> Result<Self> {
        ensure!(
            url.starts_with("http://") || url.starts_with("https://"),
            "`{url}` is no address of a Worker; one looks like https://attache.example.workers.dev"
        );
        ensure!(
            !url.chars().any(char::is_control) && !key.chars().any(char::is_control),
            "the address and the key are one line each"
        );
        Ok(Self {
            origin: url.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
        })
    }

    /// Asks for a path; a failure says what to do about it.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let mut child = Command::new("curl")
            .args(["--silent", "--show-error", "--config", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("curl is needed to ask the Worker; is it installed?")?;
        let mut input = child.stdin.take().context("standard input is piped")?;
        // A curl that is gone already has said why.
        let _ = input.write_all(self.options(path).as_bytes());
        drop(input);
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            let told = told.trim().trim_start_matches("curl: ");
            if output
                .status
                .code()
                .is_some_and(|code| NOBODY_THERE.contains(&code))
            {
                bail!(
                    "no Worker answers at {} ({told}); start one with `cargo xtask dev`, or name another with --url",
                    self.origin
                );
            }
            bail!("could not ask {}: {told}", self.origin);
        }
        self.read(&String::from_utf8_lossy(&output.stdout))
    }

    /// In curl's configuration language, which knows the escapes of C in quotes.
    fn options(&self, path: &str) -> String {
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let (url, key) = (quoted(&format!("{}{path}", self.origin)), quoted(&self.key));
        format!(
            "url = \"{url}\"\nheader = \"Authorization: Bearer {key}\"\nproto = \"=http,https\"\n\
             max-time = {PATIENCE_S}\nmax-filesize = {MAX_ANSWER_BYTES}\nwrite-out = \"\\n%{{http_code}}\"\n"
        )
    }

    /// Reads curl's output: the body, and the status on a line of its own.
    pub(crate) fn read(&self, output: &str) -> Result<Value> {
        let (body, status) = output.rsplit_once('\n').unwrap_or(("", output));
        let body: Option<Value> = serde_json::from_str(body).ok();
        let problem = |field: &str| body.as_ref().and_then(|body| body[field].as_str());
        match (status, body.as_ref()) {
            ("200", Some(answer)) => Ok(answer.clone()),
            ("401", _) => bail!(
                "{} does not know the key; give the tenant's own with ATTACHE_API_KEY or --key",
                self.origin
            ),
            ("404", _) if problem("code") == Some("meeting_not_found") => bail!(
                "{} has no such meeting for this key: it was never booked there, or it is another tenant's",
                self.origin
            ),
            _ => bail!(
                "{} answered {status}: {}",
                self.origin,
                problem("detail")
                    .or_else(|| problem("title"))
                    .unwrap_or("nothing that this Worker would say; is the address right?")
            ),
        }
    }
}
