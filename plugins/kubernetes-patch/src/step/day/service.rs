//! Requests to services around GitHub.

use castoff_sdk::Error;
use castoff_sdk::http::{self, Header, HeaderValue, Probe, Request, Response};
use castoff_sdk::step::{conflict, not_found};
use serde_json::Value;

/// A header with a secret of this name.
pub(super) fn bearer(secret: &str) -> Header {
    let value = HeaderValue::Secret(("Bearer ".to_owned(), secret.to_owned(), String::new()));
    Header { name: "authorization".to_owned(), value }
}

/// Whether something is there, for those who log in with a secret of this name (`name:password` in base64).
pub(super) fn exists(url: &str, secret: &str) -> Result<bool, Error> {
    let value = HeaderValue::Secret(("Basic ".to_owned(), secret.to_owned(), String::new()));
    let headers = vec![Header { name: "authorization".to_owned(), value }];
    let request = Request { method: "GET".to_owned(), url: url.to_owned(), headers, body: None };
    match http::fetch(&request)?.status {
        200 => Ok(true),
        404 => Ok(false),
        status => Err(Error::Unavailable(format!("{url} answers {status}"))),
    }
}

pub(super) fn get(url: &str, secret: Option<&str>) -> Request {
    let headers = secret.map(bearer).into_iter().collect();
    Request { method: "GET".to_owned(), url: url.to_owned(), headers, body: None }
}

fn body(url: &str, secret: Option<&str>) -> Result<Vec<u8>, Error> {
    let response = http::fetch(&get(url, secret))?;
    match response.status {
        200 => Ok(response.body),
        404 => Err(not_found(url)),
        status => Err(Error::Unavailable(format!("{url} answers {status}"))),
    }
}

/// Reads a text.
pub(super) fn text(url: &str) -> Result<String, Error> {
    String::from_utf8(body(url, None)?).map_err(|_| conflict(format!("{url} is no text")))
}

/// Reads JSON.
pub(super) fn json(url: &str, secret: Option<&str>) -> Result<Value, Error> {
    serde_json::from_slice(&body(url, secret)?)
        .map_err(|error| conflict(format!("{url} cannot be read: {error}")))
}

/// Sends JSON whose effect is found again by a marker.
pub(super) fn ensure(
    key: &str,
    url: &str,
    secret: &str,
    body: &Value,
    probe: (&str, &str),
) -> Result<Response, Error> {
    let mut headers = vec![bearer(secret)];
    let value = HeaderValue::Text("application/json; charset=utf-8".to_owned());
    headers.push(Header { name: "content-type".to_owned(), value });
    let request = Request {
        method: "POST".to_owned(),
        url: url.to_owned(),
        headers,
        body: Some(body.to_string().into_bytes()),
    };
    let (look, marker) = probe;
    let probe = Probe {
        request: get(look, Some(secret)),
        marker: marker.to_owned(),
        refusal: Some("\"ok\":false".to_owned()),
    };
    http::ensure(key, &request, &probe)
}
