//! `/v1/tenants`: settings and keys, for the operator only.

use attache_meeting::{
    api::{MintedKey, Problem, TenantSettings, parse_body},
    ids::{KeyId, TenantId},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use worker::{Method, Request, Response};

use super::{
    Answer, Call,
    auth::{self, KeyEntry},
    directory, json_response, no_such_path, problems, read_body,
};
use crate::{
    clock,
    objects::calls::{TenantAsk, TenantReply, call_tenant},
};

/// The table of routes below `/v1/tenants`.
pub(super) async fn route(
    call: &Call<'_>,
    request: &mut Request,
    method: Method,
    path: &[&str],
) -> Answer {
    auth::admin(call, request).await?;
    let [id, rest @ ..] = path else {
        return Err(no_such_path());
    };
    let id: TenantId = id.parse().map_err(|_| {
        Problem::invalid_field("tenant_id", "must have 1 to 64 of a-z, 0-9, _ and -")
    })?;
    match (method, rest) {
        (Method::Put, []) => put_tenant(call, request, &id).await,
        (Method::Get, []) => get_tenant(call, &id).await,
        (Method::Post, ["keys"]) => mint_key(call, &id).await,
        (Method::Delete, ["keys", key]) => revoke_key(call, &id, key).await,
        (_, []) => Err(Problem::method_not_allowed("GET, PUT")),
        (_, ["keys"]) => Err(Problem::method_not_allowed("POST")),
        (_, ["keys", _]) => Err(Problem::method_not_allowed("DELETE")),
        _ => Err(no_such_path()),
    }
}

/// `PUT /v1/tenants/{tenant_id}`.
#[utoipa::path(put, path = "/v1/tenants/{tenant_id}", tag = "tenants", security(("admin_key" = [])),
    params(("tenant_id" = String, Path, description = "1 to 64 of a-z, 0-9, _ and -")),
    request_body = TenantSettings,
    responses((status = 200, description = "The settings were changed", body = attache_meeting::api::TenantView),
        (status = 201, description = "The tenant was made", body = attache_meeting::api::TenantView),
        (status = 401, description = "Not the admin key", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Fields are wrong", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn put_tenant(call: &Call<'_>, request: &mut Request, id: &TenantId) -> Answer {
    let settings: TenantSettings = parse_body(&read_body(request).await?)?;
    settings.check()?;
    let reply = call_tenant(call.env, id, TenantAsk::Put(settings)).await?;
    let TenantReply::Tenant { view, created } = reply else {
        return Err(Problem::internal());
    };
    json_response(if created { 201 } else { 200 }, &view)
}

/// `GET /v1/tenants/{tenant_id}`.
#[utoipa::path(get, path = "/v1/tenants/{tenant_id}", tag = "tenants", security(("admin_key" = [])),
    params(("tenant_id" = String, Path, description = "The tenant")),
    responses((status = 200, description = "The tenant", body = attache_meeting::api::TenantView),
        (status = 404, description = "No such tenant", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get_tenant(call: &Call<'_>, id: &TenantId) -> Answer {
    let TenantReply::Tenant { view, .. } = call_tenant(call.env, id, TenantAsk::Read).await? else {
        return Err(Problem::internal());
    };
    json_response(200, &view)
}

/// `POST /v1/tenants/{tenant_id}/keys`.
#[utoipa::path(post, path = "/v1/tenants/{tenant_id}/keys", tag = "tenants", security(("admin_key" = [])),
    params(("tenant_id" = String, Path, description = "The tenant")),
    responses((status = 201, description = "The key, shown this once", body = MintedKey),
        (status = 404, description = "No such tenant", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn mint_key(call: &Call<'_>, id: &TenantId) -> Answer {
    let key = format!("att_{}", URL_SAFE_NO_PAD.encode(clock::random::<32>()));
    let hash = directory::key_hash(&key);
    let ask = TenantAsk::AddKey {
        key_id: clock::key_id(),
        hash: hash.clone(),
        last_four: key[key.len() - 4..].to_owned(),
    };
    let TenantReply::Key(minted) = call_tenant(call.env, id, ask).await? else {
        return Err(Problem::internal());
    };
    let entry = KeyEntry {
        tenant_id: id.clone(),
    };
    if let Err(problem) = directory::record_key(call.env, &hash, &entry).await {
        // Nobody will ever see this key, so it should not count either.
        let key_id = minted.key_id.parse().map_err(|_| Problem::internal())?;
        call_tenant(call.env, id, TenantAsk::RevokeKey { key_id })
            .await
            .ok();
        return Err(problem);
    }
    let shown = MintedKey {
        key_id: minted.key_id,
        key,
        created_at: minted.created_at,
    };
    json_response(201, &shown)
}

/// `DELETE /v1/tenants/{tenant_id}/keys/{key_id}`.
#[utoipa::path(delete, path = "/v1/tenants/{tenant_id}/keys/{key_id}", tag = "tenants",
    security(("admin_key" = [])),
    params(("tenant_id" = String, Path, description = "The tenant"),
        ("key_id" = String, Path, description = "The key's id, `key_…`")),
    responses((status = 204, description = "The key works no longer"),
        (status = 404, description = "No such key", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn revoke_key(call: &Call<'_>, id: &TenantId, key_id: &str) -> Answer {
    let not_found = |_| Problem::new(404, "key_not_found", "there is no such key");
    let key_id: KeyId = key_id.parse().map_err(not_found)?;
    let reply = call_tenant(call.env, id, TenantAsk::RevokeKey { key_id }).await?;
    let TenantReply::Revoked { hash } = reply else {
        return Err(Problem::internal());
    };
    // The tenant's object has the last word, so the key is dead whether or not the directory forgets it now.
    directory::forget_key(call.env, &hash).await.ok();
    Response::empty()
        .map(|response| response.with_status(204))
        .map_err(|error| problems::internal(&error))
}
