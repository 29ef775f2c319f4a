//! The wire to GitHub: octocrab for authority and base address, everything else by our own rules.
//!
//! A read is repeated until it has a whole answer or patience ends; a write is sent once, over a connection of its own,
//! so that a connection the other side closed meanwhile cannot make its outcome unknown.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt, Limited};
use octocrab::service::middleware::auth_header::AuthHeaderLayer;
use octocrab::service::middleware::base_uri::BaseUriLayer;
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;
use url::Url;

use super::backend::GitHubConfig;
use super::cache::{Cache, Entry};
use super::fault;
use super::limits::{self, Verdict};
use crate::capability::wire::{self, Counter, Kind, Lost, Patience, Requests, Tries};
use crate::capability::{CapabilityError, Result};

/// Largest answer read.
const LARGEST: usize = 64 << 20;
/// Pages followed before a listing is taken for endless.
const MOST_PAGES: usize = 500;
/// Redirects followed for one read (renamed repositories).
const MOST_REDIRECTS: u32 = 3;

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Path and query under the base address, or the absolute address of an upload.
    pub(super) address: String,
    /// Media type and bytes.
    pub(super) body: Option<(String, Bytes)>,
    /// What it is for, in the words of an error.
    pub(super) what: String,
}

impl Call {
    /// A read.
    pub(super) fn get(address: impl Into<String>, what: impl Into<String>) -> Self {
        Self { method: Method::GET, address: address.into(), body: None, what: what.into() }
    }

    /// A call with a JSON body.
    pub(super) fn json(
        method: Method,
        address: impl Into<String>,
        body: &serde_json::Value,
        what: impl Into<String>,
    ) -> Self {
        let body = Some(("application/json".to_owned(), Bytes::from(body.to_string())));
        Self { method, address: address.into(), body, what: what.into() }
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The wire.
pub(super) struct Transport {
    config: GitHubConfig,
    /// Scheme and authority of the configured base.
    base: Uri,
    upload: Uri,
    authorization: Option<HeaderValue>,
    /// For reads, with a pool; for writes, without.
    clients: (reqwest::Client, reqwest::Client),
    /// Built at the first call: its worker needs a running runtime.
    octocrab: OnceCell<Octocrab>,
    cache: Cache,
    counter: Counter,
    /// Writes go one after the other; when the last one ended.
    turn: Mutex<Option<Instant>>,
}

impl Transport {
    pub(super) fn new(config: GitHubConfig) -> Result<Self> {
        let base = uri(&config.base.origin().ascii_serialization())?;
        let upload = match config.base.host_str() {
            Some("api.github.com") => Uri::from_static("https://uploads.github.com"),
            _ => base.clone(),
        };
        let token = config.token.as_ref().map(|token| token.expose());
        let authorization = token.map(bearer).transpose()?;
        let https = config.base.scheme() == "https";
        let reading = wire::build(wire::client(&config.user_agent, https)?.timeout(config.timeout))?;
        let writing =
            wire::client(&config.user_agent, https)?.timeout(config.timeout).pool_max_idle_per_host(0);
        let cache = Cache::new(token, config.cache_directory.clone());
        let clients = (reading, wire::build(writing)?);
        Ok(Self {
            config,
            base,
            upload,
            authorization,
            clients,
            octocrab: OnceCell::new(),
            cache,
            counter: Counter::default(),
            turn: Mutex::new(None),
        })
    }

    pub(super) fn requests(&self) -> Requests {
        self.counter.requests()
    }

    pub(super) fn patience(&self) -> Patience {
        self.config.patience
    }

    pub(super) fn tries(&self, patience: Patience) -> Tries<'_> {
        Tries::new(patience, &self.config.pause)
    }

    /// Whether there is no token.
    pub(super) fn is_anonymous(&self) -> bool {
        self.authorization.is_none()
    }

    /// The error of an answer that is no success.
    pub(super) fn refusal(&self, call: &Call, answer: &Answer) -> CapabilityError {
        self.clean(fault::refusal(answer.status, &answer.body, &call.what))
    }

    /// How long an answer that is known to be a limit asks to wait.
    pub(super) fn limit_of(&self, answer: &Answer) -> Verdict {
        limits::limited(&answer.headers, self.config.clock.now())
    }

    /// Reads and decodes.
    pub(super) async fn read<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        let answer = self.fetch(call).await?;
        decode(&answer, &call.what).map_err(CapabilityError::unavailable)
    }

    /// Reads; a thing that does not exist is none.
    pub(super) async fn read_optional<T: DeserializeOwned>(&self, call: &Call) -> Result<Option<T>> {
        match self.read(call).await {
            Ok(value) => Ok(Some(value)),
            Err(CapabilityError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the pages of a listing until `take` has enough (returns false) or there are no more.
    pub(super) async fn pages<T: DeserializeOwned + Send>(
        &self,
        call: Call,
        mut take: impl FnMut(T) -> bool + Send,
    ) -> Result<()> {
        let mut call = call;
        let mut seen = HashSet::new();
        while seen.insert(call.address.clone()) {
            if seen.len() > MOST_PAGES {
                return Err(CapabilityError::invalid(format!("{}: more than {MOST_PAGES} pages", call.what)));
            }
            let answer = self.fetch(&call).await?;
            let page = decode(&answer, &call.what).map_err(CapabilityError::unavailable)?;
            if !take(page) {
                return Ok(());
            }
            match answer.header(header::LINK).and_then(next_page) {
                Some(next) => call.address = self.inside(next, &call.what)?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// A read with everything that belongs to it: cache, redirects, patience.
    pub(super) async fn fetch(&self, call: &Call) -> Result<Answer> {
        let key = self.cache.key(&call.address);
        let kept = self.cache.get(&key).await;
        let mut call = call.clone();
        let mut redirects = 0;
        let mut tries = self.tries(self.config.patience);
        loop {
            let answer = self.whole(&call, kept.as_ref(), Kind::Read, &mut tries).await?;
            match (answer.status, &kept) {
                (304, Some(entry)) => {
                    self.counter.count(Kind::NotModified);
                    return Ok(from_entry(entry, answer.headers));
                }
                (301 | 302 | 307 | 308, _) if redirects < MOST_REDIRECTS => {
                    let to = answer.header(header::LOCATION).unwrap_or_default();
                    call.address = self.inside(to, &call.what)?;
                    redirects += 1;
                }
                (200, _) => {
                    self.keep(&key, &answer).await;
                    return Ok(answer);
                }
                _ if answer.is_success() => return Ok(answer),
                _ => return Err(self.refusal(&call, &answer)),
            }
        }
    }

    /// Sends a read until it has a whole answer that tells something.
    pub(super) async fn whole(
        &self,
        call: &Call,
        kept: Option<&Entry>,
        kind: Kind,
        tries: &mut Tries<'_>,
    ) -> Result<Answer> {
        loop {
            let why = match self.once(call, kept, kind).await {
                Err(lost) => lost.why().to_owned(),
                Ok(answer) => match self.judge(&answer) {
                    Verdict::Answered if is_whole(&answer) => return Ok(answer),
                    Verdict::Answered => "the answer broke off".into(),
                    Verdict::Stumbled => fault::words(answer.status, &answer.body),
                    Verdict::Limited { wait, told } => {
                        if !tries.after(wait).await {
                            return Err(self.limited(call, &answer, wait, told));
                        }
                        continue;
                    }
                },
            };
            if !tries.again().await {
                return Err(self.clean(CapabilityError::unavailable(format!("{}: {why}", call.what))));
            }
        }
    }

    /// Sends a write, once.
    pub(super) async fn write(&self, call: &Call) -> Result<Answer> {
        let mut turn = self.turn.lock().await;
        if let Some(last) = *turn {
            let left = self.config.write_gap.saturating_sub(last.elapsed());
            if !left.is_zero() {
                self.config.pause.wait(left).await;
            }
        }
        let sent = self.once(call, None, Kind::Write).await;
        *turn = Some(Instant::now());
        drop(turn);
        self.settle(call, sent).map_err(|error| self.clean(error))
    }

    /// Sends a write and decodes its answer.
    pub(super) async fn write_json<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        let answer = self.write(call).await?;
        decode(&answer, &call.what).map_err(CapabilityError::unknown)
    }

    fn settle(&self, call: &Call, sent: std::result::Result<Answer, Lost>) -> Result<Answer> {
        let what = &call.what;
        let answer = match sent {
            Ok(answer) => answer,
            Err(Lost::NotSent(why)) => return Err(CapabilityError::unavailable(format!("{what}: {why}"))),
            Err(Lost::Gone(why)) => return Err(CapabilityError::unknown(format!("{what}: {why}"))),
        };
        match self.judge(&answer) {
            Verdict::Limited { wait, told } => Err(self.limited(call, &answer, wait, told)),
            // 408: the server gave up waiting for the request, or a proxy did after passing it on.
            Verdict::Answered if answer.status != 408 && answer.status >= 300 => {
                Err(fault::refusal(answer.status, &answer.body, what))
            }
            Verdict::Answered if answer.is_success() => Ok(answer),
            _ => Err(CapabilityError::unknown(format!(
                "{what}: {}",
                fault::words(answer.status, &answer.body)
            ))),
        }
    }

    fn judge(&self, answer: &Answer) -> Verdict {
        limits::judge(answer.status, &answer.headers, &answer.body, self.config.clock.now())
    }

    pub(super) fn limited(
        &self,
        call: &Call,
        answer: &Answer,
        wait: Duration,
        told: bool,
    ) -> CapabilityError {
        let words = fault::words(answer.status, &answer.body);
        let retry_after = told.then(|| u32::try_from(wait.as_secs()).unwrap_or(u32::MAX));
        self.clean(CapabilityError::RateLimited { what: format!("{}: {words}", call.what), retry_after })
    }

    async fn once(&self, call: &Call, kept: Option<&Entry>, kind: Kind) -> std::result::Result<Answer, Lost> {
        let request = self.request(call, kept).map_err(|error| Lost::NotSent(error.to_string()))?;
        let octocrab = self.octocrab.get_or_init(|| async { self.octocrab() }).await;
        self.counter.count(kind);
        let response = octocrab.send(request).await.map_err(|error| Lost::of(&error))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LARGEST).collect().await.map_err(|error| {
            // Whatever broke here, the request had arrived.
            Lost::Gone(Lost::of(error.as_ref()).why().to_owned())
        })?;
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.to_bytes() })
    }

    fn request(&self, call: &Call, kept: Option<&Entry>) -> Result<Request<OctoBody>> {
        let mut request = Request::builder()
            .method(&call.method)
            .uri(uri(&self.address(&call.address))?)
            .header(header::ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28");
        if let Some(entry) = kept {
            request = request.header(header::IF_NONE_MATCH, &entry.etag);
        }
        let body = match &call.body {
            Some((media_type, bytes)) => {
                request = request.header(header::CONTENT_TYPE, media_type);
                OctoBody::from(bytes.clone())
            }
            None => OctoBody::empty(),
        };
        request.body(body).map_err(|error| CapabilityError::invalid(format!("{}: {error}", call.what)))
    }

    /// An address with the path of the base in front; an absolute one is whole already.
    fn address(&self, address: &str) -> String {
        match address.starts_with('/') {
            true => format!("{}{address}", self.config.base.path().trim_end_matches('/')),
            false => address.to_owned(),
        }
    }

    fn octocrab(&self) -> Octocrab {
        let (reading, writing) = self.clients.clone();
        let service = tower::service_fn(move |request: Request<OctoBody>| {
            let reads = request.method() == Method::GET || request.uri().path().ends_with("/graphql");
            let client = if reads { reading.clone() } else { writing.clone() };
            send(client, request)
        });
        let built = OctocrabBuilder::new_empty()
            .with_service(service)
            .with_layer(&BaseUriLayer::new(self.base.clone()))
            .with_layer(&AuthHeaderLayer::new(
                self.authorization.clone(),
                self.base.clone(),
                self.upload.clone(),
            ))
            .with_auth(AuthState::None)
            .build();
        match built {
            Ok(octocrab) => octocrab,
            Err(never) => match never {},
        }
    }

    /// Path and query of an address that GitHub gave us; one that leads elsewhere is refused.
    fn inside(&self, address: &str, what: &str) -> Result<String> {
        let stray = || CapabilityError::invalid(format!("{what}: the answer leads to another server"));
        let target = self.config.base.join(address).map_err(|_| stray())?;
        if target.origin() != self.config.base.origin() {
            return Err(stray());
        }
        // The path of the base is put in front again.
        let below = self.config.base.path().trim_end_matches('/');
        let path = target.path().strip_prefix(below).filter(|rest| rest.starts_with('/'));
        let path = path.unwrap_or(target.path());
        Ok(match target.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        })
    }

    /// Where GraphQL is: below the REST API, but beside it on GitHub Enterprise Server (`/api/v3`, `/api/graphql`).
    pub(super) fn graphql(&self) -> String {
        match self.config.base.path().trim_end_matches('/').strip_suffix("/v3") {
            Some(beside) => {
                let mut address = self.config.base.clone();
                address.set_path(&format!("{beside}/graphql"));
                address.into()
            }
            None => "/graphql".into(),
        }
    }

    /// Checks that an upload goes to GitHub's upload server or to the base, and nowhere else.
    pub(super) fn upload_address(&self, template: &str) -> Result<Url> {
        let stray = || CapabilityError::invalid("the release names a foreign upload server");
        let plain = template.split('{').next().unwrap_or_default();
        let url = Url::parse(plain).map_err(|_| stray())?;
        let authority = |uri: &Uri| {
            uri.authority().map(|a| (uri.scheme_str() == Some(url.scheme())).then(|| a.to_string()))
        };
        let own = Some(Some(url.authority().to_owned()));
        if authority(&self.base) == own || authority(&self.upload) == own {
            return Ok(url);
        }
        Err(stray())
    }

    async fn keep(&self, key: &str, answer: &Answer) {
        let Some(etag) = answer.header(header::ETAG) else { return };
        let Ok(body) = std::str::from_utf8(&answer.body) else { return };
        let link = answer.header(header::LINK).map(str::to_owned);
        self.cache.put(key, Entry::new(etag.to_owned(), link, body.to_owned())).await;
    }

    /// A server may repeat what it was sent: the token never gets into an error.
    fn clean(&self, error: CapabilityError) -> CapabilityError {
        let Some(token) = self.config.token.as_ref().map(|t| t.expose()).filter(|t| !t.is_empty()) else {
            return error;
        };
        error.map_text(|what| what.replace(token, "***"))
    }
}

/// The innermost service: sends over reqwest with the whole body at hand, so that its length is announced.
async fn send(
    client: reqwest::Client,
    request: Request<OctoBody>,
) -> std::result::Result<http::Response<reqwest::Body>, tower::BoxError> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let request = reqwest::Request::try_from(Request::from_parts(parts, body))?;
    Ok(client.execute(request).await?.into())
}

fn uri(text: &str) -> Result<Uri> {
    text.parse().map_err(|_| CapabilityError::invalid(format!("{text:?} is no address")))
}

fn bearer(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
        CapabilityError::invalid("the GitHub token holds characters that no header can carry")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn from_entry(entry: &Entry, headers: HeaderMap) -> Answer {
    let mut headers = headers;
    // A 304 may leave out `Link`; the kept one belongs to the kept body.
    headers.remove(header::LINK);
    if let Some(link) = entry.link.as_deref().and_then(|link| HeaderValue::from_str(link).ok()) {
        headers.insert(header::LINK, link);
    }
    Answer { status: 200, headers, body: Bytes::from(entry.body.clone()) }
}

/// Every success we read is JSON: one that does not parse was cut short or comes from a proxy.
fn is_whole(answer: &Answer) -> bool {
    !answer.is_success() || answer.status == 204 || serde_json::from_slice::<IgnoredAny>(&answer.body).is_ok()
}

fn decode<T: DeserializeOwned>(answer: &Answer, what: &str) -> std::result::Result<T, String> {
    serde_json::from_slice(&answer.body)
        .map_err(|error| format!("{what}: the answer is not what GitHub documents: {error}"))
}

/// The address of `rel="next"` in a `Link` header.
fn next_page(link: &str) -> Option<&str> {
    link.split(',').find_map(|part| {
        let (address, parameters) = part.trim().strip_prefix('<')?.split_once('>')?;
        let next = parameters.split(';').any(|p| {
            p.trim()
                .strip_prefix("rel=")
                .is_some_and(|rel| rel.trim_matches('"').split(' ').any(|r| r == "next"))
        });
        next.then_some(address)
    })
}
