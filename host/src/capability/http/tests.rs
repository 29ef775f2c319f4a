//! Tests of the HTTP back end against a scripted server.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use url::Url;

use super::{HeaderValue, Http, HttpBackend, HttpConfig, Request, Response, is_public};
use crate::capability::scripted::{Reply, Server};
use crate::capability::wire::Skip;
use crate::capability::{CapabilityError, Outcome, Result, Secret};
use crate::clock::SimulatedClock;

const SECRET: &str = "p4ss/\"wörd+1234567890";

fn config() -> (HttpConfig, Arc<Skip>) {
    let skip = Arc::new(Skip::default());
    let clock = SimulatedClock::new(DateTime::<Utc>::UNIX_EPOCH);
    let mut config = HttpConfig::new(Arc::clone(&skip) as _, Arc::new(clock));
    config.routes = BTreeMap::from([("*".into(), Url::parse("http://127.0.0.1:1/").unwrap())]);
    (config, skip)
}

/// A back end that may reach loopback and nothing is rerouted; no TLS.
fn local() -> (HttpBackend, Arc<Skip>) {
    let (mut config, skip) = config();
    config.routes.clear();
    config.allow_private = BTreeSet::from(["127.0.0.1".into()]);
    (HttpBackend::new(config).unwrap(), skip)
}

fn request(method: &str, url: &Url) -> Request {
    Request { method: method.into(), url: url.clone(), headers: Vec::new(), body: None }
}

fn with_secret(mut request: Request) -> Request {
    let value = HeaderValue::Secret { before: "Bearer ".into(), name: "token".into(), after: String::new() };
    request.headers.push(("Authorization".into(), value));
    request
}

fn secrets() -> BTreeMap<String, Secret> {
    BTreeMap::from([("token".into(), Secret::new(SECRET))])
}

async fn send(backend: &HttpBackend, request: &Request) -> Result<Response> {
    backend.send(request, &secrets(), &|_, _| Ok(())).await
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

#[test]
fn ranges() {
    let private = [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.9",
        "224.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2600::5efe:7f00:1",
        "2600::200:5efe:7f00:1",
    ];
    let public = [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.0.1",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.167.1.1",
        "140.82.112.6",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
        "2606:4700::1111",
        "2a00:1450::1",
        "2001:4860:4860::8888",
    ];
    for (list, expected) in [(&private[..], false), (&public[..], true)] {
        for address in list {
            assert_eq!(is_public(address.parse::<IpAddr>().unwrap()), expected, "{address}");
        }
    }
}

#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    let server = Server::start(|_, _| Reply::status(200)).await;
    let port = server.base.port().unwrap();
    let (mut config, _) = config();
    config.routes = BTreeMap::from([("elsewhere.example".into(), server.base.clone())]);
    let backend = HttpBackend::new(config).unwrap();
    let hosts = [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "LOCALHOST",
        "169.254.169.254",
        "[fd00:ec2::254]",
    ];
    for host in hosts {
        for method in ["GET", "POST"] {
            let url = Url::parse(&format!("http://{host}:{port}/")).unwrap();
            let error = send(&backend, &request(method, &url)).await.unwrap_err();
            assert!(matches!(error, CapabilityError::Forbidden { .. }), "{method} {host}: {error}");
        }
    }
    assert!(server.seen().is_empty());
    // A redirect is no way around.
    let inner = server.base.clone();
    let outer = Server::start(move |_, _| Reply::status(302).with("location", inner.to_string())).await;
    let (mut config, _) = self::config();
    config.routes = BTreeMap::from([("elsewhere.example".into(), outer.base.clone())]);
    let backend = HttpBackend::new(config).unwrap();
    let url = Url::parse("http://elsewhere.example/").unwrap();
    let error = send(&backend, &request("GET", &url)).await.unwrap_err();
    assert!(matches!(error, CapabilityError::Forbidden { .. }), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn requests_out_of_form_are_never_sent() {
    let server = Server::start(|_, _| Reply::status(200)).await;
    let (backend, _) = local();
    let base = &server.base;
    let mut bad = Vec::new();
    for method in ["get", "TRACE", "CONNECT", "OPTIONS", "PURGE", "", "GET / HTTP/1.1\r\nx:"] {
        bad.push(request(method, base));
    }
    for url in [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "data:,x",
        "http://user@127.0.0.1/",
        "http://:pass@127.0.0.1/",
    ] {
        bad.push(request("GET", &Url::parse(url).unwrap()));
    }
    for name in [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "Proxy-Authorization",
        "TE",
        "Upgrade",
        "Cookie2",
        "user-agent",
        "Expect",
        "X-Forwarded-For",
        "x y",
        "x\r\ny",
        "",
        "x:",
        "keep-alive",
        "X-HTTP-Method-Override",
        "trailer",
        ":path",
    ] {
        let mut request = request("GET", base);
        request.headers.push((name.into(), HeaderValue::Text("1".into())));
        bad.push(request);
    }
    for value in ["a\r\nHost: evil", "a\nb", "a\0b", "a\rb"] {
        let mut request = request("GET", base);
        request.headers.push(("x-test".into(), HeaderValue::Text(value.into())));
        bad.push(request);
    }
    for (name, value) in [("accept-encoding", "gzip"), ("range", "bytes=0-1")] {
        let mut request = with_secret(request("GET", base));
        request.headers.push((name.into(), HeaderValue::Text(value.into())));
        bad.push(request);
    }
    let mut unknown = request("GET", base);
    let value = HeaderValue::Secret { before: String::new(), name: "nobody".into(), after: String::new() };
    unknown.headers.push(("x-key".into(), value));
    bad.push(unknown);
    bad.push(Request { body: Some(b"x".to_vec()), ..request("GET", base) });
    for request in bad {
        let error = send(&backend, &request).await.unwrap_err();
        assert!(matches!(error, CapabilityError::Invalid { .. }), "{request:?}: {error}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn secrets_go_out_and_do_not_come_back() {
    let server = Server::start(|seen, _| {
        let sent = seen.header("authorization").unwrap().trim_start_matches("Bearer ").to_owned();
        let json = serde_json::json!({ "echo": sent }).to_string();
        let basic = STANDARD.encode(format!("user:{sent}@host"));
        let shifted = STANDARD.encode(format!("us:{sent}"));
        let safe = URL_SAFE_NO_PAD.encode(&sent);
        let percent: String = url::form_urlencoded::byte_serialize(sent.as_bytes()).collect();
        let body = format!("{sent} {json} {basic} {shifted} {safe} {percent} {} end", STANDARD.encode(&sent));
        Reply::text(200, &body).with("x-echo", STANDARD.encode(&sent))
    })
    .await;
    let (backend, _) = local();
    let response = send(&backend, &with_secret(request("GET", &server.base))).await.unwrap();
    assert_eq!(server.seen()[0].header("authorization"), Some(format!("Bearer {SECRET}").as_str()));
    let body = String::from_utf8(response.body.clone()).unwrap();
    assert!(body.starts_with("*** {\"echo\":\"***\"}") && body.ends_with(" end"), "{body}");
    for form in [SECRET, "p4ss", &STANDARD.encode(SECRET)[4..20], &URL_SAFE_NO_PAD.encode(SECRET)[4..20]] {
        assert!(!body.contains(form), "{form} in {body}");
    }
    assert!(header(&response, "x-echo").unwrap().starts_with("***"));
}

#[tokio::test]
async fn every_redirect_is_decided_and_loses_secrets_with_its_origin() {
    let there = Server::start(|_, _| Reply::text(200, "there")).await;
    let target = there.base.join("/final").unwrap();
    let here = Server::start(move |seen, _| match seen.target.as_str() {
        "/start" => Reply::status(302).with("location", "/second"),
        "/second" => Reply::status(307).with("location", target.to_string()),
        _ => Reply::status(404),
    })
    .await;
    let (backend, _) = local();
    let decided = Mutex::new(Vec::new());
    let decide = |method: &str, url: &Url| {
        decided.lock().unwrap().push(format!("{method} {}", url.path()));
        Ok(())
    };
    let start = with_secret(request("GET", &here.base.join("/start").unwrap()));
    let response = backend.send(&start, &secrets(), &decide).await.unwrap();
    assert_eq!(response.body, b"there");
    assert_eq!(*decided.lock().unwrap(), ["GET /start", "GET /second", "GET /final"]);
    assert!(here.seen().iter().all(|seen| seen.header("authorization").is_some()));
    assert_eq!(there.seen()[0].header("authorization"), None);
    // A refusal on the way ends it.
    let deny = |_: &str, url: &Url| if url.path() == "/final" { Err(format!("no {SECRET}")) } else { Ok(()) };
    let error = backend.send(&start, &secrets(), &deny).await.unwrap_err();
    assert!(matches!(&error, CapabilityError::Forbidden { what } if what == "no ***"), "{error}");
    assert_eq!(there.seen().len(), 1);
}

#[tokio::test]
async fn redirects_end_and_stay_in_form() {
    let server = Server::start(|seen, _| {
        let left: u32 = seen.target.trim_start_matches('/').parse().unwrap_or(0);
        match seen.target.as_str() {
            "/user" => Reply::status(302).with("location", "http://user:pass@127.0.0.1/"),
            "/ftp" => Reply::status(302).with("location", "ftp://127.0.0.1/"),
            "/down" => Reply::status(302).with("location", "http://secure.example/0"),
            "/bare" => Reply::status(302),
            _ if left == 0 => Reply::status(200),
            _ => Reply::status(302).with("location", format!("/{}", left - 1)),
        }
    })
    .await;
    let (mut config, _) = config();
    config.routes = BTreeMap::from([("*".into(), server.base.clone())]);
    let backend = HttpBackend::new(config).unwrap();
    for (path, expected) in [
        ("0", Some(200)),
        ("5", Some(200)),
        ("6", None),
        ("user", None),
        ("ftp", None),
        ("down", None),
        ("bare", Some(302)),
    ] {
        let url = Url::parse(&format!("https://secure.example/{path}")).unwrap();
        let found = send(&backend, &request("GET", &url)).await;
        match expected {
            Some(status) => assert_eq!(found.unwrap().status, status, "{path}"),
            None => assert!(matches!(found, Err(CapabilityError::Invalid { .. })), "{path}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn methods_change_as_the_rfc_says() {
    let cases = [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("PUT", 301, "PUT"),
        ("PUT", 303, "GET"),
        ("DELETE", 302, "DELETE"),
        ("HEAD", 303, "HEAD"),
        ("GET", 308, "GET"),
    ];
    for (method, status, then) in cases {
        let server = Server::start(move |_, n| match n {
            0 => Reply::status(status).with("location", "/next"),
            _ => Reply::text(200, "done"),
        })
        .await;
        let (backend, _) = local();
        let mut first = request(method, &server.base);
        if !matches!(method, "GET" | "HEAD") {
            first.body = Some(b"body".to_vec());
            first.headers.push(("content-type".into(), HeaderValue::Text("text/plain".into())));
        }
        assert_eq!(send(&backend, &first).await.unwrap().status, 200);
        let second = &server.seen()[1];
        assert_eq!(second.method, then, "{method} {status}");
        let kept = method == then && first.body.is_some();
        assert_eq!((second.body.is_empty(), second.header("content-type").is_some()), (!kept, kept));
    }
}

#[tokio::test]
async fn a_write_that_was_answered_is_done_whatever_follows() {
    let server = Server::start(|seen, _| match seen.method.as_str() {
        "POST" => Reply::text(303, "made").with("location", "/result"),
        _ => Reply::Drop,
    })
    .await;
    let (backend, _) = local();
    let first = Request { body: Some(Vec::new()), ..request("POST", &server.base) };
    assert_eq!(send(&backend, &first).await.unwrap().status, 303);
    let deny = |method: &str, _: &Url| if method == "GET" { Err("no".to_owned()) } else { Ok(()) };
    let response = backend.send(&first, &secrets(), &deny).await.unwrap();
    assert_eq!((response.status, response.body), (303, b"made".to_vec()));
}

#[tokio::test]
async fn reads_are_repeated_and_writes_are_not() {
    let stumbles = [
        Reply::status(500),
        Reply::status(502),
        Reply::status(503),
        Reply::status(429),
        Reply::Drop,
        Reply::Truncated(200),
    ];
    for stumble in stumbles {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            let reply = stumble.clone();
            let server =
                Server::start(move |_, n| if n < 2 { reply.clone() } else { Reply::text(200, "fine") }).await;
            let (backend, _) = local();
            let found = send(&backend, &request(method, &server.base)).await;
            let (is_read, count) = (matches!(method, "GET" | "HEAD"), server.seen().len());
            match (&stumble, is_read) {
                // The head of a broken answer is whole.
                (Reply::Truncated(_), true) if method == "HEAD" => assert_eq!(count, 1),
                (_, true) => assert_eq!((found.unwrap().status, count), (200, 3), "{method} {stumble:?}"),
                (Reply::Answer { status, .. }, false) => {
                    assert_eq!((found.unwrap().status, count), (*status, 1), "{method} {stumble:?}");
                }
                (_, false) => {
                    let error = found.unwrap_err();
                    assert_eq!(
                        (error.outcome(), count),
                        (Outcome::Unknown, 1),
                        "{method} {stumble:?}: {error}"
                    );
                }
            }
            assert_eq!(backend.requests().total(), count as u64);
        }
    }
    let server = Server::start(|_, _| Reply::status(503).with("retry-after", "9")).await;
    let (backend, skip) = local();
    assert_eq!(send(&backend, &request("GET", &server.base)).await.unwrap().status, 503);
    assert_eq!(skip.waited(), [Duration::from_secs(9); 6]);
    let (backend, _) = local();
    let mut gone = Server::nobody().await;
    gone.set_path("/private-path");
    for method in ["GET", "POST"] {
        let error = send(&backend, &request(method, &gone)).await.unwrap_err();
        assert!(matches!(error, CapabilityError::Unavailable { outcome: Outcome::Nothing, .. }), "{error}");
        assert!(!error.to_string().contains("private-path"));
    }
}

#[tokio::test]
async fn bodies_are_limited() {
    let server = Server::start(|_, _| Reply::text(200, &"x".repeat(1001))).await;
    for (limit, method, expected) in
        [(1001, "GET", "ok"), (1000, "GET", "invalid"), (1000, "POST", "unknown")]
    {
        let (mut config, _) = config();
        config.routes = BTreeMap::from([("*".into(), server.base.clone())]);
        config.body_limit = limit;
        let backend = HttpBackend::new(config).unwrap();
        let found = match send(&backend, &request(method, &server.base)).await {
            Ok(response) if response.body.len() == 1001 => "ok",
            Err(CapabilityError::Invalid { .. }) => "invalid",
            Err(error) if error.outcome() == Outcome::Unknown => "unknown",
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{method} with {limit}");
    }
}

#[tokio::test]
async fn routes_keep_the_host() {
    let server = Server::start(|_, _| Reply::status(200)).await;
    let (mut config, _) = config();
    config.routes = BTreeMap::from([("registry.k8s.io".into(), server.base.join("/under/").unwrap())]);
    config.allow_private = BTreeSet::new();
    let backend = HttpBackend::new(config).unwrap();
    for (url, host) in [
        ("https://registry.k8s.io/v2/a?b=c%2Fd", "registry.k8s.io"),
        ("http://registry.k8s.io:8080/v2/a?b=c%2Fd#e", "registry.k8s.io:8080"),
    ] {
        send(&backend, &request("GET", &Url::parse(url).unwrap())).await.unwrap();
        let seen = server.seen().pop().unwrap();
        assert_eq!((seen.target.as_str(), seen.header("host")), ("/under/v2/a?b=c%2Fd", Some(host)));
        assert_eq!((seen.header("accept-encoding"), seen.header("cookie")), (Some("identity"), None));
    }
}
