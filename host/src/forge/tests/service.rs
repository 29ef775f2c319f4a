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

const CUT: &str = r#"
    [[build_rule]]
    tags = ["STAGE"]
    after_seconds = 100
    fails = 1
    images = ["gcr.io/k8s/kubectl"]
    image_tags = ["v{_V}"]

    [[build_rule]]
    tags = ["RELEASE"]
    repository = "acme/tool"
    branch = "{_BRANCH}"
    git_tags = ["v{_V}"]
    [[build_rule.document]]
    host = "dl.k8s.io"
    path = "/release/v{_V}/announcement.html"
    body = "v{_V} is out"

    [chat]
    channels = ["C1"]
    refuses = 1
"#;

fn call(stage: &Stage, method: &str, host: &str, path: &str, body: &serde_json::Value) -> serde_json::Value {
    let headers = [("host", host), ("authorization", "Bearer x"), ("content-type", "application/json")];
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    stage.send(method, path, &headers, &body).expect("an answer").json()
}

#[test]
fn builds_fail_succeed_and_leave_what_they_should() {
    let stage = Stage::new(CUT);
    let builds = "/v1/projects/p/locations/l/builds";
    let submit = |tag: &str| {
        let body = json!({ "steps": [{ "name": "x" }], "tags": [tag], "substitutions": { "_V": "9.9.9", "_BRANCH": "main" } });
        call(&stage, "POST", "cloudbuild.googleapis.com", builds, &body)["metadata"]["build"]["id"].clone()
    };
    let status = |id: &serde_json::Value| {
        let path = format!("{builds}/{}", id.as_str().expect("an id"));
        call(&stage, "GET", "cloudbuild.googleapis.com", &path, &json!(null))["status"].clone()
    };
    for expected in ["FAILURE", "SUCCESS"] {
        let id = submit("STAGE");
        assert_eq!(status(&id), "WORKING");
        stage.advance(100);
        assert_eq!(status(&id), expected);
    }
    let listed = format!("{builds}?filter=tags%3D%22STAGE%22&pageSize=1");
    let page = call(&stage, "GET", "cloudbuild.googleapis.com", &listed, &json!(null));
    assert_eq!((&page["builds"][0]["status"], &page["nextPageToken"]), (&json!("SUCCESS"), &json!("1")));
    let image = stage
        .send("HEAD", "/v2/k8s/kubectl/manifests/v9.9.9", &[("host", "gcr.io")], b"")
        .expect("an answer");
    assert_eq!(image.status, 200);
    assert_eq!(call(&stage, "GET", "gcr.io", "/v2/k8s/tags/list", &json!(null))["child"], json!(["kubectl"]));
    submit("RELEASE");
    stage.forge.tick();
    assert!(stage.forge.reference("acme/tool", "refs/tags/v9.9.9").is_some());
    let page = stage
        .send("GET", "/release/v9.9.9/announcement.html", &[("host", "dl.k8s.io")], b"")
        .expect("an answer");
    assert_eq!(page.body, b"v9.9.9 is out");
    let anonymous =
        stage.send("GET", builds, &[("host", "cloudbuild.googleapis.com")], b"").expect("an answer");
    assert_eq!(anonymous.status, 401);
    let empty = call(&stage, "POST", "cloudbuild.googleapis.com", builds, &json!({ "tags": [] }));
    assert_eq!(empty["error"]["status"], "INVALID_ARGUMENT");
}

#[test]
fn a_chat_refuses_with_a_good_status() {
    let stage = Stage::new(CUT);
    let post = |method: &str, body: serde_json::Value| {
        call(&stage, "POST", "slack.com", &format!("/api/{method}"), &body)
    };
    let message = json!({ "channel": "C1", "text": "a", "metadata": { "event_payload": { "key": "k" } } });
    let table = [
        ("chat.postMessage", json!({ "channel": "C9", "text": "a" }), "channel_not_found"),
        ("chat.postMessage", message.clone(), "fatal_error"),
        ("chat.postMessage", json!({ "channel": "C1" }), "no_text"),
        ("chat.update", json!({ "channel": "C1", "ts": "0", "text": "a" }), "message_not_found"),
    ];
    for (method, body, error) in table {
        assert_eq!(post(method, body)["error"], error);
    }
    let ts = post("chat.postMessage", message)["ts"].clone();
    let thread = ts.as_str().expect("an id");
    post("chat.postMessage", json!({ "channel": "C1", "thread_ts": thread, "text": "b" }));
    post("chat.update", json!({ "channel": "C1", "ts": thread, "text": "c" }));
    let get = |path: String| call(&stage, "GET", "slack.com", &path, &json!(null));
    let history = get("/api/conversations.history?channel=C1&include_all_metadata=true".to_owned());
    assert_eq!(history["messages"].as_array().map(Vec::len), Some(1));
    assert_eq!(history["messages"][0]["text"], "c");
    assert_eq!(history["messages"][0]["metadata"]["event_payload"]["key"], "k");
    let replies = get(format!("/api/conversations.replies?channel=C1&ts={thread}"));
    assert_eq!(
        (&replies["messages"][1]["text"], &replies["messages"][0]["metadata"]),
        (&json!("b"), &json!(null))
    );
    assert_eq!(stage.forge.received().len(), 3, "what was refused was not received");
}
