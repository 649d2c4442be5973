//! What the people in the room heard and read from a bot.

use std::time::Duration;

use jiff::Timestamp;

/// One thing the bot put into the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A clip.
    Audio(HeardAudio),
    /// Sound of the page that the bot shows.
    Page(HeardPage),
    /// A chat message.
    Chat {
        /// Its text.
        text: String,
        /// Who could read it.
        to: String,
        /// Sent by the bot's configuration rather than by a call.
        automatic: bool,
        /// When.
        at: Timestamp,
    },
}

/// A clip that was played.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts")]
pub struct HeardAudio {
    /// How long it was heard; less than the clip is long if it was stopped.
    pub duration_ms: u64,
    /// SHA-256 of the bytes, in lower-case hex.
    pub sha256: String,
    /// How many bytes.
    pub bytes: usize,
    /// `mp3`.
    pub format: &'static str,
    /// The text this speech was made for, if the simulated `ElevenLabs` made it.
    pub text: Option<String>,
    /// It began while an earlier clip was still playing.
    pub overlapping: bool,
    /// It was stopped before its end.
    pub stopped: bool,
    /// The file breaks off in the middle of a frame.
    pub truncated: bool,
    /// Played by the bot's configuration rather than by a call.
    pub automatic: bool,
    /// When it began.
    pub at: Timestamp,
}

/// Sound that a page played: one utterance, or where it was measured, all from silence to silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardPage {
    /// How long it was heard; less than it is long if it was stopped.
    pub duration_ms: u64,
    /// What it said, as far as that is known: what an avatar said, or the page was given to say, at the
    /// time.
    pub text: Option<String>,
    /// Which way it came.
    pub voice: PageVoice,
    /// It was stopped before its end, or did not come whole.
    pub stopped: bool,
    /// It was measured in a real browser, rather than worked out by the stand-in for one.
    pub measured: bool,
    /// When it began.
    pub at: Timestamp,
}

/// Which way sound comes into the room where a bot shows a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageVoice {
    /// The page was given it and played it.
    Page,
    /// The avatar of this session said it, in a room that the page had joined.
    Avatar(String),
}

impl std::fmt::Display for PageVoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Page => "page",
            Self::Avatar(_) => "avatar",
        })
    }
}

impl Heard {
    /// When it began.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Audio(audio) => audio.at,
            Self::Page(page) => page.at,
            Self::Chat { at, .. } => *at,
        }
    }

    /// When it was over.
    pub fn ends_at(&self) -> Timestamp {
        match self {
            Self::Audio(audio) => audio.ends_at(),
            Self::Page(page) => page.at + Duration::from_millis(page.duration_ms),
            Self::Chat { at, .. } => *at,
        }
    }

    /// Whether the bot's configuration did it rather than a call.
    pub fn automatic(&self) -> bool {
        match self {
            Self::Audio(audio) => audio.automatic,
            Self::Page(_) => false,
            Self::Chat { automatic, .. } => *automatic,
        }
    }

    /// The clip, if it is one.
    pub fn audio(&self) -> Option<&HeardAudio> {
        if let Self::Audio(audio) = self {
            Some(audio)
        } else {
            None
        }
    }

    /// The page's sound, if it is some.
    pub fn page(&self) -> Option<&HeardPage> {
        if let Self::Page(page) = self {
            Some(page)
        } else {
            None
        }
    }

    /// What was said or written, where that is known.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Audio(audio) => audio.text.as_deref(),
            Self::Page(page) => page.text.as_deref(),
            Self::Chat { text, .. } => Some(text),
        }
    }
}

impl HeardAudio {
    /// When it was over.
    pub fn ends_at(&self) -> Timestamp {
        self.at + Duration::from_millis(self.duration_ms)
    }
}

impl std::fmt::Display for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Audio(audio) => {
                let text = audio.text.as_deref().unwrap_or("(unknown words)");
                write!(f, "audio {} ms: {text}", audio.duration_ms)?;
                for (set, name) in [
                    (audio.automatic, "automatic"),
                    (audio.overlapping, "overlapping"),
                    (audio.stopped, "stopped"),
                    (audio.truncated, "truncated"),
                ] {
                    if set {
                        write!(f, " [{name}]")?;
                    }
                }
                Ok(())
            }
            Self::Page(page) => {
                let text = page.text.as_deref().unwrap_or("(unknown words)");
                let stopped = if page.stopped { " [stopped]" } else { "" };
                write!(f, "{} {} ms: {text}{stopped}", page.voice, page.duration_ms)
            }
            Self::Chat { text, .. } => write!(f, "chat: {text}"),
        }
    }
}
