//! The steps: each reads the world anew, lets [`crate::core`] decide, and has the effects done.
//!
//! [`input`] is what processes are told; [`release`], [`tag`] and [`promote`] are the processes. Of `release`:
//! [`preflight`] and [`triage`] look around, [`ci`] reads the test grid, [`notes`], [`changelog`] and [`readme`] write,
//! [`publish`] makes the GitHub release, [`images`] follows the build into the registries, [`docs`] tells the users.
//! [`world`] reads repositories and [`pull`] opens pull requests and waits for them.

pub(crate) mod changelog;
pub(crate) mod ci;
pub(crate) mod dependencies;
pub(crate) mod docs;
pub(crate) mod final_check;
pub(crate) mod images;
pub(crate) mod input;
pub(crate) mod notes;
pub(crate) mod preflight;
pub(crate) mod promote;
pub(crate) mod publish;
pub(crate) mod pull;
pub(crate) mod readme;
pub(crate) mod release;
pub(crate) mod tag;
pub(crate) mod triage;
pub(crate) mod world;

use castoff_sdk::process::{Input, InputKind, Process, Profile, Step, StepKind};

/// All processes of this module.
pub(crate) fn processes() -> Vec<Process> {
    vec![release::describe(), tag::describe(), promote::describe()]
}

/// An input of a process.
pub(crate) fn input(name: &str, kind: InputKind, required: bool, summary: &str) -> Input {
    Input { name: name.to_owned(), kind, required, summary: summary.to_owned() }
}

/// A profile of a process.
pub(crate) fn profile(name: &str, since: &str, summary: &str) -> Profile {
    Profile { name: name.to_owned(), since: since.to_owned(), summary: summary.to_owned() }
}

/// A reversible step.
pub(crate) fn step(id: &str, title: &str, kind: StepKind, needs: &[&str], source: &str) -> Step {
    Step {
        id: id.to_owned(),
        title: title.to_owned(),
        kind,
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        irreversible: false,
        source: source.to_owned(),
    }
}
