//! The processes: their inputs, their steps, and what each step does.

mod day;
pub(crate) mod promote;
mod propose;
mod schedule;
mod versions;

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, Input, InputKind, Outcome, Process, Profile, Step, StepKind};
use castoff_sdk::step::invalid;

/// A process of the plugin.
pub(crate) struct Row {
    name: &'static str,
    describe: fn() -> Process,
    graph: fn(&str, &str) -> Result<Graph, Error>,
    run: fn(&Context) -> Result<Outcome, Error>,
}

impl Row {
    pub(crate) fn graph(&self, profile: &str, inputs: &str) -> Result<Graph, Error> {
        (self.graph)(profile, inputs)
    }

    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Error> {
        (self.run)(context)
    }
}

const ALL: &[Row] = &[
    Row { name: day::NAME, describe: day::describe, graph: day::graph, run: day::run },
    Row { name: versions::NAME, describe: versions::describe, graph: versions::graph, run: versions::run },
    Row { name: promote::NAME, describe: promote::describe, graph: promote::graph, run: promote::run },
    Row { name: schedule::NAME, describe: schedule::describe, graph: schedule::graph, run: schedule::run },
];

/// Descriptions of all processes.
pub(crate) fn processes() -> Vec<Process> {
    ALL.iter().map(|row| (row.describe)()).collect()
}

/// The process of that name.
pub(crate) fn find(name: &str) -> Result<&'static Row, Error> {
    ALL.iter().find(|row| row.name == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|row| row.name).collect();
        invalid(format!("there is no process {name:?}; there is {}", names.join(", ")))
    })
}

/// The one profile of processes whose practice has not drifted.
fn current() -> Vec<Profile> {
    vec![Profile {
        name: "current".to_owned(),
        since: "2022-11".to_owned(),
        summary: "Practice of the Kubernetes release managers".to_owned(),
    }]
}

fn required(name: &str, kind: InputKind, summary: &str) -> Input {
    Input { name: name.to_owned(), kind, required: true, summary: summary.to_owned() }
}

fn optional(name: &str, kind: InputKind, summary: &str) -> Input {
    Input { required: false, ..required(name, kind, summary) }
}

fn step(id: &str, title: impl Into<String>, kind: StepKind, needs: &[&str], source: &str) -> Step {
    Step {
        id: id.to_owned(),
        title: title.into(),
        kind,
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        irreversible: false,
        source: source.to_owned(),
    }
}
