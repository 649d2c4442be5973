//! Lines for people: a verb, then what happens, in colour on a terminal only.
//!
//! Everything goes to standard error, so that standard output stays free for results.

use std::io::IsTerminal;
use std::sync::LazyLock;

const GREEN: &str = "1;32";
const YELLOW: &str = "1;33";
const RED: &str = "1;31";

static COLOURED: LazyLock<bool> =
    LazyLock::new(|| std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());

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
