#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::judge::exact;
use super::sight::Sight;
use super::*;
use crate::capability::git::Reference;
use crate::capability::github::{Comment, PullRequest, PullState, Release};
use crate::function::FUNCTIONS;

const COMMIT: &str = "1111111111111111111111111111111111111111";
const OTHER: &str = "2222222222222222222222222222222222222222";

fn reference(name: &str, commit: &str) -> Reference {
    Reference { name: name.into(), object: commit.into(), commit: commit.into() }
}

fn release(draft: bool, prerelease: bool) -> Release {
    Release {
        id: 1,
        url: String::new(),
        tag: "v1".into(),
        name: "One".into(),
        body: "text\n".into(),
        draft,
        prerelease,
        published: None,
        assets: Vec::new(),
    }
}

fn pull(title: &str) -> PullRequest {
    PullRequest {
        number: 7,
        url: String::new(),
        title: title.into(),
        body: String::new(),
        state: PullState::Open,
        author: "jane".into(),
        labels: Vec::new(),
        base: "main".into(),
        head: "notes".into(),
        head_owner: "o".into(),
        head_commit: None,
        merge_commit: None,
    }
}

/// Every effect that a plugin can have is known here, or known not to be findable.
#[test]
fn every_effect_is_thought_of() {
    let whole = json!({
        "repository": "o/r", "branch": "b", "commit": COMMIT, "refs": [], "head": "h", "base": "b", "title": "t",
        "number": 1, "tag": "v1", "key": "k", "body": "00", "labels": [], "name": "n", "sha256": "00",
    });
    let blind = ["github.dispatch", "http.ensure", "http.send", "command.send", "mail.send"];
    for function in FUNCTIONS.iter().filter(|function| function.class.is_effect()) {
        let short = function.short();
        let found = Trace::of(&short, &whole).unwrap();
        assert_eq!(found.is_none(), blind.contains(&short.as_str()), "{short}");
        if found.is_some() {
            assert!(Trace::of(&short, &json!({})).is_err() || short.contains("ensure-refs"), "{short}");
        }
    }
}

#[test]
fn right_after_an_interruption_only_the_very_effect_counts() {
    let branch = json!({ "repository": "o/r", "branch": "b", "commit": COMMIT });
    let refs = json!({ "repository": "o/r", "refs": [
        { "name": "refs/tags/v1", "commit": COMMIT }, { "name": "refs/heads/release-1", "commit": COMMIT },
    ] });
    let wanted = json!({
        "repository": "o/r", "tag": "v1", "draft": false, "prerelease": true, "name": "One", "body": digest(b"text"),
    });
    let comment = json!({ "repository": "o/r", "number": 1, "key": "k", "body": digest(b"text\n") });
    let asked = json!({ "repository": "o/r", "head": "notes", "base": "main", "title": "Notes" });
    let kept = json!({ "name": "n", "media-type": "text/plain", "sha256": "ab" });
    let said = |body: &str| Sight::Comment(Some(Comment { url: String::new(), body: body.into() }));
    let both = |commit: &str| {
        Sight::Refs(vec![reference("refs/tags/v1", COMMIT), reference("refs/heads/release-1", commit)])
    };
    let cases = [
        ("git.ensure-branch", &branch, Sight::Refs(vec![reference("refs/heads/b", COMMIT)]), Some(true)),
        ("git.ensure-branch", &branch, Sight::Refs(vec![reference("refs/heads/b", OTHER)]), Some(false)),
        ("git.ensure-branch", &branch, Sight::Refs(Vec::new()), Some(false)),
        ("git.ensure-refs", &refs, both(COMMIT), Some(true)),
        ("git.ensure-refs", &refs, both(OTHER), Some(false)),
        ("github.ensure-release", &wanted, Sight::Release(Some(release(false, true))), Some(true)),
        ("github.ensure-release", &wanted, Sight::Release(Some(release(true, true))), Some(false)),
        ("github.ensure-prerelease", &wanted, Sight::Release(Some(release(false, false))), Some(false)),
        ("github.ensure-release", &wanted, Sight::Release(None), Some(false)),
        ("github.ensure-pull-request", &asked, Sight::Pulls(vec![pull("Notes")]), Some(true)),
        ("github.ensure-pull-request", &asked, Sight::Pulls(vec![pull("Other notes")]), Some(false)),
        ("github.ensure-comment", &comment, said("text\r\n"), Some(true)),
        ("github.ensure-comment", &comment, said("an earlier text"), None),
        ("github.ensure-comment", &comment, Sight::Comment(None), None),
        ("files.publish", &kept, Sight::Artefact(Some("ab".into())), Some(true)),
        ("files.publish", &kept, Sight::Artefact(None), Some(false)),
    ];
    for (function, request, sight, expected) in cases {
        let trace = Trace::of(function, request).unwrap().unwrap();
        assert_eq!(exact(&trace, &sight), expected, "{function}: {sight:?}");
    }
}
