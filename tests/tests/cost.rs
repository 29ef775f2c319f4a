//! What notes cost: pull requests are read a hundred at a time, however many there are.

#![allow(clippy::print_stdout)]

use castoff_tests::replay::case::{Case, Commit, Data, Entry, Pull, Tree, World as Told};
use castoff_tests::replay::drive::{Machine, Outcome, Task};
use castoff_tests::replay::seed::{self, Story};
use castoff_tests::train::{Driven, TrainExample, sidecars};
use serde_json::{Map, json};

/// A repository with so many merged pull requests since its last release.
fn case(pulls: u64) -> Case {
    let mut told = Told::default();
    let mut last = "start".to_owned();
    for number in 1..=pulls {
        let date = format!("2025-01-{:02}T{:02}:{:02}:00Z", 1 + number / 1440, number / 60 % 24, number % 60);
        let commit = |sha: String, parents: Vec<String>, message: String| Commit {
            sha,
            parents,
            author: "Somebody".into(),
            date: date.clone(),
            message,
        };
        let (side, merge) = (format!("side-{number}"), format!("merge-{number}"));
        told.side_commits.push(commit(side.clone(), vec![last.clone()], format!("Change {number}\n")));
        let message =
            format!("Merge pull request #{number} from someone/change-{number}\n\nChange {number}\n");
        told.commits.push(commit(merge.clone(), vec![last, side], message));
        told.pulls.push(Pull {
            number,
            title: format!("Change {number}"),
            user: "someone".into(),
            labels: vec!["kind/feature".into()],
            body: format!("```release-note\nChange {number}\n```\n"),
            head_ref: format!("change-{number}"),
            head_owner: "someone".into(),
            merge_commit_sha: Some(merge.clone()),
            base_ref: "master".into(),
        });
        last = merge;
    }
    let mut inputs = Map::new();
    inputs.insert("now".into(), json!("2025-03-01T12:00:00Z"));
    let data =
        Data { repo: "kubernetes-csi/example".into(), version: "v1.1.0".into(), inputs, ..Data::default() };
    Case { folder: std::path::PathBuf::new(), data, world: Some(told) }
}

async fn run(machine: &Machine, case: &Case, only: &str) -> Outcome {
    let told = case.world.as_ref().expect("a told world");
    let head = told.commits.last().map_or_else(|| "start".to_owned(), |commit| commit.sha.clone());
    let file = |text: &str| Entry::File(text.as_bytes().to_vec());
    let story = Story {
        before: Tree::from([("README.md".into(), file("# Example\n"))]),
        branches: [("master".to_owned(), head)].into(),
        default_branch: "master".into(),
        tags: vec![("v1.0.0".into(), "start".into(), false, String::new())],
        anchor: Some("start".into()),
        ..Story::default()
    };
    let mut world = seed::empty(case).expect("a world");
    world.repositories.push(seed::told(&case.data.repo, told, &story).expect("a repository"));
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("version".into(), json!(case.data.version));
    let task = Task { process: "release".into(), inputs, only: vec![only.into()], ..Task::default() };
    let outcome = machine.run(&task, world).await.expect("the host goes on");
    assert_eq!(outcome.refusal(), None);
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_read_a_hundred_pull_requests_at_once() {
    let machine = Machine::load("csi-sidecar").await.expect("the plugin loads");
    let asked = |outcome: &Outcome| {
        let served = outcome.served();
        served.iter().filter(|served| served.path == "/graphql" && served.status == 200).count()
    };
    for pulls in [1, 99, 100, 101, 250] {
        let case = case(pulls);
        let before = asked(&run(&machine, &case, "scope").await);
        let outcome = run(&machine, &case, "notes").await;
        let cost = asked(&outcome) - before;
        let limit = usize::try_from(pulls.div_ceil(100) + 1).expect("a small number");
        println!("{pulls} pull requests: {cost} GraphQL requests");
        let entry = outcome.outputs("notes").and_then(|notes| notes["entry"].as_str()).unwrap_or_default();
        let noted = entry.lines().filter(|line| line.starts_with("- Change ")).count();
        assert_eq!(noted, usize::try_from(pulls).expect("a small number"), "every pull request is noted");
        assert!((1..=limit).contains(&cost), "{pulls} pull requests cost {cost} requests, at most {limit}");
    }
}

/// The notes of a whole train are read together. However slow the machine, reads wait for each other here: the number of
/// requests is the same every time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_train_reads_its_pull_requests_together() {
    const COUNT: usize = 8;
    const PULLS: usize = 30;
    let (_folder, file) = sidecars(COUNT, PULLS).expect("a world");
    let train = TrainExample::load(&file).await.expect("the train is whole");
    let begun = train.begin().await.expect("a train begins");
    let mut run = begun.lingering(std::time::Duration::from_secs(600));
    run.stage().forge().record();
    let Driven::Through(standing) = run.play(COUNT, None).await.expect("the host goes on") else {
        panic!("nothing was to crash")
    };
    let noted = standing.runs.values().filter_map(|run| run.outputs_of("notes")?["entry"].as_str());
    let noted: usize = noted.map(|entry| entry.matches("- Fixed ").count()).sum();
    assert_eq!(noted, COUNT * PULLS, "every pull request is noted");
    // The largest queries are those of the notes: everything else reads one pull request of each release at a time.
    let sizes: Vec<usize> =
        run.asked().iter().map(|query| query.matches("pullRequest(number").count()).collect();
    let large = sizes.iter().filter(|size| **size > COUNT).count();
    println!(
        "{} pull requests of {COUNT} repositories: {large} of {} requests, {sizes:?}",
        COUNT * PULLS,
        sizes.len()
    );
    assert!(large * 100 <= 2 * COUNT * PULLS, "{sizes:?}");
    assert_eq!(sizes.iter().filter(|size| **size > COUNT).sum::<usize>(), COUNT * PULLS, "{sizes:?}");
}
