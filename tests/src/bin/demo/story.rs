//! Tells the meeting as its live events come in: every change once, in words.

use attache_simulator::Heard;
use serde_json::Value;

use crate::paper::Paper;

/// What was told so far.
#[derive(Debug)]
pub(crate) struct Story {
    paper: Paper,
    meeting: Value,
    heard: usize,
    lines: Vec<String>,
    listened: bool,
}

impl Story {
    pub(crate) fn new(paper: Paper) -> Self {
        Self {
            paper,
            meeting: Value::Null,
            heard: 0,
            lines: Vec::new(),
            listened: false,
        }
    }

    pub(crate) fn paper(&self) -> &Paper {
        &self.paper
    }

    /// What came as final live transcript, segment by segment.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Whether the delegate listened itself at any time.
    pub(crate) fn listened(&self) -> bool {
        self.listened
    }

    /// Tells that the meeting is booked.
    pub(crate) fn booked(&mut self, meeting: &Value) {
        let text = format!(
            "{} on {}, starts {}, the bot joins {}",
            word(&meeting["id"]),
            word(&meeting["platform"]),
            clock(&meeting["starts_at"]),
            clock(&meeting["join_at"]),
        );
        self.paper.line("booked", &text);
        self.paper.line(
            "will greet",
            &format!("“{}”", word(&meeting["greeting"]["text"])),
        );
        self.meeting = meeting.clone();
    }

    /// Tells a live event, if it is news.
    pub(crate) fn tell(&mut self, event: &Value) {
        match word(&event["type"]) {
            "meeting" => self.tell_meeting(&event["meeting"]),
            "transcript.final" => {
                let segment = &event["segment"];
                let text = word(&segment["text"]);
                self.paper.line(&speaker(segment), &format!("“{text}”"));
                self.lines.push(text.to_owned());
            }
            "transcript.partial" => {
                let segment = &event["segment"];
                self.paper.draft(&speaker(segment), word(&segment["text"]));
            }
            "participant" => {
                let (action, who) = (word(&event["action"]), word(&event["participant"]["name"]));
                if action == "join" || action == "leave" {
                    self.paper
                        .line(who, if action == "join" { "joins" } else { "leaves" });
                }
            }
            "chat" => self.paper.line(
                word(&event["from"]["name"]),
                &format!("writes: {}", word(&event["text"])),
            ),
            "warning" => self
                .paper
                .line("warning", word(&event["warning"]["message"])),
            _ => {}
        }
    }

    /// Tells what the room heard since the last time.
    pub(crate) fn tell_heard(&mut self, heard: &[Heard]) {
        for new in heard.iter().skip(self.heard) {
            match new {
                Heard::Audio(audio) if audio.automatic => {}
                Heard::Audio(audio) => {
                    let text = audio.text.as_deref().unwrap_or("(unknown words)");
                    let seconds = std::time::Duration::from_millis(audio.duration_ms).as_secs_f32();
                    self.paper
                        .line("the room hears", &format!("“{text}” ({seconds:.1} s)"));
                }
                Heard::Page(page) => {
                    let text = page.text.as_deref().unwrap_or("(unknown words)");
                    let seconds = std::time::Duration::from_millis(page.duration_ms).as_secs_f32();
                    self.paper
                        .line("the room hears", &format!("“{text}” ({seconds:.1} s)"));
                }
                Heard::Chat { text, .. } => self.paper.line("the room reads", &format!("“{text}”")),
            }
        }
        self.heard = heard.len();
    }

    /// Whether nothing more is to come: the meeting has ended and its artifacts are there or given up.
    pub(crate) fn is_over(&self) -> bool {
        let decided =
            |artifact: &str| ["ready", "failed"].contains(&word(&self.meeting[artifact]["state"]));
        match word(&self.meeting["status"]) {
            "ended" => decided("transcript") && decided("recording"),
            "failed" | "cancelled" => true,
            _ => false,
        }
    }

    fn tell_meeting(&mut self, now: &Value) {
        let before = std::mem::replace(&mut self.meeting, now.clone());
        let is_news = |path: &str| now.pointer(path) != before.pointer(path);
        if is_news("/bot/id") && !now["bot"].is_null() {
            self.paper.line("bot created", word(&now["bot"]["id"]));
        }
        if is_news("/bot/code") {
            self.tell_code(word(&now["bot"]["code"]));
        }
        if is_news("/listening/state") {
            let state = word(&now["listening"]["state"]);
            self.listened |= state == "open";
            self.paper.line("listening", state);
        }
        if is_news("/avatar/state") && now["avatar"]["state"] != "off" {
            let (provider, state) = (
                word(&now["avatar"]["provider"]),
                word(&now["avatar"]["state"]),
            );
            self.paper
                .line("the face", &format!("{state} ({provider})"));
        }
        if is_news("/status") && now["ended"].is_object() {
            let text = format!(
                "by {}: {}",
                word(&now["ended"]["by"]),
                word(&now["ended"]["reason"])
            );
            self.paper.line(word(&now["status"]), &text);
        }
        if is_news("/greeting/state") && now["greeting"]["state"] != "sent" {
            let text = format!(
                "{}: {}",
                word(&now["greeting"]["state"]),
                word(&now["greeting"]["reason"])
            );
            self.paper.line("greeting", &text);
        }
        for artifact in ["transcript", "recording"] {
            let state = word(&now[artifact]["state"]);
            if is_news(&format!("/{artifact}/state")) && ["ready", "failed"].contains(&state) {
                self.paper.line(artifact, state);
            }
        }
    }

    fn tell_code(&self, code: &str) {
        let text = match code {
            "joining_call" => "is joining",
            "in_waiting_room" => "is in the waiting room",
            "in_call_not_recording" => "is in the call",
            "in_call_recording" => "records",
            "call_ended" => "is out of the call",
            "done" => "is done",
            other => other,
        };
        if !text.is_empty() {
            self.paper.line("the bot", text);
        }
    }
}

/// Who said it: by name where that is known, else by number.
fn speaker(segment: &Value) -> String {
    let speaker = &segment["speaker"];
    match (speaker["name"].as_str(), speaker["id"].as_str()) {
        (Some(name), _) => name.to_owned(),
        (None, Some(id)) => format!("speaker {id}"),
        (None, None) => "somebody".to_owned(),
    }
}

/// A string, or nothing.
pub(crate) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The time of day in an RFC 3339 time.
fn clock(value: &Value) -> &str {
    word(value).get(11..19).unwrap_or("at once")
}
