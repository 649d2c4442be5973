//! docs/operations.md names what the code has, and all of it that an operator can meet.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use attache_meeting::meeting::WarningCode;
use serde_json::Value;
use utoipa::PartialSchema as _;

use super::render::DID_NOT_JOIN;
use crate::paths;

type Names = BTreeSet<String>;

fn read(path: &str) -> String {
    fs::read_to_string(paths::root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All Rust sources below a folder, tests left out.
fn sources(folder: &str) -> String {
    fn collect(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() && !path.ends_with("tests") {
                collect(&path, text);
            } else if path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("tests.rs")
            {
                text.push_str(&fs::read_to_string(&path).expect("it can be read"));
            }
        }
    }
    let mut text = String::new();
    collect(&paths::root().join(folder), &mut text);
    text
}

/// The cells of a column, in all tables whose header has it.
fn cells(page: &str, column: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut index = None;
    for line in page.lines() {
        let row = line.strip_prefix('|').and_then(|row| row.strip_suffix('|'));
        let Some(row) = row else {
            index = None;
            continue;
        };
        let row: Vec<&str> = row.split('|').map(str::trim).collect();
        match index {
            None => index = Some(row.iter().position(|cell| *cell == column)),
            Some(Some(index)) if !row[index].starts_with("---") => {
                found.push(row[index].to_owned());
            }
            Some(_) => {}
        }
    }
    found
}

fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What is quoted in a column and looks like `name` or `vendor.name`.
fn quoted_names(page: &str, column: &str) -> Names {
    let cells = cells(page, column).join("\n");
    let is_name = |span: &&str| {
        span.chars()
            .all(|c| c.is_ascii_lowercase() || "._".contains(c))
    };
    code_spans(&cells)
        .filter(is_name)
        .map(str::to_owned)
        .collect()
}

/// The string literals that directly follow `before`, white space aside.
fn literals_after(source: &str, before: &str) -> Names {
    let rests = source.split(before).skip(1).map(str::trim_start);
    let literals = rests.filter_map(|rest| rest.strip_prefix('"')?.split('"').next());
    literals.map(str::to_owned).collect()
}

fn timeline_names() -> Names {
    let core = sources("crates/meeting/src/meeting");
    let mut names = literals_after(&core, ".note(");
    // How a meeting ends is written under its status.
    names.extend(["ended", "failed", "cancelled"].map(str::to_owned));
    let operations = literals_after(&read("crates/meeting/src/meeting/effect.rs"), "=> ");
    names.extend(operations.into_iter().filter(|name| name.contains('.')));
    names
}

fn warning_codes() -> Names {
    let schema = serde_json::to_value(WarningCode::schema()).expect("a schema is JSON");
    let codes = schema["enum"].as_array().expect("a list of codes");
    codes
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_warning_of_the_api_has_a_section() {
    let page = read("docs/operations.md");
    let prefix = "### `";
    let sections = page
        .lines()
        .filter_map(|line| line.strip_prefix(prefix)?.strip_suffix('`'));
    let sections: Names = sections.map(str::to_owned).collect();
    assert_eq!(sections, warning_codes());
    assert!(page.contains("\n## The bot did not join\n"));
    assert_eq!(DID_NOT_JOIN, "the-bot-did-not-join");
}

#[test]
fn every_name_of_the_timeline_is_explained_and_no_other_is_quoted() {
    let page = read("docs/operations.md");
    let known = timeline_names();
    assert!(
        known.len() > 50,
        "the names are found in the sources: {known:?}"
    );
    let (_, table) = page
        .split_once("\n## Every entry of the timeline\n")
        .expect("the section");
    let (table, _) = table.split_once("\n## ").expect("it is not the last");
    assert_eq!(quoted_names(table, "In the timeline"), known);

    let mut usable = known;
    usable.extend(warning_codes());
    let quoted = quoted_names(&page, "In the timeline");
    let unknown: Vec<_> = quoted.difference(&usable).collect();
    assert!(unknown.is_empty(), "in no source: {unknown:?}");
}

#[test]
fn every_message_and_field_of_the_logs_is_one_that_is_written() {
    let page = read("docs/operations.md");
    let worker = sources("src");
    let messages = cells(&page, "Log message").join("\n");
    assert!(code_spans(&messages).count() > 5, "{messages}");
    for message in code_spans(&messages) {
        let logged = worker.contains(&format!("\"{message}\""));
        assert!(logged, "nobody logs `{message}`");
    }
    let fields = cells(&page, "Field").join("\n");
    let told: BTreeSet<_> = code_spans(&fields).collect();
    let log = read("src/log.rs");
    let head = log.split("use ").next().expect("there is a first part");
    assert_eq!(told, code_spans(head).collect());
}

#[test]
fn every_limit_is_quoted_as_it_is() {
    let page = read("docs/operations.md");
    let limits = read("crates/meeting/src/meeting/limits.rs");
    let names = cells(&page, "Limit");
    let values = cells(&page, "Is");
    assert!(names.len() > 10 && names.len() == values.len(), "{names:?}");
    for (name, value) in names.iter().zip(values) {
        let name = name.trim_matches('`');
        let (_, rest) = limits
            .split_once(&format!("pub const {name}: "))
            .unwrap_or_else(|| panic!("there is no limit {name}"));
        let (_, written) = rest.split_once(" = ").expect("a value");
        let (written, _) = written.split_once(';').expect("its end");
        assert_eq!(value, in_words(written), "{name}");
    }
}

/// `Duration::from_mins(10)` as `10 min`, `5_000` as `5000`.
fn in_words(written: &str) -> String {
    let plain = written.replace('_', "");
    let Some((unit, number)) = plain
        .strip_prefix("Duration::from")
        .and_then(|rest| rest.split_once('('))
    else {
        return plain;
    };
    let unit = match unit {
        "millis" => "ms",
        "secs" => "s",
        "mins" => "min",
        "hours" => "h",
        _ => panic!("an unknown unit: {unit}"),
    };
    format!("{} {unit}", number.trim_end_matches(')'))
}

#[test]
fn every_variable_that_the_handbooks_name_is_read_by_the_worker() {
    let config = read("src/config.rs");
    let core = sources("crates/meeting/src/meeting");
    let bindings = read("wrangler.toml");
    for path in ["docs/operations.md", "docs/deploy.md"] {
        let page = read(path);
        let is_variable = |span: &&str| {
            span.contains('_') && span.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        };
        // Fenced examples have an odd number of back-ticks each, in pairs; they are left out line by line.
        let prose: String = page
            .lines()
            .filter(|line| !line.contains("```"))
            .collect::<Vec<_>>()
            .join("\n");
        for name in code_spans(&prose).filter(is_variable) {
            let quoted = format!("\"{name}\"");
            let known = config.contains(&quoted)
                || core.contains(&format!(" const {name}: "))
                || bindings.contains(name);
            assert!(
                known || name == "ATTACHE_API_KEY",
                "{path} names {name}, which nobody reads"
            );
        }
    }
}

#[test]
fn links_within_the_docs_lead_somewhere() {
    for path in ["docs/operations.md", "docs/deploy.md"] {
        let page = read(path);
        for link in page
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let (file, section) = link.split_once('#').unwrap_or((link, ""));
            if file.starts_with("https://") {
                continue;
            }
            let target = if file.is_empty() {
                path.to_owned()
            } else {
                format!("docs/{file}")
            };
            let target = read(&target);
            let found = target
                .lines()
                .filter_map(|line| line.strip_prefix('#'))
                .any(|head| anchor(head) == section);
            assert!(
                section.is_empty() || found,
                "{path} links to {link}, which is nowhere"
            );
        }
    }
}

/// What a heading is linked by.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
