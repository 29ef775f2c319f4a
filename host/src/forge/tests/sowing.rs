//! Repositories are made side by side: what comes of them is the same every time.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tempfile::TempDir;

use super::{Arc, Forge, SimulatedClock, Stage, World, start_of_time};

/// Repositories with everything that gets an id, most of it from people whom no other part of the world names.
fn world() -> String {
    let mut world = String::new();
    for number in 0..12 {
        let _ = write!(
            world,
            r#"
            [[repository]]
            name = "acme/part-{number}"
            milestones = ["v1"]
            issue = [{{ number = 1, title = "Broken", user = "reporter-{}", labels = ["kind/bug"] }}]
            [[repository.history]]
            message = "first"
            tag = "v1.0.0"
            files = {{ "a" = "{number}" }}
            [[repository.history]]
            pull = {{ number = 2, title = "Mend", user = "Author", head = "mend", labels = ["kind/bug", "lgtm"] }}
            files = {{ "a" = "mended" }}
            [[repository.release]]
            tag = "v1.0.0"
            author = "author"
            assets = {{ "a.txt" = "a" }}
            [[repository.status]]
            at = "v1.0.0"
            state = "success"
            context = "build"
            [[repository.check_run]]
            at = "v1.0.0"
            name = "test"
            "#,
            number % 3
        );
    }
    world
}

/// A forge of that world, and the id of everything in it.
fn started() -> (Stage, Vec<(String, u64)>) {
    let stage = Stage::of(World::from_toml(&world()).expect("a world"));
    let state = stage.forge.core.state();
    let accounts = state.accounts.values().map(|account| (format!("account {}", account.login), account.id));
    let mut ids: Vec<(String, u64)> = accounts.collect();
    for repo in state.repos.values() {
        let mut add = |kind: &str, name: &str, id: u64| ids.push((format!("{} {kind} {name}", repo.key), id));
        add("repository", "", repo.id);
        repo.issues.values().for_each(|issue| add("issue", &issue.number.to_string(), issue.id));
        repo.labels.iter().for_each(|label| add("label", &label.name, label.id));
        repo.milestones.iter().for_each(|stone| add("milestone", &stone.title, stone.id));
        repo.statuses.iter().for_each(|status| add("status", &status.context, status.id));
        repo.check_runs.iter().for_each(|run| add("check run", &run.name, run.id));
        for (key, release) in &repo.releases {
            assert_eq!(*key, release.id);
            add("release", &release.tag, release.id);
            release.assets.iter().for_each(|asset| add("asset", &asset.name, asset.id));
        }
    }
    drop(state);
    (stage, ids)
}

#[test]
fn ids_are_unique_and_the_same_every_time() {
    let (stage, ids) = started();
    let unique: BTreeSet<u64> = ids.iter().map(|(_, id)| *id).collect();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
    // A repository has itself, two issues, two labels, a milestone, a status, a check run, a release and its asset.
    let people = ["acme", "author", "k8s-ci-robot", "reporter-0", "reporter-1", "reporter-2"];
    assert_eq!(ids.len(), 12 * 10 + people.len(), "{ids:?}");
    let last = stage.forge.core.state().next_id;
    assert!(unique.iter().all(|id| *id <= last));
    for _ in 0..5 {
        let (again, same) = started();
        assert_eq!(same, ids);
        assert_eq!(again.forge.snapshot().expect("a snapshot"), stage.forge.snapshot().expect("a snapshot"));
    }
}

#[test]
fn a_fork_may_be_told_before_what_it_is_a_fork_of() {
    let stage = Stage::of(
        World::from_toml(
            r#"
            user = "ann"
            [[account]]
            login = "ann"
            token = "t-ann"
            [[repository]]
            name = "ben/tool"
            fork_of = "Ann/Tool"
            [[repository]]
            name = "Ann/Tool"
            fork_of = "acme/tool"
            [[repository]]
            name = "acme/tool"
            files = { "a" = "a" }
            "#,
        )
        .expect("a world"),
    );
    let head = stage.forge.reference("acme/tool", "refs/heads/main");
    assert!(head.is_some());
    for fork in ["ann/tool", "ben/tool"] {
        assert_eq!(stage.forge.reference(fork, "refs/heads/main"), head);
    }
    let parent = stage.get("ann", "/repos/ben/tool").json()["parent"]["full_name"].clone();
    assert_eq!(parent, "ann/Tool");
}

#[test]
fn worlds_that_contradict_themselves() {
    let refused = |world: &str| {
        let world = World::from_toml(world).expect("a world");
        let folder = TempDir::new().expect("a folder");
        let clock = Arc::new(SimulatedClock::new(start_of_time()));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        match runtime.block_on(Forge::start(world, folder.path(), clock)) {
            Ok(_) => "started".to_owned(),
            Err(error) => error.to_string(),
        }
    };
    let repository = |name: &str, rest: &str| format!("[[repository]]\nname = \"{name}\"\n{rest}\n");
    let twice = [repository("acme/tool", ""), repository("Acme/Tool", "")].concat();
    assert_eq!(refused(&twice), "the world is wrong: repository Acme/Tool: named twice");
    let circle = [
        repository("acme/tool", ""),
        repository("b/tool", "fork_of = \"a/tool\""),
        repository("a/tool", "fork_of = \"b/tool\""),
    ]
    .concat();
    assert_eq!(refused(&circle), "the world is wrong: forks of each other: a/tool, b/tool");
    let own = repository("a/tool", "fork_of = \"A/tool\"");
    assert_eq!(refused(&own), "the world is wrong: forks of each other: a/tool");
    assert_eq!(
        refused(&repository("tool", "")),
        "the world is wrong: repository tool: the name is not owner/name"
    );
    // The first of several mistakes, in the order of the world, whichever was seen first.
    for _ in 0..5 {
        let two = ["one", "two"].map(|name| {
            let branch = "[[repository.branch]]\nname = \"x\"\nat = \"nothing\"";
            repository(&format!("acme/{name}"), branch)
        });
        assert_eq!(
            refused(&two.concat()),
            "the world is wrong: repository acme/one: there is no commit nothing"
        );
    }
}
