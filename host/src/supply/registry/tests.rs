//! A registry on loopback that behaves as it is told, and then as no registry should.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::wire::Challenge;
use super::*;
use crate::signature::SigningKey;

const LIMIT: usize = 1 << 20;

type Answer = dyn Fn(&str, &Request) -> Option<Response> + Send + Sync;

/// A registry with one plugin `a/demo:1`; `odd` answers first.
struct Fake {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

fn component() -> Vec<u8> {
    (0..40_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

fn manifest_of(component: &[u8]) -> Vec<u8> {
    json!({
        "schemaVersion": 2,
        "mediaType": WASM_MANIFEST_MEDIA_TYPE,
        "config": {"mediaType": WASM_MANIFEST_CONFIG_MEDIA_TYPE, "digest": digest(b"{}"), "size": 2},
        "layers": [{"mediaType": WASM_LAYER_MEDIA_TYPE, "digest": digest(component), "size": component.len()}],
    })
    .to_string()
    .into_bytes()
}

fn reply(status: u16, body: impl Into<Body>) -> Response {
    Response::builder().status(status).body(body.into()).unwrap()
}

impl Fake {
    async fn start(odd: impl Fn(&str, &Request) -> Option<Response> + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (odd, log): (Arc<Answer>, _) = (Arc::new(odd), seen.clone());
        let serve = axum::Router::new().fallback(move |request: Request| {
            let (odd, log) = (odd.clone(), log.clone());
            async move {
                let path = request.uri().path().to_owned();
                let with = if request.headers().contains_key("authorization") { " authorized" } else { "" };
                log.lock().unwrap().push(format!("{} {path}{with}", request.method()));
                odd(&path, &request).unwrap_or_else(|| regular(&path))
            }
        });
        tokio::spawn(async move { axum::serve(listener, serve).await });
        Self { address, seen }
    }

    fn reference(&self, rest: &str) -> Reference {
        Reference::parse(&format!("oci://{}/a/demo{rest}", self.address)).unwrap()
    }

    /// All that `castoff plugin add` asks of a registry.
    async fn fetch(&self, registry: &Registry, rest: &str) -> Result<Vec<u8>, RegistryError> {
        let found = registry.resolve(&self.reference(rest), LIMIT).await?;
        let component = registry.pull(&found).await?;
        registry.evidence(&found).await?;
        Ok(component)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// What a registry answers.
fn regular(path: &str) -> Response {
    let (component, manifest) = (component(), manifest_of(&component()));
    match path.strip_prefix("/v2/a/demo/") {
        Some("manifests/1") => reply(200, manifest),
        Some(rest) if rest == format!("manifests/{}", digest(&manifest)) => reply(200, manifest),
        Some(rest) if rest == format!("blobs/{}", digest(&component)) => reply(200, component),
        _ => reply(404, json!({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "unknown"}]}).to_string()),
    }
}

#[tokio::test]
async fn a_plugin_is_fetched_by_tag_and_by_digest() {
    let fake = Fake::start(|_, _| None).await;
    let registry = Registry::default();
    let id = digest(&manifest_of(&component()));
    for rest in [":1".to_owned(), format!("@{id}"), format!(":1@{id}")] {
        assert_eq!(fake.fetch(&registry, &rest).await.unwrap(), component());
    }
    let other = digest(b"other");
    for (rest, part) in
        [(":2".to_owned(), "has no"), (format!("@{other}"), "has no"), (String::new(), "add :TAG")]
    {
        let error = fake.fetch(&registry, &rest).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

/// Every way to answer wrongly is a sentence that names the place and what is wrong.
#[tokio::test]
async fn a_registry_that_misbehaves_is_not_believed() {
    let blob = format!("/v2/a/demo/blobs/{}", digest(&component()));
    let manifest = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = serde_json::from_slice(&manifest_of(&component())).unwrap();
        change(&mut value);
        value.to_string()
    };
    let path = "/v2/a/demo/manifests/1";
    let whole = component();
    let longer = [whole.as_slice(), b"!"].concat();
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    let size = whole.len();
    let big = manifest(&|value| value["layers"][0]["size"] = json!(LIMIT + 1));
    let cases: Vec<(&str, u16, Vec<u8>, &str)> = vec![
        (path, 200, b"<html>Sign in</html>".to_vec(), "not what a registry answers: no JSON"),
        (path, 200, b"{\"schemaVersion\": 2".to_vec(), "no JSON"),
        (path, 200, b"{\"a\": 1}".to_vec(), "no manifest"),
        (path, 200, b"[]".to_vec(), "no manifest"),
        (path, 200, vec![b' '; MANIFEST + 1], "larger than"),
        (path, 200, big.into_bytes(), "larger than 1048576 bytes"),
        (path, 200, manifest(&|value| value["layers"][0]["size"] = json!(-1)).into_bytes(), "negative"),
        (
            path,
            200,
            manifest(&|value| value["layers"][0]["digest"] = json!("sha256:../x")).into_bytes(),
            "digest",
        ),
        (path, 200, manifest(&|value| value["layers"] = json!([])).into_bytes(), "0 layers"),
        (
            path,
            200,
            manifest(&|value| value["layers"][0]["mediaType"] = json!("text/plain")).into_bytes(),
            "only layer",
        ),
        (path, 200, manifest(&|value| value["config"]["mediaType"] = json!("x")).into_bytes(), "plugin push"),
        (path, 200, b"{\"schemaVersion\": 2, \"manifests\": []}".to_vec(), "an index"),
        (path, 401, Vec::new(), "does not let anybody"),
        (path, 403, Vec::new(), "does not let anybody"),
        (path, 429, Vec::new(), "limits requests"),
        (path, 500, b"{\"errors\": [{\"message\": \"on \\u001b[31mfire\"}]}".to_vec(), "answered 500"),
        (path, 204, Vec::new(), "answered 204"),
        (&blob, 200, flipped, "it is not used"),
        (&blob, 200, whole[..size - 1].to_vec(), "broke off after 39999 of 40000"),
        (&blob, 200, longer, "larger than 40000"),
        (&blob, 200, Vec::new(), "broke off after 0"),
        (&blob, 404, Vec::new(), "has no"),
    ];
    for (at, status, body, part) in cases {
        let at = at.to_owned();
        let fake = Fake::start(move |path, _| (path == at).then(|| reply(status, body.clone()))).await;
        let error = fake.fetch(&Registry::default(), ":1").await.unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
        assert!(error.contains(&fake.address) && !error.contains(char::is_control), "{error}");
    }
}

#[tokio::test]
async fn another_manifest_than_the_digest_says_is_not_used() {
    let fake =
        Fake::start(|path, _| path.contains("manifests/").then(|| reply(200, manifest_of(b"other")))).await;
    let wanted = digest(&manifest_of(&component()));
    let error = fake.fetch(&Registry::default(), &format!("@{wanted}")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Digest { wanted: said, .. } if said == wanted));
}

#[tokio::test]
async fn a_body_that_ends_early_is_told() {
    // The header announces what the body does not hold: served by hand, because a server library would not.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{BufRead as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"schema");
    });
    let reference = Reference::parse(&format!("oci://{address}/a/demo:1")).unwrap();
    let error = Registry::default().resolve(&reference, LIMIT).await.unwrap_err();
    let RegistryError::Cut { got, size, .. } = &error else { panic!("{error}") };
    assert_eq!((*got, size.as_str()), (8, "1000"));
}

#[tokio::test]
async fn nobody_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let reference = Reference::parse(&format!("oci://{}/a/demo:1", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let error = Registry::default().resolve(&reference, LIMIT).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_redirect_of_a_blob_is_followed_without_the_token_and_only_to_where_it_may_lead() {
    let store = Fake::start(|path, _| (path == "/store").then(|| reply(200, component()))).await;
    let to = |place: String| {
        move |path: &str, request: &Request| {
            if !request.headers().contains_key("authorization") {
                let challenge = "Basic realm=\"a\"";
                return Some(
                    Response::builder()
                        .status(401)
                        .header("www-authenticate", challenge)
                        .body(Body::empty())
                        .unwrap(),
                );
            }
            let moved =
                || Response::builder().status(307).header("location", &place).body(Body::empty()).unwrap();
            path.contains("/blobs/").then(moved)
        }
    };
    let account = |fake: &Fake| {
        let credentials = Credentials { user: "ann".into(), password: Secret::new("pass") };
        Registry::new(BTreeMap::from([(fake.address.clone(), credentials)]))
    };
    let fake = Fake::start(to(format!("http://{}/store", store.address))).await;
    assert_eq!(fake.fetch(&account(&fake), ":1").await.unwrap(), component());
    assert_eq!(store.seen(), ["GET /store"], "the token stays with the registry");
    for place in
        ["http://example.org/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://user@127.0.0.1/x"]
    {
        let fake = Fake::start(to(place.to_owned())).await;
        let error = fake.fetch(&account(&fake), ":1").await.unwrap_err();
        assert!(matches!(error, RegistryError::Redirect { .. }), "{place}: {error}");
    }
    let fake = Fake::start(|path, _| {
        let own = path.contains("/blobs/");
        own.then(|| {
            Response::builder().status(302).header("location", "blobs/again").body(Body::empty()).unwrap()
        })
    })
    .await;
    let error = fake.fetch(&Registry::default(), ":1").await.unwrap_err().to_string();
    assert!(error.contains("redirects without end"), "{error}");
}

#[tokio::test]
async fn who_asks_is_said_where_it_is_asked_for_and_nowhere_else() {
    let token = |answer: &'static str, status: u16, realm: &'static str| {
        move |path: &str, request: &Request| {
            if path == "/token" {
                let query = request.uri().query().unwrap_or_default();
                assert!(query.contains("scope=repository%3Aa%2Fdemo%3Apull"), "{query}");
                return Some(reply(status, answer));
            }
            let sent = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
            if sent.as_deref() == Some("Bearer t0ken") {
                return None;
            }
            let host = request.headers().get("host").unwrap().to_str().unwrap();
            let realm = realm.replace("HOST", host);
            let challenge = format!("Bearer realm=\"{realm}\",service=\"a, b\",scope=\"x\"");
            Some(
                Response::builder()
                    .status(401)
                    .header("www-authenticate", challenge)
                    .body(Body::empty())
                    .unwrap(),
            )
        }
    };
    let own = "http://HOST/token";
    let fake = Fake::start(token("{\"token\": \"t0ken\", \"access_token\": \"t0ken\"}", 200, own)).await;
    fake.fetch(&Registry::default(), ":1").await.unwrap();
    let asked = fake.seen().iter().filter(|line| line.contains("/token")).count();
    assert_eq!(asked, 1, "one token is enough: {:?}", fake.seen());
    for (answer, status, realm, part) in [
        ("{\"access_token\": \"other\"}", 200, own, "does not let anybody"),
        ("{\"token\": \"a\\nb\"}", 200, own, "cannot be sent"),
        ("<html>", 200, own, "a token that is none"),
        ("", 403, own, "does not let anybody"),
        ("", 200, "http://example.org/token", "not followed"),
        ("", 200, "nowhere", "without a realm"),
    ] {
        let fake = Fake::start(token(answer, status, realm)).await;
        let error = fake.fetch(&Registry::default(), ":1").await.unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn how_long_to_wait_is_passed_on() {
    let limited = |after: &'static str| {
        move |_: &str, _: &Request| {
            let reply =
                Response::builder().status(StatusCode::TOO_MANY_REQUESTS).header("retry-after", after);
            Some(reply.body(Body::empty()).unwrap())
        }
    };
    for (after, seconds) in [("30", Some(30)), ("soon", None)] {
        let fake = Fake::start(limited(after)).await;
        let error = fake.fetch(&Registry::default(), ":1").await.unwrap_err();
        assert_eq!(error, RegistryError::Limited { host: fake.address.clone(), after: seconds });
    }
}

#[tokio::test]
async fn signatures_come_from_both_tags_and_what_is_none_is_passed_over() {
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let key = SigningKey::parse(&pair.sk.to_box(None).unwrap().to_string()).unwrap();
    let ours = key.sign(&component(), "").unwrap();
    let payload = "{\"critical\": {}}";
    let layer = |kind: &str, body: &str, annotations: serde_json::Value| json!({"mediaType": kind, "digest": digest(body.as_bytes()), "size": body.len(), "annotations": annotations});
    let manifest = |layers: Vec<serde_json::Value>| {
        let config = json!({"mediaType": "x", "digest": digest(b"{}"), "size": 2});
        json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string()
    };
    let id = digest(&manifest_of(&component())).replace(':', "-");
    let answers = BTreeMap::from([
        (format!("manifests/{id}.castoff"), manifest(vec![layer(SIGNATURE_LAYER, &ours, json!({}))])),
        (
            format!("manifests/{id}.sig"),
            manifest(vec![
                layer(COSIGN_LAYER, payload, json!({COSIGN: "MEUC"})),
                layer(COSIGN_LAYER, payload, json!({"other": "x"})),
                layer("text/plain", payload, json!({COSIGN: "MEUC"})),
            ]),
        ),
        (format!("blobs/{}", digest(ours.as_bytes())), ours.clone()),
        (format!("blobs/{}", digest(payload.as_bytes())), payload.to_owned()),
    ]);
    let fake = Fake::start(move |path, _| {
        let rest = path.strip_prefix("/v2/a/demo/")?;
        Some(reply(200, answers.get(rest)?.clone()))
    })
    .await;
    let registry = Registry::default();
    let found = registry.resolve(&fake.reference(":1"), LIMIT).await.unwrap();
    let evidence = registry.evidence(&found).await.unwrap();
    let manifest = String::from_utf8(manifest_of(&component())).unwrap();
    assert_eq!(
        evidence,
        [Evidence::detached(ours), Evidence::cosign("MEUC".into(), payload.to_owned(), manifest)]
    );
}

#[test]
fn challenges_are_read() {
    for (text, scheme, values) in [
        ("Basic realm=\"x\"", "basic", vec![("realm", "x")]),
        (
            "Bearer realm=\"https://a/b?c=d\", service=\"e, f\"",
            "bearer",
            vec![("realm", "https://a/b?c=d"), ("service", "e, f")],
        ),
        ("bearer", "bearer", vec![]),
        ("Bearer realm=\"", "bearer", vec![("realm", "")]),
    ] {
        let values = values.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        assert_eq!(Challenge::parse(text), Some(Challenge { scheme: scheme.into(), values }), "{text}");
    }
    assert_eq!(Challenge::parse(" "), None);
}
