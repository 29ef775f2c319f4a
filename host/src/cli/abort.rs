//! `castoff abort`: ends a run for good.

use castoff::journal::{Event, RunState};

use super::args::AbortArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::{App, Done, person, text, train};

pub(super) fn run(app: &App, args: AbortArgs) -> Done {
    if args.reason.trim().is_empty() {
        return Err(CommandError::usage("an aborted run needs a reason"));
    }
    let (stored, _, state) = app.look(&args.run)?;
    if castoff::train::is_train(state.header()) {
        return train::abort(app, args, &stored, &state);
    }
    let by = person(args.person, &state);
    let state = app.decide(&stored, Event::Aborted { reason: args.reason, by })?;
    let left = left_behind(&state);
    if left.is_empty() {
        app.ui.say("the run is aborted; it changed nothing");
    } else {
        app.ui.say(
            "the run is aborted; it leaves this in the world, to be undone by hand where that is wanted:",
        );
        left.iter().for_each(|line| app.ui.data(line));
    }
    app.ui.next(&super::next::command(&state));
    Ok(Exit::Done)
}

/// Effects that happened, and those of which nobody knows.
pub(super) fn left_behind(state: &RunState) -> Vec<String> {
    let effects = state.steps().flat_map(|step| step.effects.iter().map(move |effect| (step, effect)));
    let lines = effects.filter_map(|(step, effect)| {
        let mark = match (effect.happened(), effect.is_settled()) {
            (true, _) => "+",
            (false, false) => "?",
            (false, true) => return None,
        };
        Some(format!("{mark} {}: {}", step.node.id, text::line(&effect.summary)))
    });
    lines.collect()
}
