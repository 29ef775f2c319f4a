//! GraphQL.

use serde_json::{Value, json};

use super::Stage;

#[test]
fn graphql_batches_pull_requests() {
    let stage = Stage::new("");
    stage.ask(
        "bot",
        "POST",
        "/repos/acme/tool/pulls",
        json!({"title": "Left", "head": "left", "base": "main"}),
    );
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
