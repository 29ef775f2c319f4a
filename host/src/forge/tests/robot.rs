//! People, builds and promotions over simulated time.

use serde_json::json;

use super::Stage;

const RULES: &str = r#"
    [[rule]]
    repository = "acme/*"
    title = "Changelog*"
    author = "release-bot"
    after_seconds = 60
    by = "ann"
    action = "comment"
    body = "/lgtm"

    [[rule]]
    repository = "acme/*"
    title = "Changelog*"
    after_seconds = 60
    by = "k8s-ci-robot"
    action = "label"
    labels = ["lgtm"]

    [[rule]]
    repository = "acme/*"
    needs_label = "lgtm"
    after_seconds = 30
    by = "k8s-ci-robot"
    action = "merge"

    [[rule]]
    on = "tag-created"
    repository = "acme/tool"
    after_seconds = 5
    by = "prow"
    action = "status"
    context = "build"

    [[image_rule]]
    repository = "acme/tool"
    tag = "v*"
    after_seconds = 600
    images = ["gcr.io/staging/tool", "gcr.io/staging/extra"]
    platforms = ["linux/amd64", "linux/arm64"]
    missing_image = "gcr.io/staging/extra"

    [[promotion]]
    repository = "acme/k8s.io"
    path = "*/images.yaml"
    after_seconds = 300
    from = "gcr.io/staging"
    to = "registry.example/prod"

    [[repository]]
    name = "acme/k8s.io"
    files = { "registry/images.yaml" = "- name: tool\n  dmap: {}\n" }
"#;

#[test]
fn people_act_when_their_time_comes() {
    let stage = Stage::new(RULES);
    let pull = json!({"title": "Changelog for v1.1.0", "head": "left", "base": "main"});
    assert_eq!(stage.ask("bot", "POST", "/repos/acme/tool/pulls", pull).status, 201);
    let opened = super::start_of_time();
    let state = |stage: &Stage| stage.get("", "/repos/acme/tool/pulls/8").json()["merged"].clone();
    assert_eq!(stage.forge.next_event(), Some(opened + chrono::Duration::seconds(30)));
    stage.advance(30);
    assert_eq!(state(&stage), json!(false), "no label, no merge; it is tried again a minute later");
    stage.advance(30);
    assert_eq!(stage.get("", "/repos/acme/tool/issues/8/comments").json()[0]["body"], json!("/lgtm"));
    assert_eq!(state(&stage), json!(false));
    stage.advance(30);
    assert_eq!(state(&stage), json!(true));
    let merged = stage.get("", "/repos/acme/tool/pulls/8").json();
    assert_eq!(merged["merged_by"]["login"], json!("k8s-ci-robot"));
    assert_eq!(stage.forge.next_event(), None);
}

#[test]
fn what_happened_does_not_depend_on_when_it_was_noticed() {
    let pictures: Vec<_> = [vec![30, 30, 30, 1000], vec![1090]]
        .into_iter()
        .map(|leaps| {
            let stage = Stage::new(RULES);
            stage.ask(
                "bot",
                "POST",
                "/repos/acme/tool/pulls",
                json!({"title": "Changelog", "head": "left", "base": "main"}),
            );
            leaps.into_iter().for_each(|leap| stage.advance(leap));
            stage.forge.snapshot().expect("a snapshot")
        })
        .collect();
    assert_eq!(pictures[0], pictures[1]);
    assert!(pictures[0].repositories["acme/tool"].pulls[&8].merged.is_some());
}

#[test]
fn tags_build_images_and_manifests_promote_them() {
    let stage = Stage::new(RULES);
    let get = |host: &str, method: &str, path: &str| {
        stage.send(method, path, &[("host", host)], b"").expect("an answer")
    };
    let release = json!({"tag_name": "v1.1.0", "target_commitish": "main"});
    assert_eq!(stage.ask("bot", "POST", "/repos/acme/tool/releases", release).status, 201);
    assert_eq!(get("gcr.io", "HEAD", "/v2/staging/tool/manifests/v1.1.0").status, 404);
    stage.advance(600);
    let head = get("gcr.io", "HEAD", "/v2/staging/tool/manifests/v1.1.0");
    assert_eq!((head.status, head.body.len()), (200, 0));
    let digest = head.header("docker-content-digest").to_owned();
    let index = get("gcr.io", "GET", "/v2/staging/tool/manifests/v1.1.0");
    assert_eq!(index.json()["manifests"][1]["platform"]["architecture"], json!("arm64"));
    let hash = <sha2::Sha256 as sha2::Digest>::digest(&index.body);
    assert_eq!(digest, format!("sha256:{}", hex::encode(hash)));
    assert_eq!(get("gcr.io", "GET", "/v2/staging/extra/manifests/v1.1.0").status, 404, "the missing image");
    assert_eq!(get("gcr.io", "GET", "/v2/staging/tool/tags/list").json()["tags"], json!(["v1.1.0"]));
    let path = "/repos/acme/k8s.io/contents/registry/images.yaml";
    let old = stage.get("bot", path).json()["sha"].clone();
    let lines =
        format!("- name: tool\n  dmap:\n    \"{digest}\": [ \"v1.1.0\" ]\n    \"sha256:00\": [ \"v0\" ]\n");
    let content = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, lines);
    assert_eq!(
        stage.ask("bot", "PUT", path, json!({"message": "promote", "content": content, "sha": old})).status,
        200
    );
    assert_eq!(get("registry.example", "GET", "/v2/prod/tool/manifests/v1.1.0").status, 404);
    stage.advance(300);
    let promoted = get("registry.example", "GET", "/v2/prod/tool/manifests/v1.1.0");
    assert_eq!(promoted.header("docker-content-digest"), digest);
    assert_eq!(promoted.body, index.body);
    let unknown = get("registry.example", "GET", "/v2/prod/tool/manifests/v0");
    assert_eq!((unknown.status, &unknown.json()["errors"][0]["code"]), (404, &json!("MANIFEST_UNKNOWN")));
    let statuses = stage.get("", "/repos/acme/tool/commits/v1.1.0/status").json();
    assert_eq!(statuses["state"], json!("success"));
}

#[test]
fn robots_do_not_chase_their_own_pushes() {
    let stage = Stage::new(
        r#"
        [[rule]]
        on = "branch-pushed"
        head = "main"
        by = "formatter"
        action = "push"
        body = "Format"
        files = { "formatted" = "yes" }
        "#,
    );
    let put = json!({"message": "m", "content": "eA=="});
    assert_eq!(stage.ask("bot", "PUT", "/repos/acme/tool/contents/n", put).status, 201);
    stage.advance(1);
    let subjects = stage.get("", "/repos/acme/tool/commits?per_page=2").json();
    let subject = |index: usize| subjects[index]["commit"]["message"].clone();
    assert_eq!((subject(0), subject(1)), (json!("Format"), json!("m")));
    assert_eq!(stage.forge.next_event(), None);
}
