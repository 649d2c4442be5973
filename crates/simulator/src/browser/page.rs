//! One page of a browser, in a window and with a storage of its own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::devtools::{Devtools, Notice};

/// How often a condition in a page is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What is done to a page before it is opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Preparation {
    /// Runs in each document before its own scripts.
    pub(crate) script: String,
    /// The name of a function by which the script calls back; each call is a notice.
    pub(crate) binding: Option<&'static str>,
    /// Documents are held for `Fetch.requestPaused`.
    pub(crate) hold_documents: bool,
}

/// An open page; it is closed by [`Page::close`] or with its browser.
#[derive(Debug)]
pub struct Page {
    devtools: Arc<Devtools>,
    context: String,
    session: String,
    notices: broadcast::Receiver<Notice>,
}

impl Page {
    pub(super) async fn create(devtools: Arc<Devtools>, preparation: &Preparation) -> Result<Self> {
        let context = devtools
            .call(None, "Target.createBrowserContext", &json!({}))
            .await?;
        let context = text(&context, "browserContextId")?;
        let window = json!({ "url": "about:blank", "browserContextId": context, "newWindow": true,
            "width": 1280, "height": 720 });
        let target = devtools.call(None, "Target.createTarget", &window).await?;
        let attach = json!({ "targetId": text(&target, "targetId")?, "flatten": true });
        let notices = devtools.notices();
        let session = devtools
            .call(None, "Target.attachToTarget", &attach)
            .await?;
        let page = Self {
            session: text(&session, "sessionId")?,
            devtools,
            context,
            notices,
        };
        for domain in ["Page", "Runtime", "Network"] {
            page.call(&format!("{domain}.enable"), &json!({})).await?;
        }
        let size = json!({ "width": 1280, "height": 720, "deviceScaleFactor": 1, "mobile": false });
        page.call("Emulation.setDeviceMetricsOverride", &size)
            .await?;
        if let Some(name) = preparation.binding {
            page.call("Runtime.addBinding", &json!({ "name": name }))
                .await?;
        }
        if !preparation.script.is_empty() {
            let script = json!({ "source": preparation.script });
            page.call("Page.addScriptToEvaluateOnNewDocument", &script)
                .await?;
        }
        if preparation.hold_documents {
            let documents =
                json!({ "patterns": [{ "resourceType": "Document", "requestStage": "Response" }] });
            page.call("Fetch.enable", &documents).await?;
        }
        Ok(page)
    }

    /// Makes a call of the browser's protocol.
    pub(crate) async fn call(&self, method: &str, params: &Value) -> Result<Value> {
        self.devtools
            .call(Some(&self.session), method, params)
            .await
    }

    /// Makes a call and does not wait for its answer.
    pub(crate) async fn begin(&self, method: &str, params: &Value) -> Result<()> {
        self.devtools.begin(&self.session, method, params).await
    }

    /// The next thing the browser tells of this page; none once the browser is gone.
    pub async fn notice(&mut self) -> Option<Notice> {
        loop {
            match self.notices.recv().await {
                Ok(notice) if notice.session == self.session => return Some(notice),
                // What was missed was mostly about other pages.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// The value of an expression; promises are waited for.
    pub async fn evaluate(&self, expression: &str) -> Result<Value> {
        // No user gesture: a page under test must get by without one.
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true,
            "userGesture": false });
        let mut answer = self.call("Runtime.evaluate", &params).await?;
        if let Some(error) = answer.get("exceptionDetails") {
            bail!("in the page: {error}");
        }
        Ok(answer["result"]["value"].take())
    }

    /// Waits until an expression is true.
    pub async fn wait_until(&self, expression: &str, timeout: Duration) -> Result<()> {
        let holds = async {
            loop {
                if self.evaluate(expression).await? == true {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let waited = tokio::time::timeout(timeout, holds).await;
        waited.map_err(|_| anyhow!("not true within {timeout:?}: {expression}"))?
    }

    /// What the page looks like, as a PNG.
    pub async fn picture(&self) -> Result<Vec<u8>> {
        let shot = self
            .call("Page.captureScreenshot", &json!({ "format": "png" }))
            .await?;
        STANDARD.decode(text(&shot, "data")?).context("the picture")
    }

    /// Closes the page and forgets what it stored.
    pub async fn close(self) -> Result<()> {
        let context = json!({ "browserContextId": self.context });
        self.devtools
            .call(None, "Target.disposeBrowserContext", &context)
            .await?;
        Ok(())
    }
}

fn text(value: &Value, name: &str) -> Result<String> {
    let found = value[name].as_str();
    found
        .map(str::to_owned)
        .with_context(|| format!("no {name}"))
}
