//! HTTP: plain types and what a back end must do.

mod address;
mod backend;
mod header;
pub(super) mod scrub;
mod wit;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Result, Secret};
pub use address::is_public;
pub(crate) use backend::check;
pub use backend::{HttpBackend, HttpConfig};

/// A header value: text, or text around a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderValue {
    /// Plain text.
    Text(String),
    /// The named secret between two texts.
    Secret {
        /// Text before.
        before: String,
        /// Name of the secret.
        name: String,
        /// Text after.
        after: String,
    },
}

/// What is asked. Secrets are still names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Upper-case method.
    pub method: String,
    /// Absolute address.
    pub url: Url,
    /// Headers.
    pub headers: Vec<(String, HeaderValue)>,
    /// Body.
    pub body: Option<Vec<u8>>,
}

/// How an effect of a request is found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Changes nothing.
    pub request: Request,
    /// What its answer holds when the effect is there.
    pub marker: String,
    /// What the answer to the effect holds when nothing happened although its status is good.
    pub refusal: Option<String>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Status.
    pub status: u16,
    /// Lower-case header names with values.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// Decides whether a request may be sent: called for the first address and again for every redirect.
pub type Decide<'a> = &'a (dyn Fn(&str, &Url) -> std::result::Result<(), String> + Send + Sync);

/// An HTTP back end.
///
/// Follows redirects itself, asking `decide` for each hop; drops secret headers when the host changes; refuses
/// addresses in private ranges after resolution unless configured; caps bodies; scrubs injected secrets from answers.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends one request. Reads (`GET`, `HEAD`) are retried on 5xx, 429 and lost connections; others never, and
    /// their lost answers are [`super::CapabilityError::Unavailable`] with an unknown outcome.
    async fn send(
        &self,
        request: &Request,
        secrets: &BTreeMap<String, Secret>,
        decide: Decide<'_>,
    ) -> Result<Response>;
}
