//! `castoff retry`: sends a step back to its beginning.

use castoff::journal::Event;

use super::args::RetryArgs;
use super::exit::Exit;
use super::{App, Done, person};

pub(super) fn run(app: &App, args: &RetryArgs) -> Done {
    let (stored, _, state) = app.look(&args.run)?;
    let by = person(args.person.clone(), &state);
    let state = app.decide(&stored, Event::Retried { step: args.step.clone(), by })?;
    app.ui.say(&format!("{} starts over", args.step));
    app.ui.next(&super::next::command(&state));
    Ok(Exit::Done)
}
