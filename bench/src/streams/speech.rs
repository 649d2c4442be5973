//! What Deepgram makes of a stream: somebody says one sentence after the other, each heard word by word.

use serde_json::{Value, json};

use super::audio::BYTES_PER_SECOND;
use super::wire::{Kind, write_plain};
use crate::webhooks::text;

/// How long a sentence takes, and how much audio lies between two results about it.
const SENTENCE_SECONDS: u32 = 3;

/// The results of one session, due by the audio that was heard.
#[derive(Debug, Default)]
pub(crate) struct Speech {
    /// Whole seconds told about.
    told: u32,
}

impl Speech {
    /// Appends the messages due after this much audio; `next_final` numbers the sentences.
    pub(crate) fn hear(
        &mut self,
        bytes: u64,
        mut next_final: impl FnMut() -> u32,
        out: &mut Vec<u8>,
    ) {
        while u64::from(self.told + 1) * BYTES_PER_SECOND as u64 <= bytes {
            let begin = self.told / SENTENCE_SECONDS * SENTENCE_SECONDS;
            self.told += 1;
            let mut tell =
                |kind, fields: &Value| write_plain(Kind::Text, typed(kind, fields).as_bytes(), out);
            let heard = self.told - begin;
            if heard == 1 {
                tell(
                    "SpeechStarted",
                    &json!({ "channel": [0, 1], "timestamp": begin }),
                );
            }
            if heard < SENTENCE_SECONDS {
                let words = &text(0);
                tell("Results", &results(words, begin, heard, false));
            } else {
                tell(
                    "Results",
                    &results(&text(next_final() as usize), begin, heard, true),
                );
                let end = f64::from(self.told) - 0.1;
                tell(
                    "UtteranceEnd",
                    &json!({ "channel": [0, 1], "last_word_end": end }),
                );
            }
        }
    }
}

/// A message whose type stands first, as the vendor writes it.
fn typed(kind: &str, fields: &Value) -> String {
    let fields = fields.to_string();
    let (_, rest) = fields.split_at(1);
    format!(r#"{{"type":"{kind}",{rest}"#)
}

/// One result: the words of the sentence that were said in the first seconds of it.
fn results(sentence: &str, begin: u32, seconds: u32, is_final: bool) -> Value {
    let all: Vec<&str> = sentence.split(' ').collect();
    let heard = all.len() * seconds as usize / SENTENCE_SECONDS as usize;
    let pace = f64::from(SENTENCE_SECONDS) / f64::from(u32::try_from(all.len()).unwrap_or(1));
    let words: Vec<Value> = all[..heard]
        .iter()
        .zip(0_u32..)
        .map(|(word, index)| {
            let start = f64::from(begin) + f64::from(index) * pace;
            json!({ "word": word.to_lowercase(), "start": start, "end": start + pace * 0.9,
                "confidence": 0.997, "punctuated_word": word, "speaker": 0 })
        })
        .collect();
    json!({
        "channel_index": [0, 1],
        "duration": seconds,
        "start": begin,
        "is_final": is_final,
        "speech_final": is_final,
        "from_finalize": false,
        "channel": { "alternatives": [{
            "transcript": all[..heard].join(" "), "confidence": 0.9963, "words": words }] },
        "metadata": {
            "request_id": "5f3c1e0a-8a55-4d6e-9a3e-1f6f8c0a7b21",
            "model_info": { "name": "general-nova-3", "version": "2026-01-01.0", "arch": "nova-3" },
            "model_uuid": "0c1a2b3c-4d5e-4f60-8172-93a4b5c6d7e8",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::wire::Inbox;
    use super::*;

    #[test]
    fn a_sentence_is_heard_bit_by_bit_and_then_final() {
        let mut speech = Speech::default();
        let mut inbox = Inbox::default();
        let mut finals = 0..;
        for seconds in 1..=6 {
            let bytes = seconds * BYTES_PER_SECOND as u64;
            speech.hear(bytes, || finals.next().unwrap(), inbox.room());
        }
        let mut told = Vec::new();
        while let Some((_, message)) = inbox.next().unwrap() {
            let message: Value = serde_json::from_slice(message).unwrap();
            let kind = message["type"].as_str().unwrap().to_owned();
            let transcript = &message["channel"]["alternatives"][0]["transcript"];
            if message["is_final"] == true {
                assert_eq!(transcript, &text(told.len() / 5));
                assert_eq!(message["start"], told.len() / 5 * 3);
                assert_eq!(message["duration"], 3);
            }
            told.push(kind);
        }
        let sentence = [
            "SpeechStarted",
            "Results",
            "Results",
            "Results",
            "UtteranceEnd",
        ];
        assert_eq!(told, [sentence, sentence].concat());
    }
}
