//! Recordings, artifacts, downloads, and the shape of every answer.

use serde_json::Value;

use super::{Desk, KEY, clip_bot, everything};
use crate::script::Event;

#[test]
fn download_urls_are_fresh_each_time_expire_and_refuse_credentials() {
    let mut desk = Desk::instant();
    let mut body = clip_bot();
    everything(&mut body);
    let id = desk.create(&body);
    let url = |desk: &mut Desk| {
        let (_, bot) = desk.call("GET", &format!("/bot/{id}/"), &Value::Null);
        bot["recordings"][0]["media_shortcuts"]["video_mixed"]["data"]["download_url"].clone()
    };
    assert_eq!(url(&mut desk), Value::Null);
    desk.model
        .advance(
            &id,
            Event::CallEnded("call_ended_by_host".to_owned()),
            desk.now,
        )
        .unwrap();
    desk.wait(1);
    let (first, second) = (url(&mut desk), url(&mut desk));
    assert_ne!(first, second);
    let path = first
        .as_str()
        .unwrap()
        .strip_prefix("http://127.0.0.1:9")
        .unwrap()
        .to_owned();
    let media = desk.request("GET", &path, &[], "");
    assert_eq!(media.status, 200);
    assert_eq!(&media.body[4..8], b"ftyp");
    assert_eq!(
        desk.request("GET", &path, &[("authorization", KEY)], "")
            .status,
        400
    );
    assert_eq!(
        desk.request("GET", &path.replace("token=", "token=0"), &[], "")
            .status,
        403
    );
    desk.wait(6 * 3600);
    assert_eq!(desk.request("GET", &path, &[], "").status, 403);
    assert_eq!(
        desk.call("POST", &format!("/bot/{id}/delete_media/"), &Value::Null)
            .0,
        200
    );
    assert_eq!(url(&mut desk), Value::Null);
}

/// Every key of the sample has to be there, and no other; values are compared no further than that.
fn assert_same_keys(sample: &Value, ours: &Value, path: &str) {
    match (sample, ours) {
        _ if path.ends_with("automatic_audio_output") => {}
        (Value::Object(sample), Value::Object(ours))
            if !sample.contains_key("additionalProp") && !sample.is_empty() =>
        {
            let missing: Vec<_> = sample
                .keys()
                .filter(|key| !ours.contains_key(*key))
                .collect();
            assert!(missing.is_empty(), "{path} lacks {missing:?}");
            let open = path.ends_with("recording_config") || path.ends_with(".provider");
            let added: Vec<_> = ours
                .keys()
                .filter(|key| !sample.contains_key(*key))
                .collect();
            assert!(open || added.is_empty(), "{path} has {added:?} as well");
            // What the client sent is echoed as it was.
            let own = sample.iter().filter(|_| !open);
            for (key, value) in own {
                assert_same_keys(value, &ours[key], &format!("{path}.{key}"));
            }
        }
        (Value::Array(sample), Value::Array(ours)) => {
            if let (Some(sample), Some(ours)) = (sample.first(), ours.first()) {
                assert_same_keys(sample, ours, &format!("{path}[0]"));
            }
        }
        _ => {}
    }
}

#[test]
fn answers_have_the_keys_of_the_reference_samples() {
    let mut desk = Desk::instant();
    let mut body = clip_bot();
    everything(&mut body);
    let id = desk.create(&body);
    desk.model
        .advance(
            &id,
            Event::CallEnded("call_ended_by_host".to_owned()),
            desk.now,
        )
        .unwrap();
    desk.wait(1);
    let sample = |name: &str| -> Value {
        let path = format!(
            "{}/tests/fixtures/{name}.response.json",
            env!("CARGO_MANIFEST_DIR")
        );
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let (_, bot) = desk.call("GET", &format!("/bot/{id}/"), &Value::Null);
    assert_same_keys(&sample("bot_retrieve"), &bot, "bot");
    let (_, list) = desk.call("GET", "/bot/", &Value::Null);
    assert_same_keys(&sample("bot_list"), &list, "bots");
    let recording_id = bot["recordings"][0]["id"].as_str().unwrap();
    let (_, recording) = desk.call("GET", &format!("/recording/{recording_id}/"), &Value::Null);
    assert_same_keys(&sample("recording_retrieve"), &recording, "recording");
    for kind in [
        "transcript",
        "video_mixed",
        "participant_events",
        "meeting_metadata",
        "audio_mixed",
    ] {
        let (_, list) = desk.call(
            "GET",
            &format!("/{kind}/?recording_id={recording_id}"),
            &Value::Null,
        );
        let artifact_id = list["results"][0]["id"]
            .as_str()
            .unwrap_or_else(|| panic!("no {kind}: {list}"));
        let (status, artifact) = desk.call("GET", &format!("/{kind}/{artifact_id}/"), &Value::Null);
        assert_eq!(status, 200);
        assert_same_keys(&sample(&format!("{kind}_retrieve")), &artifact, kind);
    }
    let (_, endpoints) = desk.call("GET", "/realtime_endpoint/", &Value::Null);
    assert_same_keys(
        &sample("realtime_endpoint_retrieve"),
        &endpoints["results"][0],
        "endpoint",
    );
}
