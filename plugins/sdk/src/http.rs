//! Everything with an HTTP API: `castoff:http`, with a builder for requests and readers for answers.
//!
//! ```
//! use castoff_sdk::http::Request;
//!
//! let request = Request::post("https://slack.com/api/chat.postMessage")
//!     .secret("authorization", "Bearer ", "slack-token")
//!     .json(&serde_json::json!({ "channel": "C1", "text": "v1.2.3 is out" }));
//! assert_eq!((request.method.as_str(), request.headers.len()), ("POST", 2));
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::bindings::castoff::http::client::{
    Header, HeaderValue, Probe, Request, Response, ensure, fetch, send,
};

use crate::Error;
use crate::step::{invalid, not_found};

impl Request {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        Self { method: method.to_owned(), url: url.into(), headers: Vec::new(), body: None }
    }

    /// `GET`.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// `HEAD`.
    #[must_use]
    pub fn head(url: impl Into<String>) -> Self {
        Self::new("HEAD", url)
    }

    /// `POST`.
    #[must_use]
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// The same with a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        self.with(name, HeaderValue::Text(value.to_owned()))
    }

    /// The same with a header whose value is `prefix` and a secret that only the host knows.
    #[must_use]
    pub fn secret(self, name: &str, prefix: &str, secret: &str) -> Self {
        self.with(name, HeaderValue::Secret((prefix.to_owned(), secret.to_owned(), String::new())))
    }

    fn with(mut self, name: &str, value: HeaderValue) -> Self {
        self.headers.push(Header { name: name.to_owned(), value });
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The same with JSON as its body, and the header that says so.
    #[must_use]
    pub fn json(self, body: &serde_json::Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }
}

impl Response {
    /// An answer without headers, for tests.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// The value of a header; its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `invalid` when it is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| invalid(format!("the answer cannot be read: {error}")))
    }

    /// The same when the status is 2xx. `what` was asked for, in words.
    ///
    /// # Errors
    /// `not-found` for 404 and 410, `unavailable` for 429 and 5xx, `invalid` for the rest.
    pub fn success(self, what: &str) -> Result<Self, Error> {
        match self.status {
            200..300 => Ok(self),
            404 | 410 => Err(not_found(format!("{what}: status {}", self.status))),
            429 | 500.. => Err(Error::Unavailable(format!("{what}: status {}", self.status))),
            status => Err(invalid(format!("{what}: status {status}"))),
        }
    }
}

impl Probe {
    /// An effect whose marker is in the answer to a request.
    #[must_use]
    pub fn new(request: Request, marker: &str) -> Self {
        Self { request, marker: marker.to_owned(), refusal: None }
    }

    /// The same for a service that refuses with a good status and this text.
    #[must_use]
    pub fn refusal(mut self, refusal: &str) -> Self {
        self.refusal = Some(refusal.to_owned());
        self
    }
}

/// A body of JSON from anything serde writes.
///
/// # Errors
/// `invalid` when it cannot be written, a fault of the plugin.
pub fn body_of(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| invalid(format!("body: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_errors() {
        let cases =
            [(200, None), (204, None), (404, Some("not found")), (503, None), (429, None), (400, None)];
        for (status, words) in cases {
            let answer = Response::new(status, "x").success("list");
            assert_eq!(answer.is_ok(), status < 300, "{status}");
            if let (Err(error), Some(words)) = (answer, words) {
                assert!(crate::step::words(&error).contains(words), "{error:?}");
            }
        }
        assert!(matches!(Response::new(503, "").success("x"), Err(Error::Unavailable(_))));
        assert!(matches!(Response::new(400, "").success("x"), Err(Error::Invalid(_))));
    }

    #[test]
    fn answers_are_read() {
        let mut answer = Response::new(200, r#"{"a": 1}"#);
        answer.headers.push(("etag".to_owned(), "x".to_owned()));
        assert_eq!((answer.header("etag"), answer.header("age")), (Some("x"), None));
        assert_eq!(answer.json::<serde_json::Value>(), Ok(serde_json::json!({ "a": 1 })));
        assert!(answer.json::<u8>().is_err());
    }
}
