//! The HTTP back end: one request at a time, watched at every hop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{self, HeaderValue as WireValue};
use http::{Method, StatusCode};
use url::Url;

use super::address::{Guard, Refused};
use super::header::Lines;
use super::scrub::Scrubber;
use super::{Decide, Http, Request, Response};
use crate::capability::wire::{self, Counter, Kind, Lost, Patience, Pause, Requests, Tries};
use crate::capability::{CapabilityError, Result, Secret};
use crate::clock::Clock;

/// Redirects followed for one request.
const MOST_REDIRECTS: u32 = 5;
/// Methods a plugin may use.
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/// Headers of an answer that belong to the connection, not to the plugin.
const OF_CONNECTION: &[&str] = &["connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"];

/// How requests of plugins are sent.
#[derive(Clone)]
pub struct HttpConfig {
    /// How we introduce ourselves.
    pub user_agent: String,
    /// Longest time for one request, body included.
    pub timeout: Duration,
    /// Largest body read, in bytes.
    pub body_limit: usize,
    /// Hosts (names or addresses, without port) that may be in private ranges.
    pub allow_private: BTreeSet<String>,
    /// Hosts that are served from elsewhere, with their own `Host` header: rehearsals. `*` stands for every host.
    pub routes: BTreeMap<String, Url>,
    /// How long reads are tried.
    pub patience: Patience,
    /// How waiting is done.
    pub pause: Arc<dyn Pause>,
    /// The time, for a `Retry-After` that is a date.
    pub clock: Arc<dyn Clock>,
}

impl HttpConfig {
    /// The usual settings: nothing private, no routes, bodies up to 32 MiB.
    #[must_use]
    pub fn new(pause: Arc<dyn Pause>, clock: Arc<dyn Clock>) -> Self {
        Self {
            user_agent: concat!("castoff/", env!("CARGO_PKG_VERSION")).into(),
            timeout: Duration::from_secs(60),
            body_limit: 32 << 20,
            allow_private: BTreeSet::new(),
            routes: BTreeMap::new(),
            patience: Patience { attempts: 4, max_wait: Duration::from_secs(60), ..Patience::default() },
            pause,
            clock,
        }
    }

    fn route(&self, host: &str) -> Option<&Url> {
        self.routes.get(host).or_else(|| self.routes.get("*"))
    }
}

/// HTTP for plugins.
pub struct HttpBackend {
    config: HttpConfig,
    guard: Guard,
    /// Connects to checked addresses only: for reads, with a pool; for writes, without.
    guarded: (reqwest::Client, reqwest::Client),
    /// Connects to the routes of the configuration.
    routed: reqwest::Client,
    counter: Counter,
}

impl HttpBackend {
    /// A back end; sends nothing yet.
    ///
    /// # Errors
    /// [`CapabilityError::Unavailable`] when the platform has no certificates to trust (they are not needed where the
    /// route `*` leads to plain `http`).
    pub fn new(config: HttpConfig) -> Result<Self> {
        let rehearsal = config.routes.get("*").is_some_and(|base| base.scheme() == "http");
        let guard = Guard::new(&config.allow_private);
        let client = |https: bool| -> Result<reqwest::ClientBuilder> {
            Ok(wire::client(&config.user_agent, https)?.timeout(config.timeout))
        };
        let guarded = |client: reqwest::ClientBuilder| client.dns_resolver(guard.clone());
        let reading = wire::build(guarded(client(!rehearsal)?))?;
        let writing = wire::build(guarded(client(!rehearsal)?).pool_max_idle_per_host(0))?;
        let routes_use_tls = config.routes.values().any(|base| base.scheme() == "https");
        let routed = wire::build(client(routes_use_tls)?.pool_max_idle_per_host(0))?;
        Ok(Self { guard, guarded: (reading, writing), routed, counter: Counter::default(), config })
    }

    /// What was sent so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.counter.requests()
    }

    /// Checks one address: form, policy, range.
    fn check(&self, hop: &Hop, decide: Decide<'_>) -> Result<()> {
        check_form(&hop.url)?;
        decide(hop.method.as_str(), &hop.url).map_err(|why| CapabilityError::Forbidden { what: why })?;
        let host = hop.url.host_str().unwrap_or_default();
        if self.config.route(host).is_none() {
            self.guard.check(&hop.url).map_err(|refused| refusal(&refused))?;
        }
        Ok(())
    }

    /// Checks where a redirect leads: never from `https` to `http`, and like any other address.
    fn check_redirect(&self, from: &Hop, to: &Hop, redirects: u32, decide: Decide<'_>) -> Result<()> {
        if redirects >= MOST_REDIRECTS {
            return Err(CapabilityError::invalid(format!("more than {MOST_REDIRECTS} redirects")));
        }
        if from.url.scheme() == "https" && to.url.scheme() == "http" {
            return Err(CapabilityError::invalid("a redirect from https to http"));
        }
        self.check(to, decide)
    }

    /// Follows a request through its redirects.
    async fn follow(&self, mut hop: Hop, scrubber: &Scrubber, decide: Decide<'_>) -> Result<Response> {
        self.check(&hop, decide)?;
        // The answer to a write that sends us on to read its result: whatever happens there, the write is done.
        let mut written: Option<Response> = None;
        let mut redirects = 0;
        loop {
            let answer = match self.exchange(&hop, scrubber).await {
                Ok(answer) => answer,
                Err(error) => return written.ok_or(error),
            };
            let Some(next) = hop.redirected(&answer) else { return Ok(answer.response) };
            if !hop.is_read() && next.is_read() {
                written = Some(answer.response);
            }
            if let Err(error) = self.check_redirect(&hop, &next, redirects, decide) {
                return written.ok_or(error);
            }
            hop = next;
            redirects += 1;
        }
    }

    /// Sends one hop: reads with patience, writes once.
    async fn exchange(&self, hop: &Hop, scrubber: &Scrubber) -> Result<Answer> {
        let mut tries = Tries::new(self.config.patience, &self.config.pause);
        loop {
            let sent = self.once(hop, scrubber).await;
            if !hop.is_read() {
                return sent.map_err(|fault| fault.of_write(hop));
            }
            match sent {
                Ok(answer) if self.repeats(&answer, &mut tries).await => {}
                Ok(answer) => return Ok(answer),
                Err(Fault::Lost(_)) if tries.again().await => {}
                Err(fault) => return Err(fault.of_read(hop)),
            }
        }
    }

    /// Whether an answer to a read asks for another attempt; waits for it if so.
    async fn repeats(&self, answer: &Answer, tries: &mut Tries<'_>) -> bool {
        if !matches!(answer.response.status, 429 | 500 | 502..=504) {
            return false;
        }
        match answer.retry_after {
            Some(span) => tries.after(span).await,
            None => tries.again().await,
        }
    }

    async fn once(&self, hop: &Hop, scrubber: &Scrubber) -> std::result::Result<Answer, Fault> {
        let (client, request) = self.request(hop);
        self.counter.count(if hop.is_read() { Kind::Read } else { Kind::Write });
        let request = request.build().map_err(|error| Fault::Lost(Lost::of(&error)))?;
        let response = client.execute(request).await.map_err(|error| match refused(&error) {
            Some(refused) => Fault::Refused(refused),
            None => Fault::Lost(Lost::of(&error)),
        })?;
        self.receive(response, scrubber).await
    }

    fn request(&self, hop: &Hop) -> (&reqwest::Client, reqwest::RequestBuilder) {
        let mut headers = hop.lines.to_map();
        let host = hop.url.host_str().unwrap_or_default();
        let (client, url) = match self.config.route(host) {
            Some(base) => {
                if let Ok(host) = WireValue::from_str(&host_header(&hop.url)) {
                    headers.insert(header::HOST, host);
                }
                (&self.routed, rerouted(base, &hop.url))
            }
            None if hop.is_read() => (&self.guarded.0, hop.url.clone()),
            None => (&self.guarded.1, hop.url.clone()),
        };
        let mut request = client.request(hop.method.clone(), url).headers(headers);
        if let Some(body) = &hop.body {
            request = request.body(body.clone());
        }
        (client, request)
    }

    /// Reads an answer up to the limit and takes the secrets out.
    async fn receive(
        &self,
        mut answer: reqwest::Response,
        scrubber: &Scrubber,
    ) -> std::result::Result<Answer, Fault> {
        let status = answer.status().as_u16();
        let encoded = answer.headers().get(header::CONTENT_ENCODING).is_some_and(|how| how != "identity");
        if encoded && !scrubber.is_empty() {
            return Err(Fault::Unreadable("the answer is compressed although it was asked not to be".into()));
        }
        let headers = answer.headers().iter().filter(|(name, _)| !OF_CONNECTION.contains(&name.as_str()));
        let headers = headers
            .map(|(name, value)| {
                (name.as_str().to_owned(), scrubber.text(&String::from_utf8_lossy(value.as_bytes())))
            })
            .collect();
        let location = answer.headers().get(header::LOCATION);
        let location = location.and_then(|to| to.to_str().ok()).map(str::to_owned);
        let retry_after = wire::retry_after(answer.headers(), self.config.clock.now());
        let mut body = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > self.config.body_limit => {
                    let limit = self.config.body_limit;
                    return Err(Fault::Unreadable(format!("the answer is larger than {limit} bytes")));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                // The answer had begun: the request had arrived.
                Err(error) => return Err(Fault::Lost(Lost::Gone(Lost::of(&error).why().to_owned()))),
            }
        }
        let response = Response { status, headers, body: scrubber.bytes(body) };
        Ok(Answer { response, location, retry_after })
    }
}

/// Why a hop has no answer.
enum Fault {
    /// The address is not public.
    Refused(String),
    /// An answer came that cannot be handed on.
    Unreadable(String),
    /// No whole answer came.
    Lost(Lost),
}

impl Fault {
    fn of_read(self, hop: &Hop) -> CapabilityError {
        let what = hop.name();
        match self {
            Self::Refused(why) => CapabilityError::Forbidden { what: why },
            Self::Unreadable(why) => CapabilityError::invalid(format!("{what}: {why}")),
            Self::Lost(lost) => CapabilityError::unavailable(format!("{what}: {}", lost.why())),
        }
    }

    /// A write whose answer is lost or unreadable may have happened.
    fn of_write(self, hop: &Hop) -> CapabilityError {
        let what = hop.name();
        match self {
            Self::Refused(why) => CapabilityError::Forbidden { what: why },
            Self::Lost(Lost::NotSent(why)) => CapabilityError::unavailable(format!("{what}: {why}")),
            Self::Unreadable(why) | Self::Lost(Lost::Gone(why)) => {
                CapabilityError::unknown(format!("{what}: {why}"))
            }
        }
    }
}

/// An answer, and what only the host needs of it.
struct Answer {
    response: Response,
    /// The address of a redirect as it was sent, secrets and all.
    location: Option<String>,
    retry_after: Option<Duration>,
}

/// A request at one stage of its way.
struct Hop {
    method: Method,
    url: Url,
    lines: Lines,
    body: Option<Bytes>,
}

impl Hop {
    fn is_read(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    /// For errors: no path, no query, they may carry what is nobody's business.
    fn name(&self) -> String {
        format!("{} {}", self.method, self.url.host_str().unwrap_or_default())
    }

    /// The next stage, when the answer is a redirect. Methods change as RFC 9110, section 15.4, says.
    fn redirected(&self, answer: &Answer) -> Option<Self> {
        let status = StatusCode::from_u16(answer.response.status).ok()?;
        let keeps = match status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method != Method::POST,
            StatusCode::SEE_OTHER => self.is_read(),
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
            _ => return None,
        };
        let mut url = self.url.join(answer.location.as_deref()?).ok()?;
        url.set_fragment(None);
        let mut lines = self.lines.clone();
        if url.origin() != self.url.origin() {
            lines.leave_origin();
        }
        if keeps {
            return Some(Self { method: self.method.clone(), url, lines, body: self.body.clone() });
        }
        lines.drop_body();
        Some(Self { method: Method::GET, url, lines, body: None })
    }
}

/// Refuses a request that would not leave the host: its form, its secrets, the policy. Sends nothing.
pub(crate) fn check(request: &Request, secrets: &BTreeMap<String, Secret>, decide: Decide<'_>) -> Result<()> {
    let method = method_of(&request.method)?;
    Lines::new(&request.headers, secrets)?;
    check_form(&request.url)?;
    decide(method.as_str(), &request.url).map_err(|why| CapabilityError::Forbidden { what: why })
}

fn check_form(url: &Url) -> Result<()> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(CapabilityError::invalid(format!("{}: only http and https are spoken", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(CapabilityError::invalid("an address must not carry a user name or password"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(CapabilityError::invalid("the address names no host"));
    }
    Ok(())
}

fn method_of(method: &str) -> Result<Method> {
    if !METHODS.contains(&method) {
        return Err(CapabilityError::invalid(format!("{method:?} is none of {}", METHODS.join(", "))));
    }
    Method::from_bytes(method.as_bytes()).map_err(|_| CapabilityError::invalid("no method"))
}

/// `host` or `host:port`, as the `Host` header has it.
fn host_header(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The address on the route: its server and leading path, then path and query as asked.
fn rerouted(base: &Url, url: &Url) -> Url {
    let mut to = base.clone();
    to.set_path(&format!("{}{}", base.path().trim_end_matches('/'), url.path()));
    to.set_query(url.query());
    to
}

fn refusal(refused: &Refused) -> CapabilityError {
    CapabilityError::Forbidden { what: refused.to_string() }
}

/// The guard's refusal, when that is what is behind a failed connection.
fn refused(error: &reqwest::Error) -> Option<String> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Some(refused.to_string());
        }
        next = error.source();
    }
    None
}

#[async_trait]
impl Http for HttpBackend {
    async fn send(
        &self,
        request: &Request,
        secrets: &BTreeMap<String, Secret>,
        decide: Decide<'_>,
    ) -> Result<Response> {
        let method = method_of(&request.method)?;
        let (lines, used) = Lines::new(&request.headers, secrets)?;
        let scrubber = Scrubber::new(used);
        let mut url = request.url.clone();
        url.set_fragment(None);
        let body = request.body.clone().map(Bytes::from);
        let hop = Hop { method, url, lines, body };
        if hop.is_read() && hop.body.is_some() {
            return Err(CapabilityError::invalid("GET and HEAD carry no body"));
        }
        self.follow(hop, &scrubber, decide).await.map_err(|error| error.map_text(|what| scrubber.text(&what)))
    }
}
