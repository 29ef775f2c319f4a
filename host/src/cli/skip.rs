//! `castoff skip`: declares a step not needed.

use castoff::journal::Event;

use super::args::SkipArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::{App, Done, person};

pub(super) fn run(app: &App, args: SkipArgs) -> Done {
    if args.reason.trim().is_empty() {
        return Err(CommandError::usage("a skipped step needs a reason"));
    }
    let (stored, _, state) = app.look(&args.run)?;
    let by = person(args.person, &state);
    let state = app.decide(&stored, Event::Skipped { step: args.step.clone(), reason: args.reason, by })?;
    app.ui.say(&format!("{} is skipped: steps after it see none of its outputs", args.step));
    app.ui.next(&super::next::command(&state));
    Ok(Exit::Done)
}
