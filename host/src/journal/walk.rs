//! Random walks through the life of a run: hosts that start steps, perform effects, die and come back; people who answer,
//! retry, skip and abort. At every moment everything that could be written is held against a model that knows nothing but
//! the list of events, and what is always true is read off that list at the end.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::function::Class;

const PEOPLE: [&str; 3] = ["ann", "bob", "cem"];
const CHOICES: [&str; 2] = ["approve", "decline"];

fn moment() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// Fields that other formats add have defaults, so everything is made of JSON.
fn event(value: Value) -> Event {
    serde_json::from_value(value).unwrap()
}

fn name(step: usize) -> String {
    format!("s{step}")
}

/// The first event: steps that need earlier ones, as the bits of `needs` say.
fn created(needs: &[u8]) -> Event {
    let needed = |step: usize, bits: u8| (0..step).filter(|other| bits >> other & 1 == 1).map(name).collect();
    let graph: Vec<Value> = (0..needs.len())
        .map(|step| {
            let needs: Vec<String> = needed(step, needs[step]);
            json!({"id": name(step), "title": "t", "kind": "work", "needs": needs})
        })
        .collect();
    event(json!({"kind": "run-created", "header": {
        "format": FORMAT, "run": "r", "release": "r", "title": "t", "process": "p", "profile": "p", "inputs": {},
        "plugin": {"name": "p", "version": "1", "digest": "sha256:00"}, "graph": graph, "pinned": moment(),
        "identity": {"name": "a", "email": "a@example.org"}, "world": "live", "started-by": "a",
    }}))
}

/// What is known of a run from the list of its events alone.
struct Told<'a> {
    needs: &'a [u8],
    events: &'a [Event],
}

impl Told<'_> {
    fn of(&self, step: &str) -> impl DoubleEndedIterator<Item = (u64, &Event)> {
        let step = step.to_owned();
        self.events
            .iter()
            .enumerate()
            .map(|(at, event)| (at as u64 + 1, event))
            .filter(move |(_, event)| event.step() == Some(&step))
    }

    fn ended(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Finished | Event::Aborted { .. }))
    }

    /// Effects announced by a step of which nobody knows what became.
    fn open(&self, step: &str) -> BTreeSet<u64> {
        let mut open = BTreeSet::new();
        for (seq, event) in self.of(step) {
            match event {
                Event::Intent { .. } => drop(open.insert(seq)),
                Event::Outcome { intent, result, .. } if !matches!(result, EffectResult::Unknown { .. }) => {
                    open.remove(intent);
                }
                _ => {}
            }
        }
        open
    }

    /// Where a step stands: what the last event that says so says.
    fn stands(&self, step: &str) -> &'static str {
        let mut stands = "pending";
        for (seq, event) in self.of(step) {
            stands = match event {
                Event::Started { .. } => "running",
                Event::Succeeded { .. } => "done",
                Event::Waiting { .. } => "waiting",
                Event::Asked { .. } => "asks",
                Event::Failed { .. } | Event::Fault { .. } => "failed",
                Event::Unknown { .. } => "unknown",
                Event::Skipped { .. } => "skipped",
                Event::Retried { .. } => "pending",
                // Once the last riddle is solved the step may start again.
                Event::Outcome { .. } if stands == "unknown" => {
                    let until = usize::try_from(seq).unwrap();
                    let then = Told { needs: self.needs, events: &self.events[..until] };
                    if then.open(step).is_empty() { "pending" } else { "unknown" }
                }
                _ => stands,
            };
        }
        stands
    }

    fn over(&self, step: &str) -> bool {
        matches!(self.stands(step), "done" | "skipped")
    }

    fn attempts(&self, step: &str) -> u32 {
        u32::try_from(self.of(step).filter(|(_, event)| matches!(event, Event::Started { .. })).count())
            .unwrap()
    }

    /// Whether the question that was asked last is answered: by enough people, or by one who does not agree.
    fn answered(&self, step: &str) -> bool {
        let since: Vec<&Event> = self
            .of(step)
            .map(|(_, event)| event)
            .rev()
            .take_while(|event| !matches!(event, Event::Asked { .. }))
            .collect();
        let wanted = self.of(step).rev().find_map(|(_, event)| match event {
            Event::Asked { question, .. } => Some(question.approvals.max(1)),
            _ => None,
        });
        let answers = || {
            since.iter().filter_map(|event| match event {
                Event::Answered { answer, .. } => Some(answer),
                _ => None,
            })
        };
        let agree: BTreeSet<&str> =
            answers().filter(|answer| answer.choice == CHOICES[0]).map(|answer| answer.by.as_str()).collect();
        answers().any(|answer| answer.choice != CHOICES[0])
            || wanted.is_some_and(|wanted| agree.len() >= wanted as usize)
    }

    fn may_start(&self, step: &str) -> bool {
        let index: usize = step[1..].parse().unwrap();
        let ready = (0..index)
            .filter(|other| self.needs[index] >> other & 1 == 1)
            .all(|other| self.over(&name(other)));
        let from = match self.stands(step) {
            "pending" | "running" | "waiting" => true,
            "asks" => self.answered(step),
            _ => false,
        };
        ready && from && !self.ended()
    }

    /// Whether an event may come next.
    fn allows(&self, next: &Event) -> bool {
        if matches!(next, Event::Remark { .. }) {
            return true;
        }
        if self.ended() {
            return false;
        }
        let Some(step) = next.step() else {
            let all_over = || (0..self.needs.len()).all(|step| self.over(&name(step)));
            return matches!(next, Event::Aborted { .. }) || matches!(next, Event::Finished) && all_over();
        };
        let (stands, open) = (self.stands(step), self.open(step));
        match next {
            Event::Started { attempt, .. } => self.may_start(step) && *attempt == self.attempts(step) + 1,
            Event::Intent { .. } | Event::Denied { .. } | Event::Artefact { .. } | Event::Fault { .. } => {
                stands == "running"
            }
            Event::Outcome { intent, .. } => open.contains(intent),
            Event::Succeeded { .. } | Event::Waiting { .. } | Event::Asked { .. } => {
                stands == "running" && open.is_empty()
            }
            Event::Answered { .. } => stands == "asks",
            Event::Failed { .. } => matches!(stands, "running" | "waiting"),
            Event::Unknown { intent, .. } => matches!(stands, "running" | "failed") && open.contains(intent),
            Event::Skipped { .. } => {
                matches!(stands, "pending" | "failed" | "unknown" | "waiting" | "asks")
            }
            Event::Retried { .. } => matches!(stands, "failed" | "unknown" | "done" | "skipped"),
            _ => false,
        }
    }
}

/// Everything that somebody might want to write now, right or wrong, with how likely it is to be chosen.
fn menu(told: &Told<'_>) -> Vec<(usize, Event)> {
    let mut menu = vec![
        (1, event(json!({"kind": "finished"}))),
        (1, event(json!({"kind": "aborted", "reason": "r", "by": "ann"}))),
        (1, event(json!({"kind": "remark", "level": "info", "text": "t"}))),
    ];
    for step in (0..told.needs.len()).map(name) {
        let attempts = told.attempts(&step);
        for (weight, attempt) in [(12, attempts + 1), (0, attempts), (0, attempts + 2)] {
            menu.push((weight, event(json!({"kind": "started", "step": step, "attempt": attempt}))));
        }
        let simple = [
            (8, json!({"kind": "succeeded", "step": step, "outputs": {}})),
            (2, json!({"kind": "failed", "step": step, "error": "e", "message": "m", "retryable": true})),
            (1, json!({"kind": "fault", "step": step, "message": "m"})),
            (1, json!({"kind": "skipped", "step": step, "reason": "r", "by": "ann"})),
            (2, json!({"kind": "retried", "step": step, "by": "ann"})),
            (1, json!({"kind": "denied", "step": step, "function": "f", "power": "p", "source": "s"})),
            (
                3,
                json!({"kind": "waiting", "step": step, "wait": {
                "condition": {"kind": "time", "at": 0}, "summary": "s", "poll-seconds": 1, "timeout-seconds": 0,
                "since": moment()}}),
            ),
        ];
        menu.extend(simple.map(|(weight, value)| (weight, event(value))));
        menu.push((6, intent(&step)));
        for approvals in 1..=2 {
            menu.push((2, asked(&step, approvals)));
        }
        for (by, choice) in PEOPLE.iter().flat_map(|by| CHOICES.map(|choice| (by, choice))) {
            let weight = if choice == CHOICES[0] { 4 } else { 1 };
            menu.push((weight, answered(&step, by, choice)));
        }
        // Effects of this step, of another one, and none at all.
        let last = told.events.len() as u64;
        for seq in (2..=last)
            .filter(|seq| matches!(told.events[*seq as usize - 1], Event::Intent { .. }))
            .chain([last])
        {
            menu.push((2, event(json!({"kind": "unknown", "step": step, "intent": seq}))));
            for result in [
                json!({"kind": "done", "value": 1}),
                json!({"kind": "adopted", "value": 1}),
                json!({"kind": "nothing", "error": "e"}),
                json!({"kind": "unknown", "error": "e"}),
                json!({"kind": "assumed", "verdict": "done", "by": "ann"}),
            ] {
                menu.push((
                    3,
                    event(json!({"kind": "outcome", "step": step, "intent": seq, "result": result})),
                ));
            }
        }
    }
    menu
}

fn intent(step: &str) -> Event {
    Event::Intent {
        step: step.into(),
        ordinal: 0,
        function: "git.ensure-tag".into(),
        class: Class::Ensure,
        digest: "d".into(),
        request: json!({}),
        summary: "s".into(),
    }
}

fn asked(step: &str, approvals: u32) -> Event {
    event(json!({"kind": "asked", "step": step, "question": {
        "id": "q", "prompt": "?", "choices": CHOICES, "approvals": approvals}}))
}

fn answered(step: &str, by: &str, choice: &str) -> Event {
    event(json!({"kind": "answered", "step": step, "answer": {
        "question": "q", "choice": choice, "by": by, "at": moment()}}))
}

fn record(seq: u64, event: Event) -> Record {
    Record { seq, time: moment(), event }
}

fn records(events: &[Event]) -> Vec<Record> {
    (1..).zip(events).map(|(seq, event)| record(seq, event.clone())).collect()
}

/// One of the allowed events, by weight; the likely ones drive the run forward.
fn choose(menu: Vec<(usize, Event)>, told: &Told<'_>, dice: usize) -> Option<Event> {
    let allowed: Vec<(usize, Event)> = menu.into_iter().filter(|(_, event)| told.allows(event)).collect();
    let total: usize = allowed.iter().map(|(weight, _)| weight).sum();
    let mut left = dice % total.max(1);
    allowed.into_iter().find_map(|(weight, event)| {
        if left < weight {
            return Some(event);
        }
        left -= weight;
        None
    })
}

/// What holds of every list of events that was ever written.
fn always(needs: &[u8], events: &[Event]) -> Result<(), TestCaseError> {
    let ended = events.iter().position(|event| matches!(event, Event::Finished | Event::Aborted { .. }));
    if let Some(end) = ended {
        let remarks = events[end + 1..].iter().all(|event| matches!(event, Event::Remark { .. }));
        prop_assert!(remarks, "something happened after the end");
    }
    for step in (0..needs.len()).map(name) {
        let (mut finished, mut attempts, mut open) = (false, 0, BTreeSet::new());
        for (seq, event) in (1_u64..).zip(events).filter(|(_, event)| event.step() == Some(&step)) {
            match event {
                Event::Started { attempt, .. } => {
                    prop_assert!(!finished, "a finished step started again: {events:?}");
                    attempts += 1;
                    prop_assert_eq!(*attempt, attempts, "attempts increase by one");
                }
                Event::Intent { .. } => drop(open.insert(seq)),
                Event::Outcome { intent, result, .. } => {
                    prop_assert!(
                        open.contains(intent),
                        "nothing is settled twice, and nothing that was not announced"
                    );
                    if result.is_settled() {
                        open.remove(intent);
                    }
                }
                Event::Succeeded { .. } => {
                    prop_assert!(open.is_empty(), "unsettled effects block success: {events:?}");
                    finished = true;
                }
                Event::Skipped { .. } => finished = true,
                Event::Retried { .. } => finished = false,
                _ => {}
            }
        }
    }
    Ok(())
}

/// Graphs of up to five steps, and dice for what happens.
fn lives() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    (prop::collection::vec(any::<u8>(), 1..6), prop::collection::vec(0..10_000_usize, 0..40))
}

/// The events of a life, held against the model at every moment.
fn live(needs: &[u8], dice: &[usize]) -> Result<Vec<Event>, TestCaseError> {
    let mut events = vec![created(needs)];
    let mut state = RunState::fold(&records(&events)).unwrap();
    let mut states = vec![state.clone()];
    for dice in dice {
        let told = Told { needs, events: &events };
        let next = state.last() + 1;
        let menu = menu(&told);
        for (_, event) in &menu {
            let (allowed, checked) = (told.allows(event), state.check(&record(next, event.clone())));
            prop_assert_eq!(checked.is_ok(), allowed, "{:?}: {:?} after {:?}", event, checked, events);
        }
        for step in (0..needs.len()).map(name) {
            let ready = state.ready().any(|ready| ready.node.id == step);
            prop_assert_eq!(ready, told.may_start(&step) && told.stands(&step) != "waiting");
            let open: BTreeSet<u64> =
                state.step(&step).unwrap().unsettled().map(|effect| effect.seq).collect();
            prop_assert_eq!(open, told.open(&step));
            prop_assert_eq!(state.step(&step).unwrap().status.word(), told.stands(&step));
        }
        let Some(event) = choose(menu, &told, *dice) else { break };
        state.apply(&record(next, event.clone())).unwrap();
        events.push(event);
        states.push(state.clone());
    }
    // A host may have died at any moment: the next one reads as much, and knows as much.
    let records = records(&events);
    for (length, known) in (1..).zip(&states) {
        prop_assert_eq!(&RunState::fold(&records[..length]).unwrap(), known);
    }
    always(needs, &events)?;
    Ok(events)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens((needs, dice) in lives()) {
        live(&needs, &dice)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same on the disk: hosts that die after a few events each, one after the other.
    #[test]
    fn whoever_dies((needs, dice) in lives(), lives in prop::collection::vec(0..6_u64, 1..20)) {
        let events = live(&needs, &dice)?;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let Event::RunCreated { header } = events[0].clone() else { panic!("a run begins with its header") };
        let mut journal = Journal::create(&path, *header, moment()).unwrap();
        let mut lives = lives.into_iter();
        let mut written = 1;
        while written < events.len() {
            journal = match lives.next() {
                Some(life) => journal.with_crash_after(life),
                None => journal,
            };
            while let Some(event) = events.get(written) {
                match journal.append(event.clone(), moment()) {
                    Ok(_) => written += 1,
                    Err(error) => {
                        prop_assert!(matches!(error, JournalError::Killed), "{error}");
                        break;
                    }
                }
            }
            drop(journal);
            journal = Journal::open(&path).unwrap();
            let known = RunState::fold(&records(&events[..written])).unwrap();
            prop_assert_eq!(journal.state().unwrap(), known);
        }
        prop_assert_eq!(journal.verify().unwrap().events, events.len() as u64);
    }
}
