//! A meeting and its timeline as text: first how it stands, then a line for each entry, last what went wrong.
//!
//! Times are counted from the first entry, so that they read the same everywhere.
//! What a vendor has said is shown without control characters, which a terminal would obey.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::Value;

use crate::say::Paint;

/// Where causes and cures are.
const HANDBOOK: &str = "docs/operations.md";

/// The sections of the handbook for meetings that are over without the bot having been in the call.
pub(crate) const DID_NOT_JOIN: &str = "the-bot-did-not-join";

/// Entries that come in droves, told as how often what happened.
const CHATTY: &str = "participant";

/// Wide enough for most names.
const NAME_WIDTH: usize = 27;

/// The whole page.
pub(crate) fn page(meeting: &Value, entries: &[Value], paint: Paint) -> String {
    let entries: Vec<Entry> = entries.iter().map(Entry::read).collect();
    let start = entries.iter().find_map(|entry| entry.at);
    let clock = Clock { start };
    let mut page = header(meeting, clock, paint);
    page.push('\n');
    for run in runs(&entries) {
        line(&mut page, run, clock, paint);
    }
    page.push('\n');
    conclusion(&mut page, meeting, clock, paint);
    page
}

/// Counts from the first entry.
#[derive(Clone, Copy)]
struct Clock {
    start: Option<Timestamp>,
}

impl Clock {
    /// `+0:04:05.6`, with days in front once there are any.
    fn tell(self, at: Option<Timestamp>) -> String {
        let (Some(start), Some(at)) = (self.start, at) else {
            return "?".to_owned();
        };
        let tenths = at.duration_since(start).as_millis() / 100;
        let sign = if tenths < 0 { '-' } else { '+' };
        let tenths = tenths.unsigned_abs();
        let (seconds, minutes, hours) = (tenths / 10, tenths / 600, tenths / 36_000);
        let days = match hours / 24 {
            0 => String::new(),
            days => format!("{days}d "),
        };
        format!(
            "{sign}{days}{}:{:02}:{:02}.{}",
            hours % 24,
            minutes % 60,
            seconds % 60,
            tenths % 10
        )
    }
}

/// An entry as the API gives it, as far as this page needs it.
struct Entry {
    at: Option<Timestamp>,
    kind: String,
    name: String,
    summary: String,
    details: Vec<String>,
}

impl Entry {
    fn read(entry: &Value) -> Self {
        let text = |field: &str| clean(entry[field].as_str().unwrap_or("?"));
        let summary = text("summary");
        Self {
            at: time(&entry["at"]),
            kind: text("kind"),
            name: text("name"),
            details: details(&entry["data"], &summary),
            summary,
        }
    }

    fn has_failed(&self) -> bool {
        self.kind == "effect" && self.summary.starts_with("failed")
    }

    fn says_the_same_as(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.name == other.name
            && (self.name == CHATTY
                || self.summary == other.summary && self.details == other.details)
    }
}

/// What an entry's data tells beyond its summary: `name=value`, as far as it is one word.
fn details(data: &Value, summary: &str) -> Vec<String> {
    let Value::Object(fields) = data else {
        return Vec::new();
    };
    let told = fields.iter().filter_map(|(name, value)| {
        let value = match value {
            Value::String(text) => clean(text),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        let known = summary.contains(&value)
            // Said by the entry's own time, by its name, or by the summary in other words.
            || matches!(name.as_str(), "updated_at" | "kind" | "status")
            || name == "attempt" && value == "1";
        (!known).then(|| format!("{name}={value}"))
    });
    told.collect()
}

/// Entries in a row that say the same.
fn runs(entries: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    entries.chunk_by(Entry::says_the_same_as)
}

fn line(page: &mut String, run: &[Entry], clock: Clock, paint: Paint) {
    let [first, rest @ ..] = run else { return };
    let (glyph, name) = match first.kind.as_str() {
        "effect" if first.has_failed() => (paint.bad("✗"), paint.bad(&padded(&first.name))),
        "effect" => (paint.good("→"), padded(&first.name)),
        "warning" => (paint.doubtful("!"), paint.doubtful(&padded(&first.name))),
        _ => (paint.faint("·"), padded(&first.name)),
    };
    let mut told = vec![summary(run)];
    if first.name != CHATTY && !first.details.is_empty() {
        told.push(paint.faint(&first.details.join(" ")));
    }
    if let Some(last) = rest.last() {
        if first.name != CHATTY {
            told.push(paint.strong(&format!("× {}", run.len())));
        }
        told.push(paint.faint(&format!("until {}", clock.tell(last.at))));
    }
    let time = format!("{:>13}", clock.tell(first.at));
    let _ = writeln!(
        page,
        "{} {glyph} {name} {}",
        paint.faint(&time),
        told.join("  ")
    );
}

fn summary(run: &[Entry]) -> String {
    if run[0].name != CHATTY {
        return run[0].summary.clone();
    }
    let mut counts = BTreeMap::new();
    for entry in run {
        let what = entry.summary.rsplit(": ").next().unwrap_or_default();
        *counts.entry(what).or_insert(0) += 1;
    }
    let told: Vec<_> = counts
        .into_iter()
        .map(|(what, count)| {
            if count == 1 {
                what.to_owned()
            } else {
                format!("{what} × {count}")
            }
        })
        .collect();
    format!("participants: {}", told.join(", "))
}

fn padded(name: &str) -> String {
    format!("{name:<NAME_WIDTH$}")
}

fn header(meeting: &Value, clock: Clock, paint: Paint) -> String {
    let text = |path: &str| meeting.pointer(path).and_then(Value::as_str).map(clean);
    let known = |path: &str| text(path).unwrap_or_else(|| "none".to_owned());
    let status = known("/status");
    let coloured = match status.as_str() {
        "failed" => paint.bad(&status),
        _ if warnings(meeting).is_empty() => paint.good(&status),
        _ => paint.doubtful(&status),
    };
    let mut page = format!("{}  {coloured}\n", paint.strong(&known("/id")));
    let mut row = |name: &str, told: &str| {
        let _ = writeln!(page, "  {name:<10} {told}");
    };
    if let Some(title) = text("/title") {
        row("title", &title);
    }
    row(
        "call",
        &format!("{}, presence {}", known("/platform"), known("/presence")),
    );
    row(
        "times",
        &format!(
            "booked {}, to join {}, starts {}",
            known("/created_at"),
            known("/join_at"),
            text("/starts_at").unwrap_or_else(|| "at once".to_owned())
        ),
    );
    row("bot", &bot(&text));
    row(
        "greeting",
        &greeting(&text, clock, time(&meeting["greeting"]["at"])),
    );
    row(
        "listening",
        &format!(
            "{}, {} live segments",
            known("/listening/state"),
            meeting["listening"]["segments"]
        ),
    );
    if let Some(provider) = text("/avatar/provider") {
        row(
            "avatar",
            &format!("{} of {provider}", known("/avatar/state")),
        );
    }
    row(
        "artifacts",
        &format!(
            "transcript {}, recording {}",
            known("/transcript/state"),
            known("/recording/state")
        ),
    );
    if let Some(reason) = text("/ended/reason") {
        let at = clock.tell(time(&meeting["ended"]["at"]));
        row(
            "ended",
            &format!("by {}: {reason} ({at})", known("/ended/by")),
        );
    }
    row("warnings", &warnings(meeting).len().to_string());
    page
}

fn bot(text: &impl Fn(&str) -> Option<String>) -> String {
    let Some(id) = text("/bot/id") else {
        return "none yet".to_owned();
    };
    let code = text("/bot/code").unwrap_or_else(|| "nothing reported yet".to_owned());
    match text("/bot/sub_code") {
        Some(sub_code) => format!("{id}: {code}, {sub_code}"),
        None => format!("{id}: {code}"),
    }
}

fn greeting(text: &impl Fn(&str) -> Option<String>, clock: Clock, at: Option<Timestamp>) -> String {
    let mut told = text("/greeting/state").unwrap_or_default();
    if let Some(via) = text("/greeting/via") {
        let _ = write!(told, " via {via} ({})", clock.tell(at));
    }
    if let Some(words) = text("/greeting/text") {
        let _ = write!(told, ": “{words}”");
    }
    if let Some(reason) = text("/greeting/reason") {
        let _ = write!(told, ", because {reason}");
    }
    told
}

fn conclusion(page: &mut String, meeting: &Value, clock: Clock, paint: Paint) {
    let mut found = Vec::new();
    if let Some(reason) = stayed_out(meeting) {
        found.push((
            format!("the bot was never in the call: {reason}"),
            DID_NOT_JOIN.to_owned(),
        ));
    }
    for warning in warnings(meeting) {
        let text = |field: &str| clean(warning[field].as_str().unwrap_or("?"));
        let at = clock.tell(time(&warning["at"]));
        found.push((
            format!("{}: {} ({at})", text("code"), text("message")),
            text("code"),
        ));
    }
    if found.is_empty() {
        let _ = writeln!(
            page,
            "{}",
            paint.good("Nothing went wrong, as far as the meeting knows.")
        );
        return;
    }
    let _ = writeln!(page, "{}", paint.strong("What went wrong"));
    for (what, section) in found {
        let _ = writeln!(page, "  {} {what}", paint.doubtful("!"));
        let _ = writeln!(
            page,
            "    {}",
            paint.faint(&format!("{HANDBOOK}#{section}"))
        );
    }
}

/// Why the meeting is over although nobody could be greeted; none if it was called off.
fn stayed_out(meeting: &Value) -> Option<String> {
    let over = matches!(meeting["status"].as_str(), Some("ended" | "failed"));
    let skipped = meeting["greeting"]["state"] == "skipped";
    (over && skipped).then(|| clean(meeting["ended"]["reason"].as_str().unwrap_or("?")))
}

fn warnings(meeting: &Value) -> &[Value] {
    meeting["warnings"].as_array().map_or(&[], Vec::as_slice)
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
