//! The API's description, generated from its types, and the health check.

use serde_json::json;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Ref, ResponseBuilder,
        content::Content,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{Answer, json_response};

/// Everything this version can do.
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
        super::meetings::react,
        super::meetings::get_avatar,
        super::meetings::rotate_avatar,
        super::meetings::get_transcript,
        super::meetings::get_recording,
        super::meetings::get_timeline,
        super::live::open,
        super::tenants::put_tenant,
        super::tenants::get_tenant,
        super::tenants::mint_key,
        super::tenants::revoke_key,
        super::webhooks::recall,
        super::media::open,
        super::page::open,
        document,
        health
    ),
    components(schemas(attache_meeting::meeting::LiveEvent)),
    security(("api_key" = [])),
    modifiers(&Security, &CommonErrors)
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

/// What can go wrong with every call below `/v1`.
struct CommonErrors;

impl Modify for CommonErrors {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut openapi.paths.paths {
            if !path.starts_with("/v1/") {
                continue;
            }
            let of_meeting = path.contains("{id}");
            let operations = [
                &mut item.get,
                &mut item.put,
                &mut item.post,
                &mut item.delete,
            ];
            for operation in operations.into_iter().flatten() {
                let mut add = |status: &str, description: &str| {
                    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
                    let response = ResponseBuilder::new()
                        .description(description)
                        .content("application/problem+json", problem)
                        .build();
                    let known = &mut operation.responses.responses;
                    known
                        .entry(status.to_owned())
                        .or_insert_with(|| response.into());
                };
                add("401", "The bearer key is missing or wrong");
                add(
                    "429",
                    "Too many calls with this key, or too many bookings; wait as `Retry-After` says",
                );
                if of_meeting {
                    add("404", "No such meeting of this tenant");
                }
                if operation.request_body.is_some() {
                    add("400", "The body is not a JSON object");
                    add("413", "The body has more than 1 MiB");
                    add("422", "Fields are wrong; each is named");
                }
            }
        }
    }
}

/// Describes the API.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", security(()),
    responses((status = 200, description = "This document")))]
pub(super) fn document() -> Answer {
    json_response(200, &Document::openapi())
}

/// Tells that the Worker runs and its configuration is complete.
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()),
    responses((status = 200, description = "`{\"status\": \"ok\", \"version\": \"…\"}`")))]
pub(super) fn health() -> Answer {
    json_response(
        200,
        &json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }),
    )
}
