//! Reading request bodies: every unknown field is named, so that a typo does not pass silently.

use serde::de::DeserializeOwned;

use super::problem::{FieldError, Problem};

/// The largest body the API reads: 1 MiB.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Unknown fields beyond this number are not listed one by one.
const MAX_LISTED_FIELDS: usize = 20;

/// Parses a JSON body into `T`; a wrong type or an unknown field is named by its path.
pub fn parse_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.len() > MAX_BODY_BYTES {
        return Err(Problem::new(
            413,
            "body_too_large",
            "the body may have at most 1 MiB",
        ));
    }
    let value: serde_json::Value = serde_json::from_slice(body).map_err(|error| {
        let detail = format!(
            "the body is not valid JSON: line {}, column {}",
            error.line(),
            error.column()
        );
        Problem::new(400, "malformed_json", detail)
    })?;
    if !value.is_object() {
        return Err(Problem::new(
            400,
            "malformed_json",
            "the body must be a JSON object",
        ));
    }
    let mut unknown = Vec::new();
    let mut note_unknown = |path: serde_ignored::Path<'_>| {
        if unknown.len() < MAX_LISTED_FIELDS {
            unknown.push(FieldError::new(
                field_name(&path.to_string()),
                "unknown field",
            ));
        }
    };
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let parsed: Result<T, _> = serde_ignored::deserialize(tracked, &mut note_unknown);
    match parsed {
        Ok(parsed) if unknown.is_empty() => Ok(parsed),
        Ok(_) => Err(Problem::invalid(unknown)),
        Err(error) => {
            let path = track.path().to_string();
            let message = error.to_string();
            let field = missing_field(&message).map_or(path.clone(), |missing| {
                if path == "." {
                    missing.to_owned()
                } else {
                    format!("{path}.{missing}")
                }
            });
            unknown.insert(0, FieldError::new(field, message));
            Err(Problem::invalid(unknown))
        }
    }
}

/// Paths through optional fields carry a question mark for each option.
fn field_name(path: &str) -> String {
    path.split('.')
        .filter(|part| *part != "?")
        .collect::<Vec<_>>()
        .join(".")
}

fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[serde(default)]
        name: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    struct Outer {
        url: String,
        #[serde(default)]
        agent: Option<Inner>,
    }

    fn fields(body: &str) -> Vec<String> {
        let problem = parse_body::<Outer>(body.as_bytes()).unwrap_err();
        assert_eq!(problem.status, 422, "{problem:?}");
        problem.errors.into_iter().map(|e| e.field).collect()
    }

    #[test]
    fn a_good_body_is_read() {
        let outer: Outer = parse_body(br#"{"url":"u","agent":{"name":"Ada"}}"#).unwrap();
        assert_eq!(outer.url, "u");
        assert_eq!(outer.agent.unwrap().name.unwrap(), "Ada");
    }

    #[test]
    fn every_unknown_field_is_named_with_its_path() {
        let found = fields(r#"{"url":"u","titel":1,"agent":{"nmae":"Ada"}}"#);
        assert_eq!(found, ["agent.nmae", "titel"]);
    }

    #[test]
    fn a_field_of_the_wrong_type_is_named_with_its_path() {
        assert_eq!(fields(r#"{"url":"u","agent":{"name":7}}"#), ["agent.name"]);
        assert_eq!(fields(r#"{"url":7}"#), ["url"]);
    }

    #[test]
    fn a_missing_field_is_named() {
        assert_eq!(fields("{}"), ["url"]);
    }

    #[test]
    fn what_is_not_a_json_object_is_malformed() {
        for body in ["", "{", "[]", "7", "\u{feff}{}"] {
            let problem = parse_body::<Outer>(body.as_bytes()).unwrap_err();
            assert_eq!(
                (problem.status, problem.code.as_str()),
                (400, "malformed_json"),
                "{body}"
            );
        }
    }

    #[test]
    fn a_body_over_one_mebibyte_is_too_large() {
        let problem = parse_body::<Outer>(&vec![b' '; MAX_BODY_BYTES + 1]).unwrap_err();
        assert_eq!(problem.status, 413);
    }
}
