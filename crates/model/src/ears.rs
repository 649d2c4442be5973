//! The listening session: Deepgram's side of it, as the object's ears report it.

use std::time::Duration;

use attache_meeting::{
    meeting::{EarsOrder, Event},
    transcript::Segment,
    vendors::deepgram::{HeardSegment, SttReport},
};

use crate::life::{Happening, Life};

/// What the session is about to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EarNews {
    Began,
    Open,
    Words,
    Partial,
    Pause,
    Lost,
    Refused,
    Closed,
}

impl Life {
    /// What the ears do at once when they get their order.
    pub(crate) fn tell_ears(&mut self, order: &EarsOrder) {
        match order {
            EarsOrder::Open(_) => {
                if self.shell.ears.is_none_or(|(_, ending)| ending) {
                    let ear = self.number();
                    self.shell.ears = Some((ear, false));
                }
            }
            EarsOrder::Close => {
                if let Some((_, ending)) = &mut self.shell.ears {
                    *ending = true;
                }
            }
        }
    }

    /// What follows once the order is out.
    pub(crate) fn ears_ordered(&mut self, order: &EarsOrder) {
        let Some((ear, _)) = self.shell.ears else {
            return;
        };
        match order {
            EarsOrder::Open(plan) => {
                if self.marks.opened_ear == Some(ear) {
                    return;
                }
                self.marks.opened_ear = Some(ear);
                if plan.origin.is_none() {
                    self.plan_news(ear, Duration::from_millis(50), EarNews::Began);
                }
                let first = if self.trouble(10) {
                    EarNews::Refused
                } else {
                    EarNews::Open
                };
                self.plan_news(ear, Duration::from_millis(300), first);
                for news in [
                    EarNews::Words,
                    EarNews::Partial,
                    EarNews::Pause,
                    EarNews::Words,
                ] {
                    for _ in 0..self.choices.below(3) {
                        let wait = self.choices.time(Duration::from_mins(3));
                        self.plan_news(ear, Duration::from_millis(400) + wait, news);
                    }
                }
                if self.trouble(self.plan.trouble) {
                    let wait = self.choices.time(Duration::from_mins(2));
                    self.plan_news(ear, wait, EarNews::Lost);
                }
            }
            EarsOrder::Close => {
                let silent = self.trouble(10);
                if !silent {
                    let wait = self.way(Duration::from_secs(30));
                    self.plan_news(ear, wait, EarNews::Words);
                    self.plan_news(ear, wait, EarNews::Closed);
                }
            }
        }
    }

    fn plan_news(&mut self, ear: u32, wait: Duration, news: EarNews) {
        self.later(wait, Happening::Ear { ear, news });
    }

    pub(crate) fn ear_news(&mut self, ear: u32, news: EarNews) {
        if self.shell.ears.is_none_or(|(own, _)| own != ear) {
            return;
        }
        let report = match news {
            EarNews::Began => SttReport::Began { origin: 0.0 },
            EarNews::Open => {
                let session = self.number();
                self.coverage.count("ears: the transcriber listens");
                SttReport::Open { session }
            }
            EarNews::Words => self.words(),
            EarNews::Partial => SttReport::Partial {
                segment: self.segment(),
            },
            EarNews::Pause => SttReport::UtteranceEnd {
                end: f64::from(self.numbers),
            },
            EarNews::Lost => {
                let attempt = self.choices.pick(&[1, 5]);
                self.plan_news(ear, Duration::from_secs(2), EarNews::Open);
                self.coverage.count("fault: the transcriber is lost");
                SttReport::Reconnecting {
                    reason: "closed with 1006".to_owned(),
                    attempt,
                }
            }
            EarNews::Refused => {
                self.shell.ears = None;
                self.coverage.count("fault: the transcriber refuses");
                SttReport::Failed {
                    reason: "closed with 1008".to_owned(),
                }
            }
            EarNews::Closed => {
                self.shell.ears = None;
                SttReport::Closed
            }
        };
        self.report(Event::SttReported { report });
    }

    fn words(&mut self) -> SttReport {
        let segments: Vec<_> = (0..=self.choices.below(2))
            .map(|_| self.segment())
            .collect();
        SttReport::Final {
            session: 1,
            until: f64::from(self.numbers),
            segments,
            ends_utterance: self.choices.percent(40),
        }
    }

    fn segment(&mut self) -> HeardSegment {
        let number = self.number();
        HeardSegment {
            speaker: None,
            start: f64::from(number) - 0.5,
            end: f64::from(number),
            text: format!("words {number}"),
            confidence: None,
            words: Vec::new(),
        }
    }

    /// Segments are numbered without a gap, and none is told twice.
    pub(crate) fn check_segment(&mut self, segment: &Segment) {
        self.coverage.count("ears: segments stored");
        self.marks.segments += 1;
        let expected = format!("seg_{}", self.marks.segments);
        if segment.id != expected {
            let id = segment.id.clone();
            self.violate("segments", || {
                format!("{id} follows where {expected} is due")
            });
        }
        if !self.marks.words.insert(segment.text.clone()) {
            let text = segment.text.clone();
            self.violate("segments", || format!("“{text}” is told twice"));
        }
    }
}
