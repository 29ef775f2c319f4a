//! A run stopped at every moment, and a run with every power taken away in turn: every example release ends as if nothing
//! had happened, or says plainly why it cannot.

#![allow(clippy::print_stdout)]

use std::sync::Arc;

use castoff::forge::Snapshot;
use castoff::journal::{RunState, Status, Verdict};
use futures::stream::{self, StreamExt as _};

use castoff_tests::example::{Example, Played, Powers, Rehearsal, difference};
use castoff_tests::theatre::EXERCISER;
use castoff_tests::train::{Driven, TrainExample};

/// Runs that are under way at once.
const SIDE_BY_SIDE: usize = 4;

/// About so many moments of all examples together, and about so many powers, each spread over the whole of an example.
/// `CASTOFF_MATRIX=all` stops every example at every event and takes away every power.
const SAMPLED: usize = 56;

/// Every how many of an example's points one is tried: all examples get the same share of the sample.
fn stride(points: usize, examples: usize) -> usize {
    let all = std::env::var_os("CASTOFF_MATRIX").is_some_and(|value| value == "all");
    if all { 1 } else { points.div_ceil((SAMPLED / examples.max(1)).max(8)).max(1) }
}

/// The uninterrupted run: its forge afterwards, its state, its number of events.
async fn uninterrupted(example: &Example) -> (Rehearsal, Snapshot, RunState, u64) {
    let mut run = example.begin().await.expect("a run begins");
    let powers = run.powers();
    let played = run.play(powers, None).await.expect("the host goes on");
    let Played::Through(state) = played else { panic!("nothing was to crash") };
    let told: Vec<String> =
        state.steps().map(|step| format!("{}: {:?}", step.node.id, step.status)).collect();
    assert_eq!(state.verdict(), Verdict::Finished, "{told:#?}");
    let (snapshot, events) = (run.snapshot().expect("a picture"), run.verify().expect("a whole journal"));
    (run, snapshot, *state, events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_after_every_event() {
    let (mut points, mut faults) = (0, Vec::new());
    let examples = Example::all();
    for (name, path) in &examples {
        let example = Example::load(path).await.expect("the example is whole");
        let (_, wanted, _, events) = uninterrupted(&example).await;
        let (example, wanted) = (&example, &wanted);
        // The first event makes the run: before it there is nothing to resume.
        let step = stride(usize::try_from(events).unwrap_or(usize::MAX), examples.len());
        let outcomes = stops(example, wanted, (1..events).step_by(step)).await;
        println!("{name}: {} crash points", outcomes.len());
        assert!(outcomes.len() > 5, "{name}: too few crash points to tell anything");
        points += outcomes.len();
        faults.extend(outcomes.into_iter().flatten().map(|why| format!("{name}: {why}")));
    }
    println!("{points} crash points");
    assert!(points > 20, "{points} crash points are too few to tell anything");
    assert!(faults.is_empty(), "{} of {points} differ:\n{}", faults.len(), faults.join("\n"));
}

/// What is wrong after each of these stops. A few runs side by side keep git busy.
async fn stops(
    example: &Example,
    wanted: &Snapshot,
    moments: impl Iterator<Item = u64>,
) -> Vec<Option<String>> {
    let stop = |after: u64| async move {
        let outcome = stopped(example, after, wanted).await;
        outcome.err().map(|why| format!("after event {after}: {why}"))
    };
    stream::iter(moments).map(stop).buffered(SIDE_BY_SIDE).collect().await
}

/// Stops that are tried of a month of three minors, each of which costs the whole of it again.
const MOST_OF_MONTH: u64 = 4;

/// The example of k3s with all its minors side by side, and a candidate that QA sends back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_of_three_minors_stopped_here_and_there() {
    let whole = std::env::var_os("CASTOFF_MATRIX").is_some_and(|value| value == "all");
    let month = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/k3s/examples/month");
    let place = tempfile::tempdir().expect("a temporary directory");
    let respin =
        "\n[[answer]]\nstep = \"qa1\"\nquestion = \"v1.34.5-rc1*\"\nchoice = \"respin\"\nby = \"approver\"\n";
    for (name, from, to, more) in [
        ("release.toml", "versions = [", "versions = [\"v1.32.13\", \"v1.33.9\", ", ""),
        ("policy.toml", "", "", ""),
        ("world.toml", "", "", respin),
    ] {
        let text = std::fs::read_to_string(month.join(name)).expect("the example is there");
        std::fs::write(place.path().join(name), text.replacen(from, to, 1) + more)
            .expect("it can be written");
    }
    let example = Example::load(&place.path().join("release.toml")).await.expect("the example is whole");
    let (run, wanted, _, events) = uninterrupted(&example).await;
    let tags = &run.snapshot().expect("a picture").repositories["k3s-io/k3s"].refs;
    for tag in ["v1.32.13+k3s1", "v1.33.9+k3s1", "v1.34.5-rc2+k3s1", "v1.34.5+k3s1"] {
        assert!(tags.contains_key(&format!("refs/tags/{tag}")), "{tag}: {tags:?}");
    }
    let step = if whole { 1 } else { events.div_ceil(MOST_OF_MONTH) };
    let moments = (1 + step / 2..events).step_by(usize::try_from(step).unwrap_or(1));
    let outcomes = stops(&example, &wanted, moments).await;
    println!("a month of three minors: {} of {events} crash points", outcomes.len());
    assert!(outcomes.len() > 2, "{} crash points are too few to tell anything", outcomes.len());
    let faults: Vec<String> = outcomes.into_iter().flatten().collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Stops right after an event, resumes, and compares the forge with that of the uninterrupted run.
async fn stopped(example: &Example, after: u64, wanted: &Snapshot) -> Result<(), String> {
    let mut run = example.begin().await?;
    let powers = run.powers();
    // The journal has its first event already.
    match run.play(powers.clone(), Some(after - 1)).await? {
        Played::Killed => {}
        Played::Through(_) => return Err("the crash did not come".into()),
    }
    if run.verify()? != after {
        return Err(format!("the journal holds {} events", run.verify()?));
    }
    let Played::Through(state) = run.play(powers, None).await? else { return Err("it crashed again".into()) };
    if state.verdict() != Verdict::Finished {
        let told = state.steps().filter(|step| !step.status.is_over()).map(|step| &step.status);
        return Err(format!("resumed, it ends {:?}: {:?}", state.verdict(), told.collect::<Vec<_>>()));
    }
    run.verify()?;
    let differences = difference(wanted, &run.snapshot()?);
    if differences.is_empty() { Ok(()) } else { Err(differences.join("; ")) }
}

/// A train of three small releases, the last of which waits for the others.
const SMALL_TRAIN: &str = r#"version = 1
[[release]]
name = "one"
plugin = "guest.wasm"
process = "exercise"
inputs = { action = "branch", argument = "one" }
[[release]]
name = "two"
plugin = "guest.wasm"
process = "exercise"
inputs = { action = "publish", argument = "two.txt" }
[[release]]
name = "three"
needs = ["one", "two"]
plugin = "guest.wasm"
process = "exercise"
inputs = { action = "tag", argument = "v1.0.0" }
[rehearsal]
world = "world.toml"
"#;

const SMALL_WORLD: &str = r#"
now = "2026-01-01T00:00:00Z"
user = "ann"
[[account]]
login = "ann"
token = "t0ken"
permissions = { "acme/tool" = "admin" }
[[repository]]
name = "acme/tool"
default_branch = "main"
files = { "README.md" = "a tool\n" }
"#;

/// Stops that are tried of the example train, each of which costs the whole of it again.
const MOST_OF_TRAIN: u64 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_train_stopped_after_every_event() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let files: [(&str, &[u8]); 3] = [
        ("train.toml", SMALL_TRAIN.as_bytes()),
        ("world.toml", SMALL_WORLD.as_bytes()),
        ("guest.wasm", EXERCISER),
    ];
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("a file can be written");
    }
    let points = train_stopped(&folder.path().join("train.toml"), u64::MAX).await;
    assert!(points > 15, "{points} crash points are too few to tell anything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_train_stopped_here_and_there() {
    let all = std::env::var_os("CASTOFF_MATRIX").is_some_and(|value| value == "all");
    train_stopped(&TrainExample::sidecars(), if all { u64::MAX } else { MOST_OF_TRAIN }).await;
}

/// Stops a train at `most` moments spread over all its journals, resumes it each time, and compares the forge with that of
/// the uninterrupted train; how many stops there were.
async fn train_stopped(file: &std::path::Path, most: u64) -> usize {
    let train = TrainExample::load(file).await.expect("the train is whole");
    let mut whole = train.begin().await.expect("a train begins");
    let Ok(Driven::Through(standing)) = whole.play(1, None).await else { panic!("nothing was to crash") };
    assert_eq!(standing.verdict(), Verdict::Finished);
    let wanted = whole.snapshot().expect("a picture");
    let events = whole.appended(&standing).expect("whole journals");
    let step = events.div_ceil(most);
    let (train, wanted) = (&train, &wanted);
    let outcomes: Vec<Result<(), String>> =
        stream::iter((step / 2..events).step_by(usize::try_from(step).unwrap_or(1)))
            .map(|after| async move {
                let mut run = train.begin().await?;
                match run.play(1, Some(after)).await? {
                    Driven::Killed => {}
                    Driven::Through(_) => return Err(format!("after event {after}: the crash did not come")),
                }
                let Driven::Through(standing) = run.play(1, None).await? else {
                    return Err("it crashed again".into());
                };
                if standing.verdict() != Verdict::Finished {
                    return Err(format!("after event {after}: resumed, it ends {:?}", standing.verdict()));
                }
                let differences = difference(wanted, &run.snapshot()?);
                let said = || format!("after event {after}: {}", differences.join("; "));
                if differences.is_empty() { Ok(()) } else { Err(said()) }
            })
            .buffered(SIDE_BY_SIDE)
            .collect()
            .await;
    println!("{}: {} of {events} crash points", file.display(), outcomes.len());
    let faults: Vec<&String> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    outcomes.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_each_power_in_turn() {
    let (mut taken, mut faults) = (0, Vec::new());
    let examples = Example::all();
    for (name, path) in &examples {
        let example = Example::load(path).await.expect("the example is whole");
        let (_, wanted, _, _) = uninterrupted(&example).await;
        let policy = example.prepared().policy.clone();
        let grants = policy.iter().flat_map(|policy| policy.grants());
        let lines: Vec<usize> = grants.flat_map(|grant| &grant.powers).map(|power| power.line).collect();
        let (example, wanted) = (&example, &wanted);
        let step = stride(lines.len(), examples.len());
        let outcomes: Vec<Option<String>> = stream::iter(lines.into_iter().step_by(step))
            .map(|line| async move {
                let outcome = denied(example, line, wanted).await;
                outcome.err().map(|why| format!("without line {line}: {why}"))
            })
            .buffered(SIDE_BY_SIDE)
            .collect()
            .await;
        println!("{name}: {} powers taken away", outcomes.len());
        taken += outcomes.len();
        faults.extend(outcomes.into_iter().flatten().map(|why| format!("{name}: {why}")));
    }
    println!("{taken} powers taken away");
    assert!(taken > 0, "no policy of an example grants anything");
    assert!(faults.is_empty(), "{} of {taken}:\n{}", faults.len(), faults.join("\n"));
}

/// The powers without the one on a line of the policy.
fn without(powers: Powers, line: usize) -> Powers {
    Arc::new(move |step| {
        let all = powers(step);
        let at = all.powers().iter().position(|granted| granted.line == line);
        at.map_or_else(|| all.clone(), |at| all.without(at))
    })
}

async fn denied(example: &Example, line: usize, wanted: &Snapshot) -> Result<(), String> {
    let mut run = example.begin().await?;
    let before = run.snapshot()?;
    let powers = run.powers();
    let Played::Through(state) = run.play(without(powers.clone(), line), None).await? else {
        return Err("nothing was to crash".into());
    };
    run.verify()?;
    if let Some((step, _)) = state.unsettled().next() {
        return Err(format!("{} has an effect nobody knows the outcome of", step.node.id));
    }
    for step in state.steps() {
        match &step.status {
            Status::Failed { error, message, .. } if error != "denied" => {
                return Err(format!("{} failed otherwise: {error}: {message}", step.node.id));
            }
            Status::Failed { .. } if step.denials.is_empty() => {
                return Err(format!("{} was denied, and the journal does not say what", step.node.id));
            }
            Status::Failed { .. } => half_written(step)?,
            _ => {}
        }
    }
    let verdict = state.verdict();
    if !matches!(verdict, Verdict::Finished | Verdict::Failed) {
        return Err(format!("it ends {verdict:?}"));
    }
    within(&before, &run.snapshot()?, wanted)?;
    if verdict == Verdict::Finished {
        return Ok(());
    }
    // Granted again, it goes on from where it was.
    run.retry_failed()?;
    let Played::Through(state) = run.play(powers, None).await? else {
        return Err("nothing was to crash".into());
    };
    if state.verdict() == Verdict::Finished {
        Ok(())
    } else {
        Err(format!("granted again, it ends {:?}", state.verdict()))
    }
}

/// A denied step may have left a branch that nobody was asked to look at; nothing that others see or that cannot be
/// taken back.
fn half_written(step: &castoff::journal::StepState) -> Result<(), String> {
    let left = step.effects.iter().find(|effect| {
        effect.happened() && !matches!(effect.function.as_str(), "git.ensure-branch" | "files.publish")
    });
    match left {
        Some(effect) => Err(format!("{} left {}", step.node.id, effect.summary)),
        None => Ok(()),
    }
}

/// Every ref and pull request that is there would also be there after the whole release.
fn within(before: &Snapshot, found: &Snapshot, wanted: &Snapshot) -> Result<(), String> {
    for (name, repository) in &found.repositories {
        let (old, whole) = (before.repositories.get(name), wanted.repositories.get(name));
        for reference in repository.refs.keys() {
            let known = |picture: Option<&castoff::forge::RepositorySnapshot>| {
                picture.is_some_and(|picture| picture.refs.contains_key(reference))
            };
            if !known(old) && !known(whole) {
                return Err(format!("{name} has {reference}, which the whole release does not make"));
            }
        }
        let extra = repository
            .pulls
            .keys()
            .find(|number| !whole.is_some_and(|whole| whole.pulls.contains_key(number)));
        if let Some(number) = extra {
            return Err(format!("{name} has a pull request {number} that the whole release does not open"));
        }
    }
    Ok(())
}
