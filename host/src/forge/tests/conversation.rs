//! REST, request by request: rights, objects, files, issues, headers.

use serde_json::{Value, json};

use super::Stage;

/// Who, method, path, body, status, and JSON pointers with the values expected there.
pub(super) type Line<'a> = (&'a str, &'a str, &'a str, Value, u16, Vec<(&'a str, Value)>);

pub(super) fn converse(stage: &Stage, lines: Vec<Line<'_>>) {
    for (who, method, path, body, status, expected) in lines {
        let answer = stage.ask(who, method, path, body);
        let shown = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, status, "{method} {path}: {shown}");
        for (pointer, value) in expected {
            assert_eq!(answer.json().pointer(pointer), Some(&value), "{method} {path} at {pointer}: {shown}");
        }
    }
}

#[test]
fn rights_decide_before_anything_else() {
    let stage = Stage::new("");
    let none = Value::Null;
    let issue = json!({"title": "x"});
    let sha = stage.forge.seeded("acme/tool", "first").expect("seeded");
    let branch = json!({"ref": "refs/heads/new", "sha": sha});
    converse(
        &stage,
        vec![
            ("", "GET", "/repos/acme/tool", none.clone(), 200, vec![("/full_name", json!("acme/tool"))]),
            (
                "wrong",
                "GET",
                "/repos/acme/tool",
                none.clone(),
                401,
                vec![("/message", json!("Bad credentials"))],
            ),
            ("", "POST", "/repos/acme/tool/issues", issue.clone(), 401, vec![]),
            ("reader", "POST", "/repos/acme/tool/issues", issue, 201, vec![("/number", json!(8))]),
            ("reader", "POST", "/repos/acme/tool/git/refs", branch.clone(), 403, vec![]),
            ("", "GET", "/repos/acme/secret", none.clone(), 404, vec![]),
            ("reader", "GET", "/repos/acme/secret", none.clone(), 404, vec![]),
            ("bot", "GET", "/repos/acme/secret", none.clone(), 200, vec![]),
            ("", "GET", "/user", none.clone(), 401, vec![]),
            ("bot", "GET", "/api/v3/user", none.clone(), 200, vec![("/login", json!("release-bot"))]),
            ("bot", "PUT", "/repos/acme/tool/branches/main/protection", json!({}), 403, vec![]),
            ("bot", "GET", "/repos/acme/nothing", none.clone(), 404, vec![]),
            ("bot", "GET", "/repos/../x", none, 404, vec![]),
        ],
    );
}

#[test]
fn refs_and_objects_follow_githubs_rules() {
    let stage = Stage::new("");
    let base = "/repos/acme/tool/git";
    let first = stage.forge.seeded("acme/tool", "first").expect("seeded");
    let merge = stage.forge.seeded("acme/tool", "merge").expect("seeded");
    let blob =
        stage.ask("bot", "POST", &format!("{base}/blobs"), json!({"content": "aGk=", "encoding": "base64"}));
    let blob = blob.json()["sha"].as_str().expect("an id").to_owned();
    let tree = stage.ask(
        "bot",
        "POST",
        &format!("{base}/trees"),
        json!({"base_tree": merge, "tree": [
            {"path": "docs/a.md", "mode": "100644", "type": "blob", "sha": null},
            {"path": "deep/er/hi", "mode": "100755", "type": "blob", "sha": blob},
            {"path": "deep/link", "mode": "120000", "type": "blob", "content": "er/hi"},
        ]}),
    );
    assert_eq!(tree.status, 201, "{}", String::from_utf8_lossy(&tree.body));
    let names: Vec<String> = tree.json()["tree"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| entry["path"].as_str().unwrap_or("").to_owned())
        .collect();
    assert_eq!(names, ["README.md", "deep", "link", "list.txt"], "an emptied folder goes away");
    let commit = stage.ask(
        "bot",
        "POST",
        &format!("{base}/commits"),
        json!({"message": "m\n\nbody\n", "tree": tree.json()["sha"], "parents": [merge],
               "author": {"name": "N", "email": "n@example.test", "date": "2026-02-03T04:05:06Z"}}),
    );
    let commit = commit.json()["sha"].as_str().expect("an id").to_owned();
    let none = Value::Null;
    let patch = |sha: &str, force: bool| json!({"sha": sha, "force": force});
    converse(
        &stage,
        vec![
            (
                "bot",
                "GET",
                &format!("{base}/commits/{commit}"),
                none.clone(),
                200,
                vec![("/author/date", json!("2026-02-03T04:05:06Z")), ("/parents/0/sha", json!(merge))],
            ),
            (
                "bot",
                "POST",
                &format!("{base}/refs"),
                json!({"ref": "refs/heads/a/b", "sha": commit}),
                201,
                vec![("/object/sha", json!(commit))],
            ),
            (
                "bot",
                "POST",
                &format!("{base}/refs"),
                json!({"ref": "refs/heads/a/b", "sha": commit}),
                422,
                vec![("/message", json!("Reference already exists"))],
            ),
            ("bot", "POST", &format!("{base}/refs"), json!({"ref": "a/b", "sha": commit}), 422, vec![]),
            (
                "bot",
                "POST",
                &format!("{base}/refs"),
                json!({"ref": "refs/heads/z", "sha": "0".repeat(40)}),
                422,
                vec![],
            ),
            (
                "bot",
                "POST",
                &format!("{base}/refs"),
                json!({"ref": "refs/tags/v1.1.0+k3s1", "sha": first}),
                201,
                vec![],
            ),
            (
                "",
                "GET",
                &format!("{base}/ref/tags/v1.1.0+k3s1"),
                none.clone(),
                200,
                vec![("/object/sha", json!(first))],
            ),
            ("", "GET", &format!("{base}/ref/tags/v1.1.0%2Bk3s1"), none.clone(), 200, vec![]),
            ("", "GET", &format!("{base}/ref/tags/v1.1"), none.clone(), 404, vec![]),
            (
                "",
                "GET",
                &format!("{base}/matching-refs/tags/v1."),
                none.clone(),
                200,
                vec![("/0/ref", json!("refs/tags/v1.0.0")), ("/1/ref", json!("refs/tags/v1.1.0+k3s1"))],
            ),
            (
                "bot",
                "PATCH",
                &format!("{base}/refs/heads/a/b"),
                patch(&first, false),
                422,
                vec![("/message", json!("Update is not a fast forward"))],
            ),
            ("bot", "PATCH", &format!("{base}/refs/heads/a/b"), patch(&first, true), 200, vec![]),
            (
                "bot",
                "PATCH",
                &format!("{base}/refs/heads/none"),
                patch(&first, true),
                422,
                vec![("/message", json!("Reference does not exist"))],
            ),
            ("bot", "DELETE", &format!("{base}/refs/heads/a/b"), none.clone(), 204, vec![]),
            ("bot", "DELETE", &format!("{base}/refs/heads/a/b"), none.clone(), 422, vec![]),
            (
                "bot",
                "POST",
                &format!("{base}/tags"),
                json!({
                "tag": "v2.0.0", "message": "two", "object": merge, "type": "commit"}),
                201,
                vec![("/object/sha", json!(merge)), ("/tagger/name", json!("release-bot"))],
            ),
        ],
    );
}

#[test]
fn files_are_written_against_the_blob_they_replace() {
    let stage = Stage::new("");
    let path = "/repos/acme/tool/contents/notes/n.md";
    let none = Value::Null;
    let old = stage.get("", "/repos/acme/tool/contents/README.md").json()["sha"].clone();
    let put = |sha: Option<&Value>| json!({"message": "m", "content": "eA==", "sha": sha});
    converse(
        &stage,
        vec![
            (
                "bot",
                "PUT",
                path,
                json!({"message": "m", "content": "eA=="}),
                201,
                vec![("/content/path", json!("notes/n.md"))],
            ),
            (
                "",
                "GET",
                path,
                none.clone(),
                200,
                vec![("/content", json!("eA==\n")), ("/type", json!("file"))],
            ),
            (
                "",
                "GET",
                "/repos/acme/tool/contents/link",
                none.clone(),
                200,
                vec![("/type", json!("symlink")), ("/target", json!("README.md"))],
            ),
            (
                "",
                "GET",
                "/repos/acme/tool/contents/notes",
                none.clone(),
                200,
                vec![("/0/name", json!("n.md"))],
            ),
            ("", "GET", "/repos/acme/tool/contents/absent", none.clone(), 404, vec![]),
            (
                "bot",
                "PUT",
                "/repos/acme/tool/contents/README.md",
                json!({"message": "m", "content": "eA=="}),
                422,
                vec![],
            ),
            (
                "bot",
                "PUT",
                "/repos/acme/tool/contents/README.md",
                put(Some(&json!("1".repeat(40)))),
                409,
                vec![],
            ),
            ("bot", "PUT", "/repos/acme/tool/contents/README.md", put(Some(&old)), 200, vec![]),
        ],
    );
}

#[test]
fn reads_are_tagged_counted_and_paged() {
    let stage = Stage::new("");
    let path = "/repos/acme/tool/commits?sha=far&per_page=1";
    let first = stage.get("bot", path);
    let used: u64 = first.header("x-ratelimit-used").parse().expect("a number");
    assert!(
        first.header("link").contains("rel=\"next\"")
            && first.header("link").contains("page=4>; rel=\"last\"")
    );
    let tag = first.header("etag").to_owned();
    let again = stage.send("GET", path, &[("authorization", "token t-bot"), ("if-none-match", &tag)], b"");
    let again = again.expect("an answer");
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("x-ratelimit-used"), used.to_string(), "a 304 is free");
    let third = stage.get("bot", "/repos/acme/tool");
    assert_eq!(third.header("x-ratelimit-used"), (used + 1).to_string());
    let limit = stage.get("bot", "/rate_limit").json();
    assert_eq!(limit["resources"]["core"]["used"], json!(used + 1), "asking for the limit is free");
    let head = stage.ask("bot", "HEAD", "/repos/acme/tool", Value::Null);
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn issues_labels_and_search_work_together() {
    let stage = Stage::new("");
    let issues = "/repos/acme/tool/issues";
    let none = Value::Null;
    converse(
        &stage,
        vec![
            (
                "bot",
                "POST",
                issues,
                json!({"title": "Cut v1.2.0", "body": "marker-42", "labels": ["release"]}),
                201,
                vec![("/number", json!(8)), ("/labels/0/name", json!("release"))],
            ),
            (
                "bot",
                "POST",
                &format!("{issues}/8/labels"),
                json!({"labels": ["lgtm"]}),
                200,
                vec![("/1/name", json!("lgtm"))],
            ),
            ("bot", "DELETE", &format!("{issues}/8/labels/lgtm"), none.clone(), 200, vec![]),
            ("bot", "DELETE", &format!("{issues}/8/labels/lgtm"), none.clone(), 404, vec![]),
            ("reader", "POST", &format!("{issues}/8/labels"), json!({"labels": ["x"]}), 403, vec![]),
            (
                "reader",
                "POST",
                &format!("{issues}/8/comments"),
                json!({"body": "hello"}),
                201,
                vec![("/user/login", json!("reader"))],
            ),
            ("reader", "POST", &format!("{issues}/8/comments"), json!({}), 422, vec![]),
            ("reader", "POST", &format!("{issues}/99/comments"), json!({"body": "x"}), 404, vec![]),
            (
                "",
                "GET",
                "/search/issues?q=repo:acme/tool+is:issue+is:open+marker-42",
                none.clone(),
                200,
                vec![("/total_count", json!(1)), ("/items/0/number", json!(8))],
            ),
            (
                "",
                "GET",
                "/search/issues?q=repo:acme/tool+is:pr+is:merged",
                none.clone(),
                200,
                vec![("/items/0/number", json!(7))],
            ),
            ("", "GET", "/search/issues", none.clone(), 422, vec![]),
            (
                "bot",
                "PATCH",
                &format!("{issues}/8"),
                json!({"state": "closed"}),
                200,
                vec![("/state", json!("closed"))],
            ),
            ("reader", "PATCH", &format!("{issues}/8"), json!({"state": "open"}), 403, vec![]),
            ("", "GET", issues, none, 200, vec![("", json!([]))]),
        ],
    );
}
