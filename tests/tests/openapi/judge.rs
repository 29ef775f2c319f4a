//! The judge itself: it has to find faults, or its silence means nothing.

use castoff_tests::graphql;
use castoff_tests::openapi::{Judge, Verdict};
use serde_json::{Value, json};

/// An operation of every request in use belongs to its template, however it is encoded.
#[test]
fn paths_find_their_operations() {
    let judge = Judge::load();
    let cases = [
        ("GET", "/repos/a/b", Some("GET /repos/{owner}/{repo}")),
        ("HEAD", "/repos/a/b", Some("GET /repos/{owner}/{repo}")),
        ("GET", "/repos/a/b/releases/latest", Some("GET /repos/{owner}/{repo}/releases/latest")),
        ("GET", "/repos/a/b/releases/7", Some("GET /repos/{owner}/{repo}/releases/{release_id}")),
        ("GET", "/repos/a/b/releases/seven", None),
        ("GET", "/repos/a/b/releases/tags/x/v1%2Bk", Some("GET /repos/{owner}/{repo}/releases/tags/{tag}")),
        ("GET", "/repos/a/b/branches/x/y", Some("GET /repos/{owner}/{repo}/branches/{branch}")),
        (
            "GET",
            "/repos/a/b/branches/x%2Fy/protection",
            Some("GET /repos/{owner}/{repo}/branches/{branch}/protection"),
        ),
        ("GET", "/repos/a/b/compare/v1...x/y", Some("GET /repos/{owner}/{repo}/compare/{basehead}")),
        (
            "GET",
            "/repos/a/b/commits/x/y/check-runs",
            Some("GET /repos/{owner}/{repo}/commits/{ref}/check-runs"),
        ),
        ("GET", "/repos/a/b/contents/c/d.md", Some("GET /repos/{owner}/{repo}/contents/{path}")),
        ("GET", "/repos/a/b/labels/kind/bug", None),
        ("DELETE", "/repos/a/b", None),
        ("GET", "/repos/a", None),
    ];
    for (method, path, expected) in cases {
        assert_eq!(judge.operation(method, path).as_deref(), expected, "{method} {path}");
    }
}

fn is_clean(verdict: &Verdict) -> bool {
    verdict.failures.is_empty() && verdict.warnings.is_empty()
}

#[test]
fn requests_are_judged_by_query_and_body() {
    let judge = Judge::load();
    let cases: [(&str, &str, &str, Value, bool); 13] = [
        ("POST", "/repos/a/b/pulls", "", json!({"head": "h", "base": "b", "title": "t"}), true),
        ("POST", "/repos/a/b/pulls", "", json!({"head": "h", "title": "t"}), false),
        ("POST", "/repos/a/b/pulls", "", json!({"head": "h", "base": "b", "draft": "yes"}), false),
        ("POST", "/repos/a/b/pulls", "", Value::Null, false),
        ("PUT", "/repos/a/b/pulls/1/merge", "", json!({"merge_method": "squash"}), true),
        ("PUT", "/repos/a/b/pulls/1/merge", "", json!({"merge_method": "octopus"}), false),
        ("PUT", "/repos/a/b/pulls/1/merge", "", Value::Null, true),
        ("GET", "/repos/a/b/pulls", "state=all&per_page=100", Value::Null, true),
        ("GET", "/repos/a/b/pulls", "state=merged", Value::Null, false),
        ("GET", "/repos/a/b/pulls", "per_page=many", Value::Null, false),
        ("GET", "/repos/a/b/pulls", "merged=true", Value::Null, false),
        ("POST", "/repos/a/b/releases/1/assets", "", Value::Null, false),
        ("POST", "/repos/a/b/releases/1/assets", "name=x", Value::Null, true),
    ];
    for (method, path, query, body, fine) in cases {
        let verdict = judge.request(method, path, query, Some(&body).filter(|body| !body.is_null()));
        assert_eq!(is_clean(&verdict), fine, "{method} {path}?{query} with {body}: {verdict:?}");
    }
}

#[test]
fn answers_are_judged_by_status_and_body() {
    let judge = Judge::load();
    let path = "/repos/a/b/git/refs";
    let object = json!({"type": "commit", "sha": "a".repeat(40), "url": "https://api.example.test/x"});
    let reference =
        json!({"ref": "refs/heads/x", "node_id": "n", "url": "https://api.example.test/y", "object": object});
    let mut short = reference.clone();
    short["object"]["sha"] = json!("abc");
    let mut bare = reference.clone();
    bare.as_object_mut().expect("an object").remove("object");
    let fine = judge.response("POST", path, 201, Some(&reference));
    assert!(is_clean(&fine), "{fine:?}");
    for (what, status, body) in [
        ("a short id", 201, Some(&short)),
        ("a missing field", 201, Some(&bare)),
        ("a list", 201, Some(&json!([]))),
        ("no body", 201, None),
        ("an error of the wrong form", 422, Some(&json!({"message": 7}))),
    ] {
        assert!(!judge.response("POST", path, status, body).failures.is_empty(), "{what} passes");
    }
    let odd = judge.response("POST", path, 418, Some(&json!({})));
    assert!(odd.failures.is_empty() && odd.warnings.len() == 1, "{odd:?}");
    let full = judge.response("DELETE", "/repos/a/b/git/refs/heads/x", 204, Some(&json!({})));
    assert_eq!(full.failures.len(), 1, "{full:?}");
    assert!(is_clean(&judge.response("DELETE", "/repos/a/b/git/refs/heads/x", 204, None)));
}

#[test]
fn queries_are_judged_by_their_fields() {
    let cases = [
        ("query { viewer { login __typename } }", true),
        (r#"query { r0: repository(owner: "a", name: "b") { p1: pullRequest(number: 1) { title } } }"#, true),
        ("query { viewer { logn } }", false),
        ("query { viewer }", false),
        ("query { viewer { login { x } } }", false),
        (r#"query { repository(owner: "a") { id } }"#, false),
        (r#"query { repository(owner: "a", name: "b", branch: "c") { id } }"#, false),
        (r#"query { repository(owner: "a", name: "b") { stargazers(first: 1) { totalCount } } }"#, false),
        ("query { viewer { login }", false),
        ("query { viewer { login } } }", false),
        ("query { viewer { ... on User { login } } }", false),
        ("query { }", false),
        ("", false),
    ];
    for (query, fine) in cases {
        let found = graphql::faults(query);
        assert_eq!(found.is_empty(), fine, "{query}: {found:?}");
    }
}
