//! What was said over the API, word for word, for judges of its form.

use std::collections::BTreeMap;

/// A request to GitHub's API, REST or GraphQL, and the forge's answer before any planned fault spoils it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Method.
    pub method: String,
    /// Path without query, still encoded, and without an `/api/v3` prefix.
    pub path: String,
    /// Query, still encoded.
    pub query: String,
    /// Request headers by lower-case name, credentials included.
    pub request_headers: BTreeMap<String, String>,
    /// Request body.
    pub request: Vec<u8>,
    /// Status of the answer.
    pub status: u16,
    /// Headers of the answer.
    pub headers: Vec<(String, String)>,
    /// Body of the answer; of a `HEAD`, the body its `GET` would have.
    pub body: Vec<u8>,
}
