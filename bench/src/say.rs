//! Progress, as lines on standard error: a verb, then what happens, in colour on a terminal only.

use std::io::IsTerminal as _;

/// Prints one step.
pub(crate) fn step(verb: &str, what: &str) {
    line("1;32", verb, what);
}

/// Prints something that went wrong.
pub(crate) fn problem(verb: &str, what: &str) {
    line("1;31", verb, what);
}

fn line(colour: &str, verb: &str, what: &str) {
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if coloured {
        eprintln!("\x1b[{colour}m{verb:>12}\x1b[0m {what}");
    } else {
        eprintln!("{verb:>12} {what}");
    }
}
