//! What the two back ends that speak HTTP share: waiting, patience, counting, TLS.

use std::error::Error as StdError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use http::HeaderMap;
use serde::Serialize;

use super::{CapabilityError, Result};

/// How a back end waits before it tries again.
#[async_trait]
pub trait Pause: Send + Sync {
    /// Returns when `span` is over.
    async fn wait(&self, span: Duration);
}

/// Waits in real time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sleep;

#[async_trait]
impl Pause for Sleep {
    async fn wait(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// Does not wait, and remembers what was asked: rehearsals and tests.
#[derive(Debug, Default)]
pub struct Skip {
    waited: Mutex<Vec<Duration>>,
}

impl Skip {
    /// Every span asked for so far, in order.
    #[must_use]
    pub fn waited(&self) -> Vec<Duration> {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Pause for Skip {
    async fn wait(&self, span: Duration) {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }
}

/// How long a read is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often a read is sent when the remote stumbles; at least once.
    pub attempts: u32,
    /// Wait before the second attempt; doubled before each further one, up to a minute.
    pub backoff: Duration,
    /// What all waits of one read may add up to, rate limits included.
    pub max_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 5, backoff: Duration::from_secs(1), max_wait: Duration::from_secs(300) }
    }
}

/// The attempts of one read.
pub(super) struct Tries<'a> {
    patience: Patience,
    pause: &'a Arc<dyn Pause>,
    stumbled: u32,
    waited: Duration,
}

impl<'a> Tries<'a> {
    pub(super) fn new(patience: Patience, pause: &'a Arc<dyn Pause>) -> Self {
        Self { patience, pause, stumbled: 0, waited: Duration::ZERO }
    }

    /// Waits because the remote stumbled; false when the read has been tried often or long enough.
    pub(super) async fn again(&mut self) -> bool {
        self.stumbled += 1;
        if self.stumbled >= self.patience.attempts {
            return false;
        }
        let doubled = self.patience.backoff.saturating_mul(1 << (self.stumbled - 1).min(10));
        self.within(doubled.min(Duration::from_secs(60))).await
    }

    /// Waits because the remote limits calls; false when that is longer than allowed.
    ///
    /// At least a second each time: a remote that says "after 0 seconds" for ever must not be asked for ever.
    pub(super) async fn after(&mut self, span: Duration) -> bool {
        self.within(span.max(Duration::from_secs(1))).await
    }

    async fn within(&mut self, span: Duration) -> bool {
        let total = self.waited.saturating_add(span);
        if total > self.patience.max_wait {
            return false;
        }
        self.waited = total;
        self.pause.wait(span).await;
        true
    }
}

/// What was sent so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Reads, conditional ones included.
    pub reads: u64,
    /// GraphQL queries.
    pub graphql: u64,
    /// Writes, uploads included.
    pub writes: u64,
    /// Reads that were answered with 304: GitHub does not count those against the rate limit.
    pub not_modified: u64,
}

impl Requests {
    /// Everything that was sent.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.reads + self.graphql + self.writes
    }
}

/// Which counter a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Graphql,
    Write,
    NotModified,
}

/// Counts requests.
#[derive(Debug, Default)]
pub(super) struct Counter {
    reads: AtomicU64,
    graphql: AtomicU64,
    writes: AtomicU64,
    not_modified: AtomicU64,
}

impl Counter {
    pub(super) fn count(&self, kind: Kind) {
        let which = match kind {
            Kind::Read => &self.reads,
            Kind::Graphql => &self.graphql,
            Kind::Write => &self.writes,
            Kind::NotModified => &self.not_modified,
        };
        which.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn requests(&self) -> Requests {
        Requests {
            reads: self.reads.load(Ordering::Relaxed),
            graphql: self.graphql.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            not_modified: self.not_modified.load(Ordering::Relaxed),
        }
    }
}

/// A request that got no whole answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// No connection was made: nothing was sent.
    NotSent(String),
    /// It was sent, or may have been.
    Gone(String),
}

impl Lost {
    /// Sorts an error of the HTTP library. The text carries no address: addresses may carry secrets.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut innermost = error;
        let mut connecting = false;
        let mut timeout = false;
        loop {
            if let Some(error) = innermost.downcast_ref::<reqwest::Error>() {
                connecting |= error.is_connect() || error.is_builder();
                timeout |= error.is_timeout();
            }
            match innermost.source() {
                Some(source) => innermost = source,
                None => break,
            }
        }
        let why = if timeout {
            "no answer in time".to_owned()
        } else if let Some(error) = innermost.downcast_ref::<reqwest::Error>() {
            reqwest_kind(error).to_owned()
        } else {
            innermost.to_string()
        };
        if connecting { Self::NotSent(why) } else { Self::Gone(why) }
    }

    /// What happened, in words.
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::NotSent(why) | Self::Gone(why) => why,
        }
    }
}

fn reqwest_kind(error: &reqwest::Error) -> &'static str {
    if error.is_connect() {
        "no connection"
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else {
        "the request failed"
    }
}

/// A client that does nothing by itself: no redirects, retries, cookies, proxies or decompression.
///
/// `https` off leaves out the platform's certificates, so that a rehearsal runs where there are none.
pub(crate) fn client(user_agent: &str, https: bool) -> Result<reqwest::ClientBuilder> {
    let builder = reqwest::Client::builder()
        .user_agent(user_agent)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(Duration::from_secs(15));
    if https {
        // An error only says that the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        return Ok(builder);
    }
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| CapabilityError::invalid(format!("TLS: {error}")))?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
    Ok(builder.tls_backend_preconfigured(config))
}

/// Finishes a client.
pub(super) fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    builder.build().map_err(|error| {
        let lost = Lost::of(&error);
        CapabilityError::unavailable(format!("no HTTP client: {}", lost.why()))
    })
}

/// The span of a `Retry-After` header: seconds, or a date compared with the remote's own clock.
pub(super) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let value = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = http_date(value)?;
    (until - remote_now(headers, now)).to_std().ok().or(Some(Duration::ZERO))
}

/// The remote's idea of now: its `Date` header, else ours.
pub(super) fn remote_now(headers: &HeaderMap, now: DateTime<Utc>) -> DateTime<Utc> {
    headers.get(http::header::DATE).and_then(|value| http_date(value.to_str().ok()?)).unwrap_or(now)
}

fn http_date(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text).ok().map(|date| date.with_timezone(&Utc))
}
