//! Taking injected secrets out of what comes back.
//!
//! A server may repeat what it was sent, plainly or encoded. Every form that is likely is replaced by `***`: as it is,
//! within JSON, percent-encoded, and in base64 at any offset (`user:secret` encodes to something else than `secret`).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What stands in the place of a secret.
const HIDDEN: &[u8] = b"***";
/// Shorter pieces of base64 would be found in innocent text.
const SHORTEST: usize = 8;

/// The forms of the secrets of one request.
#[derive(Default)]
pub(in crate::capability) struct Scrubber {
    /// Longest first, so that a form within another one is not replaced before it.
    forms: Vec<Vec<u8>>,
}

impl Scrubber {
    pub(in crate::capability) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms: Vec<Vec<u8>> =
            secrets.into_iter().filter(|s| !s.is_empty()).flat_map(forms_of).collect();
        forms.sort_by(|left, right| right.len().cmp(&left.len()).then_with(|| left.cmp(right)));
        forms.dedup();
        Self { forms }
    }

    /// Whether there is anything to hide.
    pub(in crate::capability) fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// The bytes without secrets.
    pub(in crate::capability) fn bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.forms.iter().fold(bytes, |bytes, form| replace(bytes, form))
    }

    /// The text without secrets.
    pub(in crate::capability) fn text(&self, text: &str) -> String {
        if self.is_empty() {
            return text.to_owned();
        }
        String::from_utf8_lossy(&self.bytes(text.as_bytes().to_vec())).into_owned()
    }
}

fn forms_of(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    let json = serde_json::Value::from(secret).to_string();
    forms.push(json.get(1..json.len() - 1).unwrap_or_default().as_bytes().to_vec());
    forms.push(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>().into_bytes());
    forms.push(percent(secret).into_bytes());
    forms.push(hex::encode(secret).into_bytes());
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        forms.push(engine.encode(secret).into_bytes());
        forms.extend((0..3).filter_map(|shift| core(engine, secret, shift)));
    }
    // A secret that is itself base64 (basic authentication) may come back decoded.
    forms.extend(base64::engine::general_purpose::STANDARD.decode(secret).ok());
    forms.retain(|form| form == secret.as_bytes() || form.len() >= SHORTEST);
    forms
}

fn percent(secret: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    secret.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The characters of base64 that only the secret decides when `shift` bytes (modulo three) come before it.
fn core(engine: &impl Engine, secret: &str, shift: usize) -> Option<Vec<u8>> {
    let mut padded = vec![0; shift];
    padded.extend_from_slice(secret.as_bytes());
    let text = engine.encode(&padded);
    let (start, end) = ((shift * 8).div_ceil(6), padded.len() * 8 / 6);
    text.as_bytes().get(start..end).filter(|core| core.len() >= SHORTEST).map(<[u8]>::to_vec)
}

fn replace(bytes: Vec<u8>, form: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(bytes.len());
    let mut rest = bytes.as_slice();
    let mut found = false;
    while let Some(at) = find(rest, form) {
        found = true;
        clean.extend_from_slice(rest.get(..at).unwrap_or_default());
        clean.extend_from_slice(HIDDEN);
        rest = rest.get(at + form.len()..).unwrap_or_default();
    }
    if !found {
        return bytes;
    }
    clean.extend_from_slice(rest);
    clean
}

fn find(bytes: &[u8], form: &[u8]) -> Option<usize> {
    let first = *form.first()?;
    let mut from = 0;
    while let Some(step) = bytes.get(from..)?.iter().position(|byte| *byte == first) {
        let at = from + step;
        if bytes.get(at..)?.starts_with(form) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}
