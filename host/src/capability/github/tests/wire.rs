//! Reads are repeated, writes are not; limits are honoured; answers are cached.

use std::time::Duration;

use serde_json::json;

use super::{TOKEN, backend, config, now, slug};
use crate::capability::github::{GitHub, GitHubBackend};
use crate::capability::scripted::{Reply, Server};
use crate::capability::{CapabilityError, Outcome, Secret};

fn user() -> Reply {
    Reply::json(200, &json!({ "login": "jane" }))
}

/// Everything after which a read is asked again.
fn stumbles() -> Vec<Reply> {
    vec![
        Reply::status(500),
        Reply::text(502, "<html>Bad Gateway</html>"),
        Reply::status(503),
        Reply::status(504),
        Reply::Drop,
        Reply::Truncated(200),
        Reply::text(200, "{\"login\": \"ja"),
        Reply::text(200, ""),
    ]
}

#[tokio::test]
async fn reads_outlast_stumbles() {
    for stumble in stumbles() {
        for times in 1..=3 {
            let reply = stumble.clone();
            let server = Server::start(move |_, n| if n < times { reply.clone() } else { user() }).await;
            let (github, skip) = backend(&server);
            assert_eq!(github.viewer().await.unwrap(), "jane", "{stumble:?} x {times}");
            assert_eq!(server.seen().len(), times + 1);
            assert_eq!(github.requests().reads, times as u64 + 1);
            let waits: Vec<u64> = skip.waited().iter().map(Duration::as_secs).collect();
            assert_eq!(waits, [1, 2, 4][..times]);
        }
    }
}

#[tokio::test]
async fn reads_give_up_and_say_that_nothing_happened() {
    for stumble in stumbles() {
        let reply = stumble.clone();
        let server = Server::start(move |_, _| reply.clone()).await;
        let (github, _) = backend(&server);
        let error = github.viewer().await.unwrap_err();
        assert!(
            matches!(error, CapabilityError::Unavailable { outcome: Outcome::Nothing, .. }),
            "{stumble:?}: {error}"
        );
        assert_eq!(server.seen().len(), 4, "{stumble:?}");
    }
}

/// What a failed write is, by kind.
fn kind(error: &CapabilityError) -> &'static str {
    match error {
        CapabilityError::NotFound { .. } => "not-found",
        CapabilityError::Conflict { .. } => "conflict",
        CapabilityError::Unavailable { outcome: Outcome::Unknown, .. } => "unknown",
        CapabilityError::Unavailable { outcome: Outcome::Nothing, .. } => "unavailable",
        CapabilityError::RateLimited { retry_after: Some(_), .. } => "limited-told",
        CapabilityError::RateLimited { retry_after: None, .. } => "limited",
        CapabilityError::Forbidden { .. } => "forbidden",
        CapabilityError::Invalid { .. } => "invalid",
        CapabilityError::Cancelled => "cancelled",
    }
}

#[tokio::test]
async fn writes_are_sent_once_whatever_comes_back() {
    let exists = json!({ "message": "Validation Failed", "errors": [{ "resource": "Release", "code": "already_exists", "field": "tag_name" }] });
    let invalid =
        json!({ "message": "Validation Failed", "errors": [{ "message": "No commits between a and b" }] });
    let immutable = json!({ "message": "Cannot upload assets to an immutable release." });
    let secondary = json!({ "message": "You have exceeded a secondary rate limit." });
    let cases = vec![
        (Reply::status(500), "unknown"),
        (Reply::status(502), "unknown"),
        (Reply::status(503), "unknown"),
        (Reply::status(504), "unknown"),
        (Reply::status(408), "unknown"),
        (Reply::Drop, "unknown"),
        (Reply::Truncated(201), "unknown"),
        (Reply::text(201, "{\"numb"), "unknown"),
        (Reply::status(401), "forbidden"),
        (Reply::status(403), "forbidden"),
        (Reply::status(404), "not-found"),
        (Reply::status(405), "conflict"),
        (Reply::status(409), "conflict"),
        (Reply::status(307), "conflict"),
        (Reply::status(301), "conflict"),
        (Reply::status(400), "invalid"),
        (Reply::json(422, &invalid), "invalid"),
        (Reply::json(422, &exists), "conflict"),
        (Reply::json(422, &immutable), "conflict"),
        (Reply::status(429), "limited"),
        (Reply::status(429).with("retry-after", "30"), "limited-told"),
        (Reply::json(403, &secondary), "limited"),
        (Reply::status(403).with("retry-after", "30"), "limited-told"),
        (Reply::status(403).with("x-ratelimit-remaining", "0"), "limited"),
    ];
    for (reply, expected) in cases {
        let answer = reply.clone();
        let server = Server::start(move |seen, _| match seen.method.as_str() {
            "GET" => Reply::json(200, &json!([])),
            _ => answer.clone(),
        })
        .await;
        let (github, _) = backend(&server);
        let marker = "<!-- castoff a -->";
        let error = github.put_comment(&slug(), 7, marker, &format!("hello {marker}")).await.unwrap_err();
        assert_eq!(kind(&error), expected, "{reply:?}: {error}");
        assert_eq!(github.requests().writes, 1, "{reply:?}");
        assert_eq!(server.seen().len(), 2, "{reply:?}");
    }
}

#[tokio::test]
async fn a_refusal_carries_the_words_of_github() {
    let body = json!({ "message": "Validation Failed", "errors": [
        { "resource": "PullRequest", "field": "base", "code": "invalid" }, "plain", { "message": "No commits" } ] });
    let server = Server::start(move |_, _| Reply::json(422, &body)).await;
    let (github, _) = backend(&server);
    let error = github.dispatch(&slug(), "x", &json!({})).await.unwrap_err().to_string();
    for words in ["Validation Failed", "PullRequest.base: invalid", "plain", "No commits", "livenessprobe"] {
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_write_that_never_left_did_nothing() {
    let (config, _) = config(&Server::nobody().await);
    let github = GitHubBackend::new(config).unwrap();
    let error = github.dispatch(&slug(), "x", &json!({})).await.unwrap_err();
    assert_eq!(kind(&error), "unavailable", "{error}");
}

#[tokio::test]
async fn the_token_is_sent_and_never_told() {
    let server = Server::start(|seen, _| {
        let echoed = seen.header("authorization").unwrap_or("nothing").to_owned();
        Reply::json(403, &json!({ "message": format!("you sent {echoed}") }))
    })
    .await;
    let (github, _) = backend(&server);
    let error = github.dispatch(&slug(), "x", &json!({})).await.unwrap_err().to_string();
    assert!(error.contains("you sent Bearer ***") && !error.contains(TOKEN), "{error}");
    let seen = &server.seen()[0];
    assert!(seen.header("user-agent").unwrap().starts_with("castoff/"));
    assert_eq!(seen.header("x-github-api-version"), Some("2022-11-28"));
}

#[tokio::test]
async fn limits_are_waited_for_as_told() {
    let reset = (now().timestamp() + 40).to_string();
    let cases = vec![
        (Reply::status(429).with("retry-after", "7"), 7),
        (Reply::status(403).with("retry-after", "7"), 7),
        (Reply::status(403).with("x-ratelimit-remaining", "0").with("x-ratelimit-reset", reset.clone()), 41),
        // The remote's clock is ten seconds ahead of ours: its own counts.
        (
            Reply::status(429)
                .with("x-ratelimit-remaining", "0")
                .with("x-ratelimit-reset", reset)
                .with("date", "Sun, 01 Mar 2026 12:00:10 GMT"),
            31,
        ),
        (Reply::status(429).with("retry-after", "Sun, 01 Mar 2026 12:00:20 GMT"), 20),
        (Reply::text(403, "{\"message\":\"You have exceeded a secondary rate limit\"}"), 60),
        (Reply::status(429).with("retry-after", "0"), 1),
    ];
    for (reply, seconds) in cases {
        let limit = reply.clone();
        let server = Server::start(move |_, n| if n == 0 { limit.clone() } else { user() }).await;
        let (github, skip) = backend(&server);
        assert_eq!(github.viewer().await.unwrap(), "jane");
        assert_eq!(skip.waited(), [Duration::from_secs(seconds)], "{reply:?}");
    }
}

#[tokio::test]
async fn limits_longer_than_allowed_are_told() {
    let server = Server::start(|_, _| Reply::status(429).with("retry-after", "3600")).await;
    let (github, skip) = backend(&server);
    let error = github.viewer().await.unwrap_err();
    assert!(matches!(error, CapabilityError::RateLimited { retry_after: Some(3600), .. }), "{error}");
    assert!(skip.waited().is_empty());
    // "At once", for ever: ends when all waits together are as long as allowed.
    let server = Server::start(|_, _| Reply::status(429).with("retry-after", "0")).await;
    let (github, _) = backend(&server);
    assert!(matches!(github.viewer().await.unwrap_err(), CapabilityError::RateLimited { .. }));
    assert_eq!(server.seen().len(), 101);
}

#[tokio::test]
async fn unchanged_answers_cost_nothing_and_belong_to_one_account() {
    let server = Server::start(|seen, _| match seen.header("if-none-match") {
        Some("W/\"one\"") => Reply::status(304),
        _ => user().with("etag", "W/\"one\""),
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let with = |token: &str| {
        let (mut config, _) = config(&server.base);
        config.token = Some(Secret::new(token));
        config.cache_directory = Some(directory.path().to_owned());
        GitHubBackend::new(config).unwrap()
    };
    let github = with("alice");
    for _ in 0..3 {
        assert_eq!(github.viewer().await.unwrap(), "jane");
    }
    assert_eq!((github.requests().reads, github.requests().not_modified), (3, 2));
    // Another process of the same account finds the answers again; another account does not.
    for (token, not_modified) in [("alice", 1), ("bob", 0)] {
        let github = with(token);
        assert_eq!(github.viewer().await.unwrap(), "jane");
        assert_eq!(github.requests().not_modified, not_modified, "{token}");
    }
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let path = file.unwrap().path();
        assert!(!std::fs::read_to_string(&path).unwrap().contains("alice"));
        std::fs::write(&path, b"{ damaged").unwrap();
    }
    let github = with("alice");
    assert_eq!(github.viewer().await.unwrap(), "jane");
    assert_eq!(github.requests().not_modified, 0);
}

#[tokio::test]
async fn pages_are_followed_as_far_as_needed_and_only_at_home() {
    let server = Server::start(|seen, _| {
        let page: u64 = seen.target.rsplit("page=").next().unwrap().parse().unwrap();
        let page = if seen.target.contains("&page=") { page } else { 1 };
        let releases: Vec<_> = (0..100).map(|n| json!({ "id": page * 1000 + n, "tag_name": "v1" })).collect();
        let host = seen.header("host").unwrap();
        let next = format!("<http://{host}/repos/a/b/releases?per_page=100&page={}>; rel=\"next\"", page + 1);
        let last = "<http://x/>; rel=\"last\"";
        let reply = Reply::json(200, &json!(releases));
        if page < 3 { reply.with("link", format!("{next}, {last}")) } else { reply }
    })
    .await;
    let (github, _) = backend(&server);
    for (limit, found, requests) in [(0, 0, 0), (100, 100, 1), (101, 101, 2), (250, 250, 3), (1000, 300, 3)] {
        let before = server.seen().len();
        assert_eq!(github.releases(&slug(), limit).await.unwrap().len(), found);
        assert_eq!(server.seen().len() - before, requests, "limit {limit}");
    }
    let stray = Server::start(|_, _| {
        Reply::json(200, &json!([{ "id": 1 }])).with("link", "<https://evil.example/?page=2>; rel=\"next\"")
    })
    .await;
    let (github, _) = backend(&stray);
    assert_eq!(kind(&github.releases(&slug(), 10).await.unwrap_err()), "invalid");
}

#[tokio::test]
async fn an_enterprise_server_has_graphql_beside_rest() {
    let server = Server::start(|seen, _| {
        let next = format!("<http://{}{}&page=2>; rel=\"next\"", seen.header("host").unwrap(), seen.target);
        match seen.line().as_str() {
            "POST /api/graphql" => Reply::json(200, &json!({ "data": {} })),
            "GET /api/v3/user" => user(),
            line if line.starts_with("GET /api/v3/repos/") => {
                let page = Reply::json(200, &json!([{ "id": 1, "tag_name": "v1" }]));
                if seen.target.contains("&page=2") { page } else { page.with("link", next) }
            }
            _ => Reply::status(404),
        }
    })
    .await;
    for base in ["api/v3", "api/v3/"] {
        let (config, _) = config(&server.base.join(base).unwrap());
        let github = GitHubBackend::new(config).unwrap();
        assert_eq!(github.viewer().await.unwrap(), "jane");
        assert_eq!(github.releases(&slug(), 10).await.unwrap().len(), 2);
        assert_eq!(github.query("{ viewer { login } }", "a test").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn renamed_repositories_are_followed_at_home_only() {
    let server = Server::start(|seen, _| {
        let host = seen.header("host").unwrap();
        match seen.target.as_str() {
            "/user" => Reply::status(301).with("location", format!("http://{host}/moved")),
            "/moved" => user(),
            _ => Reply::status(302).with("location", "http://127.0.0.1:1/elsewhere"),
        }
    })
    .await;
    let (github, _) = backend(&server);
    assert_eq!(github.viewer().await.unwrap(), "jane");
    assert_eq!(kind(&github.viewer_permission(&slug()).await.unwrap_err()), "invalid");
}

#[tokio::test]
async fn names_cannot_leave_their_place_in_an_address() {
    let server = Server::start(|_, _| Reply::json(404, &json!({ "message": "Not Found" }))).await;
    let (github, _) = backend(&server);
    for tag in ["../../../user", "a/../../b", ".", "..", "", "a//b", "a\nb"] {
        assert_eq!(kind(&github.release_of_tag(&slug(), tag).await.unwrap_err()), "invalid", "{tag:?}");
        assert_eq!(kind(&github.branch_protection(&slug(), "..").await.unwrap_err()), "invalid");
    }
    assert!(server.seen().is_empty());
    let _ = github.release_of_tag(&slug(), "kustomize/v1.2.3+k3s1?x#y").await;
    assert!(server.seen()[0].target.ends_with("/releases/tags/kustomize/v1.2.3%2Bk3s1%3Fx%23y"));
}
