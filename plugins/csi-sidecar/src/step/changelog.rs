//! The changelog: the approved entry, proposed to the branch that is released.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::done;

use super::input::Inputs;
use super::notes::{Notes, Reviewed};
use super::preflight::Preflight;
use super::pull::{self, Proposed};
use super::world::{World, text};
use crate::core::changelog::{Placement, place};
use crate::core::proposal;

/// Step `changelog`.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let preflight: Preflight = context.needed_output("preflight")?;
    let notes: Notes = context.needed_output("notes")?;
    let reviewed: Reviewed = context.needed_output("review")?;
    let range = &preflight.range;
    let world = World::read(&inputs.repository)?;
    let head = world.head(&range.branch)?;
    let existing = text(&world.repository, head, &range.changelog)?;
    let placement = place(range.version, &reviewed.entry, existing.as_deref());
    let Some(content) = placement.content() else {
        let edited = matches!(placement, Placement::Differs { .. });
        let remark =
            "the entry in the repository has other words than the one approved here; it is left alone";
        let remarks = if edited { vec![remark.to_owned()] } else { Vec::new() };
        return done(&Proposed { repository: inputs.repository, remarks, ..Proposed::default() });
    };
    let proposal =
        proposal::changelog(&inputs.repository, range, &preflight.merge_base, &notes.audit, &notes.doubts);
    let changes = vec![pull::put(&range.changelog, content)];
    done(&pull::propose(&inputs.repository, inputs.fork.as_deref(), head, changes, &proposal)?)
}

/// Step `changelog-merged`.
pub(crate) fn merged(context: &Context) -> Result<Outcome, Error> {
    pull::wait_merged(&context.needed_output("changelog")?, "The changelog pull request")
}
