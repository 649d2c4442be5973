//! A small client of the public API, as a customer would write it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::{Client, Method, header, redirect};
use serde_json::{Value, json};

use crate::live::Live;

/// Above the longest the Worker waits for a vendor within a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);

/// A client with one bearer key.
#[derive(Clone, Debug)]
pub struct Api {
    client: Client,
    base_url: String,
    key: String,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: header::HeaderMap,
    /// The body as it came.
    pub text: String,
    /// The body as JSON, null where it is not JSON.
    pub body: Value,
}

impl Answer {
    /// The header's value, if it is there and readable.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body if the status is the expected one, else an error that shows both.
    pub fn expect(self, status: u16) -> Result<Value> {
        anyhow::ensure!(
            self.status == status,
            "expected {status}, got {} {}",
            self.status,
            self.text
        );
        Ok(self.body)
    }
}

impl Api {
    /// A client of the Worker at this origin.
    #[expect(clippy::missing_panics_doc, reason = "the panic cannot happen")]
    pub fn new(base_url: &str, key: &str) -> Self {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(REQUEST_TIMEOUT)
            // A connection that was idle may be closed by the runtime just as the next request is on its way.
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client without TLS needs nothing from the system");
        Self {
            client,
            base_url: base_url.to_owned(),
            key: key.to_owned(),
        }
    }

    /// The same client with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self {
            key: key.to_owned(),
            ..self.clone()
        }
    }

    /// The Worker's origin.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The bearer key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// `GET /healthz`.
    pub async fn health(&self) -> Result<Answer> {
        self.get("/healthz").await
    }

    /// `POST /v1/meetings`.
    pub async fn create_meeting(&self, body: &Value) -> Result<Answer> {
        self.post("/v1/meetings", body).await
    }

    /// `POST /v1/meetings` with an idempotency key.
    pub async fn create_meeting_once(&self, body: &Value, idempotency_key: &str) -> Result<Answer> {
        let request = self
            .request(Method::POST, "/v1/meetings")
            .header("Idempotency-Key", idempotency_key);
        read(request.json(body)).await
    }

    /// `GET /v1/meetings/{id}`.
    pub async fn meeting(&self, id: &str) -> Result<Answer> {
        self.get(&format!("/v1/meetings/{id}")).await
    }

    /// `GET /v1/meetings?{query}`.
    pub async fn meetings(&self, query: &str) -> Result<Answer> {
        self.get(&format!("/v1/meetings?{query}")).await
    }

    /// `DELETE /v1/meetings/{id}`: cancel or leave.
    pub async fn delete_meeting(&self, id: &str) -> Result<Answer> {
        read(self.request(Method::DELETE, &format!("/v1/meetings/{id}"))).await
    }

    /// `POST /v1/meetings/{id}/join`.
    pub async fn join(&self, id: &str) -> Result<Answer> {
        read(self.request(Method::POST, &format!("/v1/meetings/{id}/join"))).await
    }

    /// `POST /v1/meetings/{id}/say`.
    pub async fn say(&self, id: &str, text: &str) -> Result<Answer> {
        self.post(&format!("/v1/meetings/{id}/say"), &json!({ "text": text }))
            .await
    }

    /// `POST /v1/meetings/{id}/say` that cuts off what is being said.
    pub async fn say_at_once(&self, id: &str, text: &str) -> Result<Answer> {
        self.post(
            &format!("/v1/meetings/{id}/say"),
            &json!({ "text": text, "interrupt": true }),
        )
        .await
    }

    /// `POST /v1/meetings/{id}/interrupt`.
    pub async fn interrupt(&self, id: &str) -> Result<Answer> {
        read(self.request(Method::POST, &format!("/v1/meetings/{id}/interrupt"))).await
    }

    /// `POST /v1/meetings/{id}/chat`.
    pub async fn chat(&self, id: &str, text: &str) -> Result<Answer> {
        self.post(&format!("/v1/meetings/{id}/chat"), &json!({ "text": text }))
            .await
    }

    /// `POST /v1/meetings/{id}/reaction`.
    pub async fn react(&self, id: &str, reaction: &str) -> Result<Answer> {
        self.post(
            &format!("/v1/meetings/{id}/reaction"),
            &json!({ "reaction": reaction }),
        )
        .await
    }

    /// `GET /v1/meetings/{id}/avatar`.
    pub async fn avatar(&self, id: &str) -> Result<Answer> {
        self.get(&format!("/v1/meetings/{id}/avatar")).await
    }

    /// `POST /v1/meetings/{id}/avatar/rotate`: another session instead.
    pub async fn rotate_avatar(&self, id: &str) -> Result<Answer> {
        read(self.request(Method::POST, &format!("/v1/meetings/{id}/avatar/rotate"))).await
    }

    /// `GET /v1/meetings/{id}/transcript?{query}`, such as `format=vtt&source=live`.
    pub async fn transcript(&self, id: &str, query: &str) -> Result<Answer> {
        self.get(&format!("/v1/meetings/{id}/transcript?{query}"))
            .await
    }

    /// `GET /v1/meetings/{id}/recording` as JSON.
    pub async fn recording(&self, id: &str) -> Result<Answer> {
        let request = self.request(Method::GET, &format!("/v1/meetings/{id}/recording"));
        read(request.header(header::ACCEPT, "application/json")).await
    }

    /// `GET /v1/meetings/{id}/recording` as a browser asks: a redirect, not followed.
    pub async fn recording_redirect(&self, id: &str) -> Result<Answer> {
        self.get(&format!("/v1/meetings/{id}/recording")).await
    }

    /// `GET /v1/meetings/{id}/timeline?{query}`.
    pub async fn timeline(&self, id: &str, query: &str) -> Result<Answer> {
        self.get(&format!("/v1/meetings/{id}/timeline?{query}"))
            .await
    }

    /// `PUT /v1/tenants/{tenant}`; needs the admin key.
    pub async fn put_tenant(&self, tenant: &str, settings: &Value) -> Result<Answer> {
        read(
            self.request(Method::PUT, &format!("/v1/tenants/{tenant}"))
                .json(settings),
        )
        .await
    }

    /// `GET /v1/tenants/{tenant}`; needs the admin key.
    pub async fn tenant(&self, tenant: &str) -> Result<Answer> {
        self.get(&format!("/v1/tenants/{tenant}")).await
    }

    /// `POST /v1/tenants/{tenant}/keys`; needs the admin key.
    pub async fn create_key(&self, tenant: &str) -> Result<Answer> {
        read(self.request(Method::POST, &format!("/v1/tenants/{tenant}/keys"))).await
    }

    /// `DELETE /v1/tenants/{tenant}/keys/{key}`; needs the admin key.
    pub async fn revoke_key(&self, tenant: &str, key_id: &str) -> Result<Answer> {
        read(self.request(
            Method::DELETE,
            &format!("/v1/tenants/{tenant}/keys/{key_id}"),
        ))
        .await
    }

    /// `GET /v1/meetings/{id}/live`: the meeting's events as they happen.
    pub async fn live(&self, id: &str) -> Result<Live> {
        Live::connect(self, id).await
    }

    /// Waits on the live socket until the meeting is as wanted, and answers it.
    ///
    /// Survives a restart of the Worker: the socket is opened again and starts with the meeting as it is.
    pub async fn wait_until(
        &self,
        id: &str,
        wanted: impl Fn(&Value) -> bool,
        at_most: Duration,
    ) -> Result<Value> {
        crate::live::wait_until(self, id, &wanted, at_most).await
    }

    /// `GET` any path.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        read(self.request(Method::GET, path)).await
    }

    /// `POST` JSON to any path.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        read(self.request(Method::POST, path).json(body)).await
    }

    /// Starts a request to any path, with the key.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.base_url))
            .bearer_auth(&self.key)
    }
}

/// Sends a request and reads the whole answer.
pub async fn read(request: reqwest::RequestBuilder) -> Result<Answer> {
    let response = request.send().await.context("the Worker did not answer")?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response
        .text()
        .await
        .context("the Worker's answer broke off")?;
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Answer {
        status,
        headers,
        text,
        body,
    })
}
