//! A meeting, its page and everything around it: a story in steps, each of which may be wrong, late, doubled or lost.
//!
//! The first line says how the meeting is held: `voice`, `builtin`, `liveavatar` or `heygen`; then a step a line.
//!
//! | Step | Means |
//! | --- | --- |
//! | `page …` | the page sends a text frame |
//! | `open`, `shut` | the page's socket opens, is gone |
//! | `hook …` | a signed webhook |
//! | `wait 500` | so many milliseconds pass |
//! | `ok`, `all` | the oldest order, or all of them, are carried out |
//! | `no 429 …` | the oldest order is refused with this status and body |
//! | `lost`, `unheard` | the oldest order gets no answer; the second was carried out all the same |
//! | `crash` | a fresh instance takes over |
//! | `say …`, `over …`, `chat …`, `cut`, `join`, `cancel`, `purge`, `react`, `rotate` | calls of the API |
//! | `ears`, `deaf`, `stt …`, `link …` | the audio socket, the transcriber, the avatar's socket |
//! | `end` | from here on nothing goes wrong, and the meeting must end |

use std::{cell::OnceCell, time::Duration};

use attache_meeting::{
    meeting::{Event, Presence},
    page::{FromPage, Reaction},
    vendors::{avatar::AvatarProvider, recall::parse_webhook},
};

use crate::{
    room::{Room, SOCKET_TOKEN, VIEWER_TOKEN, shown},
    script::{expand, number, steps},
};

/// The longest wait of one step: a day.
const MAX_WAIT_MS: u64 = 86_400_000;

/// Checks one input: a story.
pub fn check(data: &[u8]) {
    // Whoever repeats a secret in words of his own gives it away himself.
    let text = String::from_utf8_lossy(data);
    if text.contains(VIEWER_TOKEN) || text.contains(SOCKET_TOKEN) {
        return;
    }
    let mut said = 0;
    let mut room = None;
    for (word, rest) in steps(data) {
        let Some(room) = &mut room else {
            room = Some(held(&word));
            continue;
        };
        if word == "end" {
            return room.end();
        }
        step(room, &word, &expand(&rest), &mut said);
    }
}

thread_local! {
    static HELD: OnceCell<[Room; 4]> = const { OnceCell::new() };
}

fn held(how: &str) -> Room {
    let make = || {
        [
            Room::book(Presence::Voice, None, None),
            shown(None),
            shown(Some(AvatarProvider::LiveAvatar)),
            shown(Some(AvatarProvider::HeyGen)),
        ]
    };
    let which = match how {
        "builtin" => 1,
        "liveavatar" => 2,
        "heygen" => 3,
        _ => 0,
    };
    HELD.with(|held| held.get_or_init(make)[which].clone())
}

fn step(room: &mut Room, word: &str, rest: &str, said: &mut u8) {
    match word {
        "wait" => room.wait(Duration::from_millis(number(rest, MAX_WAIT_MS))),
        "ok" => room.answer(),
        "all" => room.answer_all(),
        "no" => {
            let (status, body) = rest.split_once(' ').unwrap_or((rest, ""));
            room.refuse(&format!("{status}\n\n{body}"));
        }
        "lost" => room.lose(false),
        "unheard" => room.lose(true),
        "crash" => room.crash(),
        _ => {
            if let Some(event) = event(room, word, rest, said) {
                room.send(&event);
            }
        }
    }
}

fn event(room: &Room, word: &str, rest: &str, said: &mut u8) -> Option<Event> {
    let event = match word {
        "page" => Event::PageReported {
            report: page_frame(rest),
        },
        "open" => Event::PageConnected,
        "shut" => Event::PageDisconnected,
        "hook" => {
            let webhook = parse_webhook(rest.as_bytes()).ok()?;
            Event::RecallReported {
                bot_id: webhook.bot_id,
                name: webhook.event_name,
                report: webhook.event,
            }
        }
        "say" | "over" => {
            *said = said.wrapping_add(1);
            Event::SayRequested {
                utterance_id: Room::utterance(*said),
                text: rest.chars().take(5_000).collect(),
                interrupt: word == "over",
            }
        }
        "chat" => Event::ChatRequested {
            text: rest.chars().take(4_096).collect(),
        },
        "cut" => Event::InterruptRequested,
        "join" => Event::JoinRequested,
        "cancel" => Event::CancelRequested,
        "purge" => Event::PurgeRequested,
        "react" => Event::ReactionRequested {
            reaction: Reaction::Nod,
        },
        "rotate" => Event::RotationRequested,
        "ears" => Event::MediaConnected,
        "deaf" => Event::MediaDisconnected,
        "stt" => Event::SttReported {
            report: serde_json::from_str(rest).ok()?,
        },
        "link" => Event::AvatarReported {
            session_id: room.session(),
            report: serde_json::from_str(rest).ok()?,
        },
        _ => return None,
    };
    Some(event)
}

/// Reads a frame of the page's; one that is known is written and read again.
fn page_frame(text: &str) -> FromPage {
    let frame = FromPage::read(text);
    let written = serde_json::to_string(&frame).expect("a frame can be written");
    assert_eq!(FromPage::read(&written), frame, "{text}");
    frame
}
