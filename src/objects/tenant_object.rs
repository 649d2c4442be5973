//! A tenant's object: its settings, its keys by hash, and the index of its meetings.

use attache_meeting::{
    api::{KeyView, ListQuery, Problem, TenantSettings, TenantView},
    ids::{KeyId, MeetingId, TenantId},
    meeting::Booking,
    view::MeetingView,
};
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use worker::{
    DurableObject, Env, Request, Response, Result, SqlStorageValue, State, Storage, durable_object,
};

use super::{
    calls::{Idempotency, TenantAsk, TenantCall, TenantReply, answer, failed, read_call},
    sql::{execute, integer, rows, text},
};
use crate::clock;

/// Tables of a tenant. Columns are only ever added, as old and new code run side by side during a deploy.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS tenant (id INTEGER PRIMARY KEY CHECK (id = 1), settings TEXT NOT NULL,
    created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS api_key (key_id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, last_four TEXT NOT NULL,
    created_at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meeting (id TEXT PRIMARY KEY, status TEXT NOT NULL, revision INTEGER NOT NULL,
    view TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS idempotency (key TEXT PRIMARY KEY, body_hash TEXT NOT NULL, meeting_id TEXT NOT NULL,
    booking TEXT, at INTEGER NOT NULL) WITHOUT ROWID;
";

/// How long an idempotency key is remembered.
const IDEMPOTENCY_DAYS: i64 = 7;
/// How many keys one tenant may have: enough for a key per service and rotation.
const MAX_KEYS: usize = 100;

/// One tenant.
#[durable_object]
pub struct TenantObject {
    storage: Storage,
}

impl DurableObject for TenantObject {
    fn new(state: State, _env: Env) -> Self {
        Self {
            storage: state.storage(),
        }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let reply = match read_call(&mut request).await {
            Ok(call) => self.take_call(call),
            Err(problem) => Err(problem),
        };
        answer(&reply)
    }

    async fn alarm(&self) -> Result<Response> {
        Response::empty()
    }
}

type Reply = std::result::Result<TenantReply, Problem>;

impl TenantObject {
    fn take_call(&self, TenantCall { tenant_id, ask }: TenantCall) -> Reply {
        let is_default = tenant_id == TenantId::default_tenant();
        let writes = matches!(
            ask,
            TenantAsk::Put(_) | TenantAsk::Reserve { .. } | TenantAsk::Update { .. }
        );
        if !self.exists().map_err(|error| failed(&error))? {
            if writes || is_default {
                execute(&self.storage, SCHEMA, Vec::new()).map_err(|error| failed(&error))?;
            } else if matches!(ask, TenantAsk::Settings) {
                return Ok(TenantReply::Settings(TenantSettings::default()));
            } else if matches!(ask, TenantAsk::FindReserved { .. }) {
                return Ok(TenantReply::Found(None));
            } else if matches!(ask, TenantAsk::CheckKey { .. }) {
                return Ok(TenantReply::KeyIs { good: false });
            } else {
                return Err(not_found());
            }
        }
        let now = clock::now();
        let reply = match ask {
            TenantAsk::Put(settings) => self.put(&tenant_id, &settings, now),
            TenantAsk::Read => return self.read(&tenant_id, is_default, now),
            TenantAsk::Settings => self.settings().map(|found| {
                TenantReply::Settings(found.map(|row| row.settings).unwrap_or_default())
            }),
            TenantAsk::AddKey {
                key_id,
                hash,
                last_four,
            } => return self.add_key(&key_id, &hash, &last_four, is_default, now),
            TenantAsk::RevokeKey { key_id } => return self.revoke_key(&key_id),
            TenantAsk::CheckKey { hash } => self.check_key(&hash),
            TenantAsk::FindReserved { idempotency } => {
                let found = self.reserved(&idempotency, now)?;
                return Ok(TenantReply::Found(found.map(Box::new)));
            }
            TenantAsk::Reserve {
                idempotency,
                booking,
            } => return self.reserve(&idempotency, booking, now),
            TenantAsk::List(query) => self.list(&query),
            TenantAsk::Update { view, revision } => self.update(&view, revision),
            TenantAsk::Forget { meeting_id } => self.forget(&meeting_id),
        };
        reply.map_err(|error| failed(&error))
    }

    fn exists(&self) -> Result<bool> {
        #[derive(Deserialize)]
        struct Row {}
        let query = "SELECT 1 AS found FROM sqlite_master WHERE type = 'table' AND name = 'tenant'";
        Ok(!rows::<Row>(&self.storage, query, Vec::new())?.is_empty())
    }

    fn settings(&self) -> Result<Option<TenantRow>> {
        #[derive(Deserialize)]
        struct Row {
            settings: String,
            created_at: Timestamp,
        }
        let found: Vec<Row> = rows(
            &self.storage,
            "SELECT settings, created_at FROM tenant",
            Vec::new(),
        )?;
        let Some(row) = found.into_iter().next() else {
            return Ok(None);
        };
        Ok(Some(TenantRow {
            settings: serde_json::from_str(&row.settings)?,
            created_at: row.created_at,
        }))
    }

    fn put(
        &self,
        tenant_id: &TenantId,
        settings: &TenantSettings,
        now: Timestamp,
    ) -> Result<TenantReply> {
        let created = self.settings()?.is_none();
        execute(
            &self.storage,
            "INSERT INTO tenant (id, settings, created_at) VALUES (1, ?, ?) \
             ON CONFLICT (id) DO UPDATE SET settings = excluded.settings",
            vec![
                text(serde_json::to_string(settings)?),
                text(now.to_string()),
            ],
        )?;
        let created_at = self.settings()?.map_or(now, |row| row.created_at);
        Ok(TenantReply::Tenant {
            view: self.view(tenant_id, settings.clone(), created_at)?,
            created,
        })
    }

    /// The default tenant is there without having been made.
    fn read(&self, tenant_id: &TenantId, is_default: bool, now: Timestamp) -> Reply {
        let found = self.settings().map_err(|error| failed(&error))?;
        let view = match found {
            Some(row) => self.view(tenant_id, row.settings, row.created_at),
            None if is_default => match self.put(tenant_id, &TenantSettings::default(), now) {
                Ok(reply) => return Ok(reply),
                Err(error) => Err(error),
            },
            None => return Err(not_found()),
        };
        view.map(|view| TenantReply::Tenant {
            view,
            created: false,
        })
        .map_err(|error| failed(&error))
    }

    fn view(
        &self,
        tenant_id: &TenantId,
        settings: TenantSettings,
        created_at: Timestamp,
    ) -> Result<TenantView> {
        Ok(TenantView {
            id: tenant_id.to_string(),
            settings,
            keys: rows(
                &self.storage,
                "SELECT key_id, last_four, created_at FROM api_key ORDER BY key_id",
                Vec::new(),
            )?,
            created_at,
        })
    }

    fn add_key(
        &self,
        key_id: &KeyId,
        hash: &str,
        last_four: &str,
        is_default: bool,
        now: Timestamp,
    ) -> Reply {
        #[derive(Deserialize)]
        struct Row {}
        let known = self.settings().map_err(|error| failed(&error))?.is_some();
        if !known && !is_default {
            return Err(not_found());
        }
        let keys: Result<Vec<Row>> = rows(&self.storage, "SELECT key_id FROM api_key", Vec::new());
        if keys.map_err(|error| failed(&error))?.len() >= MAX_KEYS {
            return Err(Problem::conflict(
                "too_many_keys",
                format!("a tenant may have at most {MAX_KEYS} keys"),
            ));
        }
        let insert =
            "INSERT INTO api_key (key_id, hash, last_four, created_at) VALUES (?, ?, ?, ?)";
        let values = vec![
            text(key_id.as_str()),
            text(hash),
            text(last_four),
            text(now.to_string()),
        ];
        execute(&self.storage, insert, values).map_err(|error| failed(&error))?;
        Ok(TenantReply::Key(KeyView {
            key_id: key_id.to_string(),
            last_four: last_four.to_owned(),
            created_at: now,
        }))
    }

    fn revoke_key(&self, key_id: &KeyId) -> Reply {
        #[derive(Deserialize)]
        struct Row {
            hash: String,
        }
        let delete = "DELETE FROM api_key WHERE key_id = ? RETURNING hash";
        let deleted: Result<Vec<Row>> = rows(&self.storage, delete, vec![text(key_id.as_str())]);
        match deleted.map_err(|error| failed(&error))?.into_iter().next() {
            Some(Row { hash }) => Ok(TenantReply::Revoked { hash }),
            None => Err(Problem::new(404, "key_not_found", "there is no such key")),
        }
    }

    fn check_key(&self, hash: &str) -> Result<TenantReply> {
        #[derive(Deserialize)]
        struct Row {}
        let query = "SELECT 1 AS found FROM api_key WHERE hash = ?";
        let good = !rows::<Row>(&self.storage, query, vec![text(hash)])?.is_empty();
        Ok(TenantReply::KeyIs { good })
    }

    /// Remembers what an idempotency key stands for, or finds what it stood for before.
    fn reserve(&self, wanted: &Idempotency, booking: Box<Booking>, now: Timestamp) -> Reply {
        if let Some(found) = self.reserved(wanted, now)? {
            return Ok(TenantReply::Reserved {
                booking: Box::new(found),
                created: false,
            });
        }
        let stored = serde_json::to_string(&booking).map_err(|error| failed(&error.into()))?;
        let insert = "INSERT INTO idempotency (key, body_hash, meeting_id, booking, at) VALUES (?, ?, ?, ?, ?)";
        let values = vec![
            text(&wanted.key),
            text(&wanted.body_hash),
            text(booking.id.as_str()),
            text(stored),
            SqlStorageValue::Integer(now.as_second()),
        ];
        execute(&self.storage, insert, values).map_err(|error| failed(&error))?;
        Ok(TenantReply::Reserved {
            booking,
            created: true,
        })
    }

    fn reserved(
        &self,
        wanted: &Idempotency,
        now: Timestamp,
    ) -> std::result::Result<Option<Booking>, Problem> {
        #[derive(Deserialize)]
        struct Row {
            body_hash: String,
            booking: Option<String>,
        }
        let before = now
            .checked_sub((IDEMPOTENCY_DAYS * 24).hours())
            .unwrap_or(Timestamp::MIN);
        let forget = "DELETE FROM idempotency WHERE at < ?";
        let at = SqlStorageValue::Integer(before.as_second());
        execute(&self.storage, forget, vec![at]).map_err(|error| failed(&error))?;
        let query = "SELECT body_hash, booking FROM idempotency WHERE key = ?";
        let found: Result<Vec<Row>> = rows(&self.storage, query, vec![text(&wanted.key)]);
        let Some(row) = found.map_err(|error| failed(&error))?.into_iter().next() else {
            return Ok(None);
        };
        if row.body_hash != wanted.body_hash {
            return Err(Problem::conflict(
                "idempotency_key_reused",
                "this idempotency key was used with another body",
            ));
        }
        let booking = row.booking.ok_or_else(Problem::meeting_not_found)?;
        let booking = serde_json::from_str(&booking).map_err(|error| failed(&error.into()))?;
        Ok(Some(booking))
    }

    /// Newest first: ids sort by the time they were minted.
    fn list(&self, query: &ListQuery) -> Result<TenantReply> {
        #[derive(Deserialize)]
        struct Row {
            id: String,
            view: String,
        }
        let status = query.status.map_or("%", |status| status.as_str());
        let cursor = query.cursor.as_ref().map_or("~", MeetingId::as_str);
        let limit = query.limit as usize;
        let found: Vec<Row> = rows(
            &self.storage,
            "SELECT id, view FROM meeting WHERE view IS NOT NULL AND status LIKE ? AND id < ? \
             ORDER BY id DESC LIMIT ?",
            vec![text(status), text(cursor), integer(limit as u64 + 1)],
        )?;
        let more = found.len() > limit;
        let page = &found[..limit.min(found.len())];
        let next_cursor = page.last().filter(|_| more).map(|row| row.id.clone());
        let meetings = page
            .iter()
            .map(|row| Ok(serde_json::from_str(&row.view)?))
            .collect::<Result<_>>()?;
        Ok(TenantReply::Page {
            meetings,
            next_cursor,
        })
    }

    /// Updates may overtake each other; the one with the higher revision counts, and none counts after a purge.
    fn update(&self, view: &MeetingView, revision: u64) -> Result<TenantReply> {
        execute(
            &self.storage,
            "INSERT INTO meeting (id, status, revision, view) VALUES (?, ?, ?, ?) \
             ON CONFLICT (id) DO UPDATE SET status = excluded.status, revision = excluded.revision, \
             view = excluded.view WHERE revision < excluded.revision AND view IS NOT NULL",
            vec![
                text(&view.id),
                text(view.status.as_str()),
                integer(revision),
                text(serde_json::to_string(view)?),
            ],
        )?;
        Ok(TenantReply::Done)
    }

    /// Keeps the row, so that the id stays taken, and nothing of what it was about.
    fn forget(&self, meeting_id: &MeetingId) -> Result<TenantReply> {
        let id = || vec![text(meeting_id.as_str())];
        let meeting = "INSERT INTO meeting (id, status, revision, view) VALUES (?, '', 0, NULL) \
                       ON CONFLICT (id) DO UPDATE SET view = NULL";
        execute(&self.storage, meeting, id())?;
        let keys = "UPDATE idempotency SET booking = NULL WHERE meeting_id = ?";
        execute(&self.storage, keys, id())?;
        Ok(TenantReply::Done)
    }
}

struct TenantRow {
    settings: TenantSettings,
    created_at: Timestamp,
}

fn not_found() -> Problem {
    Problem::new(404, "tenant_not_found", "there is no such tenant")
}
