//! `castoff verify`: what a run did, against a forge that goes on living.

use castoff::journal::World;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::check;
use crate::place::{Had, Place};

const WORLD: &str = r##"
    user = "jane"

    [[account]]
    login = "jane"
    token = "t-jane"
    permissions = { "acme/*" = "write" }

    [[repository]]
    name = "acme/tool"
    default_branch = "main"

    [[repository.history]]
    id = "first"
    message = "first\n"
    date = "2026-01-01T10:00:00Z"
    author = { name = "Ann", email = "ann@example.test" }
    files = { "README.md" = "# tool\n" }
    tag = "v1.0.0"

    [[repository.history]]
    id = "second"
    message = "second\n"
    date = "2026-01-02T10:00:00Z"
    author = { name = "Ann", email = "ann@example.test" }
    files = { "README.md" = "# the tool\n" }

    [[repository.branch]]
    name = "release-1.0"
    at = "first"

    [[repository.release]]
    tag = "v1.0.0"
    name = "Tool 1.0.0"
    body = "What is new\n"

    [[repository.pull]]
    number = 7
    title = "Notes"
    user = "jane"
    head = "notes"
    files = { "NOTES.md" = "new\n" }

    [[repository.pull]]
    number = 8
    title = "More notes"
    user = "jane"
    head = "more-notes"
    files = { "MORE.md" = "new\n" }
    closed = true

    [[repository.pull]]
    number = 10
    title = "Old notes"
    user = "jane"
    head = "old-notes"
    head_at = "second"
    merge_commit = "second"

    [[repository.issue]]
    number = 9
    title = "Track v1.0.0"
    body = "All of it\n\n<!-- castoff track -->\n"
    user = "jane"
"##;

struct Stage {
    place: Place,
    first: String,
    second: String,
}

impl Stage {
    fn new() -> Self {
        let place = Place::with_forge(WORLD);
        let seeded = |label| place.forge().seeded("acme/tool", label).expect("the label is there");
        let (first, second) = (seeded("first"), seeded("second"));
        Self { place, first, second }
    }
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

fn tag(name: &str, commit: &str) -> Value {
    json!({ "repository": "acme/tool", "refs": [{ "name": format!("refs/tags/{name}"), "commit": commit }] })
}

fn branch(name: &str, commit: &str) -> Value {
    branch_of("acme/tool", name, commit)
}

fn branch_of(repository: &str, name: &str, commit: &str) -> Value {
    json!({ "repository": repository, "branch": name, "commit": commit, "rule": "fast-forward" })
}

fn pull(head: &str, title: &str) -> Value {
    json!({ "repository": "acme/tool", "head": head, "base": "main", "title": title, "body": "", "labels": [] })
}

fn release(title: &str, prerelease: bool) -> Value {
    json!({
        "repository": "acme/tool", "tag": "v1.0.0", "name": title, "body": digest("What is new\n"), "draft": false,
        "prerelease": prerelease, "assets": [],
    })
}

/// What is still there, or has gone on as it may.
fn there(stage: &Stage) -> Vec<Had<'static>> {
    let both = json!({ "repository": "acme/tool", "refs": [
        { "name": "refs/tags/v1.0.0", "commit": stage.first },
        { "name": "refs/heads/release-1.0", "commit": stage.first },
    ] });
    vec![
        ("git.ensure-tag", tag("v1.0.0", &stage.first), Value::Null),
        ("git.ensure-refs", both, Value::Null),
        ("git.ensure-branch", branch("main", &stage.first), Value::Null),
        ("github.ensure-release", release("Tool 1.0.0", false), Value::Null),
        ("github.ensure-pull-request", pull("notes", "Notes"), json!({ "number": 7 })),
        ("github.ensure-pull-request", pull("notes", "Notes"), Value::Null),
        (
            "github.ensure-issue",
            json!({ "repository": "acme/tool", "key": "track", "labels": [], "body": digest("other") }),
            Value::Null,
        ),
        ("files.publish", json!({ "name": "notes.md", "sha256": digest("first") }), Value::Null),
        ("files.publish", json!({ "name": "notes.md", "sha256": digest("kept") }), Value::Null),
        ("http.send", json!({ "url": "https://example.org" }), Value::Null),
        ("git.ensure-branch", branch("old-notes", &stage.second), Value::Null),
        ("github.ensure-pull-request", pull("old-notes", "Old notes"), json!({ "number": 10 })),
        ("github.merge-pull-request", json!({ "repository": "acme/tool", "number": 10 }), Value::Null),
    ]
}

#[test]
fn what_is_there_and_has_gone_on() {
    let stage = Stage::new();
    let _journal = stage.place.run("demo-1", World::Live, &there(&stage));
    std::fs::write(stage.place.run_folder("demo-1").join("artefacts/notes.md"), "kept").expect("a file");
    check!(stage.place.castoff(&["verify", "demo-1"]), @r"
    exit 0
    --- stdout
    ✓ work: git.ensure-tag 0: refs/tags/v1.0.0 at [COMMIT]
    ✓ work: git.ensure-refs 1: refs/tags/v1.0.0 at [COMMIT], refs/heads/release-1.0 at [COMMIT]
    ✓ work: git.ensure-branch 2: refs/heads/main moved on to [COMMIT]
    ✓ work: github.ensure-release 3: published
    ✓ work: github.ensure-pull-request 4: #7 open
    ✓ work: github.ensure-pull-request 5: #7 open
    ✓ work: github.ensure-issue 6: #9 open, its text was edited since
    ✓ work: files.publish 7: a later effect of the run took its place
    ✓ work: files.publish 8: kept with the run
    ? work: http.send 9: effects of this kind leave nothing to look for
    ✓ work: git.ensure-branch 10: refs/heads/old-notes gone after the merge of #10
    ✓ work: github.ensure-pull-request 11: #10 merged
    ✓ work: github.merge-pull-request 12: merged as [COMMIT]
    12 effects there, 0 differ, 1 cannot be looked for
    --- stderr
    castoff log demo-1
    ");
    let told: Value = serde_json::from_str(&stage.place.out(&["verify", "--json"])).expect("JSON");
    assert_eq!((&told["there"], &told["differ"], &told["unsearchable"]), (&json!(12), &json!(0), &json!(1)));
    assert_eq!(told["effects"][2]["result"]["finding"], "there");
}

#[test]
fn what_differs() {
    let stage = Stage::new();
    let effects = [
        ("git.ensure-tag", tag("v1.0.0", &stage.second), Value::Null),
        ("git.ensure-tag", tag("v1.0.1", &stage.first), Value::Null),
        ("git.ensure-branch", branch("release-1.0", &stage.second), Value::Null),
        ("git.ensure-branch", branch("gone", &stage.first), Value::Null),
        ("github.ensure-release", release("Tool 1.0", true), Value::Null),
        ("github.ensure-pull-request", pull("more-notes", "More notes"), json!({ "number": 8 })),
        ("github.merge-pull-request", json!({ "repository": "acme/tool", "number": 7 }), Value::Null),
        (
            "github.ensure-comment",
            json!({ "repository": "acme/tool", "number": 9, "key": "k", "body": digest("text") }),
            Value::Null,
        ),
        ("git.ensure-branch", branch_of("acme/none", "main", &stage.first), Value::Null),
        ("files.publish", json!({ "name": "notes.md", "sha256": digest("kept") }), Value::Null),
    ];
    let _journal = stage.place.run("demo-1", World::Live, &effects);
    let shown = stage.place.castoff(&["verify", "demo-1"]);
    let shown: Vec<&str> = shown.lines().filter(|line| !line.contains("git.ensure-branch 8")).collect();
    check!(shown.join("\n"), @r#"
    exit 21
    --- stdout
    ✗ work: git.ensure-tag 0: refs/tags/v1.0.0 stands at [COMMIT], not at [COMMIT]
    ✗ work: git.ensure-tag 1: refs/tags/v1.0.1 is gone
    ✗ work: git.ensure-branch 2: refs/heads/release-1.0 stands at [COMMIT], not at [COMMIT]
    ✗ work: git.ensure-branch 3: refs/heads/gone is gone
    ✗ work: github.ensure-release 4: the pre-release flag is false, its title is "Tool 1.0.0", not "Tool 1.0"
    ✗ work: github.ensure-pull-request 5: #8 was closed without a merge
    ✗ work: github.merge-pull-request 6: it is not merged
    ✗ work: github.ensure-comment 7: there is no such comment
    ✗ work: files.publish 9: the file is gone
    0 effects there, 10 differ, 0 cannot be looked for
    --- stderr
    castoff log demo-1
    "#);
}

#[test]
fn a_rehearsal_is_over() {
    let place = Place::new();
    let _journal = place.run("demo-1", World::Rehearsal, &[]);
    check!(place.castoff(&["verify"]), @r"
    exit 2
    --- stderr
    error[usage]: a rehearsal cannot be verified: its forge ended with it

    hint: castoff audit demo-1 checks what it wrote down
    ");
}

#[test]
fn a_world_that_does_not_answer() {
    let stage = Stage::new();
    let effects = [("git.ensure-tag", tag("v1.0.0", &stage.first), Value::Null)];
    let _journal = stage.place.run("demo-1", World::Live, &effects);
    let place = stage.place.without_forge();
    let shown = place.castoff(&["verify", "demo-1"]);
    assert!(
        shown.starts_with("exit 40\n--- stderr\nerror[unavailable]: the world cannot be read: "),
        "{shown}"
    );
}
