//! What the documents call a test is one: every scenario, test and file that they name is in the tree.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use attache_tests::checkout;

/// The documents that say what is tested by what.
const DOCUMENTS: [&str; 2] = ["SECURITY.md", "ARCHITECTURE.md"];

/// Where code and tests are.
const FOLDERS: [&str; 7] = ["src", "crates", "tests", "web", "xtask", "bench", "docs"];

/// A name with so many underscores is a sentence: the name of a test.
const UNDERSCORES_OF_A_SENTENCE: usize = 3;

/// The files by their paths, and the functions by their names.
#[derive(Default)]
struct Tree {
    files: Vec<String>,
    functions: BTreeSet<String>,
}

#[test]
fn every_test_that_the_documents_name_exists() {
    let tree = Tree::read();
    let mut named = 0;
    each_word(|document, word| {
        let name = word.rsplit("::").next().unwrap_or(word);
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if name.bytes().all(plain) && name.matches('_').count() >= UNDERSCORES_OF_A_SENTENCE {
            named += 1;
            let known = tree.functions.contains(name);
            assert!(known, "{document} names {word}, which is no test");
        }
    });
    assert!(named >= 30, "only {named} tests are named");
}

#[test]
fn every_scenario_that_the_documents_name_is_played_under_its_theme() {
    let scenarios = checkout().join("tests/tests/scenarios");
    let played = fs::read_to_string(scenarios.join("main.rs")).unwrap();
    let mut named = 0;
    each_word(|document, word| {
        let theme = word.split_once("::");
        let code = |theme: &str| fs::read_to_string(scenarios.join(format!("{theme}.rs"))).ok();
        if let Some((name, code)) = theme.and_then(|(theme, name)| Some((name, code(theme)?))) {
            named += 1;
            let scenario = format!("pub(crate) async fn {name}(");
            assert!(code.contains(&scenario), "{document} names {word}");
            let line = format!("            {name}\n");
            assert!(played.contains(&line), "{word} is never played");
        }
    });
    assert!(named >= 30, "only {named} scenarios are named");
}

#[test]
fn every_theme_of_scenarios_that_the_documents_name_exists() {
    let scenarios = checkout().join("tests/tests/scenarios");
    let mut named = 0;
    for document in DOCUMENTS {
        let text = fs::read_to_string(checkout().join(document)).unwrap();
        let lists = text.split("cenarios `").skip(1);
        for list in lists.map(|rest| rest.split(['|', ';', '\n']).next().unwrap_or(rest)) {
            // The list begins within its first quotation.
            for theme in format!("`{list}").split('`').skip(1).step_by(2) {
                // Files and single scenarios in a list are held by the other tests.
                if theme.contains(['/', ':']) {
                    continue;
                }
                named += 1;
                let file = scenarios.join(format!("{theme}.rs"));
                assert!(file.exists(), "{document} names {theme}");
            }
        }
    }
    assert!(named > 0);
}

#[test]
fn every_file_that_the_documents_name_exists() {
    let tree = Tree::read();
    let mut named = 0;
    each_word(|document, word| {
        let ends = [".rs", ".json", ".toml", ".ts", ".js"];
        let path = word.contains('/') && !word.starts_with('/') && !word.contains('*');
        if path && ends.iter().any(|end| word.ends_with(end)) {
            named += 1;
            let (whole, below) = (word.to_owned(), format!("/{word}"));
            let known = |file: &String| *file == whole || file.ends_with(&below);
            assert!(tree.files.iter().any(known), "{document} names {word}");
        }
    });
    assert!(named >= 10, "only {named} files are named");
}

/// Hands over what stands in backquotes in each document.
fn each_word(mut take: impl FnMut(&str, &str)) {
    for document in DOCUMENTS {
        let text = fs::read_to_string(checkout().join(document)).expect("the document is there");
        for line in text.lines() {
            for word in line.split('`').skip(1).step_by(2) {
                take(document, word);
            }
        }
    }
}

impl Tree {
    fn read() -> Self {
        let mut tree = Self::default();
        for folder in FOLDERS {
            tree.collect(&checkout().join(folder), folder);
        }
        tree
    }

    fn collect(&mut self, folder: &Path, shown: &str) {
        for entry in fs::read_dir(folder).expect("the folder is there") {
            let entry = entry.expect("the folder can be read");
            let name = entry.file_name().to_string_lossy().into_owned();
            let (path, shown) = (entry.path(), format!("{shown}/{name}"));
            if path.is_dir() {
                if !["node_modules", "dist", "target"].contains(&&*name) {
                    self.collect(&path, &shown);
                }
                continue;
            }
            if path.extension().is_some_and(|extension| extension == "rs") {
                let code = fs::read_to_string(&path).expect("code is text");
                let starts = code.split("fn ").skip(1);
                self.functions.extend(starts.filter_map(|rest| {
                    let end = rest.find(['(', '<'])?;
                    Some(rest[..end].to_owned())
                }));
            }
            self.files.push(shown);
        }
    }
}
