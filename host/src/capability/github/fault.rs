//! From a refusal of GitHub to a typed error, in GitHub's own words.

use serde::Deserialize;
use serde_json::Value;

use crate::capability::CapabilityError;

/// Longest text taken over from a remote.
const LONGEST: usize = 800;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    message: Option<String>,
    errors: Value,
}

/// What a refusal says: its message and every entry of `errors`.
pub(super) fn words(status: u16, body: &[u8]) -> String {
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let mut parts: Vec<String> = refusal.message.into_iter().collect();
    match &refusal.errors {
        Value::Array(errors) => parts.extend(errors.iter().map(entry)),
        Value::String(text) => parts.push(text.clone()),
        _ => {}
    }
    let text = if parts.is_empty() { format!("status {status}") } else { parts.join("; ") };
    tidy(&text)
}

fn entry(error: &Value) -> String {
    if let Value::String(text) = error {
        return text.clone();
    }
    let field = |name: &str| error.get(name).and_then(Value::as_str);
    if let Some(message) = field("message") {
        return message.to_owned();
    }
    let place: Vec<&str> = [field("resource"), field("field")].into_iter().flatten().collect();
    format!("{}: {}", place.join("."), field("code").unwrap_or("refused"))
}

/// One line without control characters, of bounded length.
pub(super) fn tidy(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// The error of an answer that is neither a success nor a limit nor a stumble.
pub(super) fn refusal(status: u16, body: &[u8], what: &str) -> CapabilityError {
    let words = words(status, body);
    let what = format!("{what}: {words}");
    match status {
        401 | 403 | 451 => CapabilityError::Forbidden { what },
        404 | 410 => CapabilityError::NotFound { what },
        405 | 409 | 412 | 423 => CapabilityError::Conflict { what },
        300..=399 => {
            CapabilityError::conflict(format!("{what} (the repository has moved: use its present name)"))
        }
        422 if stands_in_the_way(body) => CapabilityError::Conflict { what },
        _ => CapabilityError::Invalid { what },
    }
}

/// A 422 that speaks of the state of the world, not of the request.
fn stands_in_the_way(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    ["already exists", "already_exists", "immutable"].iter().any(|words| text.contains(words))
}
