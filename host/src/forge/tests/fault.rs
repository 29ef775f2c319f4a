//! Injected faults: what the caller sees, and whether it happened.

use serde_json::json;

use super::Stage;
use crate::forge::{Fault, FaultKind};

#[test]
fn faults_strike_before_or_after_the_effect() {
    // Kind, status seen (none: no answer), whether the issue exists afterwards.
    let cases = [
        (FaultKind::ErrorBefore(500), Some(500), false),
        (FaultKind::ErrorAfter(502), Some(502), true),
        (FaultKind::Reset, None, false),
        (FaultKind::LostReply, None, true),
        (FaultKind::TruncatedBody, Some(201), true),
        (FaultKind::TooMany(Some(7)), Some(429), false),
        (FaultKind::TooMany(None), Some(429), false),
        (FaultKind::SecondaryLimit(Some(60)), Some(403), false),
        (FaultKind::PrimaryLimit, Some(403), false),
        (FaultKind::Unauthorized, Some(401), false),
    ];
    for (kind, status, happened) in cases {
        let stage = Stage::new("");
        stage.forge.inject(Fault::on("POST", "/repos/*/issues", kind));
        let auth = [("authorization", "Bearer t-bot")];
        assert_eq!(stage.get("bot", "/repos/acme/tool").status, 200, "other requests pass");
        let body = json!({"title": "x"}).to_string();
        let answer = stage.send("POST", "/repos/acme/tool/issues", &auth, body.as_bytes());
        assert_eq!(answer.as_ref().map(|answer| answer.status), status, "{kind:?}");
        match (kind, &answer) {
            (FaultKind::TooMany(after), Some(answer)) => {
                assert_eq!(answer.header("retry-after").parse().ok(), after);
            }
            (FaultKind::TruncatedBody, Some(answer)) => {
                let announced: usize = answer.header("content-length").parse().expect("a length");
                assert!(answer.body.len() < announced);
            }
            _ => {}
        }
        let there = stage.get("bot", "/repos/acme/tool/issues/8").status == 200;
        assert_eq!(there, happened, "{kind:?}");
        assert_eq!(
            stage.send("POST", "/repos/acme/tool/issues", &auth, body.as_bytes()).map(|a| a.status),
            Some(201)
        );
    }
}

#[test]
fn faults_count_matching_requests() {
    let stage = Stage::new("");
    stage.forge.inject(Fault::on("GET", "/user", FaultKind::ErrorBefore(503)).after(1).times(2));
    let seen: Vec<u16> = (0..4).map(|_| stage.get("bot", "/user").status).collect();
    assert_eq!(seen, [200, 503, 503, 200]);
    let logged: Vec<u16> = stage.forge.requests().iter().map(|request| request.status).collect();
    assert_eq!(logged, seen);
}

#[test]
fn a_silent_forge_keeps_serving_others() {
    let stage = Stage::new("");
    stage.forge.inject(Fault::next(FaultKind::Silence));
    let address = stage.forge.url().trim_start_matches("http://").to_owned();
    let mut hung = std::net::TcpStream::connect(&address).expect("a connection");
    std::io::Write::write_all(&mut hung, b"GET /user HTTP/1.1\r\nhost: x\r\n\r\n").expect("a request");
    while stage.forge.requests().is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(stage.get("bot", "/user").status, 200);
    assert!(stage.runtime.metrics().num_workers() > 0);
}

#[test]
fn worlds_bring_their_own_faults() {
    let stage = Stage::new(
        r#"
        [[fault]]
        path = "/user"
        times = 2
        kind = { error-before = 502 }
        [[fault]]
        method = "GET"
        path = "/rate_limit"
        kind = "unauthorized"
        "#,
    );
    let seen: Vec<u16> = (0..3).map(|_| stage.get("bot", "/user").status).collect();
    assert_eq!(seen, [502, 502, 200]);
    assert_eq!(stage.get("bot", "/rate_limit").status, 401);
}
