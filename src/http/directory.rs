//! The KV directory: key hash to tenant, bot to meeting.
//!
//! It is eventually consistent, so it only ever says where to ask: keys are confirmed by the tenant's object, and
//! webhooks carry the meeting's id in the bot's metadata.

use attache_meeting::{
    api::Problem,
    ids::{BotId, MeetingId},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use worker::{Env, kv::KvError};

use super::auth::KeyEntry;
use crate::log;

/// The binding.
const DIRECTORY: &str = "DIRECTORY";

/// Bots are looked up while their meeting is on and its artifacts come; a month is far more than that.
const BOT_LIFETIME_SECONDS: u64 = 30 * 24 * 60 * 60;

/// The hash under which a key is known; keys are random, so a plain hash cannot be guessed backwards.
pub(super) fn key_hash(key: &str) -> String {
    hex(&Sha256::digest(key.as_bytes()))
}

/// Writes bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// Finds whose key has this hash.
pub(super) async fn find_key(env: &Env, hash: &str) -> Result<Option<KeyEntry>, Problem> {
    let kv = env
        .kv(DIRECTORY)
        .map_err(|error| super::problems::internal(&error))?;
    let found = kv.get(&format!("key:{hash}")).json().await;
    found.map_err(|error| unavailable(&error))
}

/// Notes whose key has this hash.
pub(super) async fn record_key(env: &Env, hash: &str, entry: &KeyEntry) -> Result<(), Problem> {
    let kv = env
        .kv(DIRECTORY)
        .map_err(|error| super::problems::internal(&error))?;
    let put = kv
        .put(&format!("key:{hash}"), entry)
        .map_err(|error| unavailable(&error))?;
    put.execute().await.map_err(|error| unavailable(&error))
}

/// Forgets a key.
pub(super) async fn forget_key(env: &Env, hash: &str) -> Result<(), Problem> {
    let kv = env
        .kv(DIRECTORY)
        .map_err(|error| super::problems::internal(&error))?;
    kv.delete(&format!("key:{hash}"))
        .await
        .map_err(|error| unavailable(&error))
}

/// Notes whose bot it is.
pub(crate) async fn record_bot(env: &Env, bot: &BotId, meeting: &MeetingId) -> worker::Result<()> {
    let put = env
        .kv(DIRECTORY)?
        .put(&format!("bot:{bot}"), meeting.as_str())?;
    put.expiration_ttl(BOT_LIFETIME_SECONDS).execute().await?;
    Ok(())
}

/// Finds the meeting of a bot.
pub(super) async fn find_bot(env: &Env, bot: &BotId) -> Result<Option<MeetingId>, Problem> {
    if bot.0.len() > 128 {
        // KV keys have at most 512 bytes, and Recall's ids 36.
        return Ok(None);
    }
    let kv = env
        .kv(DIRECTORY)
        .map_err(|error| super::problems::internal(&error))?;
    let found = kv.get(&format!("bot:{bot}")).text().await;
    let found = found.map_err(|error| unavailable(&error))?;
    Ok(found.and_then(|id| id.parse().ok()))
}

fn unavailable(error: &KvError) -> Problem {
    log::error(
        "the directory does not answer",
        json!({ "reason": error.to_string() }),
    );
    Problem::new(
        503,
        "directory_unavailable",
        "the directory does not answer; try again",
    )
}
