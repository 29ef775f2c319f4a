//! The HTTP side: connections, which service a request is for, who asks, faults, caching and rate headers.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use base64::Engine as _;
use bytes::Bytes;
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::Served;
use super::chat;
use super::cloud_build;
use super::exchange::Exchange;
use super::fault::{FaultKind, Faults, failure};
use super::graphql;
use super::people;
use super::prow;
use super::rate;
use super::reply::{Call, Outcome, Reply};
use super::rest;
use super::service;
use super::settle;
use super::smart_http;
use super::state::State;

/// Largest request body: release assets are big, but not this big.
const MAX_BODY: usize = 1 << 30;

/// Where files are read by their path in a repository.
const RAW_HOST: &str = "raw.githubusercontent.com";

/// What every request works on.
pub(crate) struct Core {
    pub(crate) state: Mutex<State>,
    pub(crate) faults: Mutex<Faults>,
    /// Exchanges over the API, while they are recorded.
    pub(crate) exchanges: Mutex<Option<Vec<Exchange>>>,
}

impl Core {
    /// The state; a handler that panicked leaves it usable, because answers are made from whole values.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was recorded; none while nothing is.
    pub(crate) fn exchanges(&self) -> MutexGuard<'_, Option<Vec<Exchange>>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, call: &Call, reply: &Reply) {
        if let Some(exchanges) = self.exchanges().as_mut() {
            exchanges.push(Exchange {
                method: call.method.clone(),
                path: call.path.clone(),
                query: call.query.clone(),
                request_headers: call.headers.clone(),
                request: call.body.clone(),
                status: reply.status,
                headers: reply.headers.clone(),
                body: reply.body.clone(),
            });
        }
    }
}

/// A switch that breaks its connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cut(Arc<AtomicBool>);

/// Listens and gives every connection its switch.
pub(crate) struct Doors(pub(crate) TcpListener);

impl Listener for Doors {
    type Io = Wire;
    type Addr = Cut;

    async fn accept(&mut self) -> (Wire, Cut) {
        let (stream, _) = Listener::accept(&mut self.0).await;
        let cut = Cut::default();
        (Wire { stream, cut: cut.clone() }, cut)
    }

    fn local_addr(&self) -> io::Result<Cut> {
        Ok(Cut::default())
    }
}

impl Connected<IncomingStream<'_, Doors>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Doors>) -> Self {
        stream.io().cut.clone()
    }
}

/// A connection that can be broken from inside a handler: the next write fails, and nothing of the answer is sent.
pub(crate) struct Wire {
    stream: TcpStream,
    cut: Cut,
}

impl Wire {
    fn broken(&self) -> bool {
        self.cut.0.load(Ordering::SeqCst)
    }
}

fn reset() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.broken() {
            return Poll::Ready(Err(reset()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Answers one request.
pub(crate) async fn handle(
    Shared(core): Shared<Arc<Core>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request,
) -> Response {
    let call = match read(request).await {
        Ok(call) => call,
        Err(reply) => return respond(reply, false),
    };
    let fault = core.faults().strike(&call);
    if fault == Some(FaultKind::Silence) {
        log(&core, &call, 0);
        std::future::pending::<()>().await;
    }
    if fault == Some(FaultKind::Reset) {
        log(&core, &call, 0);
        cut.0.store(true, Ordering::SeqCst);
        return respond(Reply::empty(500), false);
    }
    if let Some(reply) = fault.and_then(FaultKind::instead) {
        log(&core, &call, reply.status);
        return respond(reply, false);
    }
    let worker = Arc::clone(&core);
    let done = tokio::task::spawn_blocking(move || serve(&worker, call)).await;
    let reply = done.unwrap_or_else(|_| Reply::error(500, "the forge failed on this request"));
    match fault {
        Some(FaultKind::ErrorAfter(status)) => respond(failure(status), false),
        Some(FaultKind::LostReply) => {
            cut.0.store(true, Ordering::SeqCst);
            respond(reply, false)
        }
        Some(FaultKind::TruncatedBody) => respond(reply, true),
        _ => respond(reply, false),
    }
}

async fn read(request: Request) -> Result<Call, Reply> {
    let (parts, body) = request.into_parts();
    let mut headers = BTreeMap::new();
    for (name, value) in &parts.headers {
        headers.insert(name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    // A client that takes us for its proxy names the host in the request target.
    let host = parts.uri.authority().map(|authority| authority.as_str().to_owned());
    let host = host.or_else(|| headers.get("host").cloned()).unwrap_or_default();
    let host = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(host.clone(), |(name, _)| name.to_owned());
    let body = axum::body::to_bytes(body, MAX_BODY)
        .await
        .map_err(|_| Reply::error(413, "the request's body is too large or broke off"))?;
    Ok(Call {
        method: parts.method.as_str().to_owned(),
        host: host.to_lowercase(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers,
        body: body.to_vec(),
        user: None,
    })
}

fn respond(reply: Reply, truncated: bool) -> Response {
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(name, value);
    }
    let body = if truncated {
        builder = builder.header("content-length", reply.body.len());
        let half = Bytes::from(reply.body.get(..reply.body.len() / 2).unwrap_or(&[]).to_vec());
        // The pause lets the first half reach the wire before the connection breaks.
        let end = async {
            tokio::task::yield_now().await;
            Err(reset())
        };
        Body::from_stream(futures::stream::iter([Ok(half)]).chain(futures::stream::once(end)))
    } else {
        Body::from(reply.body)
    };
    builder
        .body(body)
        .unwrap_or_else(|_| Response::new(Body::from("the forge made an answer that is not HTTP")))
}

fn log(core: &Core, call: &Call, status: u16) {
    core.state().served.push(Served {
        method: call.method.clone(),
        host: call.host.clone(),
        path: call.path.clone(),
        query: call.query.clone(),
        user: call.user.clone(),
        status,
    });
}

/// Answers a whole request, blocking.
fn serve(core: &Core, mut call: Call) -> Reply {
    let mut state = core.state();
    people::tick(&mut state);
    let reply = if is_forge(&state, &call.host) {
        let api = enter(&mut call);
        let reply = forge(state, &mut call);
        if api {
            core.record(&call, &reply);
        }
        reply
    } else {
        let reply = elsewhere(&mut state, &call);
        drop(state);
        reply
    };
    log(core, &call, reply.status);
    reply
}

fn is_forge(state: &State, host: &str) -> bool {
    let own = state.url.trim_start_matches("http://").split(':').next() == Some(host);
    own || ["", "localhost", "github.com", "api.github.com", "uploads.github.com", RAW_HOST].contains(&host)
        || host == "github.localhost"
        || host.ends_with(".github.localhost")
}

fn elsewhere(state: &mut State, call: &Call) -> Reply {
    let registry_path = call.path == "/v2" || call.path.starts_with("/v2/");
    if registry_path && (!service::serves(state, &call.host) || state.registry.serves(&call.host)) {
        return state.registry.answer(call);
    }
    match call.host.as_str() {
        cloud_build::HOST if !state.world.build_rules.is_empty() => cloud_build::answer(state, call),
        chat::HOST if state.world.chat.is_some() => chat::answer(state, call),
        prow::HOST if state.world.promotions.iter().any(|rule| !rule.job.is_empty()) => {
            prow::answer(state, call)
        }
        _ => service::answer(state, call),
    }
}

/// Whether a request is for the API, whose prefix is then taken off its path.
fn enter(call: &mut Call) -> bool {
    if smart_http::route(call).is_some() || call.host == RAW_HOST {
        return false;
    }
    for prefix in ["/api/v3", "/api/uploads", "/uploads", "/api"] {
        if let Some(rest) =
            call.path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
        {
            call.path = rest.to_owned();
            break;
        }
    }
    !is_web(call)
}

/// GitHub itself: git, web downloads, GraphQL or REST.
fn forge(mut state: MutexGuard<'_, State>, call: &mut Call) -> Reply {
    match authenticate(&state, call) {
        Ok(user) => call.user = user,
        Err(reply) => return decorate(&state, call, reply),
    }
    if call.host == RAW_HOST {
        return web(&state, call, true).unwrap_or_else(|reply| reply);
    }
    if let Some(route) = smart_http::route(call) {
        return git_request(state, call, &route);
    }
    if is_web(call) {
        return web(&state, call, false).unwrap_or_else(|reply| reply);
    }
    api(&mut state, call)
}

fn is_web(call: &Call) -> bool {
    let segments = call.segments();
    let api = ["repos", "user", "users", "orgs", "search", "rate_limit", "graphql", "meta"];
    segments.len() >= 4 && segments.first().is_some_and(|first| !api.contains(&first.as_str()))
}

/// Files by web address: raw contents and release downloads.
fn web(state: &State, call: &Call, raw_host: bool) -> Outcome {
    let segments = call.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match parts.as_slice() {
        [owner, name, rest @ ..] if raw_host => {
            let rest = rest
                .strip_prefix(&["refs", "heads"])
                .or(rest.strip_prefix(&["refs", "tags"]))
                .unwrap_or(rest);
            rest::content::raw(state, &rest::visible(state, call, owner, name)?, rest)
        }
        [owner, name, "raw", rest @ ..] => {
            rest::content::raw(state, &rest::visible(state, call, owner, name)?, rest)
        }
        [owner, name, "releases", "download", tag @ .., file] => {
            let key = rest::visible(state, call, owner, name)?;
            rest::asset::download(state, &key, &tag.join("/"), file)
        }
        _ => Err(Reply::text(404, "Not Found")),
    }
}

fn git_request(mut state: MutexGuard<'_, State>, call: &Call, route: &(String, String, String)) -> Reply {
    let mut prepared = match smart_http::prepare(&state, call, route) {
        Ok(prepared) => prepared,
        Err(reply) => return reply,
    };
    let Some(key) = prepared.pushes.take() else {
        drop(state);
        return smart_http::run(prepared, &call.body).unwrap_or_else(|reply| reply);
    };
    // A push keeps the state to itself, so that its consequences follow it before any other request.
    let reply = smart_http::run(prepared, &call.body).unwrap_or_else(|reply| reply);
    let login = call.user.clone().unwrap_or_default();
    if let Err(error) = settle::settle(&mut state, &key, &login) {
        return error;
    }
    reply
}

/// Who asks: nobody without a header, an account with its token, else GitHub's 401.
fn authenticate(state: &State, call: &Call) -> Result<Option<String>, Reply> {
    let header = call.header("authorization");
    if header.is_empty() {
        return Ok(None);
    }
    let (scheme, value) = header.split_once(' ').unwrap_or(("", header));
    let candidates = match scheme.to_lowercase().as_str() {
        "basic" => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(value.trim()).unwrap_or_default();
            let text = String::from_utf8_lossy(&decoded).into_owned();
            let (user, password) = text.split_once(':').unwrap_or((&text, ""));
            vec![password.to_owned(), user.to_owned()]
        }
        _ => vec![value.trim().to_owned()],
    };
    let account = candidates.iter().find_map(|token| state.user_of_token(token));
    match account {
        Some(account) => Ok(Some(account.login.clone())),
        None if smart_http::route(call).is_some() => {
            Err(Reply::text(401, "Bad credentials\n").with("www-authenticate", "Basic realm=\"GitHub\""))
        }
        None => Err(Reply::error(401, "Bad credentials")),
    }
}

fn api(state: &mut State, call: &Call) -> Reply {
    let free = call.path == "/rate_limit";
    if !free && rate::budget(state, call).remaining() == 0 {
        return decorate(state, call, rate::exhausted());
    }
    let mut asked = call.clone();
    if asked.method == "HEAD" {
        asked.method = "GET".into();
    }
    // Addresses in answers name the forge as the caller does, so that clients send their token there again.
    let own = std::mem::take(&mut state.url);
    state.url = face(call).unwrap_or_else(|| own.clone());
    let reply = if call.path == "/graphql" {
        graphql::answer(state, &asked)
    } else {
        rest::answer(state, &asked).unwrap_or_else(|reply| reply)
    };
    state.url = own;
    let reply = cached(&asked, reply);
    let unchanged = reply.status == 304 && call.user.is_some();
    if !free && !unchanged {
        rate::spend(state, call);
    }
    decorate(state, call, reply)
}

/// The address of a caller that knows the forge by GitHub's own name for local servers.
fn face(call: &Call) -> Option<String> {
    let local = call.host == "github.localhost" || call.host.ends_with(".github.localhost");
    let port = call.header("host").rsplit_once(':').map(|(_, port)| format!(":{port}")).unwrap_or_default();
    local.then(|| format!("http://github.localhost{port}"))
}

/// Adds the entity tag of a read, and answers 304 when the caller has it.
fn cached(call: &Call, reply: Reply) -> Reply {
    if call.method != "GET" || reply.status != 200 {
        return reply;
    }
    let tag = format!("W/\"{}\"", hex::encode(Sha256::digest(&reply.body)));
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let known = call.header("if-none-match");
    if known.split(',').any(|one| opaque(one) == opaque(&tag) || one.trim() == "*") && !known.is_empty() {
        return Reply::empty(304).with("etag", tag);
    }
    reply.with("etag", tag).with("cache-control", "private, max-age=60, s-maxage=60")
}

fn decorate(state: &State, call: &Call, reply: Reply) -> Reply {
    let resource = match call.path.as_str() {
        "/graphql" => "graphql",
        path if path.starts_with("/search") => "search",
        _ => "core",
    };
    let date = state.clock.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let id = format!("CAFE:{:X}", state.served.len() + 1);
    rate::announce(state, call, resource, reply)
        .with("date", date)
        .with("server", "github.com")
        .with("x-github-request-id", id)
        .with("x-github-media-type", "github.v3; format=json")
        .with("x-github-api-version-selected", "2022-11-28")
        .with("x-oauth-scopes", if call.user.is_some() { "repo, workflow, read:org" } else { "" })
        .with("vary", "Accept, Authorization, Cookie, X-GitHub-OTP")
}
