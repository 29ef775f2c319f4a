//! Every kind of fault at the requests of every example release: the release comes through, or stops with a clear state
//! and comes through when it is taken up again, and the world is the same at the end.
//!
//! By default each kind strikes one in so many of the operations (method and route) that the examples need, other ones than
//! the kind before it: the first request of it once, and then so often that no patience is enough. `CASTOFF_MATRIX=all`
//! lets each kind strike every single request of every example, each in a release of its own. The answer to every single
//! write is lost in any case, by default to a few of them in one release.

#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;

use castoff::forge::{Fault, FaultKind};
use castoff_tests::example::Example;
use castoff_tests::matrix::{Calm, KINDS, LASTING, Request, Weathered, groups, weather};
use futures::stream::{self, StreamExt as _};

/// Releases that are under way at once.
const SIDE_BY_SIDE: usize = 6;

/// Faults in one release, where not every single one is tried alone.
const TOGETHER: usize = 6;

/// A kind strikes one in so many operations, where not everything is tried.
const SHARE: usize = 5;

/// Lost answers in one release, where not every one is lost alone.
const LOST_TOGETHER: usize = 4;

/// A case: its name, and the faults of one release.
type Case = (String, Vec<Fault>);

/// What the cases of an example add up to.
#[derive(Default)]
struct Sum {
    releases: usize,
    faults: usize,
    stops: u64,
    adopted: u64,
    shifted: usize,
}

async fn play(example: &Example, calm: &Calm, cases: Vec<Case>) -> (Sum, Vec<String>) {
    let mut sum = Sum { releases: cases.len(), ..Sum::default() };
    sum.faults = cases.iter().map(|(_, faults)| faults.len()).sum();
    let outcomes: Vec<(String, Result<Weathered, String>)> = stream::iter(cases)
        .map(|(name, faults)| async move {
            let outcome = weather(example, &faults, calm).await;
            if let Err(why) = &outcome {
                println!("{name}: {why}");
            }
            (name, outcome)
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .collect()
        .await;
    let mut wrong = Vec::new();
    for (name, outcome) in outcomes {
        match outcome {
            Ok(weathered) => {
                sum.stops += weathered.stops;
                sum.adopted += weathered.adopted;
                sum.shifted += usize::from(weathered.shifted);
            }
            Err(why) => wrong.push(format!("{name}: {why}")),
        }
    }
    (sum, wrong)
}

/// Faults of one kind at requests, `together` in a release.
fn cases(kind: FaultKind, requests: &[&Request], times: u64, together: usize) -> Vec<Case> {
    let case = |group: Vec<&Request>| {
        let at: Vec<&str> = group.iter().map(|request| request.operation.as_str()).collect();
        let faults = group.iter().map(|request| request.fault(kind, times)).collect();
        (format!("{kind:?} {times} times at {}", at.join(", ")), faults)
    };
    groups(requests, together).into_iter().map(case).collect()
}

fn whole() -> bool {
    std::env::var_os("CASTOFF_MATRIX").is_some_and(|value| value == "all")
}

/// The cases of an example; `seen` are the operations of those before it. A kind's lasting faults strike together as well:
/// one after the other stops the release.
fn all_cases(calm: &Calm, seen: &mut BTreeSet<String>) -> Vec<Case> {
    let all: Vec<&Request> = calm.requests.iter().collect();
    let operations = calm.sample(seen);
    let mut found = Vec::new();
    for (nth, kind) in KINDS.into_iter().enumerate() {
        let share = if whole() { 1 } else { SHARE };
        let sample: Vec<&Request> = operations.iter().copied().skip(nth % share).step_by(share).collect();
        let (once, together) = if whole() { (&all, 1) } else { (&sample, TOGETHER) };
        found.extend(cases(kind, once, 1, together));
        // Waiting in vain for an answer takes its time.
        if kind != FaultKind::Silence || whole() {
            found.extend(cases(kind, &sample, LASTING, TOGETHER));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_weathered() {
    let (mut faults, mut wrong, mut seen) = (0, Vec::new(), BTreeSet::new());
    for (name, path) in Example::all() {
        let example = Example::load(&path).await.expect("the example is whole");
        let calm = Calm::of(&example).await.expect("the example finishes");
        let (sum, found) = play(&example, &calm, all_cases(&calm, &mut seen)).await;
        println!(
            "{name}: {} requests, {} operations: {} faults in {} releases, {} stops, {} effects found, {} worlds with other \
             moments or more words",
            calm.requests.len(),
            calm.operations(),
            sum.faults,
            sum.releases,
            sum.stops,
            sum.adopted,
            sum.shifted,
        );
        faults += sum.faults;
        wrong.extend(found.into_iter().map(|why| format!("{name}: {why}")));
    }
    println!("{faults} faults: {} kinds at {} operations", KINDS.len(), seen.len());
    assert!(faults > 0, "there is no example");
    assert!(wrong.is_empty(), "{} are not weathered:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_to_every_effect_is_lost_in_turn() {
    let (mut answers, mut wrong) = (0, Vec::new());
    for (name, path) in Example::all() {
        let example = Example::load(&path).await.expect("the example is whole");
        let calm = Calm::of(&example).await.expect("the example finishes");
        let writes: Vec<&Request> = calm.requests.iter().filter(|request| request.writes).collect();
        let together = if whole() { 1 } else { LOST_TOGETHER };
        let (sum, found) = play(&example, &calm, cases(FaultKind::LostReply, &writes, 1, together)).await;
        println!("{name}: {} lost answers, {} effects found", sum.faults, sum.adopted);
        assert!(sum.adopted > 0 || !found.is_empty(), "{name}: nobody looked for what had happened");
        answers += sum.faults;
        wrong.extend(found.into_iter().map(|why| format!("{name}: {why}")));
    }
    println!("{answers} lost answers");
    assert!(answers > 0, "no example writes anything");
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
