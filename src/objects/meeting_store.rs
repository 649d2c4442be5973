//! What a meeting's object keeps in SQLite: the snapshot, the event log, webhook ids, segments, and audio that
//! waits to be said.
//!
//! One input is one transaction. The tables exist only in objects that are meetings: asking an unknown id for a
//! meeting leaves no trace.

use attache_meeting::{
    api::{TimelinePage, TimelineRow, TranscriptSource},
    ids::UtteranceId,
    meeting::{Meeting, Step, TimelineKind, limits},
    transcript::Segment,
};
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use worker::{Error, Result, SqlStorageValue, Storage};

use super::sql::{Write, execute, integer, rows, text, write};

/// Tables of a meeting. Columns are only ever added, as old and new code run side by side during a deploy.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS meeting (id INTEGER PRIMARY KEY CHECK (id = 1), snapshot TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS timeline (seq INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL,
    name TEXT NOT NULL, summary TEXT NOT NULL, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS webhook (id TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segment (source TEXT NOT NULL, seq INTEGER NOT NULL, segment TEXT NOT NULL,
    PRIMARY KEY (source, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clip (utterance_id TEXT PRIMARY KEY, audio BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clip_part (utterance_id TEXT NOT NULL, part INTEGER NOT NULL, audio BLOB NOT NULL,
    PRIMARY KEY (utterance_id, part)) WITHOUT ROWID;
";

/// Keeps the timeline within its bound, without a call of its own for each entry. An object keeps the trigger, and so
/// the bound, that it was made with.
fn timeline_bound() -> String {
    let kept = limits::MAX_TIMELINE;
    format!(
        "CREATE TRIGGER IF NOT EXISTS timeline_bound AFTER INSERT ON timeline \
         BEGIN DELETE FROM timeline WHERE seq <= NEW.seq - {kept}; END"
    )
}

/// How long webhook ids are remembered. Recall repeats a webhook for about a day.
const WEBHOOK_MEMORY_HOURS: i64 = 72;

/// The largest row SQLite in an object takes is 2 MB. Speech of 5,000 characters has about 1.4 MB as mp3, and up to
/// 20 MB as samples, of which this is about 40 seconds; even, so that no sample is cut in two.
pub(crate) const MAX_CLIP_BYTES: usize = 1_900_000;

#[derive(Deserialize)]
struct SegmentRow {
    seq: u64,
    segment: String,
}

/// The tables of one meeting.
pub(crate) struct MeetingStore {
    storage: Storage,
}

impl MeetingStore {
    pub(crate) fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// Reads the meeting, if this object is one.
    pub(crate) fn load(&self) -> Result<Option<Meeting>> {
        #[derive(Deserialize)]
        struct Row {
            snapshot: String,
        }
        let tables =
            "SELECT name AS snapshot FROM sqlite_master WHERE type = 'table' AND name = 'meeting'";
        if rows::<Row>(&self.storage, tables, Vec::new())?.is_empty() {
            return Ok(None);
        }
        let found: Vec<Row> = rows(&self.storage, "SELECT snapshot FROM meeting", Vec::new())?;
        let Some(Row { snapshot }) = found.into_iter().next() else {
            return Ok(None);
        };
        // A meeting that was booked by an older version lacks the newer tables.
        self.create()?;
        let mut meeting = Meeting::from_snapshot(&snapshot)
            .map_err(|error| Error::RustError(error.to_string()))?;
        let last: Vec<SegmentRow> = rows(
            &self.storage,
            "SELECT seq, segment FROM segment WHERE source = ? ORDER BY seq DESC LIMIT 1",
            vec![text(TranscriptSource::Live.as_str())],
        )?;
        if let Some(last) = last.first() {
            meeting.recall(last.seq, &serde_json::from_str(&last.segment)?);
        }
        Ok(Some(meeting))
    }

    /// Makes the tables.
    pub(crate) fn create(&self) -> Result<()> {
        execute(&self.storage, SCHEMA, Vec::new())?;
        execute(&self.storage, &timeline_bound(), Vec::new())
    }

    /// Stores everything that one event brought, or nothing of it; the meeting itself where it has a new snapshot.
    pub(crate) fn save(
        &self,
        snapshot: Option<String>,
        step: &Step,
        webhook_id: Option<&str>,
        now: Timestamp,
    ) -> Result<()> {
        let mut writes = Vec::new();
        if let Some(snapshot) = snapshot {
            let statement = "INSERT INTO meeting (id, snapshot) VALUES (1, ?) \
                 ON CONFLICT (id) DO UPDATE SET snapshot = excluded.snapshot";
            writes.push(Write(statement, vec![text(snapshot)]));
        }
        if let Some(id) = webhook_id {
            let at = SqlStorageValue::Integer(now.as_second());
            let statement = "INSERT INTO webhook (id, at) VALUES (?, ?)";
            writes.push(Write(statement, vec![text(id), at]));
        }
        for entry in &step.timeline {
            writes.push(Write(
                "INSERT INTO timeline (at, kind, name, summary, data) VALUES (?, ?, ?, ?, ?)",
                vec![
                    text(now.to_string()),
                    text(word(entry.kind)),
                    text(&entry.name),
                    text(&entry.summary),
                    text(entry.data.to_string()),
                ],
            ));
        }
        for segment in &step.segments {
            writes.push(segment_added(TranscriptSource::Live, segment)?);
        }
        if step.utterance_ended {
            writes.push(Write(
                "UPDATE segment SET segment = json_set(segment, '$.ends_utterance', json('true')) \
                 WHERE source = 'live' AND seq = (SELECT MAX(seq) FROM segment WHERE source = 'live')",
                Vec::new(),
            ));
        }
        for utterance in &step.clips_done {
            writes.extend(clip_deleted(utterance));
        }
        write(&self.storage, writes)
    }

    /// Tells whether a webhook has taken effect already.
    pub(crate) fn has_seen(&self, webhook_id: &str) -> Result<bool> {
        #[derive(Deserialize)]
        struct Row {}
        let query = "SELECT 1 AS found FROM webhook WHERE id = ?";
        Ok(!rows::<Row>(&self.storage, query, vec![text(webhook_id)])?.is_empty())
    }

    /// Forgets webhook ids that are not repeated any more.
    pub(crate) fn forget_old_webhooks(&self, now: Timestamp) -> Result<()> {
        let before = now
            .checked_sub(WEBHOOK_MEMORY_HOURS.hours())
            .unwrap_or(Timestamp::MIN);
        let at = SqlStorageValue::Integer(before.as_second());
        execute(&self.storage, "DELETE FROM webhook WHERE at < ?", vec![at])
    }

    /// Stores the audio of an utterance: what fits into one row, and what is longer in parts.
    pub(crate) fn put_clip(&self, utterance: &UtteranceId, audio: &[u8]) -> Result<()> {
        let mut writes = Vec::from(clip_deleted(utterance));
        for (part, audio) in (0..).zip(audio.chunks(MAX_CLIP_BYTES)) {
            let id = text(utterance.as_str());
            let audio = SqlStorageValue::Blob(audio.to_vec());
            writes.push(if part == 0 {
                let put = "INSERT INTO clip (utterance_id, audio) VALUES (?, ?)";
                Write(put, vec![id, audio])
            } else {
                let put = "INSERT INTO clip_part (utterance_id, part, audio) VALUES (?, ?, ?)";
                Write(put, vec![id, integer(part), audio])
            });
        }
        write(&self.storage, writes)
    }

    /// Reads a part of the audio of an utterance, from 0; none beyond the last. What fits into one row is one part.
    pub(crate) fn clip_part(&self, utterance: &UtteranceId, part: u64) -> Result<Option<Vec<u8>>> {
        let id = text(utterance.as_str());
        let (query, values) = if part == 0 {
            ("SELECT audio FROM clip WHERE utterance_id = ?", vec![id])
        } else {
            let query = "SELECT audio FROM clip_part WHERE utterance_id = ? AND part = ?";
            (query, vec![id, integer(part)])
        };
        let cursor = self.storage.sql().exec(query, values)?;
        let row = cursor.raw().next().transpose()?;
        Ok(row.and_then(|row| {
            row.into_iter().find_map(|value| {
                if let SqlStorageValue::Blob(audio) = value {
                    Some(audio)
                } else {
                    None
                }
            })
        }))
    }

    /// Replaces the final transcript.
    pub(crate) fn put_final_transcript(&self, segments: &[Segment]) -> Result<()> {
        let source = TranscriptSource::Final;
        let delete = "DELETE FROM segment WHERE source = ?";
        let mut writes = vec![Write(delete, vec![text(source.as_str())])];
        for segment in segments {
            writes.push(segment_added(source, segment)?);
        }
        write(&self.storage, writes)
    }

    /// Reads up to `limit` segments after number `cursor`, and where to go on.
    pub(crate) fn segments(
        &self,
        source: TranscriptSource,
        cursor: u64,
        limit: u32,
    ) -> Result<(Vec<Segment>, Option<String>)> {
        let found: Vec<SegmentRow> = rows(
            &self.storage,
            "SELECT seq, segment FROM segment WHERE source = ? AND seq > ? ORDER BY seq LIMIT ?",
            vec![
                text(source.as_str()),
                integer(cursor),
                integer(u64::from(limit).saturating_add(1)),
            ],
        )?;
        let next = next_cursor(&found, limit, |row| row.seq);
        let segments = found
            .into_iter()
            .take(limit as usize)
            .map(|row| Ok(serde_json::from_str(&row.segment)?))
            .collect::<Result<_>>()?;
        Ok((segments, next))
    }

    /// Reads up to `limit` entries of the event log after number `cursor`.
    pub(crate) fn timeline(&self, cursor: u64, limit: u32) -> Result<TimelinePage> {
        #[derive(Deserialize)]
        struct Row {
            seq: u64,
            at: Timestamp,
            kind: TimelineKind,
            name: String,
            summary: String,
            data: String,
        }
        let found: Vec<Row> = rows(
            &self.storage,
            "SELECT seq, at, kind, name, summary, data FROM timeline WHERE seq > ? ORDER BY seq LIMIT ?",
            vec![integer(cursor), integer(u64::from(limit).saturating_add(1))],
        )?;
        let next_cursor = next_cursor(&found, limit, |row| row.seq);
        let entries = found
            .into_iter()
            .take(limit as usize)
            .map(|row| {
                Ok(TimelineRow {
                    seq: row.seq,
                    at: row.at,
                    kind: row.kind,
                    name: row.name,
                    summary: row.summary,
                    data: serde_json::from_str(&row.data)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(TimelinePage {
            entries,
            next_cursor,
        })
    }
}

/// A page was read with one row more than asked for; if it is there, there is a next page.
fn next_cursor<R>(found: &[R], limit: u32, seq: impl Fn(&R) -> u64) -> Option<String> {
    let limit = limit as usize;
    let last = found.get(limit.checked_sub(1)?)?;
    (found.len() > limit).then(|| seq(last).to_string())
}

fn clip_deleted(utterance: &UtteranceId) -> [Write; 2] {
    [
        "DELETE FROM clip WHERE utterance_id = ?",
        "DELETE FROM clip_part WHERE utterance_id = ?",
    ]
    .map(|delete| Write(delete, vec![text(utterance.as_str())]))
}

fn segment_added(source: TranscriptSource, segment: &Segment) -> Result<Write> {
    // SQLite plans a statement anew each time it runs if a bound value takes part in the plan, as the source would.
    let statement = match source {
        TranscriptSource::Live => {
            "INSERT INTO segment (source, seq, segment) VALUES \
             ('live', (SELECT COALESCE(MAX(seq), 0) + 1 FROM segment WHERE source = 'live'), ?)"
        }
        TranscriptSource::Final => {
            "INSERT INTO segment (source, seq, segment) VALUES \
             ('final', (SELECT COALESCE(MAX(seq), 0) + 1 FROM segment WHERE source = 'final'), ?)"
        }
    };
    Ok(Write(
        statement,
        vec![text(serde_json::to_string(segment)?)],
    ))
}

fn word(kind: TimelineKind) -> &'static str {
    match kind {
        TimelineKind::Event => "event",
        TimelineKind::Effect => "effect",
        TimelineKind::Warning => "warning",
    }
}
