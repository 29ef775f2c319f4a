#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::json;

use super::*;
use crate::function::Class;

mod answer;

pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn node(id: &str, needs: &[&str]) -> StepNode {
    StepNode {
        id: id.into(),
        title: id.into(),
        kind: StepKind::Work,
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        irreversible: false,
        source: String::new(),
    }
}

pub(super) fn header() -> Header {
    Header {
        format: FORMAT,
        run: "r1".into(),
        release: "demo".into(),
        title: "demo".into(),
        plugin: PluginIdentity { name: "p".into(), version: "1".into(), digest: "sha256:00".into() },
        policy: None,
        plan: Some("sha256:11".into()),
        process: "release".into(),
        profile: "current".into(),
        inputs: json!({"version": "1.2.3"}),
        graph: vec![node("a", &[]), node("b", &["a"]), node("c", &[])],
        pinned: at(0),
        identity: Identity { name: "J".into(), email: "j@example.org".into(), login: None },
        world: World::Rehearsal,
        forge: None,
        started_by: "j".into(),
        confirm: false,
    }
}

fn created() -> Event {
    Event::RunCreated { header: Box::new(header()) }
}

fn started(step: &str, attempt: u32) -> Event {
    Event::Started { step: step.into(), attempt }
}

fn intent(step: &str, digest: &str) -> Event {
    Event::Intent {
        step: step.into(),
        ordinal: 0,
        function: "git.ensure-tag".into(),
        class: Class::Ensure,
        digest: digest.into(),
        request: json!({"tag": "v1"}),
        summary: "tag".into(),
    }
}

fn outcome(step: &str, intent: u64, result: EffectResult) -> Event {
    Event::Outcome { step: step.into(), intent, result }
}

fn done(step: &str) -> Event {
    Event::Succeeded { step: step.into(), outputs: json!({"from": step}) }
}

fn asked(step: &str, approvals: u32) -> Event {
    let choices = vec!["approve".into(), "decline".into()];
    let question =
        Question { id: "q".into(), prompt: "?".into(), document: None, choices, approvals, rule: None };
    Event::Asked { step: step.into(), question }
}

fn answered(step: &str, choice: &str, by: &str) -> Event {
    let answer = Answer {
        question: "q".into(),
        choice: choice.into(),
        document: None,
        comment: None,
        by: by.into(),
        at: at(0),
        via: None,
    };
    Event::Answered { step: step.into(), answer }
}

fn waiting(step: &str) -> Event {
    let wait = Wait {
        condition: Condition::ChecksGreen { repository: "a/b".into(), commit: "c".into() },
        summary: "checks".into(),
        url: None,
        poll_seconds: 30,
        timeout_seconds: 0,
        since: at(0),
    };
    Event::Waiting { step: step.into(), wait }
}

fn failed(step: &str) -> Event {
    Event::Failed { step: step.into(), error: "conflict".into(), message: "x".into(), retryable: false }
}

/// A run with every kind of event.
fn story() -> Vec<Event> {
    let (step, by) = (|step: &str| step.to_owned(), || "j".to_owned());
    vec![
        created(),
        started("a", 1),
        Event::Remark { step: Some(step("a")), level: Level::Info, text: "hello".into() },
        Event::Denied {
            step: step("a"),
            function: "f".into(),
            power: "git.read a/b".into(),
            source: "p:1".into(),
        },
        intent("a", "d1"),
        outcome("a", 5, EffectResult::Done { value: json!({"id": 7}) }),
        intent("a", "d2"),
        outcome("a", 7, EffectResult::Unknown { error: "no answer".into() }),
        Event::Unknown { step: step("a"), intent: 7 },
        outcome("a", 7, EffectResult::Assumed { verdict: Assumption::NotDone, by: by() }),
        started("a", 2),
        Event::Artefact {
            step: step("a"),
            artefact: Artefact {
                name: "n".into(),
                media_type: "text/plain".into(),
                size: 1,
                sha256: "00".into(),
            },
        },
        intent("a", "d2"),
        outcome("a", 13, EffectResult::Adopted { value: json!(null) }),
        waiting("a"),
        started("a", 3),
        asked("a", 2),
        answered("a", "approve", "j"),
        answered("a", "approve", "k"),
        started("a", 4),
        done("a"),
        started("b", 1),
        Event::Fault { step: step("b"), message: "trap".into() },
        Event::Retried { step: step("b"), by: by() },
        started("b", 2),
        failed("b"),
        Event::Skipped { step: step("b"), reason: "by hand".into(), by: by() },
        started("c", 1),
        done("c"),
        Event::Finished,
        Event::Remark { step: None, level: Level::Warning, text: "late".into() },
    ]
}

fn records(events: &[Event]) -> Vec<Record> {
    (1..).zip(events).map(|(seq, event)| Record { seq, time: at(0), event: event.clone() }).collect()
}

fn fold(events: &[Event]) -> Result<RunState, IllegalEvent> {
    RunState::fold(&records(events))
}

fn why(events: &[Event]) -> state::Violation {
    fold(events).expect_err("illegal").why
}

#[test]
fn a_whole_story_folds() {
    let story = story();
    for end in 1..=story.len() {
        let state = fold(&story[..end]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(state.last(), end as u64);
    }
    let state = fold(&story).unwrap();
    assert_eq!(state.verdict(), Verdict::Finished);
    let a = state.step("a").unwrap();
    assert_eq!((a.attempts, a.effects.len(), a.denials.len(), a.artefacts.len()), (4, 3, 1, 1));
    assert_eq!(state.outputs_of("a"), Some(&json!({"from": "a"})));
    assert_eq!(state.outputs_before("b"), [("a", &json!({"from": "a"}))]);
    assert_eq!(state.recorded("a", "d1", 0).unwrap().seq, 5);
    // The one that happened, not the one that did not.
    assert_eq!(state.recorded("a", "d2", 0).unwrap().seq, 13);
    assert!(state.recorded("a", "d1", 1).is_none());
    assert_eq!(state.unsettled().count(), 0);
    assert_eq!(state.ready().count(), 0);
}

#[test]
fn every_event_survives_json() {
    let mut kinds = std::collections::BTreeSet::new();
    for event in story().into_iter().chain([Event::Aborted { reason: "r".into(), by: "j".into() }]) {
        let text = serde_json::to_string(&event).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["kind"], event.kind());
        assert_eq!(value.get("step").and_then(|step| step.as_str()), event.step());
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        kinds.insert(event.kind());
    }
    assert_eq!(kinds.len(), 18, "the story has every kind: {kinds:?}");
}

#[test]
fn violations() {
    use state::Violation as V;
    let after = |extra: &[Event]| [&[created()], extra].concat();
    let running = |extra: &[Event]| [&[created(), started("a", 1)], extra].concat();
    assert_eq!(why(&[]), V::Header);
    assert_eq!(why(&[started("a", 1)]), V::Header);
    assert_eq!(why(&after(&[created()])), V::Header);
    assert_eq!(why(&after(&[started("x", 1)])), V::NoStep("x".into()));
    assert_eq!(why(&after(&[started("b", 1)])), V::Needs("a".into()));
    assert_eq!(why(&after(&[started("a", 2)])), V::Attempt(1));
    assert_eq!(why(&after(&[done("a")])), V::Status { step: "a".into(), status: "pending" });
    assert_eq!(why(&running(&[done("a"), started("a", 2)])), V::Status { step: "a".into(), status: "done" });
    assert_eq!(
        why(&running(&[failed("a"), started("a", 2)])),
        V::Status { step: "a".into(), status: "failed" }
    );
    assert_eq!(why(&running(&[intent("a", "d"), done("a")])), V::Unsettled(3));
    assert_eq!(why(&running(&[intent("a", "d"), waiting("a")])), V::Unsettled(3));
    let settled = outcome("a", 3, EffectResult::Nothing { error: "e".into() });
    assert_eq!(why(&running(&[intent("a", "d"), settled.clone(), settled])), V::Settled(3));
    assert_eq!(why(&running(&[outcome("a", 2, EffectResult::Done { value: json!(1) })])), V::NoEffect(2));
    assert_eq!(
        why(&running(&[
            intent("a", "d"),
            started("c", 1),
            outcome("c", 3, EffectResult::Done { value: json!(1) })
        ])),
        V::NoEffect(3)
    );
    assert_eq!(why(&running(&[asked("a", 1), started("a", 2)])), V::Unanswered("q".into()));
    assert_eq!(
        why(&running(&[
            asked("a", 2),
            answered("a", "approve", "j"),
            answered("a", "approve", "j"),
            started("a", 2)
        ])),
        V::Unanswered("q".into())
    );
    assert_eq!(why(&running(&[asked("a", 1), answered("a", "maybe", "j")])), V::Choice("maybe".into()));
    assert_eq!(
        why(&running(&[answered("a", "approve", "j")])),
        V::Status { step: "a".into(), status: "running" }
    );
    assert_eq!(why(&running(&[Event::Finished])), V::Unfinished("a".into()));
    let aborted = Event::Aborted { reason: "r".into(), by: "j".into() };
    assert_eq!(why(&running(&[aborted.clone(), done("a")])), V::Ended);
    assert_eq!(why(&running(&[aborted.clone(), aborted])), V::Ended);
    // One refusal decides, whatever is needed.
    assert!(fold(&running(&[asked("a", 2), answered("a", "decline", "j"), started("a", 2)])).is_ok());
    // Asked again: earlier answers do not count.
    let again =
        [asked("a", 1), answered("a", "approve", "j"), started("a", 2), asked("a", 1), started("a", 3)];
    assert_eq!(why(&running(&again)), V::Unanswered("q".into()));
}

#[test]
fn graphs_that_are_none() {
    for graph in [
        vec![node("a", &["a"])],
        vec![node("a", &["b"]), node("b", &[])],
        vec![node("a", &[]), node("a", &[])],
    ] {
        let header = Header { graph, ..header() };
        let event = Event::RunCreated { header: Box::new(header) };
        assert!(matches!(why(&[event]), state::Violation::Graph(_)));
    }
}

#[test]
fn whose_move_it_is() {
    let verdict = |events: &[Event]| {
        let skip = |step: &str| Event::Skipped { step: step.into(), reason: "r".into(), by: "j".into() };
        fold(&[&[created(), skip("c"), started("a", 1)], events].concat()).unwrap().verdict()
    };
    assert_eq!(verdict(&[]), Verdict::Ready);
    assert_eq!(verdict(&[waiting("a")]), Verdict::Waiting);
    assert_eq!(verdict(&[asked("a", 1)]), Verdict::Asks);
    assert_eq!(verdict(&[asked("a", 1), answered("a", "approve", "j")]), Verdict::Ready);
    assert_eq!(verdict(&[failed("a")]), Verdict::Failed);
    assert_eq!(
        verdict(&[intent("a", "d"), Event::Unknown { step: "a".into(), intent: 4 }]),
        Verdict::Unknown
    );
    assert_eq!(verdict(&[done("a"), started("b", 1), done("b")]), Verdict::Ready);
}

/// The table of the module's documentation, as a table.
#[derive(Debug, Clone, Default)]
struct Model {
    status: std::collections::BTreeMap<&'static str, &'static str>,
    attempts: std::collections::BTreeMap<&'static str, u32>,
    open: Vec<(u64, &'static str)>,
    answered: std::collections::BTreeMap<&'static str, bool>,
    ended: bool,
}

const STEPS: [&str; 3] = ["a", "b", "c"];

fn over(status: &str) -> bool {
    matches!(status, "done" | "skipped")
}

impl Model {
    fn status(&self, step: &str) -> &'static str {
        self.status.get(step).copied().unwrap_or("pending")
    }

    /// Whether the event is legal; takes it when it is.
    fn step(&mut self, seq: u64, event: &Event) -> bool {
        if let Event::Remark { .. } = event {
            return true;
        }
        if self.ended || matches!(event, Event::RunCreated { .. }) {
            return false;
        }
        let Some(step) = event.step().and_then(|id| STEPS.into_iter().find(|known| *known == id)) else {
            let legal = match event {
                Event::Aborted { .. } => true,
                Event::Finished => STEPS.iter().all(|step| over(self.status(step))),
                _ => false,
            };
            self.ended = legal;
            return legal;
        };
        let status = self.status(step);
        let open = self.open.iter().any(|(_, owner)| *owner == step);
        let is_open = |intent: &u64| self.open.contains(&(*intent, step));
        let next = match event {
            Event::Started { attempt, .. } => {
                let answered = self.answered.get(step).copied().unwrap_or(false);
                let from =
                    matches!(status, "pending" | "running" | "waiting") || (status == "asks" && answered);
                let needs = step != "b" || over(self.status("a"));
                let right = *attempt == self.attempts.get(step).copied().unwrap_or(0) + 1;
                (from && needs && right).then_some("running")
            }
            Event::Denied { .. } | Event::Artefact { .. } | Event::Intent { .. } => {
                (status == "running").then_some(status)
            }
            Event::Outcome { intent, result, .. } => is_open(intent).then(|| {
                let last = self.open.iter().filter(|(_, owner)| *owner == step).count() == 1;
                if status == "unknown" && last && result.is_settled() { "pending" } else { status }
            }),
            Event::Succeeded { .. } => (status == "running" && !open).then_some("done"),
            Event::Waiting { .. } => (status == "running" && !open).then_some("waiting"),
            Event::Asked { .. } => (status == "running" && !open).then_some("asks"),
            Event::Answered { .. } => (status == "asks").then_some("asks"),
            Event::Failed { .. } => matches!(status, "running" | "waiting").then_some("failed"),
            Event::Fault { .. } => (status == "running").then_some("failed"),
            Event::Unknown { intent, .. } => {
                (matches!(status, "running" | "failed") && is_open(intent)).then_some("unknown")
            }
            Event::Skipped { .. } => {
                matches!(status, "pending" | "failed" | "unknown" | "waiting" | "asks").then_some("skipped")
            }
            Event::Retried { .. } => {
                matches!(status, "failed" | "unknown" | "done" | "skipped").then_some("pending")
            }
            _ => None,
        };
        let Some(next) = next else { return false };
        match event {
            Event::Started { attempt, .. } => {
                self.attempts.insert(step, *attempt);
            }
            Event::Intent { .. } => self.open.push((seq, step)),
            Event::Outcome { intent, result, .. } if result.is_settled() => {
                self.open.retain(|(open, _)| open != intent);
            }
            Event::Asked { .. } => {
                self.answered.insert(step, false);
            }
            Event::Answered { .. } => {
                self.answered.insert(step, true);
            }
            _ => {}
        }
        self.status.insert(step, next);
        true
    }
}

/// Events that are often, but not always, possible.
fn any_event() -> impl Strategy<Value = Event> {
    let step = || prop::sample::select(STEPS.to_vec());
    let j = || "j".to_owned();
    let result = prop_oneof![
        Just(EffectResult::Done { value: json!(1) }),
        Just(EffectResult::Adopted { value: json!(1) }),
        Just(EffectResult::Nothing { error: "e".into() }),
        Just(EffectResult::Unknown { error: "e".into() }),
        Just(EffectResult::Assumed { verdict: Assumption::Done, by: "j".into() }),
    ];
    prop_oneof![
        8 => (step(), 1..6_u32).prop_map(|(step, attempt)| started(step, attempt)),
        4 => step().prop_map(|step| intent(step, "d")),
        6 => (step(), 2..20_u64, result).prop_map(|(step, intent, result)| outcome(step, intent, result)),
        4 => step().prop_map(done),
        2 => step().prop_map(waiting),
        2 => step().prop_map(|step| asked(step, 1)),
        3 => (step(), prop::sample::select(vec!["approve", "decline"])).prop_map(|(step, choice)| answered(step, choice, "j")),
        1 => step().prop_map(failed),
        1 => step().prop_map(|step| Event::Fault { step: step.into(), message: "m".into() }),
        2 => (step(), 2..20_u64).prop_map(|(step, intent)| Event::Unknown { step: step.into(), intent }),
        1 => step().prop_map(move |step| Event::Skipped { step: step.into(), reason: "r".into(), by: j() }),
        2 => step().prop_map(move |step| Event::Retried { step: step.into(), by: "j".into() }),
        1 => step().prop_map(|step| Event::Denied { step: step.into(), function: "f".into(), power: "p".into(), source: "s".into() }),
        1 => Just(Event::Remark { step: None, level: Level::Info, text: "t".into() }),
        1 => Just(Event::Finished),
        1 => Just(created()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The fold agrees with the table, refuses without changing anything, and never panics.
    #[test]
    fn the_fold_agrees_with_the_model(events in proptest::collection::vec(any_event(), 0..80)) {
        let mut state = fold(&[created()]).unwrap();
        let mut model = Model::default();
        for event in events {
            let before = state.clone();
            let record = Record { seq: state.last() + 1, time: at(0), event };
            let legal = model.step(record.seq, &record.event);
            prop_assert_eq!(state.apply(&record).is_ok(), legal, "{:?} after {:?}", record.event, model);
            if legal {
                for step in STEPS {
                    prop_assert_eq!(state.step(step).unwrap().status.word(), model.status(step));
                }
                prop_assert_eq!(state.unsettled().count(), model.open.len());
            } else {
                prop_assert_eq!(&state, &before);
            }
            prop_assert_eq!(state.is_finished(), model.ended);
            let ready: Vec<_> = state.ready().map(|step| (step.node.id.clone(), step.attempts + 1)).collect();
            for (id, attempt) in ready {
                let record = Record { seq: state.last() + 1, time: at(0), event: started(&id, attempt) };
                prop_assert!(state.check(&record).is_ok(), "a ready step can be started");
            }
        }
    }

    #[test]
    fn no_list_of_events_makes_the_fold_panic(events in proptest::collection::vec(any_event(), 0..12)) {
        let _ = fold(&events);
    }
}

fn write_story(path: &Path) -> Journal {
    let mut events = story().into_iter();
    let Some(Event::RunCreated { header }) = events.next() else {
        panic!("the story begins with its header")
    };
    let journal = Journal::create(path, *header, at(0)).unwrap();
    for event in events {
        journal.append(event, at(1)).unwrap();
    }
    journal
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.journal");
    let journal = write_story(&path);
    let expected: Vec<Event> = story();
    let events = |journal: &Journal| -> Vec<Event> {
        journal.events().unwrap().into_iter().map(|record| record.event).collect()
    };
    assert_eq!(events(&journal), expected);
    let reader = Journal::open_read_only(&path).unwrap();
    assert_eq!(events(&reader), expected);
    assert!(matches!(reader.append(Event::Finished, at(0)), Err(JournalError::ReadOnly)));
    let (state, verified) = (journal.state().unwrap(), journal.verify().unwrap());
    assert_eq!(verified.events, 31);
    drop((journal, reader));
    let again = Journal::open(&path).unwrap();
    assert_eq!(again.state().unwrap(), state);
    assert_eq!(again.verify().unwrap(), verified);
    assert_eq!(again.entries().unwrap().last().unwrap().hash, verified.head);
    assert!(matches!(again.append(started("a", 5), at(2)), Err(JournalError::Illegal(_))));
    assert_eq!(again.verify().unwrap(), verified);
}

#[test]
fn a_reader_follows_a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.journal");
    let journal = Journal::create(&path, header(), at(0)).unwrap();
    let reader = Journal::open_read_only(&path).unwrap();
    journal.append(started("a", 1), at(1)).unwrap();
    assert_eq!(reader.state().unwrap().last(), 2);
}

#[test]
fn one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.journal");
    assert!(matches!(Journal::open(&path), Err(JournalError::Missing { .. })));
    assert!(matches!(Journal::open_read_only(&path), Err(JournalError::Missing { .. })));
    let journal = Journal::create(&path, header(), at(0)).unwrap();
    let own = format!("process {} on", std::process::id());
    for second in [Journal::open(&path), Journal::create(&path, header(), at(0))] {
        match second {
            Err(JournalError::Held { by, .. }) => assert!(by.starts_with(&own), "{by}"),
            other => panic!("{other:?}"),
        }
    }
    drop(journal);
    assert!(matches!(Journal::create(&path, header(), at(0)), Err(JournalError::Exists { .. })));
    assert!(Journal::open(&path).is_ok());
}

#[test]
fn an_injected_crash_lets_nothing_more_be_written() {
    let story = story();
    for n in 0..story.len() as u64 - 1 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.journal");
        let seen = Arc::new(AtomicU64::new(0));
        let hook = {
            let seen = seen.clone();
            Box::new(move |seq| seen.store(seq, Ordering::SeqCst))
        };
        let journal = Journal::create(&path, header(), at(0)).unwrap().with_crash_after(n).with_hook(hook);
        for (written, event) in story[1..].iter().enumerate() {
            match journal.append(event.clone(), at(1)) {
                Ok(seq) => assert!(seq == written as u64 + 2 && seq == seen.load(Ordering::SeqCst)),
                Err(JournalError::Killed) => assert!(written as u64 >= n),
                Err(other) => panic!("{other}"),
            }
        }
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().state().unwrap(), fold(&story[..1 + n as usize]).unwrap());
    }
}

#[test]
fn a_creation_that_was_cut_off_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.journal");
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::Corrupt { .. })));
    assert!(Journal::create(&path, header(), at(0)).is_ok());
}

#[test]
fn a_full_disk_is_said_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.journal");
    let journal = Journal::create(&path, header(), at(0)).unwrap();
    journal.limit_pages(8);
    let big = |text: &str| Event::Remark { step: None, level: Level::Info, text: text.repeat(100_000) };
    assert!(matches!(journal.append(big("x"), at(1)), Err(JournalError::NoSpace { .. })));
    assert_eq!(
        journal.append(Event::Remark { step: None, level: Level::Info, text: "y".into() }, at(1)).unwrap(),
        2
    );
    assert!(matches!(journal.append(big(&"z".repeat(200)), at(1)), Err(JournalError::TooLarge(_))));
    assert_eq!(journal.verify().unwrap().events, 2);
}

/// Every row, every column, every way of changing it: found, and by number where a row is to blame.
#[test]
fn tampering_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.journal");
    drop(write_story(&whole));
    let rows = story().len();
    let mut changes = vec![
        "UPDATE head SET seq = seq - 1".to_owned(),
        "UPDATE head SET hash = zeroblob(32)".to_owned(),
        "UPDATE head SET format = 2".to_owned(),
        "DELETE FROM head".to_owned(),
        "DROP TABLE head".to_owned(),
        "DROP TABLE event".to_owned(),
        "DELETE FROM event".to_owned(),
        "PRAGMA application_id = 1".to_owned(),
    ];
    for seq in 1..=rows {
        changes.extend([
            format!("DELETE FROM event WHERE seq = {seq}"),
            format!("UPDATE event SET seq = 1000 WHERE seq = {seq}"),
            format!("UPDATE event SET body = body || ' ' WHERE seq = {seq}"),
            format!("UPDATE event SET body = replace(body, '2023', '2024') WHERE seq = {seq}"),
            format!("UPDATE event SET body = '{{}}' WHERE seq = {seq}"),
            format!("UPDATE event SET hash = zeroblob(32) WHERE seq = {seq}"),
            format!(
                "UPDATE event SET body = (SELECT body FROM event WHERE seq = {}) WHERE seq = {seq}",
                1 + seq % rows
            ),
        ]);
    }
    for change in changes {
        let path = folder.path().join("changed.journal");
        std::fs::copy(&whole, &path).unwrap();
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(&change).unwrap();
        drop(connection);
        for opened in [Journal::open_read_only(&path), Journal::open(&path)] {
            match opened {
                Err(JournalError::Corrupt { at, .. }) => {
                    let row = change.rsplit_once("seq = ").and_then(|(_, seq)| seq.parse::<u64>().ok());
                    assert!(row.is_none_or(|row| at == row), "{change}: blamed {at}");
                }
                other => panic!("{change}: {other:?}"),
            }
        }
    }
}

/// Somebody who can compute hashes still cannot write an impossible story, nor one of another format.
#[test]
fn a_consistent_chain_of_impossible_events_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.journal");
    for (event, expected) in [
        (json!({"kind": "succeeded", "step": "a", "outputs": {}}), "pending"),
        (json!({"kind": "invented"}), "does not exist"),
        (json!({"kind": "started", "step": "a"}), "attempt"),
    ] {
        let _ = std::fs::remove_file(&path);
        drop(Journal::create(&path, header(), at(0)).unwrap());
        forge(&path, &json!({"time": at(1), "event": event}), FORMAT);
        match Journal::open(&path) {
            Err(JournalError::Corrupt { at: 2, why, .. }) => assert!(why.contains(expected), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

/// Appends a row with a right hash, and sets the format.
fn forge(path: &Path, body: &serde_json::Value, format: u32) {
    let connection = Connection::open(path).unwrap();
    let first: String = connection.query_row("SELECT body FROM event", [], |row| row.get(0)).unwrap();
    let first = first.replace(&format!("\"format\":{FORMAT}"), &format!("\"format\":{format}"));
    let one = chain::link(&chain::GENESIS, 1, first.as_bytes());
    let two = chain::link(&one, 2, body.to_string().as_bytes());
    connection.execute("UPDATE event SET body = ?1, hash = ?2", rusqlite::params![first, one]).unwrap();
    connection
        .execute(
            "INSERT INTO event (seq, body, hash) VALUES (2, ?1, ?2)",
            rusqlite::params![body.to_string(), two],
        )
        .unwrap();
    connection
        .execute("UPDATE head SET format = ?1, seq = 2, hash = ?2", rusqlite::params![format, two])
        .unwrap();
}

#[test]
fn a_newer_format_is_read_and_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.journal");
    drop(Journal::create(&path, header(), at(0)).unwrap());
    forge(&path, &json!({"time": at(1), "event": {"kind": "invented", "step": "a", "new": 1}}), FORMAT + 1);
    assert!(matches!(Journal::open(&path), Err(JournalError::Newer { format, .. }) if format == FORMAT + 1));
    let reader = Journal::open_read_only(&path).unwrap();
    assert_eq!(reader.format(), FORMAT + 1);
    assert_eq!(reader.events().unwrap().last().unwrap().event, Event::Unrecognised);
    assert_eq!(reader.state().unwrap().last(), 2);
    assert!(reader.verify().is_ok());
}

#[test]
fn other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.journal");
    let other = folder.path().join("other.sqlite");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let sqlite = std::fs::read(&other).unwrap();
    for bytes in
        [b"not a database, but long enough to look at".repeat(10), b"SQLite format 3\0".to_vec(), sqlite]
    {
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::Corrupt { .. })));
        assert!(matches!(Journal::open_read_only(&path), Err(JournalError::Corrupt { .. })));
        assert!(Journal::create(&path, header(), at(0)).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "somebody else's file is left alone");
    }
}

/// A damaged byte anywhere is reported, or was of no meaning: what is read is never something else.
#[test]
fn damaged_bytes_never_tell_another_story() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.journal");
    drop(write_story(&whole));
    let bytes = std::fs::read(&whole).unwrap();
    let path = folder.path().join("damaged.journal");
    let check = |damaged: &[u8], what: &str| {
        std::fs::write(&path, damaged).unwrap();
        if let Ok(journal) = Journal::open_read_only(&path) {
            let events: Vec<Event> =
                journal.events().unwrap().into_iter().map(|record| record.event).collect();
            assert_eq!(events, story(), "{what}");
        }
    };
    for at in (0..bytes.len()).step_by(37) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        check(&damaged, &format!("byte {at}"));
    }
    for end in (0..bytes.len()).step_by(509) {
        let mut events = None;
        std::fs::write(&path, &bytes[..end]).unwrap();
        if let Ok(journal) = Journal::open_read_only(&path) {
            events = Some(journal.events().unwrap().len());
        }
        assert_eq!(events, None, "cut at {end}");
    }
}

#[test]
fn a_journal_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(Journal::create(folder.path().join("j"), header(), at(0)).unwrap());
    shared(&journal);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let event = Event::Remark { step: None, level: Level::Debug, text: "t".into() };
                    journal.append(event, at(1)).unwrap();
                }
            });
        }
    });
    assert_eq!(journal.verify().unwrap().events, 101);
}
