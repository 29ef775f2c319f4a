//! The fake keeps the promises that steps rely on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::command::{Finished, Program};
use crate::git::{BranchRule, Change, CommitSpec, RefSpec};
use crate::github::{IssueSpec, PullFilter, PullSpec, PullState};
use crate::host::{Files, Forge, Git, Host, Http, Log, Outbox, Programs, Repository};
use crate::http::{Probe, Request, Response};
use crate::mail::Message;

fn world() -> (World, String) {
    let world = World::new();
    let head = world.commit("o/r", "main", "Begin", &[("VERSION", "1\n"), ("d/a", "a"), ("d/e/b", "b")]);
    (world, head)
}

fn commit(parent: &str, changes: Vec<Change>) -> CommitSpec {
    CommitSpec { parents: vec![parent.to_owned()], changes, message: "m\n".to_owned(), sign_off: true }
}

#[test]
fn trees_are_read_and_changed() {
    let (world, head) = world();
    let repository = world.open("o/r").unwrap();
    let paths = |id: &str, path: &str, recursive| {
        let entries = repository.entries(id, path, recursive)?;
        Ok::<_, Error>(entries.into_iter().map(|entry| entry.path).collect::<Vec<_>>())
    };
    assert_eq!(paths(&head, "", false).unwrap(), ["VERSION", "d"]);
    assert_eq!(paths(&head, "d", true).unwrap(), ["d/a", "d/e/b"]);
    assert!(matches!(paths(&head, "none", true), Err(Error::NotFound(_))));
    let folder = repository.entries(&head, "", false).unwrap()[1].id.clone();
    let changes = vec![
        Change::Remove("d/e".to_owned()),
        Change::put("VERSION", "2\n"),
        Change::Graft(("copy".to_owned(), folder)),
    ];
    let built = repository.build_commit(&commit(&head, changes.clone())).unwrap();
    assert_eq!(paths(&built.id, "", true).unwrap(), ["VERSION", "copy/a", "copy/e/b", "d/a"]);
    assert_eq!(repository.text(&built.id, "VERSION").unwrap().as_deref(), Some("2\n"));
    assert_eq!(
        repository.build_commit(&commit(&head, changes)).unwrap(),
        built,
        "the same content, the same id"
    );
    assert!(built.message.ends_with("\n\nSigned-off-by: Release Manager <release@example.org>\n"));
    for change in [Change::Remove("none".to_owned()), Change::put("../x", ""), Change::put("a//b", "")] {
        assert!(repository.build_commit(&commit(&head, vec![change.clone()])).is_err(), "{change:?}");
    }
    assert!(world.effects().is_empty(), "a commit nobody sees is no effect");
}

#[test]
fn branches_move_by_rule_and_tags_never() {
    let (world, head) = world();
    let repository = world.open("o/r").unwrap();
    let next = repository.build_commit(&commit(&head, vec![Change::put("x", "x")])).unwrap().id;
    let other = repository.build_commit(&commit(&head, vec![Change::put("y", "y")])).unwrap().id;
    let cases = [
        (head.as_str(), BranchRule::Create, true),
        (next.as_str(), BranchRule::Create, false),
        (next.as_str(), BranchRule::FastForward, true),
        (next.as_str(), BranchRule::Create, true),
        (other.as_str(), BranchRule::FastForward, false),
        (other.as_str(), BranchRule::Replace(head.clone()), false),
        (other.as_str(), BranchRule::Replace(next.clone()), true),
    ];
    for (commit, rule, expected) in cases {
        assert_eq!(repository.ensure_branch("b", commit, &rule).is_ok(), expected, "{rule:?}");
    }
    repository.ensure_tag("v1.0.0", &head, Some("v1.0.0")).unwrap();
    repository.ensure_tag("v1.0.0", &head, None).unwrap();
    assert!(matches!(repository.ensure_tag("v1.0.0", &next, None), Err(Error::Conflict(_))));
    let both = ["refs/tags/v1.0.1", "refs/tags/v1.0.0"].map(|name| RefSpec {
        name: name.to_owned(),
        commit: next.clone(),
        annotation: None,
    });
    assert!(matches!(repository.ensure_refs(&both), Err(Error::Conflict(_))));
    assert_eq!(world.at("o/r", "refs/tags/v1.0.1"), None, "all or none");
    let tags = repository.tags().unwrap();
    assert_eq!(tags.latest().map(|latest| latest.to_string()).as_deref(), Some("v1.0.0"));
    let pushes = ["push o/r refs/heads/b"; 3];
    assert_eq!(world.effects(), [&pushes[..], &["create o/r refs/tags/v1.0.0"]].concat());
}

#[test]
fn pull_requests_live_and_merge() {
    let (world, head) = world();
    world.commit("o/r", "topic", "Change", &[("d/a", "changed")]);
    let spec = |title: &str| PullSpec {
        head: "topic".to_owned(),
        base: "main".to_owned(),
        title: title.to_owned(),
        body: String::new(),
        labels: vec!["kind/feature".to_owned()],
        draft: false,
    };
    let opened = world.ensure_pull_request("o/r", &spec("One")).unwrap();
    assert_eq!(world.ensure_pull_request("o/r", &spec("One")).unwrap(), opened);
    assert_eq!(world.ensure_pull_request("o/r", &spec("Two")).unwrap().title, "Two");
    world.commit("o/r", "main", "Elsewhere", &[("VERSION", "2\n")]);
    assert!(matches!(world.merge_pull_request("o/r", 1, &head, "merge"), Err(Error::Conflict(_))));
    let tip = opened.head_commit.unwrap();
    let merged = world.merge_pull_request("o/r", 1, &tip, "merge").unwrap();
    assert_eq!(world.merge_pull_request("o/r", 1, &tip, "merge").unwrap(), merged);
    for (path, text) in [("VERSION", "2\n"), ("d/a", "changed"), ("d/e/b", "b")] {
        assert_eq!(world.file("o/r", "refs/heads/main", path).as_deref(), Some(text), "{path}");
    }
    let filter = PullFilter { state: Some(PullState::Merged), base: None, head: Some("o:topic".to_owned()) };
    assert_eq!(world.find_pull_requests("o/r", &filter, 9).unwrap().len(), 1);
    world.ensure_comment("o/r", 1, "k", "text").unwrap();
    world.ensure_comment("o/r", 1, "k", "text").unwrap();
    assert_eq!(world.comment("o/r", 1, "k").as_deref(), Some("text"));
    assert_eq!(world.effects(), ["open o/r#1", "update o/r#1", "merge o/r#1", "comment o/r#1 k"]);
    let spec = PullSpec { head: "none".to_owned(), ..spec("x") };
    assert!(matches!(world.ensure_pull_request("o/r", &spec), Err(Error::Invalid(_))));
}

#[test]
fn issues_are_told_apart_by_key() {
    let (world, _) = world();
    let spec = |key: &str, open| IssueSpec {
        key: key.to_owned(),
        title: key.to_owned(),
        body: String::new(),
        labels: Vec::new(),
        open,
    };
    for (key, open, number) in [("a", true, 1), ("b", true, 2), ("a", true, 1), ("a", false, 1)] {
        assert_eq!(world.ensure_issue("o/r", &spec(key, open)).unwrap().number, number);
    }
    assert_eq!(world.issue("o/r", "a").map(|issue| issue.open), Some(false));
    assert_eq!(world.effects(), ["open o/r#1", "open o/r#2", "update o/r#1"]);
}

#[test]
fn requests_are_answered_once_for_a_key() {
    let world = World::new();
    let url = "https://x.org/builds";
    let submit = Request::post(url).json(&serde_json::json!({ "tag": "m1" }));
    assert!(matches!(world.send("k", &submit), Err(Error::Unavailable(_))));
    world.answer("POST", url, Response::new(200, "{\"ok\":true}"));
    world.answer("GET", url, Response::new(200, "[]"));
    let probe = Probe::new(Request::get(url), "m1").refusal("\"ok\":false");
    world.send("k", &submit).unwrap();
    world.send("k", &submit).unwrap();
    world.ensure("e", &submit, &probe).unwrap();
    world.ensure("e", &submit, &probe).unwrap();
    assert_eq!(world.effects(), [format!("post {url}"), format!("post {url}")]);
    world.answer("GET", url, Response::new(200, "[\"m1\"]"));
    assert_eq!(world.ensure("f", &submit, &probe).unwrap().header("castoff-found"), Some("yes"));
    world.answer("GET", url, Response::new(200, "[]"));
    world.answer("POST", url, Response::new(200, "{\"ok\":false}"));
    assert!(world.ensure("g", &submit, &probe).is_err());
    assert!(world.fetch(&submit).is_err(), "only reads are fetched");
    assert_eq!(world.effects().len(), 2);
}

#[test]
fn files_programs_and_mail() {
    let world = World::new();
    world.program("go", |command, scratch| {
        scratch.insert("go.sum".to_owned(), command.arguments.join(" ").into_bytes());
        Finished { code: 0, stdout: Vec::new(), stderr: Vec::new(), cut: false, assumed: false }
    });
    world.write_scratch("m/go.mod", b"module m\n").unwrap();
    let tidy = Program::new("go").arguments(["mod", "tidy"]);
    world.run_program(tidy.command()).unwrap();
    assert_eq!(world.read_scratch("go.sum").unwrap(), b"mod tidy");
    assert_eq!(world.scratch_files("m").unwrap(), ["m/go.mod"]);
    assert!(world.write_scratch("../x", b"").is_err() && world.read_scratch("none").is_err());
    let message = Message::new(["a@example.org"], "s", "t");
    let letter = world.send_mail("k", &message).unwrap();
    assert_eq!((letter.artefact.as_str(), world.letter("k")), ("mail-k.eml", Some(message)));
    world.send_program("k", tidy.command()).unwrap();
    world.send_program("k", tidy.command()).unwrap();
    world.warn("look");
    assert_eq!(world.said(), [(Level::Warn, "look".to_owned())]);
    assert_eq!(world.effects(), ["send mail k", "command go mod tidy"]);
}

#[test]
fn calls_are_denied_fail_and_lose_their_answers() {
    fn publish(host: &impl Host) -> Result<(), Error> {
        host.publish("a.md", "text/markdown", b"a")
    }
    let world = World::new();
    world.fail(Call::Publish, Error::Cancelled("stop".to_owned()));
    assert_eq!(publish(&world), Err(Error::Cancelled("stop".to_owned())));
    assert!(world.effects().is_empty());
    world.lose(Call::Publish);
    assert!(matches!(publish(&world), Err(Error::Unavailable(_))));
    assert_eq!((publish(&world), world.effects().len()), (Ok(()), 1));
    world.deny(Call::Publish);
    for _ in 0..2 {
        assert!(matches!(publish(&world), Err(Error::Denied(denial)) if denial.power == "files.publish"));
    }
}

#[test]
#[should_panic(expected = "started again after `comment")]
fn a_step_that_does_something_twice_is_found() {
    restarts(
        || {
            let world = world().0;
            let spec = IssueSpec {
                key: "i".to_owned(),
                title: "t".to_owned(),
                body: String::new(),
                labels: Vec::new(),
                open: true,
            };
            world.ensure_issue("o/r", &spec).unwrap();
            world
        },
        |host| {
            // A key that depends on what was done before is none.
            let key = format!("k{}", host.effects().len());
            host.ensure_comment("o/r", 1, &key, "text")
        },
    );
}
