//! The verbs: what they write, and that they write nothing that is there already.

use std::sync::Mutex;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{backend, slug};
use crate::capability::github::{
    AssetSpec, CheckState, GitHub, IssueSpec, MergeMethod, Permission, PullFilter, PullSpec, PullState,
    ReleaseSpec,
};
use crate::capability::scripted::{Reply, Seen, Server};
use crate::capability::{CapabilityError, Probe, Slug};

const REPO: &str = "/repos/kubernetes-csi/livenessprobe";

fn spec() -> PullSpec {
    PullSpec {
        head: "jane:fix".into(),
        base: "master".into(),
        title: "a title".into(),
        body: "line\n\n<!-- castoff k -->\n".into(),
        labels: vec!["kind/bug".into()],
        draft: false,
    }
}

fn pull(number: u64, title: &str, state: &str, merged: bool, labels: &[&str]) -> Value {
    json!({
        "number": number, "title": title, "body": "line\r\n\r\n<!-- castoff k -->", "state": state,
        "merged_at": merged.then_some("2026-01-01T00:00:00Z"), "merge_commit_sha": "trial",
        "user": { "login": "jane", "type": "User" }, "base": { "ref": "master" },
        "head": { "ref": "fix", "sha": "abc", "label": "jane:fix", "repo": { "owner": { "login": "Jane" } } },
        "labels": labels.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
    })
}

fn writes(server: &Server) -> Vec<String> {
    server
        .lines()
        .into_iter()
        .filter(|line| !line.starts_with("GET"))
        .map(|line| line.replace(REPO, ""))
        .collect()
}

#[tokio::test]
async fn a_pull_request_is_opened_edited_or_left_alone() {
    let cases: Vec<(Vec<Value>, Vec<&str>, bool)> = vec![
        (vec![], vec!["POST /pulls", "POST /issues/9/labels"], false),
        (vec![pull(3, "a title", "open", false, &["Kind/Bug", "other"])], vec![], true),
        (vec![pull(3, "a title", "open", false, &[])], vec!["POST /issues/3/labels"], false),
        (vec![pull(3, "old title", "open", false, &["kind/bug"])], vec!["PATCH /pulls/3"], false),
        // Somebody else's branch of that name, where GitHub ignored the filter.
        (
            vec![{
                let mut other = pull(4, "a title", "open", false, &["kind/bug"]);
                other["head"]["repo"]["owner"]["login"] = json!("joe");
                other
            }],
            vec!["POST /pulls", "POST /issues/9/labels"],
            false,
        ),
        (vec![pull(2, "a title", "closed", true, &[])], vec!["POST /pulls", "POST /issues/9/labels"], true),
        (vec![pull(2, "another", "closed", true, &[])], vec!["POST /pulls", "POST /issues/9/labels"], false),
        (vec![pull(2, "a title", "closed", false, &[])], vec!["POST /pulls", "POST /issues/9/labels"], false),
    ];
    for (there, expected, present) in cases {
        let listed = there.clone();
        let server = Server::start(move |seen, _| match seen.line().replace(REPO, "").as_str() {
            "GET /pulls" => {
                assert!(seen.target.contains("head=jane%3Afix") && seen.target.contains("base=master"));
                let open = seen.target.contains("state=open");
                let shown = listed.iter().filter(|pull| !open || pull["state"] == "open");
                Reply::json(200, &json!(shown.collect::<Vec<_>>()))
            }
            "POST /pulls" => Reply::json(201, &pull(9, "a title", "open", false, &[])),
            "PATCH /pulls/3" => {
                assert_eq!(seen.json(), json!({ "title": "a title" }));
                Reply::json(200, &pull(3, "a title", "open", false, &["kind/bug"]))
            }
            _ => Reply::json(200, &json!([{ "name": "kind/bug" }])),
        })
        .await;
        let (github, _) = backend(&server);
        let probe = github.probe_pull_request(&slug(), &spec()).await.unwrap();
        assert_eq!(matches!(probe, Probe::Present(_)), present, "{there:?}");
        let pull = github.put_pull_request(&slug(), &spec()).await.unwrap();
        assert_eq!(writes(&server), expected, "{there:?}");
        assert!(pull.labels.iter().any(|label| label.eq_ignore_ascii_case("kind/bug")));
        assert_eq!(pull.merge_commit, None);
    }
}

#[tokio::test]
async fn a_pull_request_opened_meanwhile_is_adopted() {
    let opened = Mutex::new(false);
    let server = Server::start(move |seen, _| {
        let mut opened = opened.lock().unwrap();
        match seen.method.as_str() {
            "POST" => {
                *opened = true;
                let message = "A pull request already exists for jane:fix.";
                Reply::json(
                    422,
                    &json!({ "message": "Validation Failed", "errors": [{ "message": message }] }),
                )
            }
            _ if *opened => Reply::json(200, &json!([pull(5, "a title", "open", false, &["kind/bug"])])),
            _ => Reply::json(200, &json!([])),
        }
    })
    .await;
    let (github, _) = backend(&server);
    assert_eq!(github.put_pull_request(&slug(), &spec()).await.unwrap().number, 5);
    assert_eq!(writes(&server).len(), 1);
}

#[tokio::test]
async fn pull_requests_are_sifted_by_state() {
    let server = Server::start(|seen, _| {
        let mut all = vec![
            pull(3, "c", "open", false, &[]),
            pull(2, "b", "closed", true, &[]),
            pull(1, "a", "closed", false, &[]),
        ];
        all.retain(|p| {
            seen.target.contains("state=all")
                || seen.target.contains(&format!("state={}", p["state"].as_str().unwrap()))
        });
        Reply::json(200, &json!(all))
    })
    .await;
    let (github, _) = backend(&server);
    let cases: [(Option<PullState>, &[u64]); 4] = [
        (None, &[3, 2, 1]),
        (Some(PullState::Open), &[3]),
        (Some(PullState::Merged), &[2]),
        (Some(PullState::Closed), &[1]),
    ];
    for (state, numbers) in cases {
        let filter = PullFilter { state, ..PullFilter::default() };
        let found = github.find_pull_requests(&slug(), &filter, 10).await.unwrap();
        assert_eq!(found.iter().map(|pull| pull.number).collect::<Vec<_>>(), numbers);
    }
}

#[tokio::test]
async fn merging_holds_the_head() {
    let server = Server::start(|seen, _| match seen.method.as_str() {
        "GET" => Reply::json(200, &pull(7, "a", "closed", true, &[])),
        _ if seen.json() == json!({ "sha": "abc", "merge_method": "squash" }) => {
            Reply::json(200, &json!({ "sha": "new", "merged": true }))
        }
        _ => Reply::json(409, &json!({ "message": "Head branch was modified" })),
    })
    .await;
    let (github, _) = backend(&server);
    assert_eq!(github.merge(&slug(), 7, "abc", MergeMethod::Squash).await.unwrap(), "new");
    let moved = github.merge(&slug(), 7, "old", MergeMethod::Squash).await.unwrap_err();
    assert!(matches!(moved, CapabilityError::Conflict { .. }), "{moved}");
    assert_eq!(github.probe_merge(&slug(), 7).await.unwrap(), Probe::Present("trial".into()));
}

#[tokio::test]
async fn comments_and_issues_are_found_by_their_markers() {
    let marker = "<!-- castoff a -->";
    let server = Server::start(move |seen, _| {
        let second = seen.target.contains("&page=2");
        let next = format!("<http://{}{}&page=2>; rel=\"next\"", seen.header("host").unwrap(), seen.target);
        let comment = json!({ "id": 5, "html_url": "there", "body": format!("hello\r\n{marker}") });
        let issue = json!({ "number": 8, "title": "t", "body": format!("text {marker}"), "state": "open", "labels": [] });
        let near = json!({ "number": 6, "id": 6, "body": "text <!-- castoff ab -->", "pull_request": {} });
        match (seen.method.as_str(), second) {
            ("GET", false) => Reply::json(200, &json!([near])).with("link", next),
            ("GET", true) if seen.target.contains("/comments") => Reply::json(200, &json!([comment])),
            ("GET", true) => Reply::json(200, &json!([issue])),
            ("PATCH", _) if seen.target.contains("/comments") => Reply::json(200, &comment),
            ("PATCH", _) => {
                let mut issue = issue;
                issue["state"] = json!("closed");
                Reply::json(200, &issue)
            }
            _ => Reply::json(200, &json!([{ "name": "release" }])),
        }
    })
    .await;
    let (github, _) = backend(&server);
    let same = format!("hello\n{marker}\n");
    assert_eq!(
        github.probe_comment(&slug(), 1, marker, &same).await.unwrap(),
        Probe::Present("there".into())
    );
    assert_eq!(github.put_comment(&slug(), 1, marker, &same).await.unwrap(), "there");
    assert!(writes(&server).is_empty());
    let other = format!("bye {marker}");
    assert_eq!(github.probe_comment(&slug(), 1, marker, &other).await.unwrap(), Probe::Absent);
    github.put_comment(&slug(), 1, marker, &other).await.unwrap();
    assert_eq!(writes(&server), ["PATCH /issues/comments/5"]);
    assert!(github.put_comment(&slug(), 1, marker, "no marker").await.is_err());

    let spec = IssueSpec {
        marker: marker.into(),
        title: "t".into(),
        body: format!("text {marker}"),
        labels: vec!["release".into()],
        open: false,
    };
    assert_eq!(github.probe_issue(&slug(), &spec).await.unwrap(), Probe::Absent);
    let issue = github.put_issue(&slug(), &spec).await.unwrap();
    assert_eq!((issue.number, issue.open, issue.labels), (8, false, vec!["release".to_owned()]));
    assert_eq!(writes(&server)[1..], ["PATCH /issues/8", "POST /issues/8/labels"]);
    assert_eq!(github.find_issues(&slug(), None, &[], 10).await.unwrap().len(), 1);
}

fn release_spec() -> ReleaseSpec {
    let asset = |name: &str, content: &[u8]| AssetSpec {
        name: name.into(),
        media_type: "application/gzip".into(),
        content: content.to_vec(),
    };
    ReleaseSpec {
        tag: "v1.2.3".into(),
        commit: "c0ffee".into(),
        name: "v1.2.3".into(),
        body: "notes".into(),
        prerelease: false,
        draft: false,
        assets: vec![asset("a.tgz", b"aaa"), asset("b.tgz", b"bbb")],
    }
}

/// A forge with one release that is not kept by tag while it is a draft, and a tag that publishing creates.
#[derive(Default)]
struct Shelf {
    release: Option<Value>,
    tag: Option<String>,
}

impl Shelf {
    fn answer(&mut self, seen: &Seen) -> Reply {
        let gone = Reply::json(404, &json!({ "message": "Not Found" }));
        let line = seen.line().replace(REPO, "");
        match (line.as_str(), &mut self.release) {
            ("GET /git/ref/tags/v1.2.3", _) => match &self.tag {
                Some(sha) => Reply::json(200, &json!({ "object": { "sha": sha, "type": "commit" } })),
                None => gone,
            },
            ("GET /releases/tags/v1.2.3", Some(release)) if release["draft"] == false => {
                Reply::json(200, release)
            }
            ("GET /releases", release) => Reply::json(200, &json!(release.iter().collect::<Vec<_>>())),
            ("POST /releases", release) => {
                let mut made = seen.json();
                made["id"] = json!(11);
                made["assets"] = json!([]);
                made["upload_url"] =
                    json!(format!("http://{}/up{{?name,label}}", seen.header("host").unwrap()));
                Reply::json(201, release.insert(made))
            }
            ("PATCH /releases/11", Some(release)) => {
                for (name, value) in seen.json().as_object().unwrap() {
                    release[name] = value.clone();
                }
                if release["draft"] == false {
                    release["published_at"] = json!("2026-03-01T12:00:00Z");
                    self.tag.get_or_insert(release["target_commitish"].as_str().unwrap().to_owned());
                }
                Reply::json(200, release)
            }
            ("POST /up", Some(release)) => {
                let asset = json!({ "id": 1, "state": "uploaded", "size": seen.body.len(),
                    "name": seen.target.split("name=").nth(1).unwrap(),
                    "digest": format!("sha256:{}", hex::encode(Sha256::digest(&seen.body))) });
                release["assets"].as_array_mut().unwrap().push(asset.clone());
                Reply::json(201, &asset)
            }
            _ => gone,
        }
    }
}

async fn shelf(shelf: Shelf) -> Server {
    let shelf = Mutex::new(shelf);
    Server::start(move |seen, _| shelf.lock().unwrap().answer(seen)).await
}

#[tokio::test]
async fn a_release_is_drafted_filled_and_published_once() {
    let server = shelf(Shelf::default()).await;
    let (github, _) = backend(&server);
    assert_eq!(github.probe_release(&slug(), &release_spec()).await.unwrap(), Probe::Absent);
    let release = github.put_release(&slug(), &release_spec()).await.unwrap();
    assert_eq!(writes(&server), ["POST /releases", "POST /up", "POST /up", "PATCH /releases/11"]);
    assert_eq!((release.draft, release.published, release.assets.len()), (false, Some(1_772_366_400), 2));
    let upload = &server.seen().into_iter().find(|seen| seen.target.starts_with("/up")).unwrap();
    assert_eq!(
        (upload.header("content-type"), upload.body.as_slice()),
        (Some("application/gzip"), b"aaa".as_slice())
    );
    assert!(upload.header("authorization").is_some());
    // Once more: nothing is written.
    assert!(matches!(github.probe_release(&slug(), &release_spec()).await.unwrap(), Probe::Present(_)));
    github.put_release(&slug(), &release_spec()).await.unwrap();
    assert_eq!(writes(&server).len(), 4);
    github.put_prerelease(&slug(), "v1.2.3", true).await.unwrap();
    assert!(github.put_prerelease(&slug(), "v9", true).await.is_err());
    assert_eq!(writes(&server).len(), 5);
}

#[tokio::test]
async fn a_release_goes_on_from_where_it_stands() {
    let draft = |assets: Value, url: &str| {
        json!({ "id": 11, "tag_name": "v1.2.3", "name": "v1.2.3", "body": "notes", "draft": true,
            "target_commitish": "c0ffee", "assets": assets, "upload_url": url })
    };
    let asset = |content: &[u8]| {
        json!({ "id": 1, "name": "a.tgz", "size": content.len(), "state": "uploaded",
            "digest": format!("sha256:{}", hex::encode(Sha256::digest(content))) })
    };
    let cases = [
        // Another commit, another file, a foreign upload server: nothing is written.
        (Shelf { release: None, tag: Some("beef".into()) }, 0, "conflict"),
        (Shelf { release: Some(draft(json!([asset(b"xxx")]), "/")), tag: None }, 0, "conflict"),
        (
            Shelf {
                release: Some(draft(json!([asset(b"aaa")]), "https://evil.example/up{?name}")),
                tag: None,
            },
            0,
            "invalid",
        ),
        (
            Shelf { release: Some(draft(json!([]), "http://localhost:1@evil.example/up")), tag: None },
            0,
            "invalid",
        ),
    ];
    for (start, count, expected) in cases {
        let server = shelf(start).await;
        let (github, _) = backend(&server);
        let error = github.put_release(&slug(), &release_spec()).await.unwrap_err();
        let kind = if matches!(error, CapabilityError::Conflict { .. }) { "conflict" } else { "invalid" };
        assert_eq!((writes(&server).len(), kind), (count, expected), "{error}");
    }
    let twice =
        ReleaseSpec { assets: [release_spec().assets, release_spec().assets].concat(), ..release_spec() };
    let server = shelf(Shelf::default()).await;
    assert!(backend(&server).0.put_release(&slug(), &twice).await.is_err());
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn checks_show_the_newest_of_each_name() {
    let server = Server::start(|seen, _| {
        if seen.target.contains("/check-runs") {
            return Reply::json(200, &json!({ "check_runs": [
                { "id": 2, "name": "unit", "status": "completed", "conclusion": "success", "started_at": "2026-01-02T00:00:00Z" },
                { "id": 1, "name": "unit", "status": "completed", "conclusion": "failure", "started_at": "2026-01-01T00:00:00Z" },
                { "id": 3, "name": "lint", "status": "queued", "conclusion": null },
                { "id": 4, "name": "skip", "status": "completed", "conclusion": "skipped" },
                { "id": 5, "name": "odd", "status": "completed", "conclusion": "invented" },
            ] }));
        }
        Reply::json(200, &json!({ "statuses": [
            { "id": 9, "context": "tide", "state": "pending" }, { "id": 8, "context": "cla", "state": "error" },
            { "id": 7, "context": "dco", "state": "success", "target_url": "there" } ] }))
    })
    .await;
    let (github, _) = backend(&server);
    let checks = github.checks(&slug(), "abcdef").await.unwrap();
    let states: Vec<(&str, CheckState)> =
        checks.iter().map(|check| (check.name.as_str(), check.state)).collect();
    use CheckState::{Failure, Pending, Success};
    let expected = [
        ("cla", Failure),
        ("dco", Success),
        ("lint", Pending),
        ("odd", Failure),
        ("skip", Success),
        ("tide", Pending),
        ("unit", Success),
    ];
    assert_eq!(states, expected);
    assert!(github.checks(&slug(), "main").await.is_err());
}

#[tokio::test]
async fn protection_is_read_from_both_places() {
    let classic = json!({ "lock_branch": { "enabled": true }, "required_status_checks": { "contexts": ["a"] },
        "required_pull_request_reviews": { "required_approving_review_count": 1 } });
    let rules = json!([{ "type": "required_status_checks", "parameters": { "required_status_checks": [{ "context": "b" }] } },
        { "type": "pull_request", "parameters": { "required_approving_review_count": 2 } }, { "type": "deletion" }]);
    let none = Reply::json(404, &json!({ "message": "Branch not protected" }));
    let hidden = Reply::json(404, &json!({ "message": "Not Found" }));
    let (classic, ruled) = (Reply::json(200, &classic), Reply::json(200, &rules));
    let open = Reply::json(200, &json!({ "protected": false }));
    let closed = Reply::json(200, &json!({ "protected": true }));
    let summary =
        |locked: bool, checks: &[&str], reviews: u32| Some(format!("{locked} {checks:?} {reviews}"));
    let cases = [
        (classic.clone(), hidden.clone(), open.clone(), Ok(summary(true, &["a"], 1))),
        (classic, ruled.clone(), open.clone(), Ok(summary(true, &["a", "b"], 2))),
        (none.clone(), ruled, open.clone(), Ok(summary(false, &["b"], 2))),
        (none, Reply::json(200, &json!([])), open.clone(), Ok(None)),
        (hidden.clone(), hidden.clone(), open, Ok(None)),
        (hidden.clone(), hidden.clone(), closed, Err("forbidden")),
        (hidden.clone(), hidden.clone(), hidden, Err("not-found")),
    ];
    for (protection, rules, branch, expected) in cases {
        let server = Server::start(move |seen, _| {
            assert!(seen.target.contains("release-1%2F2"), "{}", seen.target);
            match seen.target.as_str() {
                target if target.ends_with("/protection") => protection.clone(),
                target if target.contains("/rules/") => rules.clone(),
                _ => branch.clone(),
            }
        })
        .await;
        let (github, _) = backend(&server);
        let found = github.branch_protection(&slug(), "release-1/2").await;
        let found =
            found.map(|p| p.map(|p| format!("{} {:?} {}", p.locked, p.required_checks, p.required_reviews)));
        let found = found.map_err(|error| match error {
            CapabilityError::Forbidden { .. } => "forbidden",
            CapabilityError::NotFound { .. } => "not-found",
            _ => "other",
        });
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn what_the_account_may_do() {
    let server = Server::start(|seen, _| match seen.line().as_str() {
        "GET /repos/a/gone" => Reply::json(404, &json!({ "message": "Not Found" })),
        "GET /repos/a/admin" => Reply::json(200, &json!({ "permissions": { "admin": true, "push": true } })),
        "GET /repos/a/push" => Reply::json(200, &json!({ "permissions": { "push": true, "triage": true } })),
        "GET /repos/a/public" => Reply::json(200, &json!({ "permissions": null })),
        "GET /user" => Reply::json(403, &json!({ "message": "Resource not accessible by integration" })),
        "POST /graphql" => Reply::json(200, &json!({ "data": { "viewer": { "login": "app[bot]" } } })),
        _ => Reply::status(204),
    })
    .await;
    let (github, _) = backend(&server);
    let cases = [
        ("a/gone", Permission::None),
        ("a/admin", Permission::Admin),
        ("a/push", Permission::Write),
        ("a/public", Permission::Read),
    ];
    for (name, permission) in cases {
        assert_eq!(github.viewer_permission(&Slug::parse(name).unwrap()).await.unwrap(), permission);
    }
    assert_eq!(github.viewer().await.unwrap(), "app[bot]");
    github.dispatch(&slug(), "built", &json!({ "tag": "v1" })).await.unwrap();
    assert!(github.dispatch(&slug(), "built", &json!([1])).await.is_err());
    let sent = server.seen().pop().unwrap();
    assert_eq!(sent.json(), json!({ "event_type": "built", "client_payload": { "tag": "v1" } }));
}
