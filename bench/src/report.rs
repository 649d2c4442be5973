//! What is told in the end: the parts that were measured, on the terminal and between their marks of RESULTS.md.

use std::fs;

use anyhow::{Context as _, Result};
use attache_tests::checkout;

use crate::Part;
use crate::machine::Machine;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) quick: bool,
    pub(crate) machine: Machine,
    pub(crate) sections: Vec<Section>,
}

/// A part, and its tables.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) part: Part,
    pub(crate) text: String,
}

impl Report {
    /// Writes all tables.
    pub(crate) fn text(&self) -> String {
        let note = if self.quick {
            "A quick run shows that everything works; its numbers mean little.\n\n"
        } else {
            ""
        };
        let titled =
            |section: &Section| format!("### {}\n\n{}", section.part.title(), section.text);
        let sections: Vec<String> = self.sections.iter().map(titled).collect();
        format!("{note}{}\n{}", self.machine.table(), sections.join("\n"))
    }

    /// Puts the tables in the place of the last ones in RESULTS.md; parts that were not measured stay.
    pub(crate) fn write(&self) -> Result<()> {
        let path = checkout().join("bench/RESULTS.md");
        let mut document = fs::read_to_string(&path)?;
        document = replace(&document, "machine", &self.machine.table())?;
        for section in &self.sections {
            let tables = format!("{}\n\n{}", self.machine.moment(), section.text);
            document = replace(&document, section.part.mark(), &tables)?;
        }
        fs::write(&path, document)?;
        Ok(())
    }
}

/// Puts tables between the two marks of this name.
fn replace(document: &str, mark: &str, tables: &str) -> Result<String> {
    let (begin, end) = (
        format!("<!-- {mark}: begin -->"),
        format!("<!-- {mark}: end -->"),
    );
    let (before, rest) = document
        .split_once(&begin)
        .with_context(|| format!("{begin} is missing"))?;
    let (_, after) = rest
        .split_once(&end)
        .with_context(|| format!("{end} is missing"))?;
    Ok(format!(
        "{before}{begin}\n\n{}\n\n{end}{after}",
        tables.trim_end()
    ))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn the_tables_take_the_place_of_the_last_ones_and_nothing_else() {
        let (begin, end) = ("<!-- size: begin -->", "<!-- size: end -->");
        let document = format!("before\n{begin}\nold\n{end}\nafter\n");
        let written = replace(&document, "size", "new\n").unwrap();
        assert_eq!(written, format!("before\n{begin}\n\nnew\n\n{end}\nafter\n"));
        assert_eq!(replace(&written, "size", "new\n").unwrap(), written);
        assert!(replace("no marks", "size", "new").is_err());
    }

    #[test]
    fn the_document_has_a_place_for_every_part() {
        let document = include_str!("../RESULTS.md");
        for part in Part::value_variants() {
            assert!(replace(document, part.mark(), "").is_ok(), "{part:?}");
        }
    }
}
