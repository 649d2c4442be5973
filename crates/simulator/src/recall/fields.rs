//! Reads a JSON object field by field and collects what is wrong with it, in the words and the
//! shape of Recall's framework: a map from field to a list of messages, nested like the request.

use serde_json::{Map, Value, json};

/// One object being read. Fields that nobody asked for are errors at the end.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    known: Vec<&'static str>,
    errors: Map<String, Value>,
}

/// What one field is wrong about: a list of messages, or a nested map.
pub(crate) type FieldError = Value;

pub(crate) fn message(text: impl Into<String>) -> FieldError {
    json!([text.into()])
}

pub(crate) fn invalid_choice(value: &Value) -> FieldError {
    let shown = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    message(format!("\"{shown}\" is not a valid choice."))
}

impl<'a> Fields<'a> {
    pub(crate) fn of(value: &'a Value) -> Result<Self, FieldError> {
        let object = value.as_object().ok_or_else(|| {
            message(format!(
                "Invalid data. Expected a dictionary, but got {}.",
                kind(value)
            ))
        })?;
        Ok(Self {
            object,
            known: Vec::new(),
            errors: Map::new(),
        })
    }

    /// The field's value; `None` if it is absent or null.
    pub(crate) fn optional(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Whether the field is there and null.
    pub(crate) fn is_null(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(Value::is_null)
    }

    /// The field's value; it is an error if it is absent or null.
    pub(crate) fn required(&mut self, name: &'static str) -> Option<&'a Value> {
        let value = self.optional(name);
        if value.is_none() {
            let text = if self.is_null(name) {
                "This field may not be null."
            } else {
                "This field is required."
            };
            self.error(name, message(text));
        }
        value
    }

    pub(crate) fn error(&mut self, name: &str, error: FieldError) {
        self.errors.insert(name.to_owned(), error);
    }

    /// Reads an optional field with `read`, keeping what is wrong with it.
    pub(crate) fn read<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a Value) -> Result<T, FieldError>,
    ) -> Option<T> {
        let value = self.optional(name)?;
        self.keep(name, read(value))
    }

    /// Reads a required field with `read`, keeping what is wrong with it.
    pub(crate) fn read_required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a Value) -> Result<T, FieldError>,
    ) -> Option<T> {
        let value = self.required(name)?;
        self.keep(name, read(value))
    }

    fn keep<T>(&mut self, name: &str, result: Result<T, FieldError>) -> Option<T> {
        result.map_err(|error| self.error(name, error)).ok()
    }

    /// Whether everything was right, unknown fields included.
    pub(crate) fn finish(mut self) -> Result<(), FieldError> {
        for name in self
            .object
            .keys()
            .filter(|name| !self.known.contains(&name.as_str()))
        {
            self.errors.insert(name.clone(), message("Unknown field."));
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Value::Object(self.errors))
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

pub(crate) fn string(value: &Value) -> Result<&str, FieldError> {
    match value.as_str() {
        Some("") => Err(message("This field may not be blank.")),
        Some(text) => Ok(text),
        None => Err(message("Not a valid string.")),
    }
}

pub(crate) fn string_up_to(limit: usize) -> impl Fn(&Value) -> Result<&str, FieldError> {
    move |value| {
        let text = string(value)?;
        if text.chars().count() > limit {
            return Err(message(format!(
                "Ensure this field has no more than {limit} characters."
            )));
        }
        Ok(text)
    }
}

pub(crate) fn boolean(value: &Value) -> Result<bool, FieldError> {
    value
        .as_bool()
        .ok_or_else(|| message("Must be a valid boolean."))
}

pub(crate) fn integer(min: u64, max: u64) -> impl Fn(&Value) -> Result<u64, FieldError> {
    move |value| {
        let number = value
            .as_i64()
            .ok_or_else(|| message("A valid integer is required."))?;
        match u64::try_from(number) {
            Ok(number) if number > max => Err(message(format!(
                "Ensure this value is less than or equal to {max}."
            ))),
            Ok(number) if number >= min => Ok(number),
            _ => Err(message(format!(
                "Ensure this value is greater than or equal to {min}."
            ))),
        }
    }
}

pub(crate) fn choice<'v>(choices: &[&str]) -> impl Fn(&'v Value) -> Result<&'v str, FieldError> {
    move |value| {
        value
            .as_str()
            .filter(|text| choices.contains(text))
            .ok_or_else(|| invalid_choice(value))
    }
}

/// An object whose values are all strings, as all metadata is.
pub(crate) fn metadata(value: &Value) -> Result<Map<String, Value>, FieldError> {
    let object = value.as_object().ok_or_else(|| {
        message(format!(
            "Expected a dictionary of items but got type \"{}\".",
            kind(value)
        ))
    })?;
    let wrong: Map<String, Value> = object
        .iter()
        .filter(|(_, value)| !value.is_string())
        .map(|(key, _)| (key.clone(), message("Not a valid string.")))
        .collect();
    if wrong.is_empty() {
        Ok(object.clone())
    } else {
        Err(Value::Object(wrong))
    }
}

/// Any JSON object.
pub(crate) fn dictionary(value: &Value) -> Result<&Map<String, Value>, FieldError> {
    value.as_object().ok_or_else(|| {
        message(format!(
            "Expected a dictionary of items but got type \"{}\".",
            kind(value)
        ))
    })
}
