//! Lines with a time and a name, in colour on a terminal only.

use std::io::IsTerminal as _;
use std::time::Instant;

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "31";

/// Wide enough for the names in the demo's script.
const NAME_WIDTH: usize = 16;

/// Where the demo is written to.
#[derive(Debug)]
pub(crate) struct Paper {
    start: Instant,
}

impl Paper {
    /// Paper whose times count from `start`.
    pub(crate) fn new(start: Instant) -> Self {
        Self { start }
    }

    /// Writes a line under the time that has passed.
    pub(crate) fn line(&self, name: &str, text: &str) {
        let time = format!("{:>6.1} s", self.start.elapsed().as_secs_f32());
        println!(
            "{}  {}  {text}",
            paint(DIM, &time),
            paint(BOLD, &format!("{name:<NAME_WIDTH$}"))
        );
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
