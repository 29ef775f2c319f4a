//! Batches of pull requests: how many requests they cost, and that none is lost.

use serde_json::{Map, Value, json};

use super::{backend, config, slug};
use crate::capability::github::{GitHub, GitHubBackend, PullState};
use crate::capability::scripted::{Reply, Seen, Server};
use crate::capability::{CapabilityError, Slug};

/// Repositories and numbers of a query, as it was sent.
fn asked(seen: &Seen) -> Vec<(String, String, Vec<u64>)> {
    let query = seen.json()["query"].as_str().unwrap().to_owned();
    let mut found = Vec::new();
    for (index, part) in query.split("repository(").skip(1).enumerate() {
        let name = part.split('"').nth(1).unwrap().to_owned() + "/" + part.split('"').nth(3).unwrap();
        let numbers =
            part.split("pullRequest(number: ").skip(1).map(|n| n.split(')').next().unwrap().parse().unwrap());
        found.push((format!("r{index}"), name, numbers.collect()));
    }
    found
}

fn node(repository: &str, number: u64) -> Value {
    json!({
        "number": number, "url": format!("https://github.com/{repository}/pull/{number}"),
        "title": format!("change {number}"), "body": "first\r\nsecond", "state": "MERGED",
        "author": { "__typename": if number.is_multiple_of(7) { "Bot" } else { "User" }, "login": "dependabot" },
        "labels": { "nodes": [{ "name": "kind/bug" }], "pageInfo": { "hasNextPage": false } },
        "baseRefName": "master", "headRefName": "fix", "headRefOid": "abc", "headRepositoryOwner": null,
        "mergeCommit": { "oid": "def" }, "somethingNew": 1
    })
}

/// Answers a query; `twist` may replace a node and add an error.
pub(super) fn answer(
    seen: &Seen,
    twist: impl Fn(&str, u64, &str) -> Option<(Value, Option<Value>)>,
) -> Reply {
    let (mut data, mut errors) = (Map::new(), Vec::new());
    for (alias, name, numbers) in asked(seen) {
        let mut pulls = Map::new();
        for number in numbers {
            let path = format!("p{number}");
            let (value, error) = twist(&name, number, &alias).unwrap_or_else(|| (node(&name, number), None));
            errors.extend(error);
            pulls.insert(path, value);
        }
        data.insert(alias, Value::Object(pulls));
    }
    let mut reply = json!({ "data": data });
    if !errors.is_empty() {
        reply["errors"] = Value::Array(errors);
    }
    Reply::json(200, &reply)
}

pub(super) fn size(seen: &Seen) -> usize {
    asked(seen).iter().map(|(_, _, numbers)| numbers.len()).sum()
}

fn wanted(count: u64) -> Vec<(Slug, u64)> {
    let repositories = ["kubernetes-csi/livenessprobe", "kubernetes/kubernetes", "k3s-io/k3s"];
    (1..=count).map(|n| (Slug::parse(repositories[n as usize % 3]).unwrap(), n)).collect()
}

#[tokio::test]
async fn a_hundred_cost_one_request() {
    let server = Server::start(|seen, _| answer(seen, |_, _, _| None)).await;
    for count in [0, 1, 2, 99, 100, 101, 200, 250] {
        let (github, _) = backend(&server);
        let found = github.pull_requests(&wanted(count)).await.unwrap();
        assert_eq!(github.requests().total(), count.div_ceil(100), "{count} pull requests");
        let got: Vec<(Slug, u64)> = found.iter().map(|(slug, pull)| (slug.clone(), pull.number)).collect();
        assert_eq!(got, wanted(count));
    }
    // Asked twice, read once.
    let (github, _) = backend(&server);
    let twice: Vec<_> = wanted(60).into_iter().chain(wanted(60)).collect();
    assert_eq!(github.pull_requests(&twice).await.unwrap().len(), 60);
    assert_eq!(github.requests().total(), 1);
}

#[tokio::test]
async fn a_pull_request_reads_as_documented() {
    let server = Server::start(|seen, _| answer(seen, |_, _, _| None)).await;
    let (github, _) = backend(&server);
    let found = github.pull_requests(&[(slug(), 7), (slug(), 8)]).await.unwrap();
    let (seven, eight) = (&found[0].1, &found[1].1);
    assert_eq!((seven.author.as_str(), eight.author.as_str()), ("dependabot[bot]", "dependabot"));
    assert_eq!((seven.state, seven.merge_commit.as_deref()), (PullState::Merged, Some("def")));
    assert_eq!((seven.body.as_str(), seven.head_owner.as_str()), ("first\r\nsecond", ""));
    assert_eq!(seven.labels, ["kind/bug"]);
}

#[tokio::test]
async fn numbers_that_are_none_are_left_out_and_nothing_else() {
    let error = |kind: &str, path: Value| json!({ "type": kind, "path": path, "message": "no such thing" });
    let cases: Vec<(&str, Value, Option<&str>)> = vec![
        ("NOT_FOUND", Value::Null, None),
        ("FORBIDDEN", Value::Null, Some("kubernetes-csi/livenessprobe#12")),
        ("INTERNAL", Value::Null, Some("kubernetes-csi/livenessprobe#12")),
        ("", Value::Null, Some("kubernetes-csi/livenessprobe#12")),
    ];
    for (kind, value, expected) in cases {
        let kind_of = kind.to_owned();
        let server = Server::start(move |seen, _| {
            answer(seen, |_, number, alias| {
                let told =
                    (!kind_of.is_empty()).then(|| error(&kind_of, json!([alias, format!("p{number}")])));
                (number == 12).then(|| (value.clone(), told))
            })
        })
        .await;
        let (github, _) = backend(&server);
        let asked: Vec<_> = (10..=14).map(|n| (slug(), n)).collect();
        match (github.pull_requests(&asked).await, expected) {
            (Ok(found), None) => {
                assert_eq!(found.iter().map(|(_, p)| p.number).collect::<Vec<_>>(), [10, 11, 13, 14]);
            }
            (Err(error), Some(name)) => assert!(error.to_string().contains(name), "{kind}: {error}"),
            (other, _) => panic!("{kind}: {other:?}"),
        }
    }
    // A repository that is not there is not an empty one.
    let server = Server::start(|_, _| {
        Reply::json(200, &json!({ "data": { "r0": null },
            "errors": [{ "type": "NOT_FOUND", "path": ["r0"], "message": "Could not resolve to a Repository" }] }))
    })
    .await;
    let (github, _) = backend(&server);
    let error = github.pull_requests(&[(slug(), 5)]).await.unwrap_err();
    assert!(
        matches!(&error, CapabilityError::NotFound { what } if what.contains("livenessprobe#5")),
        "{error}"
    );
}

#[tokio::test]
async fn too_big_queries_are_halved() {
    let too_much = [
        Reply::json(
            200,
            &json!({ "errors": [{ "type": "RESOURCE_LIMITS_EXCEEDED", "message": "Resource limits" }] }),
        ),
        Reply::json(
            200,
            &json!({ "data": null, "errors": [{ "message": "Something went wrong while executing your query. This may be the result of a timeout" }] }),
        ),
        Reply::text(502, "<html>"),
        Reply::Drop,
    ];
    for reply in too_much {
        let refusal = reply.clone();
        let server =
            Server::start(
                move |seen, _| {
                    if size(seen) > 30 { refusal.clone() } else { answer(seen, |_, _, _| None) }
                },
            )
            .await;
        let (github, _) = backend(&server);
        let found = github.pull_requests(&wanted(130)).await.unwrap();
        assert_eq!(found.len(), 130, "{reply:?}");
        assert!(github.requests().total() <= 12, "{reply:?}: {}", github.requests().total());
    }
}

#[tokio::test]
async fn the_one_that_cannot_be_read_is_named() {
    let server = Server::start(|seen, _| {
        let poisoned = asked(seen).iter().any(|(_, _, numbers)| numbers.contains(&77));
        if poisoned { Reply::text(502, "") } else { answer(seen, |_, _, _| None) }
    })
    .await;
    let (github, _) = backend(&server);
    let error = github.pull_requests(&wanted(130)).await.unwrap_err().to_string();
    assert!(error.contains("#77") && !error.contains("more"), "{error}");
}

#[tokio::test]
async fn one_stumble_anywhere_changes_nothing() {
    let limited = json!({ "errors": [{ "type": "RATE_LIMITED", "message": "API rate limit exceeded" }] });
    let stumbles = [
        Reply::status(502),
        Reply::Drop,
        Reply::Truncated(200),
        Reply::status(403).with("retry-after", "5"),
        Reply::json(200, &limited),
    ];
    for stumble in stumbles {
        for at in 0..3 {
            let reply = stumble.clone();
            let server = Server::start(
                move |seen, n| if n == at { reply.clone() } else { answer(seen, |_, _, _| None) },
            )
            .await;
            let (github, _) = backend(&server);
            let found = github.pull_requests(&wanted(230)).await.unwrap();
            assert_eq!(found.len(), 230, "{stumble:?} at {at}");
            assert_eq!(server.seen().len(), 4, "{stumble:?} at {at}");
        }
    }
}

#[tokio::test]
async fn labels_are_never_cut() {
    let server = Server::start(|seen, _| {
        if seen.method == "GET" {
            let from = if seen.target.contains("&page=2") { 100 } else { 0 };
            let labels: Vec<_> =
                (from..(from + 100).min(130)).map(|n| json!({ "name": format!("l{n}") })).collect();
            let reply = Reply::json(200, &json!(labels));
            let next =
                format!("<http://{}{}&page=2>; rel=\"next\"", seen.header("host").unwrap(), seen.target);
            return if from == 0 { reply.with("link", next) } else { reply };
        }
        answer(seen, |name, number, _| {
            let mut full = node(name, number);
            full["labels"]["pageInfo"]["hasNextPage"] = json!(true);
            Some((full, None))
        })
    })
    .await;
    let (github, _) = backend(&server);
    let found = github.pull_requests(&[(slug(), 3)]).await.unwrap();
    assert_eq!(found[0].1.labels.len(), 130);
}

#[tokio::test]
async fn without_an_account_each_is_read_by_itself() {
    let server = Server::start(|seen, _| match seen.target.as_str() {
        "/graphql" => Reply::json(401, &json!({ "message": "Requires authentication" })),
        "/repos/kubernetes-csi/livenessprobe/pulls/1" => Reply::json(
            200,
            &json!({ "number": 1, "state": "closed", "merged_at": "2026-01-01T00:00:00Z", "title": null,
                "user": null, "head": { "ref": "x", "sha": "s", "repo": null }, "merge_commit_sha": "m" }),
        ),
        "/repos/kubernetes-csi/livenessprobe" => Reply::status(200),
        _ => Reply::json(404, &json!({ "message": "Not Found" })),
    })
    .await;
    let (mut config, _) = config(&server.base);
    config.token = None;
    let github = GitHubBackend::new(config).unwrap();
    let found = github.pull_requests(&[(slug(), 1), (slug(), 2), (slug(), 3)]).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].1.author.as_str(), found[0].1.merge_commit.as_deref()), ("ghost", Some("m")));
    let gone = Slug::parse("no/where").unwrap();
    assert!(matches!(
        github.pull_requests(&[(gone, 1)]).await.unwrap_err(),
        CapabilityError::NotFound { .. }
    ));
}
