//! SQLite in an object: statements, and the one kind of transaction that rolls back.

use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue, closure::ScopedClosure};
use worker::{Result, SqlStorageValue, Storage};

/// Runs a statement.
pub(crate) fn execute(
    storage: &Storage,
    statement: &str,
    values: Vec<SqlStorageValue>,
) -> Result<()> {
    storage.sql().exec(statement, values).map(|_| ())
}

/// Runs a query and reads its rows.
pub(crate) fn rows<T: DeserializeOwned>(
    storage: &Storage,
    query: &str,
    values: Vec<SqlStorageValue>,
) -> Result<Vec<T>> {
    storage.sql().exec(query, values)?.to_array()
}

/// A statement that changes something, and its values.
pub(crate) struct Write(pub(crate) &'static str, pub(crate) Vec<SqlStorageValue>);

/// Runs these statements in order, so that either all of them count or none.
pub(crate) fn write(storage: &Storage, writes: Vec<Write>) -> Result<()> {
    let run = |storage: &Storage, writes: Vec<Write>| {
        writes
            .into_iter()
            .try_for_each(|Write(statement, values)| execute(storage, statement, values))
    };
    // A single statement counts as a whole or not at all by itself.
    if writes.len() <= 1 {
        return run(storage, writes);
    }
    transaction(storage, |storage| run(storage, writes))
}

/// Runs `body` so that either all of its statements count or none.
///
/// An error alone undoes nothing in an object; `transactionSync` does, and the `worker` crate does not wrap it.
fn transaction(storage: &Storage, body: impl FnOnce(&Storage) -> Result<()>) -> Result<()> {
    let raw: &JsValue = storage.as_raw().as_ref();
    let run: js_sys::Function =
        js_sys::Reflect::get(raw, &JsValue::from_str("transactionSync"))?.unchecked_into();
    let mut body = Some(body);
    let mut call = || -> std::result::Result<JsValue, JsValue> {
        if let Some(body) = body.take() {
            body(storage)?;
        }
        Ok(JsValue::UNDEFINED)
    };
    let callback =
        ScopedClosure::<dyn FnMut() -> std::result::Result<JsValue, JsValue>>::borrow_mut_assert_unwind_safe(
            &mut call,
        );
    run.call1(raw, callback.as_js_value())?;
    Ok(())
}

/// A whole number as SQLite keeps it; numbers beyond 2^53 do not occur here.
pub(crate) fn integer(value: u64) -> SqlStorageValue {
    SqlStorageValue::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

/// A text as SQLite keeps it.
pub(crate) fn text(value: impl Into<String>) -> SqlStorageValue {
    SqlStorageValue::String(value.into())
}
