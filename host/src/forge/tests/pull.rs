//! Pull requests: opening, merging, protection, forks.

use serde_json::{Value, json};

use super::Stage;
use super::conversation::converse;

fn proposal(head: &str, title: &str) -> Value {
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
                proposal("left", "Left"),
                201,
                vec![("/number", json!(8)), ("/mergeable", json!(true))],
            ),
            (
                "bot",
                "POST",
                pulls,
                proposal("left", "Again"),
                422,
                vec![("/errors/0/message", json!("A pull request already exists for acme:left."))],
            ),
            ("bot", "POST", pulls, proposal("right", "Right"), 201, vec![]),
            ("bot", "POST", pulls, proposal("far", "Far"), 201, vec![]),
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
            ("bot", "POST", "/repos/acme/tool/pulls", proposal("left", "Left"), 201, vec![]),
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
                proposal("reader:topic", "From afar"),
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
