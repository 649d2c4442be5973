//! Who calls: bearer keys of tenants and of the operator.

use attache_meeting::{api::Problem, ids::TenantId};
use serde::{Deserialize, Serialize};
use worker::{Headers, Request};

use super::{
    Call, directory,
    rate_limits::{self, Brake},
};
use crate::objects::calls::{TenantAsk, TenantReply, call_tenant};

/// The subprotocol under which browsers, which cannot set headers, send their key.
pub(crate) const SUBPROTOCOL: &str = "attache";

/// What the directory knows of a key's hash.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeyEntry {
    /// Whose key it is.
    pub(crate) tenant_id: TenantId,
}

/// Finds the tenant that calls.
pub(super) async fn tenant(call: &Call<'_>, request: &Request) -> Result<TenantId, Problem> {
    let key = bearer(request.headers()).ok_or_else(Problem::unauthorized)?;
    tenant_of(call, &key).await
}

/// Finds the tenant that opens a WebSocket, by header or by subprotocol.
pub(super) async fn watcher(call: &Call<'_>, request: &Request) -> Result<TenantId, Problem> {
    let headers = request.headers();
    let key = bearer(headers).or_else(|| from_subprotocol(headers));
    tenant_of(call, &key.ok_or_else(Problem::unauthorized)?).await
}

/// Lets only the operator pass.
pub(super) async fn admin(call: &Call<'_>, request: &Request) -> Result<(), Problem> {
    match bearer(request.headers()) {
        Some(key) if call.config.admin_api_key.matches(&key) => {
            rate_limits::count(call, Brake::Calls, "ADMIN_API_KEY").await
        }
        _ => Err(Problem::unauthorized()),
    }
}

async fn tenant_of(call: &Call<'_>, key: &str) -> Result<TenantId, Problem> {
    if call
        .config
        .api_key
        .as_ref()
        .is_some_and(|own| own.matches(key))
    {
        rate_limits::count(call, Brake::Calls, "API_KEY").await?;
        return Ok(TenantId::default_tenant());
    }
    let hash = directory::key_hash(key);
    let entry = directory::find_key(call.env, &hash).await?;
    let KeyEntry { tenant_id } = entry.ok_or_else(Problem::unauthorized)?;
    rate_limits::count(call, Brake::Calls, &hash).await?;
    // The directory may lag behind for a minute; the tenant's own object does not.
    let confirmed = call_tenant(call.env, &tenant_id, TenantAsk::CheckKey { hash }).await?;
    if matches!(confirmed, TenantReply::KeyIs { good: true }) {
        Ok(tenant_id)
    } else {
        Err(Problem::unauthorized())
    }
}

fn bearer(headers: &Headers) -> Option<String> {
    let header = headers.get("authorization").ok()??;
    let (scheme, key) = header.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then(|| key.to_owned())
}

/// Tells whether a WebSocket is opened under our subprotocol.
pub(super) fn offers_subprotocol(headers: &Headers) -> bool {
    let offered = headers.get("sec-websocket-protocol").ok().flatten();
    let first = offered
        .as_deref()
        .and_then(|offered| offered.split(',').next());
    first.is_some_and(|first| first.trim() == SUBPROTOCOL)
}

/// `Sec-WebSocket-Protocol: attache, <key>`.
fn from_subprotocol(headers: &Headers) -> Option<String> {
    if !offers_subprotocol(headers) {
        return None;
    }
    let header = headers.get("sec-websocket-protocol").ok()??;
    let key = header.split(',').nth(1)?.trim();
    (!key.is_empty()).then(|| key.to_owned())
}
