//! Lines with a time and a name, in colour on a terminal only.

use std::cell::Cell;
use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "31";

/// Wide enough for the names in the demo's script.
const NAME_WIDTH: usize = 16;

/// How much of a draft is shown: with what stands before it, less than the narrowest usual terminal.
const DRAFT_WIDTH: usize = 50;

/// Where the demo is written to.
#[derive(Debug)]
pub(crate) struct Paper {
    start: Instant,
    /// The last line is a draft, which the next line takes the place of.
    draft: Cell<bool>,
}

impl Paper {
    /// Paper whose times count from `start`.
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            draft: Cell::new(false),
        }
    }

    /// Writes a line under the time that has passed.
    pub(crate) fn line(&self, name: &str, text: &str) {
        self.clear_draft();
        println!("{}  {text}", self.head(name));
    }

    /// Writes a line that is not final, on a terminal only; of a long one, the end.
    pub(crate) fn draft(&self, name: &str, text: &str) {
        if !std::io::stdout().is_terminal() {
            return;
        }
        self.clear_draft();
        let cut = text.chars().count().saturating_sub(DRAFT_WIDTH);
        let end: String = text.chars().skip(cut).collect();
        let dots = if cut > 0 { "…" } else { "" };
        print!(
            "{}  {}",
            self.head(name),
            paint(DIM, &format!("{dots}{end} …"))
        );
        // A terminal that cannot be written to will say so at the next line.
        let _ = std::io::stdout().flush();
        self.draft.set(true);
    }

    fn clear_draft(&self) {
        if self.draft.replace(false) {
            print!("\r\x1b[K");
        }
    }

    fn head(&self, name: &str) -> String {
        let time = format!("{:>6.1} s", self.start.elapsed().as_secs_f32());
        let name = format!("{name:<NAME_WIDTH$}");
        format!("{}  {}", paint(DIM, &time), paint(BOLD, &name))
    }
}

/// Writes one line of the verdict.
pub(crate) fn finding(holds: bool, text: &str) {
    let mark = if holds {
        paint(GREEN, "  ok     ")
    } else {
        paint(RED, "  missing")
    };
    println!("{mark}  {text}");
}

/// Writes the last line.
pub(crate) fn conclusion(holds: bool, text: &str) {
    println!("\n{}", paint(if holds { GREEN } else { RED }, text));
}

fn paint(colour: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{colour}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
