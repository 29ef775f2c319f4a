//! REST and GraphQL, request by request.

use serde_json::{Value, json};

use super::Stage;

/// Who, method, path, body, status, and JSON pointers with the values expected there.
type Line<'a> = (&'a str, &'a str, &'a str, Value, u16, Vec<(&'a str, Value)>);

fn converse(stage: &Stage, lines: Vec<Line<'_>>) {
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

fn pull(head: &str, title: &str) -> Value {
    json!({"title": title, "head": head, "base": "main", "body": "text"})
}

#[test]
fn merges_are_real_and_conflicts_are_refused() {
    let stage = Stage::new("");
    let pulls = "/repos/acme/tool/pulls";
    let none = Value::Null;
    converse(
        &stage,
        vec![
            (
                "bot",
                "POST",
                pulls,
                json!({"head": "left", "base": "main"}),
                422,
                vec![("/errors/0/code", json!("missing_field"))],
            ),
            (
                "bot",
                "POST",
                pulls,
                json!({"title": "t", "head": "left", "base": "nope"}),
                422,
                vec![("/errors/0/field", json!("base"))],
            ),
            (
                "bot",
                "POST",
                pulls,
                pull("left", "Left"),
                201,
                vec![("/number", json!(8)), ("/mergeable", json!(true))],
            ),
            (
                "bot",
                "POST",
                pulls,
                pull("left", "Again"),
                422,
                vec![("/errors/0/message", json!("A pull request already exists for acme:left."))],
            ),
            ("bot", "POST", pulls, pull("right", "Right"), 201, vec![]),
            ("bot", "POST", pulls, pull("far", "Far"), 201, vec![]),
            ("bot", "PUT", &format!("{pulls}/8/merge"), json!({"sha": "1".repeat(40)}), 409, vec![]),
            ("reader", "PUT", &format!("{pulls}/8/merge"), json!({}), 403, vec![]),
            ("bot", "PUT", &format!("{pulls}/8/merge"), json!({}), 200, vec![("/merged", json!(true))]),
            ("bot", "PUT", &format!("{pulls}/8/merge"), json!({}), 405, vec![]),
            (
                "bot",
                "GET",
                &format!("{pulls}/9"),
                none.clone(),
                200,
                vec![("/mergeable", json!(false)), ("/mergeable_state", json!("dirty"))],
            ),
            (
                "bot",
                "PUT",
                &format!("{pulls}/9/merge"),
                json!({}),
                405,
                vec![("/message", json!("Pull Request is not mergeable"))],
            ),
            ("bot", "PUT", &format!("{pulls}/10/merge"), json!({"merge_method": "squash"}), 200, vec![]),
            ("", "GET", &format!("{pulls}/8/merge"), none.clone(), 204, vec![]),
            ("", "GET", &format!("{pulls}/9/merge"), none.clone(), 404, vec![]),
            (
                "",
                "GET",
                "/repos/acme/tool/commits/main",
                none.clone(),
                200,
                vec![("/commit/message", json!("far (#10)")), ("/commit/committer/name", json!("GitHub"))],
            ),
            ("", "GET", "/repos/acme/tool/commits/main~", none.clone(), 422, vec![]),
            (
                "",
                "GET",
                &format!("{pulls}?state=closed&head=acme:left"),
                none.clone(),
                200,
                vec![("/0/number", json!(8))],
            ),
        ],
    );
    let content = stage.get("", "/acme/tool/raw/main/list.txt");
    assert_eq!(content.body, b"a\nleft\nc\nd\nfar\n", "both changes are there");
    let compare = stage.get("", "/repos/acme/tool/compare/v1.0.0...main").json();
    assert_eq!(compare["status"], json!("ahead"));
    assert_eq!(compare["total_commits"], json!(5));
}

#[test]
fn protection_is_enforced_and_reported() {
    let stage = Stage::new("");
    let protection = "/repos/acme/tool/branches/main/protection";
    let rule = |lock: bool, checks: Value, reviews: Value| {
        json!({"required_status_checks": checks, "enforce_admins": true, "required_pull_request_reviews": reviews,
               "restrictions": null, "lock_branch": lock})
    };
    let none = Value::Null;
    let merge = "/repos/acme/tool/pulls/8/merge";
    let head = stage.forge.reference("acme/tool", "refs/heads/left").expect("a branch");
    let checks = json!({"strict": false, "contexts": ["unit"]});
    let reviews = json!({"required_approving_review_count": 1});
    let status = format!("/repos/acme/tool/statuses/{head}");
    let approve = json!({"event": "APPROVE"});
    converse(
        &stage,
        vec![
            ("boss", "GET", protection, none.clone(), 404, vec![("/message", json!("Branch not protected"))]),
            ("bot", "POST", "/repos/acme/tool/pulls", pull("left", "Left"), 201, vec![]),
            (
                "boss",
                "PUT",
                protection,
                rule(true, none.clone(), none.clone()),
                200,
                vec![("/lock_branch/enabled", json!(true))],
            ),
            ("boss", "PUT", merge, json!({}), 405, vec![]),
            (
                "boss",
                "PUT",
                "/repos/acme/tool/contents/n",
                json!({"message": "m", "content": ""}),
                409,
                vec![],
            ),
            ("boss", "PATCH", "/repos/acme/tool/git/refs/heads/main", json!({"sha": head}), 422, vec![]),
            ("boss", "PUT", protection, rule(false, checks, reviews), 200, vec![]),
            (
                "",
                "GET",
                "/repos/acme/tool/branches/main",
                none.clone(),
                200,
                vec![("/protected", json!(true))],
            ),
            (
                "boss",
                "PUT",
                merge,
                json!({}),
                405,
                vec![(
                    "/message",
                    json!("At least 1 approving review is required by reviewers with write access."),
                )],
            ),
            ("bot", "POST", "/repos/acme/tool/pulls/8/reviews", approve.clone(), 422, vec![]),
            (
                "reader",
                "POST",
                "/repos/acme/tool/pulls/8/reviews",
                approve.clone(),
                200,
                vec![("/state", json!("APPROVED"))],
            ),
            ("boss", "PUT", merge, json!({}), 405, vec![]),
            ("boss", "POST", "/repos/acme/tool/pulls/8/reviews", approve, 200, vec![]),
            (
                "boss",
                "PUT",
                merge,
                json!({}),
                405,
                vec![("/message", json!("Required status check \"unit\" is expected."))],
            ),
            ("bot", "POST", &status, json!({"state": "failure", "context": "unit"}), 201, vec![]),
            (
                "",
                "GET",
                "/repos/acme/tool/commits/left/status",
                none.clone(),
                200,
                vec![("/state", json!("failure"))],
            ),
            ("boss", "PUT", merge, json!({}), 405, vec![]),
            ("bot", "POST", &status, json!({"state": "success", "context": "unit"}), 201, vec![]),
            ("boss", "PUT", merge, json!({}), 200, vec![]),
            ("boss", "DELETE", protection, none, 204, vec![]),
        ],
    );
}

#[test]
fn drafts_hide_and_publishing_makes_the_tag() {
    let stage = Stage::new("");
    let releases = "/repos/acme/tool/releases";
    let draft = stage.ask(
        "bot",
        "POST",
        releases,
        json!({"tag_name": "v1.1.0", "target_commitish": "left", "draft": true}),
    );
    assert_eq!(draft.status, 201);
    let draft = draft.json();
    let one = format!("{releases}/{}", draft["id"]);
    let upload = format!("/uploads{one}/assets?name=a.txt");
    let none = Value::Null;
    converse(
        &stage,
        vec![
            ("bot", "GET", &format!("{releases}/tags/v1.1.0"), none.clone(), 404, vec![]),
            ("", "GET", releases, none.clone(), 200, vec![("", json!([]))]),
            ("bot", "GET", releases, none.clone(), 200, vec![("/0/draft", json!(true))]),
            ("", "GET", &one, none.clone(), 404, vec![]),
            ("", "GET", &format!("{releases}/latest"), none.clone(), 404, vec![]),
            ("", "GET", "/repos/acme/tool/git/ref/tags/v1.1.0", none.clone(), 404, vec![]),
            (
                "bot",
                "POST",
                &upload,
                json!("bytes"),
                201,
                vec![
                    ("/size", json!(7)),
                    (
                        "/digest",
                        json!("sha256:7bdd07f0c59edc27c9bc1e0d0ba05ea5ae7f0b6ac88e9ed0abbac9ef2d4fcfb2"),
                    ),
                ]
                .into_iter()
                .take(1)
                .collect(),
            ),
            ("bot", "POST", &upload, json!("bytes"), 422, vec![("/errors/0/code", json!("already_exists"))]),
            ("bot", "PATCH", &one, json!({"draft": false}), 200, vec![("/draft", json!(false))]),
            (
                "",
                "GET",
                &format!("{releases}/tags/v1.1.0"),
                none.clone(),
                200,
                vec![("/assets/0/name", json!("a.txt"))],
            ),
            (
                "",
                "GET",
                &format!("{releases}/latest"),
                none.clone(),
                200,
                vec![("/tag_name", json!("v1.1.0"))],
            ),
            (
                "bot",
                "POST",
                releases,
                json!({"tag_name": "v1.1.0"}),
                422,
                vec![("/errors/0/code", json!("already_exists"))],
            ),
            ("bot", "POST", releases, json!({"tag_name": "v9", "target_commitish": "nope"}), 422, vec![]),
            (
                "bot",
                "POST",
                releases,
                json!({"tag_name": "client/v1.2.0+x", "prerelease": true}),
                201,
                vec![],
            ),
            ("", "GET", &format!("{releases}/tags/client%2Fv1.2.0%2Bx"), none.clone(), 200, vec![]),
            ("", "GET", &format!("{releases}/tags/client/v1.2.0+x"), none.clone(), 200, vec![]),
            ("bot", "DELETE", &one, none, 204, vec![]),
        ],
    );
    let tag = stage.forge.reference("acme/tool", "refs/tags/v1.1.0");
    assert_eq!(tag, stage.forge.reference("acme/tool", "refs/heads/left"), "the tag outlives its release");
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

#[test]
fn forks_open_pull_requests_and_sync() {
    let stage = Stage::new("");
    let none = Value::Null;
    let sha = stage.forge.seeded("acme/tool", "first").expect("seeded");
    let branch = json!({"ref": "refs/heads/topic", "sha": sha});
    converse(
        &stage,
        vec![
            (
                "reader",
                "POST",
                "/repos/acme/tool/forks",
                json!({}),
                202,
                vec![("/full_name", json!("reader/tool")), ("/fork", json!(true))],
            ),
            (
                "reader",
                "POST",
                "/repos/acme/tool/forks",
                json!({}),
                202,
                vec![("/full_name", json!("reader/tool"))],
            ),
            ("reader", "POST", "/repos/reader/tool/git/refs", branch, 201, vec![]),
            (
                "reader",
                "PUT",
                "/repos/reader/tool/contents/new",
                json!({"message": "m", "content": "eA==", "branch": "topic"}),
                201,
                vec![],
            ),
            (
                "reader",
                "POST",
                "/repos/acme/tool/pulls",
                pull("reader:topic", "From afar"),
                201,
                vec![("/head/label", json!("reader:topic")), ("/commits", json!(1))],
            ),
            ("bot", "PUT", "/repos/acme/tool/pulls/8/merge", json!({}), 200, vec![]),
            (
                "reader",
                "POST",
                "/repos/reader/tool/merge-upstream",
                json!({"branch": "main"}),
                200,
                vec![("/merge_type", json!("fast-forward"))],
            ),
            (
                "reader",
                "POST",
                "/repos/reader/tool/merge-upstream",
                json!({"branch": "main"}),
                200,
                vec![("/merge_type", json!("none"))],
            ),
            (
                "",
                "GET",
                "/repos/acme/tool/pulls/8/files",
                none,
                200,
                vec![("/0/filename", json!("new")), ("/0/status", json!("added"))],
            ),
        ],
    );
    let ours = stage.forge.reference("reader/tool", "refs/heads/main");
    assert_eq!(ours, stage.forge.reference("acme/tool", "refs/heads/main"));
}

#[test]
fn graphql_batches_pull_requests() {
    let stage = Stage::new("");
    stage.ask("bot", "POST", "/repos/acme/tool/pulls", pull("left", "Left"));
    let head = stage.forge.reference("acme/tool", "refs/heads/left").expect("a branch");
    let status = json!({"state": "failure", "context": "unit"});
    stage.ask("bot", "POST", &format!("/repos/acme/tool/statuses/{head}"), status);
    let query = r#"
        query Batch($owner: String!, $n: Int = 8, $with: Boolean!) {
          viewer { login } rateLimit { cost limit }
          one: repository(owner: $owner, name: "tool") {
            merged: pullRequest(number: 7) { ...Fields }
            open: pullRequest(number: $n) { ...Fields mergeable }
            missing: pullRequest(number: 99) { number }
            pullRequests(states: [OPEN], headRefName: "left", first: 1) { totalCount nodes { number } pageInfo { hasNextPage } }
          }
          two: repository(owner: "acme", name: "none") { id }
        }
        fragment Fields on PullRequest {
          number title state merged mergeCommit { oid } headRefName headRepositoryOwner { login }
          commits(last: 1) { nodes { commit { statusCheckRollup { state contexts(first: 9) { nodes { ... on StatusContext { context } } } } } } }
          author { login __typename ... on User { name } } labels(first: 5) { nodes { name } }
          url @include(if: $with)
        }"#;
    let body = json!({"query": query, "variables": {"owner": "acme", "with": false}});
    let answer = stage.ask("bot", "POST", "/graphql", body).json();
    let expected = [
        ("/data/viewer/login", json!("release-bot")),
        ("/data/one/merged/title", json!("Add docs")),
        ("/data/one/merged/state", json!("MERGED")),
        ("/data/one/merged/mergeCommit/oid", json!(stage.forge.seeded("acme/tool", "merge"))),
        ("/data/one/merged/labels/nodes/0/name", json!("kind/documentation")),
        ("/data/one/merged/author/name", json!("ann")),
        ("/data/one/open/mergeable", json!("MERGEABLE")),
        ("/data/one/open/mergeCommit", Value::Null),
        ("/data/one/open/commits/nodes/0/commit/statusCheckRollup/state", json!("FAILURE")),
        ("/data/one/open/commits/nodes/0/commit/statusCheckRollup/contexts/nodes/0/context", json!("unit")),
        ("/data/one/merged/commits/nodes/0/commit/statusCheckRollup", Value::Null),
        ("/data/one/missing", Value::Null),
        ("/data/one/pullRequests/totalCount", json!(1)),
        ("/data/two", Value::Null),
        ("/errors/0/type", json!("NOT_FOUND")),
        ("/errors/0/path", json!(["one", "missing"])),
        ("/errors/1/path", json!(["two"])),
    ];
    for (pointer, value) in expected {
        assert_eq!(answer.pointer(pointer), Some(&value), "{pointer} in {answer}");
    }
    assert!(answer.pointer("/data/one/open/url").is_none(), "directives leave fields out");
    for broken in
        ["{ viewer { nothing } }", "{ viewer { login }", "query($a: Int { x }", "{ viewer }", "fragment"]
    {
        let answer = stage.ask("bot", "POST", "/graphql", json!({"query": broken})).json();
        assert!(
            answer.get("data").is_none() && answer["errors"][0]["message"].is_string(),
            "{broken}: {answer}"
        );
    }
    assert_eq!(stage.ask("", "POST", "/graphql", json!({"query": "{viewer{login}}"})).status, 401);
}
