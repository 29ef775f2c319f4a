//! A walk over every REST operation of the forge by plain requests, good ones and ones it has to refuse.

use serde_json::{Value, json};

use crate::stage::{Sent, Stage};

/// Every operation of `operations.txt` at least once.
pub(crate) async fn walk(stage: &Stage) {
    accounts(stage).await;
    repositories(stage).await;
    branches(stage).await;
    git_data(stage).await;
    contents(stage).await;
    history(stage).await;
    checks(stage).await;
    pulls(stage).await;
    issues(stage).await;
    releases(stage).await;
    actions(stage).await;
}

/// A field that has to be text.
fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{pointer} in {value}"))
        .to_owned()
}

fn id(value: &Value) -> u64 {
    value["id"].as_u64().unwrap_or_else(|| panic!("an id in {value}"))
}

async fn accounts(stage: &Stage) {
    for target in ["/", "/meta", "/rate_limit", "/user", "/users/boss", "/users/acme"] {
        stage.ask("boss", "GET", target, Value::Null, 200).await;
    }
    stage.ask("bot", "GET", "/user", Value::Null, 200).await;
    stage.ask("", "GET", "/rate_limit", Value::Null, 200).await;
    stage.ask("", "GET", "/user", Value::Null, 401).await;
    stage.ask("stranger", "GET", "/user", Value::Null, 401).await;
    stage.ask("boss", "GET", "/users/nobody", Value::Null, 404).await;
}

async fn repositories(stage: &Stage) {
    stage.get("").await;
    stage.ask("", "GET", "/repos/acme/tool", Value::Null, 200).await;
    stage.ask("reader", "GET", "/repos/acme/secret", Value::Null, 404).await;
    let mine = json!({"name": "mine", "description": "Mine", "auto_init": true});
    stage.ask("boss", "POST", "/user/repos", mine.clone(), 201).await;
    stage.ask("boss", "POST", "/user/repos", mine, 422).await;
    stage.ask("boss", "POST", "/orgs/acme/repos", json!({"name": "other", "private": true}), 201).await;
    stage.tell("POST", "/forks", json!({}), 202).await;
    stage.ask("reader", "POST", "/repos/acme/tool/forks", Value::Null, 202).await;
    stage.ask("reader", "GET", "/repos/reader/tool", Value::Null, 200).await;
    stage.ask("boss", "POST", "/repos/boss/tool/merge-upstream", json!({"branch": "main"}), 200).await;
    for login in ["boss", "release-bot", "reader"] {
        stage.get(&format!("/collaborators/{login}/permission")).await;
    }
    stage.get("/labels?per_page=2").await;
    let label = json!({"name": "area/new one", "color": "00ff00", "description": "New"});
    stage.tell("POST", "/labels", label.clone(), 201).await;
    stage.tell("POST", "/labels", label, 422).await;
    stage.get("/labels/area%2Fnew%20one").await;
    stage.tell("GET", "/labels/none", Value::Null, 404).await;
    stage.get("/milestones?state=all").await;
}

async fn branches(stage: &Stage) {
    stage.get("/branches?per_page=3&page=2").await;
    stage.get("/branches?protected=true").await;
    stage.get("/branches/main").await;
    stage.get("/branches/release-1.0").await;
    stage.tell("GET", "/branches/none", Value::Null, 404).await;
    stage.get("/rulesets").await;
    stage.get("/rules/branches/main").await;
    stage.get("/branches/release-1.0/protection").await;
    stage.tell("GET", "/branches/right/protection", Value::Null, 404).await;
    let whole = json!({
        "required_status_checks": {"strict": true, "contexts": ["unit"]},
        "enforce_admins": true,
        "required_pull_request_reviews": {"required_approving_review_count": 2, "dismiss_stale_reviews": true},
        "restrictions": {"users": ["boss"], "teams": []},
        "lock_branch": true,
    });
    let least = json!({
        "required_status_checks": null, "enforce_admins": null, "required_pull_request_reviews": null,
        "restrictions": null,
    });
    for protection in [least, whole] {
        stage.tell("PUT", "/branches/right/protection", protection, 200).await;
        stage.get("/branches/right/protection").await;
    }
    stage.get("/branches/right").await;
    let refused = json!({"ref": "refs/heads/right", "sha": stage.commit("first")});
    stage.tell("PATCH", "/git/refs/heads/right", json!({"sha": refused["sha"], "force": true}), 422).await;
    stage.tell("DELETE", "/branches/right/protection", Value::Null, 204).await;
    stage.ask("bot", "DELETE", "/repos/acme/tool/branches/right/protection", Value::Null, 403).await;
    stage.get("/tags").await;
}

async fn git_data(stage: &Stage) {
    let first = stage.commit("first");
    for name in ["heads/main", "tags/v1.0.0", "tags/client/v1.0.1"] {
        stage.get(&format!("/git/ref/{name}")).await;
    }
    stage.tell("GET", "/git/ref/heads/none", Value::Null, 404).await;
    stage.get("/git/matching-refs/tags/").await;
    stage.get("/git/matching-refs/heads/none").await;
    let annotated = stage.get("/git/ref/tags/v1.0.0").await;
    stage.get(&format!("/git/tags/{}", text(&annotated, "/object/sha"))).await;

    let blob = stage.tell("POST", "/git/blobs", json!({"content": "aGk=", "encoding": "base64"}), 201).await;
    stage.get(&format!("/git/blobs/{}", text(&blob, "/sha"))).await;
    let base = text(&stage.get(&format!("/git/commits/{first}")).await, "/tree/sha");
    let entries = json!([
        {"path": "new.txt", "mode": "100644", "type": "blob", "sha": blob["sha"]},
        {"path": "run.sh", "mode": "100755", "type": "blob", "content": "#!/bin/sh\n"},
        {"path": "README.md", "mode": "100644", "type": "blob", "sha": null},
    ]);
    let tree = stage.tell("POST", "/git/trees", json!({"base_tree": base, "tree": entries}), 201).await;
    stage.get(&format!("/git/trees/{}", text(&tree, "/sha"))).await;
    stage.get("/git/trees/main?recursive=1").await;
    let person = json!({"name": "Ann", "email": "ann@example.test", "date": "2026-03-01T10:00:00Z"});
    let commit = json!({"message": "new", "tree": tree["sha"], "parents": [first], "author": person});
    let commit = stage.tell("POST", "/git/commits", commit, 201).await;
    let sha = text(&commit, "/sha");
    stage.get(&format!("/git/commits/{sha}")).await;
    stage.tell("GET", &format!("/git/commits/{}", "0".repeat(40)), Value::Null, 404).await;

    let tag =
        json!({"tag": "v1.2.0+x", "message": "v1.2.0", "object": sha, "type": "commit", "tagger": person});
    let tag = stage.tell("POST", "/git/tags", tag, 201).await;
    let reference = json!({"ref": "refs/tags/v1.2.0+x", "sha": tag["sha"]});
    stage.tell("POST", "/git/refs", reference.clone(), 201).await;
    stage.tell("POST", "/git/refs", reference, 422).await;
    stage.get("/git/ref/tags/v1.2.0%2Bx").await;
    stage.tell("POST", "/git/refs", json!({"ref": "refs/heads/topic/new", "sha": first}), 201).await;
    stage.tell("PATCH", "/git/refs/heads/topic/new", json!({"sha": sha, "force": false}), 200).await;
    let backward = json!({"sha": stage.commit("merge")});
    stage.tell("PATCH", "/git/refs/heads/topic/new", backward, 422).await;
    stage.tell("DELETE", "/git/refs/heads/topic/new", Value::Null, 204).await;
    stage.tell("DELETE", "/git/refs/heads/topic/new", Value::Null, 422).await;
}

async fn contents(stage: &Stage) {
    for path in ["README.md", "docs", "docs/a.md?ref=main", "link", ".github/workflows/build.yaml"] {
        stage.get(&format!("/contents/{path}")).await;
    }
    stage.tell("GET", "/contents/none.md", Value::Null, 404).await;
    let new = json!({"message": "Add", "content": "aGkK", "branch": "main"});
    let made = stage.tell("PUT", "/contents/docs/hi.md", new, 201).await;
    let sha = text(&made, "/content/sha");
    let stale = json!({"message": "Change", "content": "aG8K", "sha": "0".repeat(40)});
    stage.tell("PUT", "/contents/docs/hi.md", stale, 409).await;
    let change = json!({"message": "Change", "content": "aG8K", "sha": sha});
    let made = stage.tell("PUT", "/contents/docs/hi.md", change, 200).await;
    let removal = json!({"message": "Remove", "sha": made["content"]["sha"], "branch": "main"});
    stage.tell("DELETE", "/contents/docs/hi.md", removal, 200).await;
}

async fn history(stage: &Stage) {
    let merge = stage.commit("merge");
    stage.get("/commits?sha=main&per_page=2").await;
    stage.get("/commits?path=list.txt&since=2025-01-01T00:00:00Z").await;
    for name in ["main", "client/v1.0.1", merge.as_str()] {
        stage.get(&format!("/commits/{name}")).await;
    }
    stage.tell("GET", "/commits/none", Value::Null, 422).await;
    stage.get(&format!("/commits/{merge}/pulls")).await;
    for range in ["v1.0.0...main", "main...left", "main...main", "left...right?per_page=1&page=2"] {
        stage.get(&format!("/compare/{range}")).await;
    }
    stage.tell("GET", "/compare/v1.0.0...none", Value::Null, 404).await;
}

async fn checks(stage: &Stage) {
    let merge = stage.commit("merge");
    let status =
        json!({"state": "pending", "context": "ci/other", "target_url": "https://ci.example.test/1"});
    stage.tell("POST", &format!("/statuses/{merge}"), status, 201).await;
    stage.get(&format!("/commits/{merge}/status")).await;
    stage.get(&format!("/commits/{merge}/statuses")).await;
    stage.get("/commits/left/status").await;
    let run = json!({
        "name": "lint", "head_sha": merge, "status": "in_progress", "started_at": "2026-03-01T08:00:00Z",
        "output": {"title": "Lint", "summary": "Linting", "text": "…"},
    });
    let run = id(&stage.tell("POST", "/check-runs", run, 201).await);
    stage.get(&format!("/check-runs/{run}")).await;
    let done =
        json!({"status": "completed", "conclusion": "failure", "completed_at": "2026-03-01T08:30:00Z"});
    stage.tell("PATCH", &format!("/check-runs/{run}"), done, 200).await;
    stage.get(&format!("/commits/{merge}/check-runs?filter=all")).await;
    stage.get("/commits/main/check-runs?check_name=none").await;
}

async fn pulls(stage: &Stage) {
    let new = json!({"title": "Left", "head": "left", "base": "main", "body": "Words", "draft": true});
    let made = stage.tell("POST", "/pulls", new.clone(), 201).await;
    let number = made["number"].as_u64().expect("a number");
    stage.tell("POST", "/pulls", new, 422).await;
    for query in ["", "?state=all&sort=updated&direction=asc", "?head=acme:left&base=main", "?state=closed"] {
        stage.get(&format!("/pulls{query}")).await;
    }
    for pull in [7, 12, 13, number] {
        stage.get(&format!("/pulls/{pull}")).await;
    }
    stage.tell("GET", "/pulls/999", Value::Null, 404).await;
    let pull = format!("/pulls/{number}");
    stage.tell("PATCH", &pull, json!({"title": "To the left", "body": "", "base": "main"}), 200).await;
    stage.get(&format!("{pull}/files")).await;
    stage.get(&format!("{pull}/commits")).await;
    for review in
        [json!({"event": "COMMENT", "body": "Hm."}), json!({"event": "REQUEST_CHANGES", "body": "No."})]
    {
        stage.ask("bot", "POST", &format!("/repos/acme/tool{pull}/reviews"), review, 200).await;
    }
    stage.ask("bot", "POST", "/repos/acme/tool/pulls/12/reviews", json!({"event": "APPROVE"}), 200).await;
    stage.get(&format!("{pull}/reviews")).await;
    let asked = json!({"reviewers": ["release-bot"]});
    stage.tell("POST", "/pulls/12/requested_reviewers", asked, 201).await;

    stage.tell("GET", "/pulls/12/merge", Value::Null, 404).await;
    stage.tell("PUT", &format!("{pull}/merge"), json!({}), 405).await;
    let stale = json!({"sha": stage.commit("first")});
    stage.tell("PUT", "/pulls/12/merge", stale, 409).await;
    stage.tell("PUT", "/pulls/12/merge", json!({"merge_method": "rebase"}), 200).await;
    stage.tell("GET", "/pulls/12/merge", Value::Null, 204).await;
    stage.tell("PUT", "/pulls/12/merge", Value::Null, 405).await;
    stage.tell("PATCH", &pull, json!({"state": "closed"}), 200).await;
    stage.get("/pulls/12").await;
    stage.get(&pull).await;
}

async fn issues(stage: &Stage) {
    let new = json!({"title": "New", "body": "Words", "labels": ["a", {"name": "b"}], "assignees": ["boss"], "milestone": 1});
    let made = stage.tell("POST", "/issues", new, 201).await;
    let issue = format!("/issues/{}", made["number"]);
    for query in [
        "",
        "?state=all&labels=a,b&creator=boss",
        "?milestone=1&assignee=boss",
        "?since=2027-01-01T00:00:00Z",
    ] {
        stage.get(&format!("/issues{query}")).await;
    }
    stage.get("/issues/3").await;
    stage.get("/issues/7").await;
    stage.tell("GET", "/issues/999", Value::Null, 404).await;
    let closed = json!({"state": "closed", "state_reason": "not_planned", "labels": ["c"], "assignees": []});
    stage.tell("PATCH", &issue, closed, 200).await;
    stage.tell("PATCH", &issue, json!({"state": "open", "title": "Newer", "milestone": null}), 200).await;
    let comment = stage.tell("POST", &format!("{issue}/comments"), json!({"body": "Hello"}), 201).await;
    let comment = format!("/issues/comments/{}", id(&comment));
    stage.get(&comment).await;
    stage.tell("PATCH", &comment, json!({"body": "Hello again"}), 200).await;
    stage.get(&format!("{issue}/comments?per_page=1")).await;
    stage.ask("reader", "PATCH", &format!("/repos/acme/tool{comment}"), json!({"body": "Mine"}), 403).await;
    stage.tell("DELETE", &comment, Value::Null, 204).await;
    stage.tell("POST", &format!("{issue}/labels"), json!({"labels": ["d", "kind/bug"]}), 200).await;
    stage.tell("PUT", &format!("{issue}/labels"), json!({"labels": ["kind/bug", "e"]}), 200).await;
    stage.get(&format!("{issue}/labels")).await;
    stage.tell("DELETE", &format!("{issue}/labels/kind%2Fbug"), Value::Null, 200).await;
    stage.tell("DELETE", &format!("{issue}/labels/kind%2Fbug"), Value::Null, 404).await;
    for words in ["repo:acme/tool is:issue breaks", "repo:acme/tool is:pr is:merged"] {
        let asked: String = url::form_urlencoded::byte_serialize(words.as_bytes()).collect();
        stage.ask("boss", "GET", &format!("/search/issues?q={asked}"), Value::Null, 200).await;
    }
}

async fn releases(stage: &Stage) {
    let draft = json!({
        "tag_name": "client/v1.3.0", "target_commitish": "main", "name": "v1.3.0", "body": "Words", "draft": true,
    });
    let draft = stage.tell("POST", "/releases", draft, 201).await;
    let release = format!("/releases/{}", id(&draft));
    stage.get(&release).await;
    stage.tell("GET", "/releases/tags/client/v1.3.0", Value::Null, 404).await;
    stage.tell("POST", "/releases", json!({"tag_name": "v1.0.0"}), 422).await;
    let upload = format!("/repos/acme/tool{release}/assets?name=tool.bin&label=The%20tool");
    for expected in [201, 422] {
        let headers = [("content-type", "application/octet-stream")];
        let sent =
            Sent { who: "boss", method: "POST", target: &upload, headers: &headers, body: vec![0, 159, 146] };
        assert_eq!(stage.send(sent).await.0, expected, "an asset of a name is attached once");
    }
    let assets = stage.get(&format!("{release}/assets")).await;
    let asset = format!("/releases/assets/{}", id(&assets[0]));
    stage.get(&asset).await;
    let bytes = [("accept", "application/octet-stream")];
    let target = format!("/repos/acme/tool{asset}");
    let sent = Sent { who: "boss", method: "GET", target: &target, headers: &bytes, body: Vec::new() };
    let (status, _, _) = stage.send(sent).await;
    assert!([200, 302].contains(&status), "bytes of an asset: {status}");
    stage.tell("PATCH", &asset, json!({"name": "tool", "label": "Tool"}), 200).await;
    stage.tell("DELETE", &asset, Value::Null, 204).await;
    stage.tell("PATCH", &release, json!({"draft": false, "make_latest": "true"}), 200).await;
    stage.get("/releases/tags/client/v1.3.0").await;
    stage.get("/releases/latest").await;
    stage.get("/releases?per_page=1").await;
    let notes = json!({"tag_name": "v1.4.0", "target_commitish": "main", "previous_tag_name": "v1.0.0"});
    stage.tell("POST", "/releases/generate-notes", notes, 200).await;
    stage.tell("DELETE", &release, Value::Null, 204).await;
    stage.tell("GET", &release, Value::Null, 404).await;
}

async fn actions(stage: &Stage) {
    let workflows = stage.get("/actions/workflows").await;
    stage.get(&format!("/actions/workflows/{}", id(&workflows["workflows"][0]))).await;
    stage.get("/actions/workflows/build.yaml").await;
    let dispatch = "/actions/workflows/build.yaml/dispatches";
    stage.tell("POST", dispatch, json!({"ref": "main", "inputs": {}}), 204).await;
    stage.tell("POST", dispatch, json!({"ref": "main", "return_run_details": true}), 200).await;
    stage.tell("POST", dispatch, json!({"ref": "none"}), 422).await;
    let runs = stage.get("/actions/runs?status=queued").await;
    stage.get("/actions/workflows/build.yaml/runs?branch=main").await;
    stage.get(&format!("/actions/runs/{}", id(&runs["workflow_runs"][0]))).await;
    stage.tell("POST", "/dispatches", json!({"event_type": "go", "client_payload": {"a": 1}}), 204).await;
}
