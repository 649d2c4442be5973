//! Tokens in the shape of the vendors' JWTs. Nobody but the simulator checks them, by comparison.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::recall::ids::Ids;

/// The client's token for calls about its own session.
pub(super) fn session(id: &str, ids: &mut Ids) -> String {
    jwt(
        &json!({ "session_id": id, "start_session_data": { "mode": "LITE" } }),
        ids,
    )
}

/// What lets a viewer into a session's room.
pub(super) fn viewer(id: &str, ids: &mut Ids) -> String {
    let video = json!({ "room": id, "roomJoin": true, "canPublish": true, "canSubscribe": true,
        "canPublishData": true });
    jwt(
        &json!({ "iss": "simulator", "sub": "client", "name": "client", "video": video }),
        ids,
    )
}

fn jwt(payload: &Value, ids: &mut Ids) -> String {
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let [header, payload] = [&header, payload].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signature = URL_SAFE_NO_PAD.encode(ids.uuid());
    format!("{header}.{payload}.{signature}")
}
