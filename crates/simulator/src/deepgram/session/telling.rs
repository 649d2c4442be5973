//! What a stream tells its client: of the audio, or by script.

use serde_json::{Value, json};

use super::{Out, Session};
use crate::deepgram::state::{ListeningNews, ScriptedResult};
use crate::deepgram::transcriber::{Outcome, Window};

impl Session {
    pub(super) fn tell_all(&mut self, outcomes: Vec<Outcome>) {
        self.broken_words.extend(self.transcriber.take_broken());
        if self.script.is_some() {
            return;
        }
        for outcome in outcomes {
            match outcome {
                Outcome::Results(window) => self.tell_results(&window),
                Outcome::SpeechStarted { at } => self.say(self.stamp.speech_started(at)),
                Outcome::UtteranceEnd { last_word_end } => {
                    self.say(self.stamp.utterance_end(last_word_end));
                }
            }
        }
    }

    fn tell_results(&mut self, window: &Window) {
        if self.stamp.newer {
            self.say(self.stamp.newcomer(self.newcomers));
            self.newcomers += 1;
        }
        let speakers = &mut self.speakers;
        let number = |name: Option<&str>| {
            let next = speakers.len();
            *speakers.entry(name.map(str::to_owned)).or_insert(next)
        };
        let results = self.stamp.results(window, number);
        let text = results["channel"]["alternatives"][0]["transcript"]
            .as_str()
            .unwrap_or_default();
        if window.is_final && !text.is_empty() && !self.mute {
            self.news.push(ListeningNews::Final {
                text: text.to_owned(),
                speech_final: window.speech_final,
            });
        }
        self.results += usize::from(!self.mute);
        self.say(results);
    }

    /// Sends the scripted messages whose place in the audio has come.
    pub(super) fn follow_script(&mut self) {
        let reached = self.stamp.seconds(self.received.bytes());
        let due = |next: &ScriptedResult| next.at.as_secs_f64() <= reached;
        while let Some(mut next) = self
            .script
            .as_mut()
            .and_then(|script| script.pop_front_if(|next| due(next)))
        {
            if next.message["type"] == "Results" {
                self.results += usize::from(!self.mute);
                if next.message["metadata"]["request_id"].is_null() {
                    next.message["metadata"]["request_id"] = json!(self.stamp.request_id);
                }
            }
            self.say(next.message);
        }
    }

    pub(super) fn say(&mut self, message: Value) {
        if !self.mute {
            self.out.push(Out::Text(message));
        }
    }
}
