//! The processes: each step reads the world anew, lets [`crate::core`] decide, and has the effects done.
//!
//! [`tree`] reads repositories, [`proposal`] opens pull requests and waits for them. A process is one module and one row
//! of the table here.

mod candidate;
mod channel_server;
mod chat;
mod check_tags;
mod components;
mod general;
mod generate;
mod image;
mod input;
mod kdm;
mod kdm_lint;
mod modsync;
mod promote;
mod proposal;
mod rebase;
mod regsync;
mod tag_fork;
mod tidy;
mod tree;
mod update;

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, Outcome, Process, Step, StepKind};

pub(crate) use candidate::Tagged;
pub(crate) use chat::announce;
pub(crate) use input::{Release, optional, profile, required};
pub(crate) use proposal::Proposed;

/// A process of this folder.
struct Row {
    name: &'static str,
    describe: fn() -> Process,
    steps: fn(&str) -> Result<Graph, Error>,
    run: fn(&Context) -> Result<Outcome, Error>,
}

/// One row for the module of a process.
macro_rules! rows {
    ($($module:ident),* $(,)?) => {
        [$(Row { name: $module::NAME, describe: $module::describe, steps: $module::steps, run: $module::run }),*]
    };
}

const ALL: [Row; 13] = rows![
    rebase,
    tag_fork,
    update,
    modsync,
    candidate,
    kdm,
    kdm_lint,
    regsync,
    general,
    promote,
    channel_server,
    components,
    check_tags,
];

/// Descriptions of all processes.
pub(crate) fn processes() -> Vec<Process> {
    ALL.iter().map(|row| (row.describe)()).collect()
}

/// The graph of a process; none when it is not of this folder.
pub(crate) fn steps(process: &str, inputs: &str) -> Option<Result<Graph, Error>> {
    ALL.iter().find(|row| row.name == process).map(|row| (row.steps)(inputs))
}

/// Runs a step; none when the process is not of this folder.
pub(crate) fn run(context: &Context) -> Option<Result<Outcome, Error>> {
    ALL.iter().find(|row| row.name == context.process).map(|row| (row.run)(context))
}

/// A step that can be undone.
pub(crate) fn step(id: &str, title: &str, kind: StepKind, needs: &[&str], row: &str) -> Step {
    Step {
        id: id.to_owned(),
        title: title.to_owned(),
        kind,
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        irreversible: false,
        source: format!("seed 004, {row}"),
    }
}

/// A step that cannot be undone.
pub(crate) fn irreversible(id: &str, title: &str, needs: &[&str], row: &str) -> Step {
    Step { irreversible: true, ..step(id, title, StepKind::Work, needs, row) }
}
