//! The text messages of a client. Fields nobody knows are refused, so that a typo shows.

use serde_json::{Map, Value};

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    KeepAlive,
    Finalize,
    CloseStream,
    /// New key terms, unless the old ones stay.
    Configure(Option<Vec<String>>),
}

/// Reads a text message. The error says what is wrong with it.
pub(crate) fn read(text: &str) -> Result<Control, String> {
    let message: Value =
        serde_json::from_str(text).map_err(|_| "the message is not JSON".to_owned())?;
    let Value::Object(fields) = message else {
        return Err("the message is not an object".to_owned());
    };
    let kind = fields.get("type").and_then(Value::as_str);
    let kind = kind.ok_or("the message has no type")?;
    let (control, allowed): (_, &[&str]) = match kind {
        "KeepAlive" => (Control::KeepAlive, &[]),
        "CloseStream" => (Control::CloseStream, &[]),
        "Finalize" => {
            if fields
                .get("channel")
                .is_some_and(|channel| channel.as_u64() != Some(0))
            {
                return Err("the channel of Finalize is not one of the stream".to_owned());
            }
            (Control::Finalize, &["channel"])
        }
        "Configure" => (
            Control::Configure(keyterms(&fields)?),
            &["keyterms", "features"],
        ),
        _ => return Err(format!("{kind} is not a known type of message")),
    };
    let known = |name: &String| name == "type" || allowed.contains(&name.as_str());
    match fields.keys().find(|name| !known(name)) {
        Some(unknown) => Err(format!("{unknown} is not a field of {kind}")),
        None => Ok(control),
    }
}

fn keyterms(fields: &Map<String, Value>) -> Result<Option<Vec<String>>, String> {
    match fields.get("features") {
        None | Some(Value::Null) => {}
        Some(Value::Object(features)) => {
            if !features
                .iter()
                .all(|(name, value)| name == "numerals" && value.is_boolean())
            {
                return Err("features has numerals, which is true or false".to_owned());
            }
        }
        Some(_) => return Err("features is not an object".to_owned()),
    }
    match fields.get("keyterms") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(terms)) => {
            let terms = terms
                .iter()
                .map(|term| term.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>();
            terms
                .map(Some)
                .ok_or_else(|| "keyterms is not a list of texts".to_owned())
        }
        Some(_) => Err("keyterms is not a list of texts".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_messages_are_read() {
        assert_eq!(read(r#"{"type":"KeepAlive"}"#), Ok(Control::KeepAlive));
        assert_eq!(read(r#"{"type":"Finalize"}"#), Ok(Control::Finalize));
        assert_eq!(
            read(r#"{"type":"Finalize","channel":0}"#),
            Ok(Control::Finalize)
        );
        assert_eq!(read(r#"{"type":"CloseStream"}"#), Ok(Control::CloseStream));
        let terms =
            r#"{"type":"Configure","keyterms":["Acme Cloud"],"features":{"numerals":true}}"#;
        assert_eq!(
            read(terms),
            Ok(Control::Configure(Some(vec!["Acme Cloud".to_owned()])))
        );
        assert_eq!(
            read(r#"{"type":"Configure","keyterms":null}"#),
            Ok(Control::Configure(None))
        );
    }

    #[test]
    fn anything_else_is_an_error_that_says_why() {
        for (text, why) in [
            ("hello", "not JSON"),
            ("[]", "not an object"),
            ("{}", "no type"),
            (r#"{"type":"Finalise"}"#, "not a known type"),
            (r#"{"type":"KeepAlive","id":1}"#, "id is not a field"),
            (r#"{"type":"Finalize","channel":1}"#, "channel"),
            (r#"{"type":"Configure","keyterms":"Acme"}"#, "not a list"),
            (
                r#"{"type":"Configure","features":{"punctuate":true}}"#,
                "numerals",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
