//! Waits that come true in a plan.

use super::{Scene, fork, spec, tool, update};
use crate::capability::Probe;
use crate::capability::github::{CheckState, MergeMethod, PullSpec, PullState};
use crate::journal::Condition;
use crate::plan::overlay::{Assumed, INVENTED, Symbol};

fn merged(number: u64) -> Condition {
    Condition::PullRequestMerged { repository: "acme/tool".into(), number }
}

fn pull(head: &str, title: &str) -> PullSpec {
    PullSpec {
        head: head.into(),
        base: "main".into(),
        title: title.into(),
        body: "text".into(),
        labels: Vec::new(),
        draft: false,
    }
}

#[tokio::test]
async fn a_planned_pull_request_is_merged() {
    for (repository, prefix) in [(tool(), ""), (fork(), "release-bot:")] {
        let scene = Scene::new().await;
        let world = scene.overlay.capabilities();
        world.git.open(&repository).await.unwrap();
        let main = world.git.resolve(&repository, "refs/heads/main").await.unwrap().unwrap().id;
        let commit = world.git.build_commit(&repository, &spec(&main, "n", "n")).await.unwrap().id;
        world.git.push(&repository, &[update("refs/heads/notes", &commit, None)]).await.unwrap();
        let wanted = pull(&format!("{prefix}notes"), "Notes");
        let opened = world.github.put_pull_request(&tool(), &wanted).await.unwrap();
        assert_eq!(opened.number, INVENTED + 1);
        assert_eq!(scene.overlay.assume(&merged(opened.number)).await.unwrap(), Assumed::Done);
        assert_eq!(scene.overlay.assume(&merged(opened.number)).await.unwrap(), Assumed::AlreadyTrue);

        world.git.open(&tool()).await.unwrap();
        let tip = world.git.resolve(&tool(), "refs/heads/main").await.unwrap().unwrap();
        assert_eq!(tip.parents, [main, commit]);
        let owner = repository.owner();
        let message = format!("Merge pull request #{} from {owner}/notes\n\nNotes", opened.number);
        assert_eq!((tip.message.as_str(), tip.author.as_str()), (message.as_str(), "GitHub"));
        assert_eq!(world.git.read(&tool(), &tip.id, "n", 9).await.unwrap().unwrap(), b"n");
        let found = world.github.probe_merge(&tool(), opened.number).await.unwrap();
        assert_eq!(found, Probe::Present(tip.id.clone()));
        let found = world.github.probe_pull_request(&tool(), &wanted).await.unwrap();
        let Probe::Present(found) = found else { panic!("the merged pull request is found") };
        assert_eq!((found.state, found.merge_commit.as_ref()), (PullState::Merged, Some(&tip.id)));
        let symbol =
            Symbol::MergeCommit { repository: tool(), number: opened.number, commit: tip.id.clone() };
        assert_eq!(scene.overlay.symbols().last(), Some(&symbol));
        scene.is_untouched();
    }
}

#[tokio::test]
async fn live_pull_requests_and_what_stands_in_their_way() {
    let scene = Scene::new().await;
    let world = scene.overlay.capabilities();
    assert_eq!(scene.overlay.assume(&merged(2)).await.unwrap(), Assumed::AlreadyTrue);
    let closed = scene.overlay.assume(&merged(4)).await.unwrap_err();
    assert!(closed.to_string().starts_with("conflict: acme/tool#4 is closed"), "{closed}");
    let absent = scene.overlay.assume(&merged(77)).await.unwrap_err();
    assert!(absent.to_string().starts_with("not found"), "{absent}");
    assert_eq!(scene.overlay.assume(&merged(3)).await.unwrap(), Assumed::Done);
    world.git.open(&tool()).await.unwrap();
    let list = world.git.read(&tool(), "refs/heads/main", "list.txt", 99).await.unwrap().unwrap();
    assert_eq!(list, b"a\nleft\nc\nd\ne\n");
    // What comes from the other side now conflicts with it.
    let right = world.github.put_pull_request(&tool(), &pull("right", "Right")).await.unwrap();
    let conflict = scene.overlay.assume(&merged(right.number)).await.unwrap_err();
    let words = conflict.to_string();
    assert!(words.starts_with("conflict:") && words.ends_with("both change list.txt"), "{words}");
    let head = right.head_commit.unwrap();
    for method in [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase] {
        let refused = world.github.merge(&tool(), right.number, &head, method).await.unwrap_err();
        assert!(refused.to_string().ends_with("both change list.txt"), "{refused}");
    }
    assert_eq!(world.github.probe_merge(&tool(), right.number).await.unwrap(), Probe::Absent);
    scene.is_untouched();
}

#[tokio::test]
async fn every_way_of_merging_gives_the_same_tree() {
    let mut trees = Vec::new();
    for (method, parents, more) in
        [(MergeMethod::Merge, 2, 3), (MergeMethod::Squash, 1, 1), (MergeMethod::Rebase, 1, 2)]
    {
        let scene = Scene::new().await;
        let world = scene.overlay.capabilities();
        world.git.open(&tool()).await.unwrap();
        let first = scene.seeded("first");
        let one = world.git.build_commit(&tool(), &spec(&first, "one", "1")).await.unwrap().id;
        let two = world.git.build_commit(&tool(), &spec(&one, "two", "2")).await.unwrap().id;
        world.git.push(&tool(), &[update("refs/heads/pair", &two, None)]).await.unwrap();
        let opened = world.github.put_pull_request(&tool(), &pull("pair", "A pair")).await.unwrap();
        let commit = world.github.merge(&tool(), opened.number, &two, method).await.unwrap();
        let tip = world.git.resolve(&tool(), &commit).await.unwrap().unwrap();
        assert_eq!(tip.parents.len(), parents, "{method:?}");
        trees.push(tip.tree);
        let log = world.git.log(&tool(), Some("refs/heads/main"), &commit, 9).await.unwrap();
        assert_eq!(log.len(), more, "{method:?}");
        scene.is_untouched();
    }
    trees.dedup();
    assert_eq!(trees.len(), 1, "{trees:?}");
}

#[tokio::test]
async fn checks_become_green() {
    let scene = Scene::new().await;
    let world = scene.overlay.capabilities();
    world.git.open(&tool()).await.unwrap();
    let second = scene.seeded("second");
    let fresh = world.git.build_commit(&tool(), &spec(&second, "n", "n")).await.unwrap().id;
    let names = |commit: String| {
        let github = world.github.clone();
        async move {
            let checks = github.checks(&tool(), &commit).await.unwrap();
            checks.into_iter().map(|check| (check.name, check.state)).collect::<Vec<_>>()
        }
    };
    assert_eq!(names(fresh.clone()).await, []);
    assert!(names(second.clone()).await.contains(&("e2e".into(), CheckState::Pending)));
    for (commit, expected) in [(second, vec!["build", "e2e"]), (fresh, vec!["planned"])] {
        let condition = Condition::ChecksGreen { repository: "acme/tool".into(), commit: commit.clone() };
        assert_eq!(scene.overlay.assume(&condition).await.unwrap(), Assumed::Done);
        assert_eq!(scene.overlay.assume(&condition).await.unwrap(), Assumed::AlreadyTrue);
        let expected: Vec<_> =
            expected.into_iter().map(|name| (name.to_owned(), CheckState::Success)).collect();
        assert_eq!(names(commit).await, expected);
    }
    scene.is_untouched();
}

#[tokio::test]
async fn what_nobody_can_know_ends_the_plan() {
    let scene = Scene::new().await;
    assert_eq!(scene.overlay.assume(&Condition::Time { at: 0 }).await.unwrap(), Assumed::Done);
    for condition in [
        Condition::ImagePresent { reference: "registry.example/tool:v1".into() },
        Condition::JobSucceeded { name: "build".into(), url: String::new() },
        Condition::ModuleVisible { module: "example.org/tool".into(), version: "v1.0.0".into() },
        Condition::Other { text: "the moon is full".into() },
    ] {
        let assumed = scene.overlay.assume(&condition).await.unwrap();
        assert!(matches!(&assumed, Assumed::Unknowable(why) if !why.is_empty()), "{assumed:?}");
    }
    assert!(
        scene
            .overlay
            .assume(&Condition::ChecksGreen { repository: "x".into(), commit: "y".into() })
            .await
            .is_err()
    );
}
