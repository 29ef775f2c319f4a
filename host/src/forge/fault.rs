//! Faults a test plans: which requests fail, and how.

use serde::{Deserialize, Serialize};

use super::reply::{Call, Reply, glob};

/// Makes matching requests fail.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Matching requests that pass first.
    #[serde(default)]
    pub skip: u64,
    /// Requests that fail after those; one when absent.
    #[serde(default = "once")]
    pub times: u64,
    /// Method; any when absent.
    pub method: Option<String>,
    /// Glob over the host; any when absent.
    pub host: Option<String>,
    /// Glob over the path as sent, without query; any when absent.
    pub path: Option<String>,
    /// How they fail.
    pub kind: FaultKind,
}

fn once() -> u64 {
    1
}

impl Fault {
    /// A fault of the next request.
    #[must_use]
    pub fn next(kind: FaultKind) -> Self {
        Self { skip: 0, times: 1, method: None, host: None, path: None, kind }
    }

    /// A fault of the next request with this method and a path matching this glob.
    #[must_use]
    pub fn on(method: &str, path: &str, kind: FaultKind) -> Self {
        Self { method: Some(method.to_owned()), path: Some(path.to_owned()), ..Self::next(kind) }
    }

    /// Lets so many matching requests pass first.
    #[must_use]
    pub fn after(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Fails so many requests instead of one.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    fn matches(&self, call: &Call) -> bool {
        self.method.as_ref().is_none_or(|method| *method == call.method)
            && self.host.as_ref().is_none_or(|host| glob(host, &call.host))
            && self.path.as_ref().is_none_or(|path| glob(path, &call.path))
    }
}

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// This status, and nothing happened.
    ErrorBefore(u16),
    /// This status, although it happened.
    ErrorAfter(u16),
    /// No answer at all, and nothing happened: the caller has to give up.
    Silence,
    /// The connection breaks before anything happened.
    Reset,
    /// It happened, and the connection breaks before the answer.
    LostReply,
    /// It happened, and the answer breaks off in its middle.
    TruncatedBody,
    /// 429, with these seconds in `Retry-After` if any.
    TooMany(Option<u64>),
    /// 403 of the secondary limit, with these seconds in `Retry-After` if any.
    SecondaryLimit(Option<u64>),
    /// 403 of an exhausted primary limit: nothing remaining, reset in `x-ratelimit-reset`.
    PrimaryLimit,
    /// 401, as with an expired token.
    Unauthorized,
}

impl FaultKind {
    /// The answer of a fault that stands in for the request's own.
    pub(crate) fn instead(self) -> Option<Reply> {
        let retry = |reply: Reply, after: Option<u64>| match after {
            Some(seconds) => reply.with("retry-after", seconds.to_string()),
            None => reply,
        };
        Some(match self {
            Self::ErrorBefore(status) => failure(status),
            Self::TooMany(after) => retry(Reply::error(429, "Too Many Requests"), after),
            Self::SecondaryLimit(after) => {
                let why = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
                retry(Reply::forbidden(why), after)
            }
            Self::PrimaryLimit => super::rate::exhausted().with("x-ratelimit-remaining", "0"),
            Self::Unauthorized => Reply::error(401, "Bad credentials"),
            _ => return None,
        })
    }
}

/// A server error; the fronts of GitHub answer gateway errors in HTML.
pub(crate) fn failure(status: u16) -> Reply {
    match status {
        502..=504 => {
            let page = format!("<html><head><title>{status}</title></head><body>Unicorn!</body></html>");
            Reply::bytes(status, "text/html; charset=utf-8", page.into_bytes())
        }
        _ => Reply::error(status, "Server Error"),
    }
}

/// Faults that are still to come.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    planned: Vec<Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.planned.push(fault);
    }

    pub(crate) fn planned(&self) -> &[Fault] {
        &self.planned
    }

    /// The fault of this request, if any; counts it.
    pub(crate) fn strike(&mut self, call: &Call) -> Option<FaultKind> {
        let fault = self.planned.iter_mut().find(|fault| fault.matches(call))?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times = fault.times.saturating_sub(1);
        let kind = fault.kind;
        self.planned.retain(|fault| fault.times > 0);
        Some(kind)
    }
}
