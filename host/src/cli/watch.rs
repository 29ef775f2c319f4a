//! A run as it happens: a live tree on a terminal, plain lines elsewhere, one line of JSON an event on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use castoff::gate::Watcher;
use castoff::journal::{EffectResult, Event, Level, Record, RunState, Status};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::event;
use super::text;
use super::time;
use super::ui::Ui;

/// Prints what happens.
pub(crate) struct Screen {
    ui: Ui,
    json: bool,
    began: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    titles: BTreeMap<String, String>,
    /// When running steps began, as the person at the screen lives it: a rehearsal has a clock of its own.
    started: BTreeMap<String, Instant>,
    /// Summaries of announced effects by step and number of the event.
    intents: BTreeMap<(String, u64), String>,
    /// What was last said of a waiting step: repeated looks are not worth a line.
    waits: BTreeMap<String, String>,
    counts: Counts,
    tree: Option<Tree>,
}

/// What happened while this process watched.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    /// Effects that were performed.
    pub(crate) performed: u64,
    /// Effects that were there already.
    pub(crate) adopted: u64,
}

/// The spinners of the steps that run.
struct Tree {
    all: MultiProgress,
    running: BTreeMap<String, ProgressBar>,
}

impl Screen {
    /// A screen for a run; with `json` every event is data, too.
    pub(crate) fn new(ui: Ui, json: bool) -> Self {
        let tree = ui.is_terminal().then(|| Tree { all: MultiProgress::new(), running: BTreeMap::new() });
        let inner = Inner {
            titles: BTreeMap::new(),
            started: BTreeMap::new(),
            intents: BTreeMap::new(),
            waits: BTreeMap::new(),
            counts: Counts::default(),
            tree,
        };
        Self { ui, json, began: Instant::now(), inner: Mutex::new(inner) }
    }

    /// Tells the screen what the steps are called.
    pub(crate) fn learn(&self, state: &RunState) {
        self.learn_as("", state);
    }

    /// The same for steps that are shown with something before their names.
    fn learn_as(&self, before: &str, state: &RunState) {
        let mut inner = self.inner();
        for step in state.steps() {
            let id = format!("{before}{}", step.node.id);
            if let Status::Waiting { wait } = &step.status {
                inner.waits.insert(id.clone(), event::waits(wait));
            }
            inner.titles.insert(id, text::line(&step.node.title));
        }
    }

    /// When the screen was opened.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// What has happened so far.
    pub(crate) fn counts(&self) -> Counts {
        self.inner().counts
    }

    /// Takes the spinners away.
    pub(crate) fn close(&self) {
        if let Some(tree) = &mut self.inner().tree {
            for (_, bar) in std::mem::take(&mut tree.running) {
                bar.finish_and_clear();
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, inner: &Inner, text: &str) {
        match &inner.tree {
            // A terminal that cannot be drawn on is treated as a file.
            Some(tree) if !tree.running.is_empty() => {
                if tree.all.println(text).is_err() {
                    self.ui.say(text);
                }
            }
            _ => self.ui.say(text),
        }
    }

    /// The line of a step that has come to an end or a halt.
    fn halt(&self, inner: &mut Inner, record: &Record, status: &Status) {
        let Some(step) = record.event.step() else { return };
        if let Some(bar) = inner.tree.as_mut().and_then(|tree| tree.running.remove(step)) {
            bar.finish_and_clear();
        }
        let waits = matches!(&record.event, Event::Waiting { .. }).then(|| event::words(&record.event));
        if waits.is_some() && inner.waits.get(step) == waits.as_ref() {
            return;
        }
        match waits {
            Some(words) => inner.waits.insert(step.to_owned(), words),
            None => inner.waits.remove(step),
        };
        let paint = self.ui.talk_paint();
        let mut line = format!("{} {step}", paint.mark(status));
        if let Some(title) = inner.titles.get(step).filter(|title| !title.is_empty()) {
            line += &format!("  {title}");
        }
        if let (Status::Done { .. }, Some(began)) = (status, inner.started.remove(step)) {
            line += &paint.dim(&format!("  {}", time::elapsed(began.elapsed())));
        }
        self.line(inner, &line);
        if let Some(more) = self.details(record, status) {
            self.line(inner, &text::indented(&more, "    "));
        }
    }

    fn details(&self, record: &Record, status: &Status) -> Option<String> {
        let words = event::words(&record.event);
        match status {
            Status::Waiting { .. } => Some(format!("waits for {words}")),
            Status::Asks { question, .. } => Some(format!("asks: {}", text::block(&question.prompt))),
            Status::Failed { error, message, .. } => {
                Some(format!("failed ({error}): {}", text::block(message)))
            }
            Status::Unknown { .. } => Some(words),
            Status::Skipped { .. } => Some(format!("skipped: {words}")),
            _ => None,
        }
    }

    fn start(&self, inner: &mut Inner, step: &str) {
        let title = inner.titles.get(step).cloned().unwrap_or_default();
        inner.started.insert(step.to_owned(), Instant::now());
        let Some(tree) = &mut inner.tree else { return };
        let bar = tree.all.add(ProgressBar::new_spinner());
        // The template is fixed and valid; were it not, the default one would do.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {wide_msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(step.to_owned());
        bar.set_message(title);
        bar.enable_steady_tick(Duration::from_millis(120));
        tree.running.insert(step.to_owned(), bar);
    }

    fn effect(&self, inner: &mut Inner, step: &str, intent: u64, result: &EffectResult) {
        let summary =
            inner.intents.remove(&(step.to_owned(), intent)).unwrap_or_else(|| format!("effect {intent}"));
        let line = match result {
            EffectResult::Done { .. } => {
                inner.counts.performed += 1;
                format!("    + {summary}")
            }
            EffectResult::Adopted { .. } => {
                inner.counts.adopted += 1;
                format!("    = {summary} (was there already)")
            }
            other => format!("    ! {summary}: {}", text::line(&event::outcome(other))),
        };
        self.line(inner, &line);
    }

    fn show(&self, inner: &mut Inner, record: &Record) {
        let status = |status: Status| Some(status);
        let halted = match &record.event {
            Event::Started { step, .. } => {
                self.start(inner, step);
                None
            }
            Event::Intent { summary, step, .. } => {
                let summary = text::line(summary);
                if let Some(bar) = inner.tree.as_ref().and_then(|tree| tree.running.get(step)) {
                    bar.set_message(summary.clone());
                }
                inner.intents.insert((step.clone(), record.seq), summary);
                None
            }
            Event::Outcome { step, intent, result } => {
                self.effect(inner, step, *intent, result);
                None
            }
            Event::Denied { .. } => {
                self.line(inner, &format!("    ! {}", event::words(&record.event)));
                None
            }
            Event::Answered { step, .. } => {
                self.line(inner, &format!("  {step}: {}", event::words(&record.event)));
                None
            }
            Event::Succeeded { outputs, .. } => status(Status::Done { outputs: outputs.clone() }),
            Event::Waiting { wait, .. } => status(Status::Waiting { wait: wait.clone() }),
            Event::Asked { question, .. } => status(Status::Asks { question: question.clone(), earlier: 0 }),
            Event::Failed { error, message, retryable, .. } => status(Status::Failed {
                error: error.clone(),
                message: message.clone(),
                retryable: *retryable,
            }),
            Event::Fault { message, .. } => {
                status(Status::Failed { error: "fault".into(), message: message.clone(), retryable: false })
            }
            Event::Unknown { intent, .. } => status(Status::Unknown { intent: *intent }),
            Event::Skipped { reason, by, .. } => {
                status(Status::Skipped { reason: reason.clone(), by: by.clone() })
            }
            _ => None,
        };
        if let Some(status) = halted {
            self.halt(inner, record, &status);
        }
    }
}

/// The part of a screen that shows one release of a train: its steps are named after it.
pub(crate) struct Part {
    screen: Arc<Screen>,
    member: String,
    run: String,
}

impl Part {
    /// The part of a member with this run.
    pub(crate) fn of(screen: &Arc<Screen>, member: &str, run: &str) -> Self {
        Self { screen: screen.clone(), member: member.to_owned(), run: run.to_owned() }
    }

    /// Tells the screen what the steps are called.
    pub(crate) fn learn(&self, state: &RunState) {
        self.screen.learn_as(&self.named(""), state);
    }

    fn named(&self, step: &str) -> String {
        format!("{}/{step}", self.member)
    }

    /// The record as it is shown: its step named after the member.
    fn shown(&self, record: &Record) -> Option<Record> {
        let step = record.event.step()?;
        let mut event = serde_json::to_value(&record.event).ok()?;
        event["step"] = self.named(step).into();
        Some(Record { seq: record.seq, time: record.time, event: serde_json::from_value(event).ok()? })
    }
}

impl Watcher for Part {
    fn recorded(&self, record: &Record) {
        if self.screen.json
            && let Ok(serde_json::Value::Object(mut line)) = serde_json::to_value(record)
        {
            line.insert("run".into(), self.run.clone().into());
            // As for the screen: an event can be written as JSON.
            let _ = self.screen.ui.json(&line);
        }
        if let Some(shown) = self.shown(record) {
            self.screen.show(&mut self.screen.inner(), &shown);
        }
    }

    fn said(&self, step: &str, level: Level, text: &str) {
        self.screen.said(&self.named(step), level, text);
    }

    fn progress(&self, step: &str, done: u32, total: u32, what: &str) {
        self.screen.progress(&self.named(step), done, total, what);
    }
}

impl Watcher for Screen {
    fn recorded(&self, record: &Record) {
        if self.json {
            // An event that came from the journal can be written as JSON: it is JSON there.
            let _ = self.ui.json(record);
        }
        let mut inner = self.inner();
        self.show(&mut inner, record);
    }

    fn said(&self, step: &str, level: Level, text: &str) {
        let text = text::line(text);
        let inner = self.inner();
        match level {
            Level::Debug => {}
            Level::Info => match inner.tree.as_ref().and_then(|tree| tree.running.get(step)) {
                Some(bar) => bar.set_message(text),
                None => self.line(&inner, &format!("    {step}: {text}")),
            },
            Level::Warning => self.line(&inner, &format!("    warning: {step}: {text}")),
            Level::Error => self.line(&inner, &format!("    error: {step}: {text}")),
        }
    }

    fn progress(&self, step: &str, done: u32, total: u32, what: &str) {
        let inner = self.inner();
        if let Some(bar) = inner.tree.as_ref().and_then(|tree| tree.running.get(step)) {
            bar.set_message(format!("{done}/{total} {}", text::line(what)));
        }
    }
}
