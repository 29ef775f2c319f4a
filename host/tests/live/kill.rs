//! Every example release with its process killed, for real, as soon as an event is durable: at every event there is.
//!
//! By default a few releases are enough: each dies again and again, every so many events. `CASTOFF_MATRIX=all` lets
//! them together die at every event, lets every single event be the only death of a release of its own besides, and loses
//! the answer to every single write alone.

#![allow(clippy::print_stdout)]

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use castoff::forge::{Fault, FaultKind};
use castoff::journal::{Event, Journal};
use chrono::TimeDelta;
use serde_json::Value;

use super::place::{MOST, Place, examples, named};

/// Events between the deaths of one release: enough for every step to come to its end in one life.
const LIFE: u64 = 8;

/// About so many releases of all examples together, where not everything is tried.
const RELEASES: u64 = 16;

/// Releases under way at once.
const SIDE_BY_SIDE: usize = 2;

/// How a release ended.
struct Played {
    /// The world afterwards, without names and moments of this run.
    world: Value,
    events: u64,
    deaths: usize,
}

/// Plays a release to its end; a process dies as soon as an event is durable whose number `dies` names.
///
/// Steps that run side by side write between each other's events: a life can end before any of them got anywhere, and
/// then the next one can as well. A life in which no step ended is therefore followed by a longer one.
fn play(place: &Place, dies: impl Fn(u64) -> bool) -> Played {
    let next = |from: u64| (from + 1..=from + 1000).find(|number| dies(*number));
    let args = place.beginning(&[]);
    let (run, mut ended) = named(match next(0) {
        Some(number) => place.killed(&args, number),
        None => place.castoff(&args),
    });
    let left = |longer: u64| {
        let written = place.events(&run);
        next(written + longer).map(|number| number - written)
    };
    let (mut over, mut longer, mut deaths) = (place.over(&run), 0, 0);
    for _ in 0..MOST {
        match ended.code {
            Some(0) => return finished(place, &run, deaths),
            Some(10) => place.pass(TimeDelta::hours(3)),
            Some(11) => place.approve_all(&run, || left(longer)),
            None => {
                assert_eq!(ended.signal, Some(9), "{}", ended.shown());
                deaths += 1;
                let before = std::mem::replace(&mut over, place.over(&run));
                longer = if over > before { 0 } else { longer + LIFE };
            }
            Some(_) => panic!("{}\n{}", ended.shown(), place.status(&run)),
        }
        ended = place.resume(&run, left(longer));
    }
    panic!("no end: {}", place.status(&run))
}

/// What is left of a release that has ended; its journal is whole and says so once.
fn finished(place: &Place, run: &str, deaths: usize) -> Played {
    let journal = Journal::open_read_only(place.journal(run)).expect("a journal");
    let events = journal.events().expect("a whole journal");
    let ends = events.iter().filter(|record| matches!(record.event, Event::Finished)).count();
    assert_eq!(ends, 1, "a run ends once");
    let world = place.forge.portrait().expect("a picture").to_string().replace(run, "RUN");
    let world = serde_json::from_str(&world).expect("a picture is JSON");
    Played { world, events: place.events(run), deaths }
}

/// Does every piece of work, a few at once.
fn side_by_side<T: Sync>(work: &[T], each: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(piece) = work.get(next.fetch_add(1, Ordering::SeqCst)) {
                    each(piece)
                }
            });
        }
    });
}

/// Which events of a release are deaths: every `step`-th from `first` on.
#[derive(Clone, Copy)]
struct Deaths {
    first: u64,
    step: Option<u64>,
}

impl Deaths {
    fn at(self, number: u64) -> bool {
        match self.step {
            None => number == self.first,
            Some(step) => number >= self.first && (number - self.first).is_multiple_of(step),
        }
    }
}

fn whole() -> bool {
    std::env::var_os("CASTOFF_MATRIX").is_some_and(|value| value == "all")
}

#[test]
fn killed_at_every_event() {
    let mut total = 0;
    let examples = examples();
    // Each example gets the same share of the releases, and of the moments of the first death.
    let share = if whole() { LIFE } else { (RELEASES / examples.len().max(1) as u64).clamp(2, LIFE) };
    for (at, (name, release)) in examples.iter().enumerate() {
        let calm = play(&Place::of(release), |_| false);
        assert_eq!(calm.deaths, 0);
        let first = |nth: u64| 1 + (at as u64 + nth * LIFE / share) % LIFE;
        let mut lives: Vec<Deaths> =
            (0..share).map(|nth| Deaths { first: first(nth), step: Some(LIFE) }).collect();
        if whole() {
            lives.extend((1..calm.events).map(|first| Deaths { first, step: None }));
        }
        let sum = Mutex::new(0);
        side_by_side(&lives, |deaths| {
            let played = play(&Place::of(release), |number| deaths.at(number));
            let (first, step) = (deaths.first, deaths.step);
            assert!(played.deaths > 0, "killed at {first}, then every {step:?}: it did not die");
            assert_same(&calm.world, &played.world, &format!("killed at {first}, then every {step:?}"));
            *sum.lock().expect("no thread panics with it") += played.deaths;
        });
        let sum = sum.into_inner().expect("no thread panics with it");
        println!(
            "{name}: {sum} crash points of the real process in {} releases of about {} events",
            lives.len(),
            calm.events
        );
        assert!(sum as u64 >= calm.events * share / LIFE / 2, "{name}: it died at {sum} events only");
        total += sum;
    }
    println!("{total} crash points of the real process");
    assert!(total > 0, "there is no example");
}

#[test]
fn a_day_of_four_branches_killed_again_and_again() {
    let release = "../plugins/kubernetes-patch/rehearsal/four-branches/release.toml";
    let release = Path::new(env!("CARGO_MANIFEST_DIR")).join(release);
    let calm = play(&Place::of(&release), |_| false);
    // Each release dies every so many events; all of them together die at every event there is.
    let firsts: Vec<u64> = (1..=LIFE).step_by(if whole() { 1 } else { 8 }).collect();
    side_by_side(&firsts, |first| {
        let deaths = Deaths { first: *first, step: Some(LIFE) };
        let played = play(&Place::of(&release), |number| deaths.at(number));
        assert!(played.deaths > 20, "killed at {first} and so on: it died {} times only", played.deaths);
        assert_same(&calm.world, &played.world, &format!("killed at {first}, then every {LIFE}"));
    });
}

/// Lines of the largest screen that is still one: a line a step, six for each of four questions, and the head.
const SCREEN: usize = 72;

#[test]
fn everything_that_went_wrong_is_on_one_screen() {
    let release = "../plugins/kubernetes-patch/rehearsal/four-branches/release.toml";
    let place = Place::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join(release));
    let (run, mut ended) = place.begin(&[]);
    let screen = || {
        let shown = place.castoff(&["status", &run]).out;
        assert!(shown.lines().count() <= SCREEN, "more than a screen:\n{shown}");
        shown
    };
    // The first signal is a refusal, and somebody begins again.
    let declined = place.castoff(&["approve", &run, "go", "--choice", "decline", "--as", "approver"]);
    assert_eq!(declined.code, Some(0), "{}", declined.shown());
    // What a step failed with has a code of its own: a conflict.
    let stopped = place.resume(&run, None);
    assert_eq!(stopped.code, Some(21), "{}", stopped.shown());
    let shown = screen();
    assert!(shown.contains("failed (conflict): approver answered \"decline\" to \"go-1\""), "{shown}");
    assert_eq!(place.castoff(&["retry", &run, "go"]).code, Some(0));
    let (mut failed, mut rerun) = (false, false);
    for _ in 0..MOST {
        match ended.code {
            Some(0) => break,
            // In small steps: nobody would see that the job failed once it runs again.
            Some(10) => place.pass(TimeDelta::minutes(1)),
            Some(11) => {
                let shown = screen();
                failed |= shown.contains("No-mock Stage of v1.33.8 ended FAILURE");
                rerun |= shown.contains("The promotion job of ") && shown.contains("ended failure");
                place.approve_all(&run, || None);
            }
            _ => panic!("{}\n{}", ended.shown(), place.status(&run)),
        }
        ended = place.resume(&run, None);
    }
    assert_eq!(ended.code, Some(0), "{}", ended.shown());
    assert!(failed && rerun, "failed build seen: {failed}, failed job seen: {rerun}");
    let shown = screen();
    for what in
        ["answered: go-1 decline by approver; go-", "answered: retry-1 approve by", "answered: rerun-"]
    {
        assert!(shown.contains(what), "{what}:\n{shown}");
    }
}

#[test]
fn the_answers_to_all_writes_are_lost() {
    let mut total = 0;
    for (name, release) in examples() {
        let place = Place::of(&release);
        let calm = play(&place, |_| false);
        let writes = writes(&place);
        let mut releases: Vec<Vec<Fault>> = vec![writes.clone()];
        if whole() {
            releases.extend(writes.into_iter().map(|fault| vec![fault]));
        }
        let sum = AtomicU64::new(0);
        side_by_side(&releases, |faults| {
            let place = Place::of(&release);
            faults.iter().for_each(|fault| place.forge.inject(fault.clone()));
            let played = play(&place, |_| false);
            assert_same(&calm.world, &played.world, &format!("without the answers to {faults:?}"));
            assert!(place.forge.faults().is_empty(), "not lost: {:?}", place.forge.faults());
            let lost: u64 = faults.iter().map(|fault| fault.times).sum();
            sum.fetch_add(lost, Ordering::SeqCst);
        });
        let sum = sum.into_inner();
        println!("{name}: {sum} lost answers to the real process in {} releases", releases.len());
        total += sum;
    }
    println!("{total} lost answers to the real process");
    assert!(total > 0, "no example writes anything");
}

/// A fault for everything that the release wrote: it happens, and no answer comes.
fn writes(place: &Place) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    for served in place.forge.requests() {
        let asks = ["/graphql", "/git-upload-pack"].iter().any(|end| served.path.ends_with(end));
        if asks || matches!(served.method.as_str(), "GET" | "HEAD") {
            continue;
        }
        let fault = Fault::on(&served.method, &format!("*{}", served.path), FaultKind::LostReply);
        match faults.iter_mut().find(|known| (&known.method, &known.path) == (&fault.method, &fault.path)) {
            Some(known) => known.times += 1,
            None => faults.push(fault),
        }
    }
    faults
}

/// Says where two worlds differ.
fn assert_same(wanted: &Value, found: &Value, case: &str) {
    let mut differences = Vec::new();
    compare("", wanted, found, &mut differences);
    assert!(differences.is_empty(), "{case}:\n{}", differences.join("\n"));
}

fn compare(path: &str, wanted: &Value, found: &Value, differences: &mut Vec<String>) {
    match (wanted, found) {
        _ if wanted == found => {}
        (Value::Object(left), Value::Object(right)) => {
            for key in left.keys().chain(right.keys().filter(|key| !left.contains_key(*key))) {
                let value = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                compare(&format!("{path}/{key}"), &value(left), &value(right), differences);
            }
        }
        _ => differences.push(format!("{path}: {wanted} and {found}")),
    }
}
