//! Which headers a plugin may set, and what becomes of them.

use std::collections::BTreeMap;

use http::header::{HeaderMap, HeaderName, HeaderValue as WireValue};

use super::HeaderValue;
use crate::capability::{CapabilityError, Result, Secret};

/// Headers that the host sets itself, or that change how a message is framed, routed or kept open.
const REFUSED: &[&str] = &[
    "host",
    "content-length",
    "user-agent",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "expect",
    "cookie2",
    "forwarded",
    "via",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];
/// Starts of such headers.
const REFUSED_STARTS: &[&str] = &["proxy-", "x-forwarded-", "sec-", ":"];
/// Headers that speak for somebody even when they are plain text.
const CREDENTIALS: &[&str] = &["authorization", "cookie"];
/// Headers of a body, which go when the body goes.
const OF_BODY: &[&str] =
    &["content-type", "content-encoding", "content-language", "content-location", "digest"];

/// A header ready for the wire.
#[derive(Debug, Clone)]
struct Line {
    name: HeaderName,
    value: WireValue,
    /// It names an account or carries a secret: for the first server only.
    personal: bool,
}

/// The headers of a request on its way through redirects.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    lines: Vec<Line>,
}

impl Lines {
    /// Checks the headers and puts the secrets in; also gives the secrets that were used.
    pub(super) fn new<'s>(
        headers: &[(String, HeaderValue)],
        secrets: &'s BTreeMap<String, Secret>,
    ) -> Result<(Self, Vec<&'s str>)> {
        let mut used = Vec::new();
        let mut lines = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            let name = allowed_name(name)?;
            let (text, secret) = match value {
                HeaderValue::Text(text) => (text.clone(), false),
                HeaderValue::Secret { before, name: secret, after } => {
                    let known = secrets.get(secret).ok_or_else(|| no_secret(secret))?;
                    used.push(known.expose());
                    (format!("{before}{}{after}", known.expose()), true)
                }
            };
            let mut value = WireValue::from_bytes(text.as_bytes()).map_err(|_| bad_value(&name))?;
            value.set_sensitive(secret);
            let personal = secret || CREDENTIALS.contains(&name.as_str());
            lines.push(Line { name, value, personal });
        }
        let lines = Self { lines };
        lines.check(!used.is_empty())?;
        Ok((lines, used))
    }

    /// What makes scrubbing impossible is refused.
    fn check(&self, secret: bool) -> Result<()> {
        for line in &self.lines {
            let plain = line.value.as_bytes().eq_ignore_ascii_case(b"identity");
            if line.name == http::header::ACCEPT_ENCODING && !plain {
                return Err(CapabilityError::invalid("accept-encoding: the host reads plain answers only"));
            }
            if secret && line.name == http::header::RANGE {
                return Err(CapabilityError::invalid(
                    "a range may cut a secret in two: not together with secrets",
                ));
            }
        }
        Ok(())
    }

    /// Another server: what speaks for an account stays behind, for good.
    pub(super) fn leave_origin(&mut self) {
        self.lines.retain(|line| !line.personal);
    }

    /// The body is dropped, and its headers with it.
    pub(super) fn drop_body(&mut self) {
        self.lines.retain(|line| !OF_BODY.contains(&line.name.as_str()));
    }

    /// The headers for the wire.
    pub(super) fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.lines.len() + 1);
        for line in &self.lines {
            map.append(line.name.clone(), line.value.clone());
        }
        map.insert(http::header::ACCEPT_ENCODING, WireValue::from_static("identity"));
        map
    }
}

fn allowed_name(name: &str) -> Result<HeaderName> {
    let lower = name.to_ascii_lowercase();
    if REFUSED.contains(&lower.as_str()) || REFUSED_STARTS.iter().any(|start| lower.starts_with(start)) {
        return Err(CapabilityError::invalid(format!("the header {lower:?} is the host's to set")));
    }
    HeaderName::from_bytes(lower.as_bytes())
        .map_err(|_| CapabilityError::invalid(format!("{name:?} is no header name")))
}

fn no_secret(name: &str) -> CapabilityError {
    CapabilityError::invalid(format!("there is no secret named {name:?}"))
}

/// The value is not repeated: it may hold a secret.
fn bad_value(name: &HeaderName) -> CapabilityError {
    CapabilityError::invalid(format!("the value of the header {name} holds characters that none may hold"))
}
