//! What the forge is asked and what it answers, apart from any HTTP library, with GitHub's error forms.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A request, its path split and decoded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// Host without port, lower case.
    pub(crate) host: String,
    /// Path as sent, still encoded.
    pub(crate) path: String,
    /// Query as sent, still encoded.
    pub(crate) query: String,
    /// Header values by lower-case name; of repeated headers the last.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// Login of who asks; none is anonymous.
    pub(crate) user: Option<String>,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Path segments, each percent-decoded.
    pub(crate) fn segments(&self) -> Vec<String> {
        self.path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect()
    }

    /// The first query parameter of that name.
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.param(name).and_then(|value| value.parse().ok())
    }

    /// The JSON body: an object, `{}` when there is none.
    pub(crate) fn json(&self) -> Result<Value, Reply> {
        if self.body.is_empty() {
            return Ok(json!({}));
        }
        let value: Value =
            serde_json::from_slice(&self.body).map_err(|_| Reply::error(400, "Problems parsing JSON"))?;
        if value.is_object() { Ok(value) } else { Err(Reply::error(400, "Body should be a JSON object")) }
    }

    /// Whether the method can change the world.
    pub(crate) fn writes(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }
}

/// Percent-decodes a path segment; bytes that are not UTF-8 become replacement characters.
pub(crate) fn decode(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = segment
            .get(at + 1..at + 3)
            .filter(|_| bytes.get(at) == Some(&b'%'))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (escape, bytes.get(at)) {
            (Some(byte), _) => {
                out.push(byte);
                at += 3;
            }
            (None, Some(byte)) => {
                out.push(*byte);
                at += 1;
            }
            (None, None) => break,
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encodes a path: everything but unreserved characters and `/`.
pub(crate) fn encode(path: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// An answer. Handlers return it in both arms of a `Result`, so that `?` ends one with an error answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What handlers return.
pub(crate) type Outcome = Result<Reply, Reply>;

const DOCUMENTATION: &str = "https://docs.github.com/rest";

impl Reply {
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, "application/json; charset=utf-8", body.to_string().into_bytes())
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::bytes(status, "text/plain; charset=utf-8", body.as_bytes().to_vec())
    }

    pub(crate) fn bytes(status: u16, kind: &str, body: Vec<u8>) -> Self {
        Self { status, headers: vec![("content-type".into(), kind.to_owned())], body }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// An error in GitHub's basic form.
    pub(crate) fn error(status: u16, message: &str) -> Self {
        let body =
            json!({"message": message, "documentation_url": DOCUMENTATION, "status": status.to_string()});
        Self::json(status, &body)
    }

    pub(crate) fn not_found() -> Self {
        Self::error(404, "Not Found")
    }

    pub(crate) fn forbidden(message: &str) -> Self {
        Self::error(403, message)
    }

    /// 422 with one entry in `errors`; `code` is GitHub's (`missing_field`, `already_exists`, `invalid`, `custom`).
    pub(crate) fn invalid(resource: &str, field: &str, code: &str, message: Option<&str>) -> Self {
        let mut error = json!({"resource": resource, "field": field, "code": code});
        if let (Some(message), Some(map)) = (message, error.as_object_mut()) {
            map.insert("message".into(), json!(message));
        }
        let body = json!({
            "message": "Validation Failed", "errors": [error],
            "documentation_url": DOCUMENTATION, "status": "422",
        });
        Self::json(422, &body)
    }

    /// 422 with nothing but a message, as the git data operations answer.
    pub(crate) fn unprocessable(message: &str) -> Self {
        Self::error(422, message)
    }
}

impl From<git2::Error> for Reply {
    fn from(error: git2::Error) -> Self {
        Self::error(500, &format!("git: {}", error.message()))
    }
}

/// A required string of a JSON body.
pub(crate) fn required<'a>(body: &'a Value, resource: &str, field: &str) -> Result<&'a str, Reply> {
    match body.get(field).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(Reply::invalid(resource, field, "missing_field", None)),
    }
}

/// An optional string of a JSON body.
pub(crate) fn text(body: &Value, field: &str) -> Option<String> {
    body.get(field).and_then(Value::as_str).map(str::to_owned)
}

/// An optional flag of a JSON body.
pub(crate) fn flag(body: &Value, field: &str) -> Option<bool> {
    body.get(field).and_then(Value::as_bool)
}

/// A list of strings of a JSON body; entries may also be objects with a `name`, as labels may.
pub(crate) fn strings(body: &Value, field: &str) -> Option<Vec<String>> {
    let list = match body.get(field)? {
        Value::Array(list) => list.clone(),
        one @ Value::String(_) => vec![one.clone()],
        _ => return None,
    };
    let name = |value: &Value| value.as_str().or_else(|| value.get("name")?.as_str()).map(str::to_owned);
    Some(list.iter().filter_map(name).collect())
}

/// Whether `text` matches `pattern`, in which `*` stands for any text, `/` included. An empty pattern matches all.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    if pattern.is_empty() {
        return true;
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or("");
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_texts() {
        let cases = [
            ("", "anything", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("v*", "v1.2.3", true),
            ("*/x", "a/b/x", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*", "", true),
            ("ab*b", "ab", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(glob(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn paths_survive_encoding() {
        for path in ["v1.0.0+k3s1", "a b/ü%", "client/v1.2.3", "100%25"] {
            assert_eq!(decode(&encode(path)), path);
        }
        assert_eq!(decode("%zz%4"), "%zz%4", "broken escapes stay as they are");
    }
}
