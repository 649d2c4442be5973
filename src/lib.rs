//! The Worker.

use worker::{Context, DurableObject, Env, Request, Response, Result, State, durable_object, event};

#[event(fetch)]
async fn fetch(_request: Request, _env: Env, _ctx: Context) -> Result<Response> {
    Response::from_json(&serde_json::json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

/// A meeting.
#[durable_object]
#[derive(Debug)]
pub struct MeetingObject;

impl DurableObject for MeetingObject {
    fn new(_state: State, _env: Env) -> Self {
        Self
    }
    async fn fetch(&self, _req: Request) -> Result<Response> {
        Response::ok("")
    }
}

/// A tenant.
#[durable_object]
#[derive(Debug)]
pub struct TenantObject;

impl DurableObject for TenantObject {
    fn new(_state: State, _env: Env) -> Self {
        Self
    }
    async fn fetch(&self, _req: Request) -> Result<Response> {
        Response::ok("")
    }
}
