//! Other services by host: dashboards, documents, proxies' absolute targets, raw files.

use serde_json::json;

use super::Stage;

const SERVICES: &str = r#"
    [[dashboard]]
    name = "sig-storage-csi-ci"
    tabs = { "a" = { overall_status = "FAILING", status = "1 of 2" }, "b" = { overall_status = "PASSING" } }
    [[dashboard.flip]]
    tab = "a"
    after_seconds = 100
    overall_status = "PASSING"

    [[document]]
    host = "proxy.golang.org"
    path = "/example.com/m/@v/v1.0.0.mod"
    body = "module example.com/m\n"

    [[document]]
    host = "prow.k8s.io"
    path = "/prowjobs.js*"
    template = true
    body = '{"items": [{"base_sha": "{{acme/tool@main}}", "at": "{{ now }}", "none": "{{x/y@z}}"}]}'

    [[document]]
    host = "slack.com"
    path = "/api/chat.postMessage"
    method = "POST"
    body = '{"ok": true}'

    [[document]]
    host = "dl.k8s.io"
    path = "/release/stable.txt"
    status = 404
    body = "not yet"

    [[document]]
    host = "dl.k8s.io"
    path = "/release/stable.txt"
    after_seconds = 50
    body = "v1.33.0"
"#;

#[test]
fn hosts_have_their_own_answers() {
    let stage = Stage::new(SERVICES);
    let get = |host: &str, path: &str| stage.send("GET", path, &[("host", host)], b"").expect("an answer");
    let board = "/sig-storage-csi-ci/summary";
    assert_eq!(get("testgrid.k8s.io", board).json()["a"]["overall_status"], json!("FAILING"));
    assert_eq!(get("testgrid.k8s.io", board).json()["b"]["dashboard_name"], json!("sig-storage-csi-ci"));
    assert_eq!(get("testgrid.k8s.io", "/none/summary").body, b"Dashboard none not found");
    assert_eq!(get("proxy.golang.org", "/example.com/m/@v/v1.0.0.mod").body, b"module example.com/m\n");
    assert_eq!(get("dl.k8s.io", "/release/stable.txt").status, 404);
    stage.advance(50);
    assert_eq!(get("dl.k8s.io", "/release/stable.txt").body, b"v1.33.0");
    assert_eq!(stage.forge.next_event(), Some(super::start_of_time() + chrono::Duration::seconds(100)));
    stage.advance(50);
    assert_eq!(get("testgrid.k8s.io", board).json()["a"]["overall_status"], json!("PASSING"));
    let jobs = get("prow.k8s.io", "/prowjobs.js?omit=annotations").json();
    assert_eq!(jobs["items"][0]["base_sha"], json!(stage.forge.seeded("acme/tool", "merge")));
    assert_eq!(
        (&jobs["items"][0]["at"], &jobs["items"][0]["none"]),
        (&json!("2026-05-28T20:28:20Z"), &json!(""))
    );
    assert_eq!(get("unknown.example", "/").status, 404);
    let sent = stage
        .send("POST", "/api/chat.postMessage", &[("host", "slack.com")], b"{\"text\":1}")
        .expect("an answer");
    assert_eq!(sent.json()["ok"], json!(true));
    assert_eq!(stage.forge.received()[0].body, b"{\"text\":1}");
}

#[test]
fn the_forge_answers_to_its_names_and_as_a_proxy() {
    let stage = Stage::new(SERVICES);
    // Target, host header, status.
    let cases = [
        ("/repos/acme/tool", "api.github.localhost", 200),
        ("/api/v3/repos/acme/tool", "github.localhost", 200),
        ("http://github.localhost/api/v3/repos/acme/tool", "github.localhost", 200),
        ("http://proxy.golang.org/example.com/m/@v/v1.0.0.mod", "127.0.0.1", 200),
        ("/acme/tool/main/README.md", "raw.githubusercontent.com", 200),
        ("/acme/tool/v1.0.0/docs/a.md", "raw.githubusercontent.com", 404),
        ("/acme/tool.git/info/refs?service=git-upload-pack", "github.localhost", 200),
        ("/repos/acme/tool", "testgrid.k8s.io", 404),
    ];
    for (target, host, status) in cases {
        let answer = stage.send("GET", target, &[("host", host)], b"").expect("an answer");
        assert_eq!(answer.status, status, "{target} at {host}: {}", String::from_utf8_lossy(&answer.body));
    }
}

#[test]
fn addresses_follow_the_name_a_caller_uses() {
    let stage = Stage::new(SERVICES);
    for (host, base) in [
        ("api.github.localhost", "http://github.localhost"),
        ("github.localhost:8080", "http://github.localhost:8080"),
        ("localhost", stage.forge.url()),
    ] {
        let answer = stage.send("GET", "/repos/acme/tool", &[("host", host)], b"").expect("an answer");
        assert_eq!(answer.json()["html_url"], json!(format!("{base}/acme/tool")), "{host}");
    }
}
