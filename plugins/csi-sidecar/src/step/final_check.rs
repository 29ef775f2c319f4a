//! The last look before the tag: has the branch moved, is something about to merge, is the commit the right one.

use castoff_sdk::Error;
use castoff_sdk::git;
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::{approval, done};
use serde::{Deserialize, Serialize};

use super::ci::Ci;
use super::input::Inputs;
use super::preflight::{Preflight, builder_warnings};
use super::pull::{Merged, Proposed};
use super::tag::{Checked, announced_commit, examine};
use super::triage::{is_ready, open_pulls};
use super::world::{LONGEST_WALK, World};
use crate::core::pull::{Commit, claim};

/// Output of the step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FinalCheck {
    /// What the gate found.
    pub(crate) checked: Checked,
    /// Further lines for the gate.
    pub(crate) facts: Vec<String>,
}

/// Step `final-check`: question `late` where something merged that the notes do not have.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let preflight: Preflight = context.needed_output("preflight")?;
    let range = &preflight.range;
    let world = World::read(&inputs.repository)?;
    let commit = commit_to_tag(context, &inputs, &world, &preflight)?;
    let mut checked = examine(&world, &inputs, &commit)?;

    let late = late_merges(context, &world, &range.head, &checked.commit)?;
    let mut facts = Vec::new();
    if let Some(moved) = range.moved(&checked.commit, &late).filter(|_| !late.is_empty()) {
        match context.approved("late")? {
            Some(answer) => {
                facts.push(format!("{} merges without notes, accepted by {}", late.len(), answer.by))
            }
            None => return Ok(approval("late", format!("{moved}\n\nRelease without their notes?"), None)),
        }
    }
    let head = world.head(&checked.branch).unwrap_or(&checked.commit);
    let newer = world.repository.first_parents(Some(&checked.commit), head, LONGEST_WALK)?;
    if checked.commit != head && !newer.is_empty() {
        checked.remarks.push(format!("{} merges after the commit are not in the release", newer.len()));
    }
    let pulls = open_pulls(&inputs.repository, &range.branch)?;
    let ready = pulls.iter().filter(|pull| is_ready(pull));
    checked.remarks.extend(ready.map(|pull| format!("#{} {} is about to merge", pull.number, pull.title)));
    let builders = builder_warnings(&world.repository, &checked.commit)?;
    if builders.is_empty() {
        facts.push("the builder image is there".to_owned());
    }
    checked.remarks.extend(builders);
    if let Some(ci) = context.output_of::<Ci>("ci")? {
        let accepted = ci.accepted.map(|who| format!(", accepted by {who}")).unwrap_or_default();
        facts.push(format!("CI: {}{accepted}", ci.summary));
    }
    done(&FinalCheck { checked, facts })
}

/// The commit as given, else where the tag is already, else the merge of the changelog, else the first commit that
/// announces the version; for a candidate the head that the notes were made from.
fn commit_to_tag(
    context: &Context,
    inputs: &Inputs,
    world: &World,
    preflight: &Preflight,
) -> Result<String, Error> {
    let version = preflight.range.version;
    if let Some(commit) = &inputs.commit {
        return Ok(commit.clone());
    }
    if let Some(commit) = world.tags.commit(version) {
        return Ok(commit.to_owned());
    }
    if !version.is_final() {
        return Ok(preflight.range.head.clone());
    }
    match context.output_of::<Merged>("changelog-merged")?.and_then(|merged| merged.commit) {
        Some(commit) => Ok(commit),
        None => announced_commit(world, inputs),
    }
}

/// Subjects of what merged between the notes and the commit, oldest first, without the pull requests of this run.
fn late_merges(context: &Context, world: &World, from: &str, to: &str) -> Result<Vec<String>, Error> {
    if !world.repository.is_ancestor(from, to)? {
        return Ok(Vec::new());
    }
    let mut own = Vec::new();
    for step in ["changelog", "readme"] {
        own.extend(context.output_of::<Proposed>(step)?.and_then(|proposed| proposed.number));
    }
    let merge = context.output_of::<Merged>("changelog-merged")?.and_then(|merged| merged.commit);
    let walked = world.repository.first_parents(Some(from), to, LONGEST_WALK)?;
    let foreign = walked.into_iter().rev().filter(|commit| {
        let number = claimed(commit);
        Some(&commit.id) != merge.as_ref() && number.is_none_or(|number| !own.contains(&number))
    });
    Ok(foreign.map(|commit| commit.subject).collect())
}

fn claimed(commit: &git::Commit) -> Option<u64> {
    let commit =
        Commit { sha: commit.id.clone(), parents: commit.parents.len(), message: commit.message.clone() };
    claim(&commit).map(|claim| claim.number)
}
