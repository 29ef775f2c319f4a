//! Plans of the example release: they change nothing, they show the very commits that are pushed, and a run that is
//! held to them does what an unheld one does.

#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;

use castoff::journal::{Event, Status, Verdict};
use castoff::plan::{Plan, Reach};
use castoff_tests::example::{Example, Played, difference};

/// Plans that a release may take: one for every stretch between waits whose end nobody can know.
const MOST: usize = 12;

fn told(plan: &Plan) -> Vec<String> {
    plan.steps
        .iter()
        .map(|step| format!("{} {:?} {}", step.node.id, step.reach, step.effects.len()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_all_the_way() {
    for (name, file) in Example::all() {
        println!("{name}");
        let example = Example::load(&file).await.expect("the example is whole");
        held(&example).await;
    }
}

async fn held(example: &Example) {
    let mut free = example.begin().await.expect("a run begins");
    let powers = free.powers();
    free.play(powers, None).await.expect("the host goes on");
    let wanted = free.snapshot().expect("a picture");

    let mut run = example.begin().await.expect("a run begins");
    let mut planned_commits = BTreeSet::new();
    let mut plans = 0;
    let state = loop {
        plans += 1;
        assert!(plans <= MOST, "no end after {MOST} plans");
        let before = run.snapshot().expect("a picture");
        let plan = run.plan().await.expect("a plan").clone();
        assert!(plan.is_whole());
        assert!(plan.failures().next().is_none(), "{:#?}", told(&plan));
        println!(
            "plan {plans}: {} effects, ends at {:?}",
            plan.totals().effects,
            plan.ends().collect::<Vec<_>>()
        );
        planned_commits
            .extend(plan.steps.iter().flat_map(|step| &step.commits).map(|commit| commit.id.clone()));
        let after = run.snapshot().expect("a picture");
        assert_eq!(difference(&before, &after), Vec::<String>::new(), "a plan changes nothing");
        let Played::Through(state) = run.play(run.powers(), None).await.expect("the host goes on") else {
            panic!("nothing was to crash")
        };
        if state.verdict() == Verdict::Finished {
            break state;
        }
        for step in state.steps() {
            if let Status::Failed { error, message, .. } = &step.status {
                assert_eq!(error, "unplanned", "{}: {message}", step.node.id);
                let reach = plan.step(&step.node.id).map(|step| &step.reach);
                assert!(
                    matches!(reach, Some(Reach::Ends { .. } | Reach::Beyond { .. })),
                    "{}: {message}\n{:#?}",
                    step.node.id,
                    told(&plan)
                );
            }
        }
    };
    println!("{plans} plans");
    assert_eq!(difference(&wanted, &run.snapshot().expect("a picture")), Vec::<String>::new());
    // The commits that were pushed are those that were planned, but for what the forge put into them.
    let pushed =
        state.steps().flat_map(|step| &step.effects).filter(|effect| effect.function == "git.ensure-branch");
    let pushed: Vec<&str> = pushed.filter_map(|effect| effect.request["commit"].as_str()).collect();
    let events = run.events().expect("a journal");
    let bound = |commit: &str| {
        events.iter().any(|record| matches!(&record.event, Event::Bound { value, .. } if value == commit))
    };
    assert!(!pushed.is_empty(), "every example pushes something");
    for commit in pushed {
        assert!(planned_commits.contains(commit) || bound(commit), "{commit} was not planned");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_world_gives_the_same_plan() {
    for (_, file) in Example::all() {
        same(&Example::load(&file).await.expect("the example is whole")).await;
    }
}

async fn same(example: &Example) {
    let mut run = example.begin().await.expect("a run begins");
    let first = run.plan().await.expect("a plan").clone();
    let mut other = example.begin().await.expect("a run begins");
    let second = other.plan().await.expect("a plan").clone();
    assert!(!first.is_empty());
    let shown = |plan: &Plan| serde_json::to_value(&plan.steps).expect("plain data");
    for (first, second) in first.steps.iter().zip(&second.steps) {
        let (first, second) = (&first.commits, &second.commits);
        assert_eq!(
            first.iter().map(|c| &c.id).collect::<Vec<_>>(),
            second.iter().map(|c| &c.id).collect::<Vec<_>>()
        );
    }
    // Two forges have two addresses; everything else is the same.
    let plain = |plan: &Plan, url: &str| shown(plan).to_string().replace(url, "http://forge");
    let urls = [run.stage().forge().url().to_owned(), other.stage().forge().url().to_owned()];
    assert_eq!(plain(&first, &urls[0]), plain(&second, &urls[1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plan_does_not_show_is_not_done() {
    let example = Example::load(&Example::livenessprobe()).await.expect("the example is whole");
    let mut run = example.begin().await.expect("a run begins");
    let plan = run.plan().await.expect("a plan").clone();
    let with_effects: Vec<String> =
        plan.steps.iter().filter(|step| !step.effects.is_empty()).map(|step| step.node.id.clone()).collect();
    assert!(with_effects.len() >= 3, "{:#?}", told(&plan));
    for step in &with_effects {
        let mut run = example.begin().await.expect("a run begins");
        run.plan().await.expect("a plan");
        run.change_plan(|plan| {
            plan.steps
                .iter_mut()
                .filter(|known| known.node.id == *step)
                .for_each(|known| known.effects.clear());
        });
        let Played::Through(state) = run.play(run.powers(), None).await.expect("the host goes on") else {
            panic!("nothing was to crash")
        };
        let known = state.step(step).expect("the step is there");
        assert!(
            matches!(&known.status, Status::Failed { error, .. } if error == "unplanned"),
            "{step}: {:?}",
            known.status
        );
        assert!(known.effects.is_empty(), "{step}: nothing was even announced");
        let events = run.events().expect("a journal");
        let intents = events
            .iter()
            .filter(|record| matches!(&record.event, Event::Intent { step: of, .. } if of == step));
        assert_eq!(intents.count(), 0, "{step}");
    }
}
