//! The API's description, generated from its types, and the health check.

use serde_json::json;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

use super::{Answer, json_response};

/// Everything this version can do; what is not built yet is not in it.
#[derive(OpenApi)]
#[openapi(
    info(title = "attache", description = "Sends an AI delegate into video meetings."),
    paths(
        super::meetings::create_meeting,
        super::meetings::list_meetings,
        super::meetings::get_meeting,
        super::meetings::delete_meeting,
        super::meetings::join_meeting,
        super::meetings::say,
        super::meetings::interrupt,
        super::meetings::chat,
        super::meetings::get_transcript,
        super::meetings::get_recording,
        super::meetings::get_timeline,
        super::tenants::put_tenant,
        super::tenants::get_tenant,
        super::tenants::mint_key,
        super::tenants::revoke_key
    ),
    components(schemas(attache_meeting::meeting::LiveEvent)),
    security(("api_key" = [])),
    modifiers(&Security)
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        for name in ["api_key", "admin_key"] {
            let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
            components.add_security_scheme(name, bearer);
        }
    }
}

/// `GET /openapi.json`.
pub(super) fn document() -> Answer {
    json_response(200, &Document::openapi())
}

/// `GET /healthz`.
pub(super) fn health() -> Answer {
    json_response(
        200,
        &json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }),
    )
}
