//! Requests to registries: who asks, redirects, bounds.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode};
use reqwest::Response;
use serde::Deserialize;
use url::Url;

use super::super::reference::is_loopback;
use super::{Credentials, RegistryError};
use crate::capability::wire::{Lost, client};
use crate::supply::Reference;

/// Most redirects in a row.
const HOPS: usize = 5;
/// The longest that a whole answer may take: the largest component over a slow line.
const WHOLE: Duration = Duration::from_secs(600);
/// The longest that nothing may come.
const SILENCE: Duration = Duration::from_secs(60);
/// Largest answer that is read of an error or a token, in bytes.
const SHORT: usize = 64 << 10;

/// Accounts, tokens, and the client once it is needed.
#[derive(Default)]
pub(super) struct Wire {
    accounts: BTreeMap<String, Credentials>,
    /// By host, repository and scope: what to send as `Authorization`.
    tokens: Mutex<BTreeMap<String, HeaderValue>>,
    /// For this machine, and for all others.
    clients: [OnceLock<Result<reqwest::Client, String>>; 2],
}

/// What is asked for, where.
pub(super) struct Access<'a> {
    reference: &'a Reference,
    scope: &'static str,
}

impl<'a> Access<'a> {
    pub(super) fn pull(reference: &'a Reference) -> Self {
        Self { reference, scope: "pull" }
    }

    pub(super) fn push(reference: &'a Reference) -> Self {
        Self { reference, scope: "pull,push" }
    }

    pub(super) fn host(&self) -> String {
        self.reference.host().to_owned()
    }

    pub(super) fn place(&self) -> String {
        self.reference.to_string()
    }

    pub(super) fn nonsense(&self, why: &str) -> RegistryError {
        RegistryError::Nonsense { host: self.host(), place: self.place(), why: why.to_owned() }
    }

    pub(super) fn no_plugin(&self, why: &str) -> RegistryError {
        RegistryError::NotAPlugin { place: self.place(), why: why.to_owned() }
    }

    pub(super) fn another(&self, wanted: &str, found: String) -> RegistryError {
        RegistryError::Digest { host: self.host(), place: self.place(), wanted: wanted.to_owned(), found }
    }

    fn lost(&self, error: &reqwest::Error) -> RegistryError {
        RegistryError::Unreachable { host: self.host(), why: Lost::of(error).why().to_owned() }
    }

    fn key(&self) -> String {
        format!("{} {} {}", self.reference.host(), self.reference.name(), self.scope)
    }

    /// Where a redirect or a realm may lead: TLS; or this machine, when the registry is on it.
    fn may_lead_to(&self, url: &Url) -> bool {
        let local = url.host_str().is_some_and(is_loopback);
        let fine =
            url.scheme() == "https" || (url.scheme() == "http" && local && self.reference.is_loopback());
        fine && url.host_str().is_some() && url.username().is_empty() && url.password().is_none()
    }
}

/// A body and its type.
pub(super) type Body<'a> = Option<(Bytes, &'a str)>;

impl Wire {
    pub(super) fn new(accounts: BTreeMap<String, Credentials>) -> Self {
        Self { accounts, ..Self::default() }
    }

    /// Gets what is below the repository, up to `limit` bytes.
    pub(super) async fn get(
        &self,
        access: &Access<'_>,
        path: &str,
        accept: &str,
        limit: usize,
    ) -> Result<Vec<u8>, RegistryError> {
        let url = access.url(path)?;
        let response = self.send(access, Method::GET, url, accept, None).await?;
        if response.status() == StatusCode::OK {
            return bounded(access, response, limit).await;
        }
        Err(self.refusal(access, response).await)
    }

    /// Sends a request below the repository; with an account where one is asked for, and after redirects of reads.
    pub(super) async fn send(
        &self,
        access: &Access<'_>,
        method: Method,
        url: Url,
        accept: &str,
        body: Body<'_>,
    ) -> Result<Response, RegistryError> {
        let origin = url.origin();
        let (mut at, mut hops, mut asked) = (url, 0, false);
        loop {
            let mut request = self.client(access)?.request(method.clone(), at.clone()).header(ACCEPT, accept);
            // A token is for the registry that it was made for, and for nobody it points to.
            if let Some(token) = self.token(access).filter(|_| at.origin() == origin) {
                request = request.header(AUTHORIZATION, token);
            }
            if let Some((bytes, kind)) = &body {
                request = request.header(CONTENT_TYPE, *kind).body(bytes.clone());
            }
            let response = request.send().await.map_err(|error| access.lost(&error))?;
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && !asked && at.origin() == origin {
                asked = true;
                if self.introduce(access, &response).await? {
                    continue;
                }
                return Ok(response);
            }
            if !is_redirect(status) || method != Method::GET {
                return Ok(response);
            }
            at = self.next(access, &at, &response)?;
            hops += 1;
            if hops > HOPS {
                return Err(access.nonsense("it redirects without end"));
            }
        }
    }

    fn next(&self, access: &Access<'_>, at: &Url, response: &Response) -> Result<Url, RegistryError> {
        let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let to = to.ok_or_else(|| access.nonsense("a redirect without a place"))?;
        let url = at.join(to).map_err(|_| access.nonsense("a redirect to what is no address"))?;
        if access.may_lead_to(&url) {
            return Ok(url);
        }
        // Its query may be a pass of its own.
        let shown = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        Err(RegistryError::Redirect { host: access.host(), place: access.place(), to: shown })
    }

    fn token(&self, access: &Access<'_>) -> Option<HeaderValue> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(&access.key()).cloned()
    }

    fn client(&self, access: &Access<'_>) -> Result<&reqwest::Client, RegistryError> {
        let [local, remote] = &self.clients;
        let is_local = access.reference.is_loopback();
        let made = if is_local { local } else { remote }.get_or_init(|| {
            let agent = concat!("castoff/", env!("CARGO_PKG_VERSION"));
            let builder = client(agent, !is_local).map_err(|error| error.to_string())?;
            let builder = builder.read_timeout(SILENCE).timeout(WHOLE);
            builder.build().map_err(|error| Lost::of(&error).why().to_owned())
        });
        made.as_ref().map_err(|why| RegistryError::Unreachable { host: access.host(), why: why.clone() })
    }

    /// Answers a challenge: false when nothing can be said.
    async fn introduce(&self, access: &Access<'_>, response: &Response) -> Result<bool, RegistryError> {
        let challenges = response.headers().get_all(WWW_AUTHENTICATE);
        let challenges: Vec<Challenge> =
            challenges.iter().filter_map(|value| Challenge::parse(value.to_str().ok()?)).collect();
        let account = self.accounts.get(access.reference.host());
        let bearer = challenges.iter().find(|challenge| challenge.scheme == "bearer");
        let basic = challenges.iter().any(|challenge| challenge.scheme == "basic");
        let token = match (bearer, account) {
            (Some(challenge), _) => self.fetch_token(access, challenge, account).await?,
            (None, Some(account)) if basic => {
                use base64::Engine as _;
                let pair = format!("{}:{}", account.user, account.password.expose());
                format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
            }
            _ => return Ok(false),
        };
        let mut value = HeaderValue::from_str(&token)
            .map_err(|_| access.nonsense("its token cannot be sent in a header"))?;
        value.set_sensitive(true);
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(access.key(), value);
        Ok(true)
    }

    /// A token from where the challenge says; the account goes there, too, as docker sends it.
    async fn fetch_token(
        &self,
        access: &Access<'_>,
        challenge: &Challenge,
        account: Option<&Credentials>,
    ) -> Result<String, RegistryError> {
        // Older registries call it one thing, newer ones the other, and some give both.
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
        }
        let realm = challenge.values.get("realm").and_then(|realm| Url::parse(realm).ok());
        let mut realm = realm.ok_or_else(|| access.nonsense("a challenge without a realm"))?;
        if !access.may_lead_to(&realm) {
            let to = format!("{}://{}", realm.scheme(), realm.host_str().unwrap_or_default());
            return Err(RegistryError::Redirect { host: access.host(), place: access.place(), to });
        }
        let scope = format!("repository:{}:{}", access.reference.name(), access.scope);
        if let Some(service) = challenge.values.get("service") {
            realm.query_pairs_mut().append_pair("service", service);
        }
        realm.query_pairs_mut().append_pair("scope", &scope);
        let mut request = self.client(access)?.get(realm);
        if let Some(account) = account {
            request = request.basic_auth(&account.user, Some(account.password.expose()));
        }
        let response = request.send().await.map_err(|error| access.lost(&error))?;
        if !response.status().is_success() {
            return Err(RegistryError::Refused {
                host: access.host(),
                who: account.map_or("anybody".into(), |account| account.user.clone()),
                place: access.place(),
            });
        }
        let body = bounded(access, response, SHORT).await?;
        let answer: Option<Answer> = serde_json::from_slice(&body).ok();
        let token = answer.and_then(|answer| answer.token.or(answer.access_token));
        let token = token.ok_or_else(|| access.nonsense("a token that is none"))?;
        Ok(format!("Bearer {token}"))
    }

    /// The error that an answer is.
    pub(super) async fn refusal(&self, access: &Access<'_>, response: Response) -> RegistryError {
        let (host, place) = (access.host(), access.place());
        match response.status().as_u16() {
            401 | 403 => {
                let account = self.accounts.get(&host);
                let who = account.map_or_else(|| "anybody".to_owned(), |account| account.user.clone());
                RegistryError::Refused { host, who, place }
            }
            404 => RegistryError::Missing { host, place },
            429 => {
                let after = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok());
                RegistryError::Limited { host, after: after.and_then(|after| after.trim().parse().ok()) }
            }
            status => {
                let body = bounded(access, response, SHORT).await.unwrap_or_default();
                RegistryError::Failed { host, status, place, said: said(&body) }
            }
        }
    }
}

impl Access<'_> {
    /// An address below the repository.
    pub(super) fn url(&self, path: &str) -> Result<Url, RegistryError> {
        let url = format!("{}/{path}", self.reference.base());
        Url::parse(&url).map_err(|error| self.nonsense(&format!("{url}: {error}")))
    }

    /// An address that the registry named for the next request of a push.
    pub(super) fn joined(&self, to: &str) -> Result<Url, RegistryError> {
        let url = self.url("")?.join(to).map_err(|_| self.nonsense("a place that is no address"))?;
        if url.origin() == self.url("")?.origin() {
            return Ok(url);
        }
        let to = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        Err(RegistryError::Redirect { host: self.host(), place: self.place(), to })
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The first message of a registry's error, made fit for a line.
fn said(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let message = value.pointer("/errors/0/message").and_then(serde_json::Value::as_str);
    let line = |text: &str| -> String {
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
    };
    message.map(|text| format!(": {}", line(text))).unwrap_or_default()
}

/// A whole body, or none.
async fn bounded(
    access: &Access<'_>,
    mut response: Response,
    limit: usize,
) -> Result<Vec<u8>, RegistryError> {
    let announced = response.content_length();
    let too_large = || RegistryError::TooLarge { place: access.place(), limit };
    if announced.is_some_and(|length| length > u64::try_from(limit).unwrap_or(u64::MAX)) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => return Err(too_large()),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) if error.is_timeout() => return Err(access.lost(&error)),
            Err(_) => {
                let size = announced.map_or("an unknown number of".into(), |size| size.to_string());
                return Err(RegistryError::Cut { place: access.place(), got: body.len(), size });
            }
        }
    }
}

/// One challenge of `WWW-Authenticate`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) scheme: String,
    pub(super) values: BTreeMap<String, String>,
}

impl Challenge {
    /// `Bearer realm="…",service="…"`; a comma inside quotes is part of the value.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.is_empty() {
            return None;
        }
        let mut quoted = false;
        let parts = rest.split(|c: char| {
            quoted ^= c == '"';
            !quoted && c == ','
        });
        let values = parts.filter_map(|part| {
            let (key, value) = part.split_once('=')?;
            Some((key.trim().to_ascii_lowercase(), value.trim().trim_matches('"').to_owned()))
        });
        Some(Self { scheme: scheme.to_ascii_lowercase(), values: values.collect() })
    }
}
