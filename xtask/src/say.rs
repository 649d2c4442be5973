//! Lines for people: a verb, then what happens, in colour on a terminal only.
//!
//! Everything goes to standard error, so that standard output stays free for results; [`Paint`] colours those.

use std::io::IsTerminal;
use std::sync::LazyLock;

const GREEN: &str = "1;32";
const YELLOW: &str = "1;33";
const RED: &str = "1;31";
const BOLD: &str = "1";
const DIM: &str = "2";

static COLOURED: LazyLock<bool> =
    LazyLock::new(|| std::io::stderr().is_terminal() && colours_are_welcome());

fn colours_are_welcome() -> bool {
    std::env::var_os("NO_COLOR").is_none()
}

/// Colours words of a result, or leaves them as they are.
#[derive(Clone, Copy)]
pub(crate) struct Paint {
    colours: bool,
}

impl Paint {
    /// Leaves everything as it is.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self { colours: false };

    /// Colours only if standard output is a terminal.
    pub(crate) fn for_results() -> Self {
        Self {
            colours: std::io::stdout().is_terminal() && colours_are_welcome(),
        }
    }

    /// Something that went as it should.
    pub(crate) fn good(self, text: &str) -> String {
        self.with(GREEN, text)
    }

    /// Something that was not as it should be.
    pub(crate) fn doubtful(self, text: &str) -> String {
        self.with(YELLOW, text)
    }

    /// Something that failed.
    pub(crate) fn bad(self, text: &str) -> String {
        self.with(RED, text)
    }

    /// Something to see first.
    pub(crate) fn strong(self, text: &str) -> String {
        self.with(BOLD, text)
    }

    /// Something to see last.
    pub(crate) fn faint(self, text: &str) -> String {
        self.with(DIM, text)
    }

    fn with(self, colour: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Prints one step, as cargo does: `  Installing wasm-bindgen-cli 0.2.129 …`.
pub(crate) fn step(verb: &str, what: &str) {
    line(GREEN, verb, what);
}

/// Prints something the reader should know although the work goes on.
pub(crate) fn note(what: &str) {
    line(YELLOW, "Note", what);
}

/// Prints something that went wrong.
pub(crate) fn problem(verb: &str, what: &str) {
    line(RED, verb, what);
}

fn line(colour: &str, verb: &str, what: &str) {
    if *COLOURED {
        eprintln!("\x1b[{colour}m{verb:>12}\x1b[0m {what}");
    } else {
        eprintln!("{verb:>12} {what}");
    }
}
