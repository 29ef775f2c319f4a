//! The GraphQL subset: a real parser over GitHub's query language and the fields release work reads.
//!
//! Unknown fields fail the whole query, as GitHub's validation does; what cannot be found is null with an error of type
//! `NOT_FOUND` beside the data.

mod connection;
mod execute;
mod mutation;
mod object;
mod parse;
mod pull;
mod repository;

use serde_json::{Value, json};

use super::reply::{Call, Reply};
use super::rest;
use super::state::State;

/// An error of a query.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// `NOT_FOUND`, `FORBIDDEN`, `UNPROCESSABLE`; none for an invalid query.
    pub(crate) kind: Option<&'static str>,
    pub(crate) message: String,
    pub(crate) path: Vec<Value>,
}

impl Fault {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { kind: None, message: message.into(), path: Vec::new() }
    }

    pub(crate) fn of(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind: Some(kind), message: message.into(), path: Vec::new() }
    }

    fn json(&self) -> Value {
        let mut value = json!({"message": self.message, "locations": [{"line": 1, "column": 1}]});
        if let Some(map) = value.as_object_mut() {
            if let Some(kind) = self.kind {
                map.insert("type".into(), json!(kind));
            }
            if !self.path.is_empty() {
                map.insert("path".into(), json!(self.path));
            }
        }
        value
    }
}

/// A refusal of the REST side, in GraphQL's words.
impl From<Reply> for Fault {
    fn from(reply: Reply) -> Self {
        let body: Value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        let detail = body.pointer("/errors/0/message").or(body.get("message"));
        let message = detail.and_then(Value::as_str).unwrap_or("Something went wrong").to_owned();
        let kind = match reply.status {
            403 => "FORBIDDEN",
            404 => "NOT_FOUND",
            _ => "UNPROCESSABLE",
        };
        Self::of(kind, message)
    }
}

/// Answers `POST /graphql`.
pub(crate) fn answer(state: &mut State, call: &Call) -> Reply {
    if call.method != "POST" {
        return Reply::not_found();
    }
    if let Err(reply) = rest::login(call) {
        return reply;
    }
    let body = match call.json() {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let failed = |fault: Fault| Reply::json(200, &json!({"errors": [fault.json()]}));
    let Some(query) = body.get("query").and_then(Value::as_str) else {
        return failed(Fault::invalid("A query attribute must be specified and must be a string."));
    };
    let document = match parse::parse(query) {
        Ok(document) => document,
        Err(why) => return failed(Fault::invalid(why)),
    };
    let name = body.get("operationName").and_then(Value::as_str);
    match execute::run(state, call, &document, name, body.get("variables")) {
        Ok((data, errors)) if errors.is_empty() => Reply::json(200, &json!({"data": data})),
        Ok((data, errors)) => {
            let errors: Vec<Value> = errors.iter().map(Fault::json).collect();
            Reply::json(200, &json!({"data": data, "errors": errors}))
        }
        Err(fault) => failed(fault),
    }
}
