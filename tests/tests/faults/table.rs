//! `docs/faults.md`: written from what was seen, and compared with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use attache_tests::checkout;

use crate::catalogue::{Case, PARTS, Times, troubles};

/// How it is made anew.
const HINT: &str =
    "`cargo xtask faults` writes the table anew; read what changed before committing it";

/// What stands above the tables.
const HEAD: &str = "\
# What a meeting does when a vendor fails

This page is written by `cargo xtask faults` from what was seen, and the test run fails where it sees something else.
For each cell a short meeting was held on the built Worker in its real runtime, against the simulated vendors, and watched from outside: by the API, and by what the vendors and the room saw.

Each table is one call of a vendor.
*Once* means that the first such call of the meeting fails, *always* that every one does, until the meeting has come to its end or for as long as people would wait; then the vendor works again.
In no cell a meeting hangs, lies or leaks, which means:

- It comes to its end, with a reason, without anybody's help once the vendor works again.
- What the API says of the greeting is what the room heard or read, and nobody is greeted twice.
  Only where a vendor does what it is asked and never says so can nobody know: then the greeting is written besides, and the reason says that there was no answer.
- A transcript or a recording that is told to be ready can be fetched.
- No bot stays in a call, no second one is ever made, and no avatar's session that is known goes on; where a vendor says for good that it does not know a session which it goes on listing, a warning names it.
  HeyGen does not let a caller name what it asks for, so a session whose answer is lost is known to nobody: it ends of itself after two minutes without use.
- Whatever was worse than usual is a warning on the meeting.
- No vendor is asked without end; nothing reaches the host that a redirect names; a huge answer is not taken in; no secret is shown or logged.

The faults: *slow* answers after four seconds; *403 HTML* and *502 HTML* are pages of a firewall and a proxy; *429 with Retry-After* asks for two seconds; *timeout after accept* does what was asked and never answers; *half-open* keeps the connection and does nothing, and a socket opens and stays silent; *garbage* does what was asked and answers with no JSON; *huge body* answers with 256 MiB; *mid-stream close* does what was asked and breaks off in the middle of the answer, and a socket opens and is cut.
";

/// A cell: vendor, title, fault, and whether once or always.
type Place = (String, String, String, Times);

/// What each cell says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    cells: BTreeMap<Place, String>,
}

impl Table {
    pub(crate) fn insert(&mut self, case: &Case, sentence: String) {
        self.cells.insert(place(case), sentence);
    }

    /// What the committed page tells, if there is one.
    pub(crate) fn committed() -> Result<Self> {
        match fs::read_to_string(path()) {
            Ok(page) => Ok(Self::parse(&page)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).context("could not read docs/faults.md"),
        }
    }

    /// Whether it says nothing else of a case.
    pub(crate) fn tells(&self, case: &Case, sentence: &str) -> bool {
        let said = self.cells.get(&place(case));
        said.is_none_or(|said| said == sentence)
    }

    /// Writes the page, and leaves the cells that were not tried as they are; every one must be there.
    pub(crate) fn write(&self) -> Result<()> {
        let mut all = Self::committed()?;
        all.cells.extend(self.cells.clone());
        fs::write(path(), all.page()?).context("could not write docs/faults.md")
    }

    /// Holds that the committed page is complete and says of these cells what was seen.
    pub(crate) fn is_as_committed(&self) -> Result<()> {
        let page = fs::read_to_string(path())
            .with_context(|| format!("docs/faults.md is missing: {HINT}"))?;
        let committed = Self::parse(&page);
        ensure!(
            committed.page().is_ok_and(|complete| complete == page),
            "docs/faults.md is not as it was written: {HINT}"
        );
        let differs = |(place, seen): (&Place, &String)| {
            let told = committed.cells.get(place);
            (told != Some(seen)).then(|| format!("{place:?}\n  page: {told:?}\n  seen: {seen}"))
        };
        let differences: Vec<String> = self.cells.iter().filter_map(differs).collect();
        ensure!(
            differences.is_empty(),
            "docs/faults.md tells otherwise than was seen:\n{}\n{HINT}",
            differences.join("\n")
        );
        Ok(())
    }

    fn page(&self) -> Result<String> {
        let mut page = HEAD.to_owned();
        let mut vendor = "";
        for part in PARTS {
            if part.vendor != vendor {
                vendor = part.vendor;
                write!(page, "\n## {vendor}\n")?;
            }
            write!(
                page,
                "\n### {}\n\n| Fault | Once | Always |\n| --- | --- | --- |\n",
                part.title
            )?;
            for trouble in troubles() {
                let cell = |times| {
                    let case = Case {
                        part,
                        trouble: trouble.clone(),
                        times,
                    };
                    let said = self
                        .cells
                        .get(&place(&case))
                        .filter(|said| !said.is_empty());
                    said.with_context(|| format!("an empty cell: {}", case.name()))
                };
                let (once, always) = (cell(Times::Once)?, cell(Times::Always)?);
                writeln!(page, "| {} | {once} | {always} |", trouble.name)?;
            }
        }
        Ok(page)
    }

    fn parse(page: &str) -> Self {
        let (mut vendor, mut title) = (String::new(), String::new());
        let mut cells = BTreeMap::new();
        for line in page.lines() {
            if let Some(name) = line.strip_prefix("## ") {
                name.clone_into(&mut vendor);
            } else if let Some(name) = line.strip_prefix("### ") {
                name.clone_into(&mut title);
            } else if let Some(row) = line.strip_prefix("| ") {
                let columns: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
                if let [fault, once, always] = columns[..] {
                    for (times, said) in [(Times::Once, once), (Times::Always, always)] {
                        let place = (vendor.clone(), title.clone(), fault.to_owned(), times);
                        cells.insert(place, said.to_owned());
                    }
                }
            }
        }
        Self { cells }
    }
}

fn place(case: &Case) -> Place {
    let own = str::to_owned;
    let part = case.part;
    (
        own(part.vendor),
        own(part.title),
        own(case.trouble.name),
        case.times,
    )
}

fn path() -> PathBuf {
    checkout().join("docs/faults.md")
}
