//! What a bot puts into the room: clips, the chat, and their ends.

use jiff::Timestamp;

use super::Services;
use super::bot::Bot;
use super::heard::{Heard, HeardAudio};
use super::ids::sha256_hex;
use crate::audio::mp3;
use crate::journal::What;

impl Bot {
    /// Plays a clip from now on. What plays already goes on: the clips overlap.
    pub(crate) fn play(&mut self, clip: &[u8], automatic: bool, services: &mut Services) {
        let Ok(found) = mp3::inspect(clip) else {
            return;
        };
        let sha256 = sha256_hex(clip);
        let overlapping = self
            .heard
            .iter()
            .filter(|heard| !heard.automatic())
            .any(|heard| {
                heard
                    .audio()
                    .is_some_and(|earlier| earlier.ends_at() > services.now)
            });
        let audio = HeardAudio {
            duration_ms: u64::try_from(found.duration.as_millis()).unwrap_or(u64::MAX),
            text: services.spoken.text(&sha256),
            sha256,
            bytes: clip.len(),
            format: "mp3",
            overlapping: overlapping && !automatic,
            stopped: false,
            truncated: found.truncated,
            automatic,
            at: services.now,
        };
        if !automatic {
            self.timers.silent = Some(audio.ends_at());
        }
        self.hear(Heard::Audio(audio), services);
    }

    /// Writes to the chat.
    pub(crate) fn chat(&mut self, text: &str, to: &str, automatic: bool, services: &mut Services) {
        let heard = Heard::Chat {
            text: text.to_owned(),
            to: to.to_owned(),
            automatic,
            at: services.now,
        };
        self.hear(heard, services);
        self.own_chat(text, to, services);
    }

    pub(super) fn hear(&mut self, heard: Heard, services: &mut Services) {
        if !heard.automatic() {
            // A page's sound is known when it is over, and nobody answers in the past.
            self.heard_until(heard.ends_at().max(services.now));
        }
        services.note(What::Heard {
            bot_id: self.id.clone(),
            meeting_url: self.request.meeting_url.raw.clone(),
            heard: heard.clone(),
        });
        self.heard.push(heard);
    }

    /// Cuts what is playing.
    pub(crate) fn stop_audio(&mut self, now: Timestamp) {
        for heard in &mut self.heard {
            if let Heard::Audio(audio) = heard
                && audio.ends_at() > now
            {
                let played = now.duration_since(audio.at).as_millis();
                audio.duration_ms = u64::try_from(played).unwrap_or(0);
                audio.stopped = true;
            }
        }
    }

    /// The clip of `automatic_audio_output`.
    pub(crate) fn play_automatic_audio(&mut self, services: &mut Services) {
        if let Some(clip) = self.request.automatic_audio.clone() {
            self.play(&clip, true, services);
        }
    }

    /// The message of `chat.on_bot_join`.
    pub(crate) fn send_automatic_chat(&mut self, services: &mut Services) {
        if let Some(text) = self.request.chat_on_join.clone() {
            self.chat(&text, "everyone", true, services);
        }
    }
}
