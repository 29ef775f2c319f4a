//! All cases below a folder, one line each.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use super::case::{self, Case, Head, Judge, Result};
use super::drive::{Machine, Outcome};
use super::judge::Faults;
use super::kind::{self, Base, Kind};

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Pass,
    /// Otherwise, and how.
    Fail(Faults),
    /// No process does this yet.
    NotYet(String),
}

/// The line of a case.
#[derive(Debug, Clone)]
pub struct Line {
    /// Id, kind, repository and version.
    pub title: String,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took.
    pub took: std::time::Duration,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let took = self.took.as_millis();
        match &self.verdict {
            Verdict::Pass => write!(f, "PASS {} ({took} ms)", self.title),
            Verdict::NotYet(why) => write!(f, "not yet {}: {why}", self.title),
            Verdict::Fail(faults) => {
                let shown: Vec<&str> = faults.iter().take(6).map(String::as_str).collect();
                let more = faults.len().saturating_sub(shown.len());
                let more = if more > 0 { format!("; and {more} more") } else { String::new() };
                write!(f, "FAIL {} … {}{more} ({took} ms)", self.title, shown.join("; "))
            }
        }
    }
}

/// The plugins loaded so far.
#[derive(Default)]
pub struct Machines {
    loaded: BTreeMap<String, Machine>,
}

impl Machines {
    async fn of(&mut self, plugin: &str) -> Result<Machine> {
        if let Some(machine) = self.loaded.get(plugin) {
            return Ok(machine.clone());
        }
        let machine = Machine::load(plugin).await?;
        self.loaded.insert(plugin.to_owned(), machine.clone());
        Ok(machine)
    }
}

/// Runs every case below a folder; `each` sees a line as soon as it is known.
pub async fn all(folder: &Path, mut each: impl FnMut(&Line)) -> Vec<Line> {
    let mut machines = Machines::default();
    let mut lines = Vec::new();
    for folder in case::find(folder) {
        let began = Instant::now();
        let (title, verdict) = match Head::read(&folder) {
            Ok(head) => (head.title(), one(&mut machines, &folder, &head).await),
            Err(why) => (folder.display().to_string(), Verdict::Fail(vec![why])),
        };
        let line = Line { title, verdict, took: began.elapsed() };
        each(&line);
        lines.push(line);
    }
    lines
}

/// Only a case whose kind there is is read whole: the rest of `case.json` has the shape of its kind.
async fn one(machines: &mut Machines, folder: &Path, head: &Head) -> Verdict {
    let Some(kind) = kind::named(&head.kind) else {
        return Verdict::NotYet(format!("no kind {:?} here", head.kind));
    };
    if castoff::embedded::plugin(&head.process).is_none() {
        return Verdict::NotYet(format!("there is no plugin {:?}", head.process));
    }
    let machine = match machines.of(&head.process).await {
        Ok(machine) => machine,
        Err(why) => return Verdict::Fail(vec![why]),
    };
    if !machine.has(kind.process) {
        return Verdict::NotYet(format!("{} has no process {:?}", head.process, kind.process));
    }
    let case = match Case::read(folder) {
        Ok(case) => case,
        Err(why) => return Verdict::Fail(vec![why]),
    };
    match judged(&machine, kind, &case).await {
        Ok(faults) if faults.is_empty() => Verdict::Pass,
        Ok(faults) => Verdict::Fail(faults),
        Err(why) => Verdict::Fail(vec![why]),
    }
}

async fn run(machine: &Machine, kind: &Kind, case: &Case, base: Base) -> Result<(kind::Setup, Outcome)> {
    let setup = (kind.set)(case, base)?;
    let outcome = machine.run(&setup.task, setup.world.clone()).await?;
    Ok((setup, outcome))
}

async fn judged(machine: &Machine, kind: &Kind, case: &Case) -> Result<Faults> {
    let (setup, outcome) = run(machine, kind, case, Base::Before).await?;
    let must_refuse = case.data.judge == Judge::MustRefuse;
    let mut faults = if must_refuse { untouched(&outcome) } else { Faults::new() };
    match outcome.refusal() {
        Some(why) if !must_refuse => return Ok(vec![why]),
        _ => faults.extend((kind.check)(case, &setup, &outcome)?),
    }
    drop(outcome);
    if (kind.rerun)(case) {
        let (_, again) = run(machine, kind, case, Base::After).await?;
        let said = |why: String| format!("again: {why}");
        faults.extend(again.refusal().map(said));
        if !again.wrote_nothing() {
            faults.push(format!("again: there was nothing to do, but it wrote {}", again.written()));
        }
    }
    for nth in 0..(kind.taken)(case) {
        let (_, other) = run(machine, kind, case, Base::Taken(nth)).await?;
        faults.extend(untouched(&other).into_iter().map(|why| format!("where something else is: {why}")));
    }
    Ok(faults)
}

/// A refusal is one when a step failed and nothing was written.
fn untouched(outcome: &Outcome) -> Faults {
    let mut faults = Faults::new();
    if outcome.refusal().is_none() {
        faults.push("it should have been refused".into());
    }
    if !outcome.wrote_nothing() {
        faults.push(format!("nothing should have been written, but it wrote {}", outcome.written()));
    }
    faults
}
