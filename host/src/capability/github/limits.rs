//! Rate limits: telling them from refusals, and how long to wait.
//!
//! GitHub documents three shapes: a primary limit (403 or 429, `x-ratelimit-remaining: 0` and the moment of reset), a
//! secondary limit (403 or 429, with `retry-after` or only words) and GraphQL's (200 with an error of that type).

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::HeaderMap;

use crate::capability::wire::{remote_now, retry_after};

/// GitHub's own advice where it does not say how long: at least a minute.
const UNTOLD: Duration = Duration::from_secs(60);

/// What an answer is, seen from the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// An answer that tells.
    Answered,
    /// The remote limits calls; `told` when it named the span itself.
    Limited { wait: Duration, told: bool },
    /// The remote stumbled: nothing can be said.
    Stumbled,
}

/// Judges an answer.
pub(super) fn judge(status: u16, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Verdict {
    match status {
        429 => limited(headers, now),
        403 if exhausted(headers) || headers.contains_key(http::header::RETRY_AFTER) || speaks(body) => {
            limited(headers, now)
        }
        500.. => Verdict::Stumbled,
        _ => Verdict::Answered,
    }
}

/// How long an answer that is known to be a limit asks to wait.
pub(super) fn limited(headers: &HeaderMap, now: DateTime<Utc>) -> Verdict {
    let told = retry_after(headers, now).or_else(|| until_reset(headers, now));
    Verdict::Limited { wait: told.unwrap_or(UNTOLD), told: told.is_some() }
}

fn exhausted(headers: &HeaderMap) -> bool {
    headers.get("x-ratelimit-remaining").is_some_and(|left| left.as_bytes() == b"0")
}

fn until_reset(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    if !exhausted(headers) {
        return None;
    }
    let reset: i64 = headers.get("x-ratelimit-reset")?.to_str().ok()?.parse().ok()?;
    let left = reset.saturating_sub(remote_now(headers, now).timestamp()).saturating_add(1);
    Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)))
}

/// Whether the words of a 403 are those of a limit.
fn speaks(body: &[u8]) -> bool {
    let head = body.get(..2048).unwrap_or(body);
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    ["secondary rate limit", "rate limit exceeded", "abuse detection"]
        .iter()
        .any(|words| text.contains(words))
}
