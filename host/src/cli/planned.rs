//! Holding a run to a plan: whether it is the plan of this release, and whether the world is still the one it was made
//! for.

use std::path::Path;

use castoff::journal::{RunState, World};
use castoff::plan::{Origin, Plan, moved};
use castoff::site::{Beginning, Stored};
use similar::TextDiff;

use super::error::CommandError;
use super::exit::Exit;
use super::run::Start;
use super::world::LiveWorld;
use super::{App, plan, text};

/// What a run begins with that is held to a plan.
pub(super) fn beginning(plan: &Plan) -> Beginning {
    let origin = plan.origin.clone();
    Beginning {
        run: origin.run,
        pinned: origin.pinned,
        identity: origin.identity,
        world: World::Live,
        forge: origin.forge,
        started_by: origin.started_by,
        plan: Some(plan.digest.clone()),
        // Whoever names the digest has seen what cannot be undone.
        confirm: false,
    }
}

/// Refuses a plan of another release, and one whose world has moved.
pub(super) async fn check(app: &App, start: &Start, file: &Path, plan: &Plan) -> Result<(), CommandError> {
    if plan.base.is_some() {
        return Err(CommandError::usage(format!("the plan goes on from the run {}", plan.origin.run))
            .hint(format!("castoff resume {} --plan {}", plan.origin.run, short(plan))));
    }
    let differences = differences(&plan.origin, &plan::origin(start, &beginning(plan)));
    if !differences.is_empty() {
        let mut refused = CommandError::new(Exit::Moved, "the plan was made for something else");
        refused.causes = differences;
        return Err(refused.hint(again(file, start)));
    }
    if let Some(known) = start.site.runs().iter().find(|run| **run == plan.origin.run) {
        return Err(CommandError::usage("a run of this plan has begun already")
            .hint(format!("castoff resume {known}")));
    }
    let folder = plan::temporary()?;
    let stored = plan::stored(&start.prepared, &start.policy, folder.path())?;
    let world = LiveWorld::open(app, &stored, &start.instance)?;
    let moves = moved(plan, world.capabilities.git.as_ref()).await.map_err(CommandError::from)?;
    if moves.is_empty() {
        return Ok(());
    }
    let now = plan::of_release(app, start, beginning(plan)).await?;
    app.ui.data(difference(plan, &now).trim_end());
    let mut refused = CommandError::new(Exit::Moved, "the world has moved since the plan was made");
    refused.causes = moves;
    Err(refused.hint("standard output holds what a plan made now would change").hint(again(file, start)))
}

/// Refuses a plan that does not go on from where the run stands.
pub(super) async fn check_next(
    app: &App,
    stored: &Stored,
    state: &RunState,
    head: &str,
    plan: &Plan,
) -> Result<(), CommandError> {
    let run = &state.header().run;
    let hint = format!("castoff plan {run}");
    if plan.origin.run != *run {
        return Err(CommandError::usage(format!("the plan is for the run {}", plan.origin.run)).hint(hint));
    }
    if plan.base.as_ref().is_none_or(|base| base.head != head) {
        return Err(CommandError::new(Exit::Moved, "the run has gone on since the plan was made").hint(hint));
    }
    let instance = super::instance::Instance::of(state.header())?;
    let world = LiveWorld::open(app, stored, &instance)?;
    let moves = moved(plan, world.capabilities.git.as_ref()).await.map_err(CommandError::from)?;
    if moves.is_empty() {
        return Ok(());
    }
    let mut refused = CommandError::new(Exit::Moved, "the world has moved since the plan was made");
    refused.causes = moves;
    Err(refused.hint(hint))
}

/// The digest as people type it.
pub(super) fn short(plan: &Plan) -> &str {
    plan.digest.get(..7 + 12).unwrap_or(&plan.digest)
}

fn again(file: &Path, start: &Start) -> String {
    let forge = start.instance.address().map(|forge| format!(" --forge {forge}")).unwrap_or_default();
    format!("castoff plan {}{forge}", file.display())
}

/// What a plan was made for and what there is now.
fn differences(then: &Origin, now: &Origin) -> Vec<String> {
    let pairs = [
        ("the release file", then.release.clone(), now.release.clone()),
        ("the plugin", plugin(then), plugin(now)),
        ("the policy", then.policy.clone().unwrap_or_default(), now.policy.clone().unwrap_or_default()),
        ("the process", then.process.clone(), now.process.clone()),
        ("the profile", then.profile.clone(), now.profile.clone()),
        ("the inputs", then.inputs.to_string(), now.inputs.to_string()),
        ("the forge", forge(then), forge(now)),
    ];
    let differ = pairs.into_iter().filter(|(_, then, now)| then != now);
    differ
        .map(|(what, then, now)| format!("{what}: planned {}, now {}", text::line(&then), text::line(&now)))
        .collect()
}

fn plugin(origin: &Origin) -> String {
    format!("{} {}", origin.plugin.version, origin.plugin.digest)
}

fn forge(origin: &Origin) -> String {
    origin.forge.clone().unwrap_or_else(|| "github.com".to_owned())
}

/// A unified diff of two plans as people read them.
fn difference(then: &Plan, now: &Plan) -> String {
    let (then, now) = (plan::plain(then), plan::plain(now));
    let diff = TextDiff::from_lines(&then, &now);
    let text = diff.unified_diff().header("the plan", "a plan made now").to_string();
    if text.is_empty() { "what would be done is the same\n".to_owned() } else { text }
}
