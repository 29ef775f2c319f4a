//! `castoff step`: one step of a run, if it is ready, and nothing else.

use castoff::journal::{RunState, Status, StepState, World};

use super::args::{DrivingArgs, StepArgs};
use super::drive::{Drive, engine_limits};
use super::error::CommandError;
use super::exit::Exit;
use super::run::need_token;
use super::{App, Done, ci, next, person, text, train};

pub(super) async fn run(app: &App, args: StepArgs) -> Done {
    let mut run = None;
    let done = go(app, &args, &mut run).await;
    ci::finish(app, &args.carry, None, run.as_deref(), done)
}

async fn go(app: &App, args: &StepArgs, run: &mut Option<String>) -> Done {
    ci::take(app, &args.carry)?;
    let stored = app.site()?.find(&named(app, &args.run))?;
    let state = stored.journal_read_only()?.state()?;
    if state.header().world == World::Rehearsal {
        return Err(CommandError::usage("a rehearsal cannot be gone on with: its forge ended with it"));
    }
    train::only_release(&state, "step")?;
    *run = Some(stored.name.clone());
    let step = known(&state, &args.step)?;
    if let Some(said) = settled(step) {
        app.ui.say(&said);
        app.ui.next(&next::command(&state));
        return Ok(Exit::Done);
    }
    ready(&state, step)?;
    if let Some(policy) = &stored.policy {
        need_token(app, &state.header().plugin.name, policy)?;
    }
    if !args.json {
        app.ui.data(&stored.name);
    }
    let driving = DrivingArgs {
        watch: false,
        confirm: args.confirm.iter().cloned().collect(),
        only: vec![args.step.clone()],
        alone: true,
        parallel: 1,
        json: args.json,
    };
    let plugin = app.site_with(engine_limits(stored.policy.as_deref()))?.plugin_of(state.header())?;
    let by = person(args.person.clone(), &state);
    let journal = app.armed(stored.journal()?, 0);
    let drive = Drive { app, stored: &stored, plugin, args: &driving, by, webhooks: None };
    drive.go(journal).await?;
    let state = stored.journal_read_only()?.state()?;
    Ok(of_step(known(&state, &args.step)?))
}

/// The run that is meant: `@latest` of a state that was carried here is that state's.
fn named(app: &App, given: &str) -> String {
    let carried = app.keeper.get().and_then(|keeper| keeper.root());
    match (carried, given.strip_prefix("@latest")) {
        (Some(root), Some(rest)) => format!("{root}{rest}"),
        _ => given.to_owned(),
    }
}

fn known<'a>(state: &'a RunState, id: &str) -> Result<&'a StepState, CommandError> {
    state.step(id).ok_or_else(|| {
        let steps: Vec<&str> = state.steps().map(|step| step.node.id.as_str()).collect();
        CommandError::usage(format!("there is no step {id:?}"))
            .hint(format!("the steps: {}", steps.join(", ")))
    })
}

/// What there is to say of a step that needs nothing more.
fn settled(step: &StepState) -> Option<String> {
    let id = &step.node.id;
    match &step.status {
        Status::Done { .. } => Some(format!("{id} is done already")),
        Status::Skipped { reason, .. } => Some(format!("{id} is skipped: {}", text::line(reason))),
        _ => None,
    }
}

/// Refuses a step that cannot start, with the exit code of what it waits for.
fn ready(state: &RunState, step: &StepState) -> Result<(), CommandError> {
    let (run, id) = (&state.header().run, &step.node.id);
    if state.is_finished() {
        return Err(CommandError::new(Exit::of_run(state), "the run has ended"));
    }
    match &step.status {
        Status::Unknown { .. } => {
            return Err(CommandError::new(
                Exit::Unknown,
                format!("of an effect of {id} nobody knows whether it happened"),
            )
            .hint(format!("castoff resume {run} --assume done|not-done")));
        }
        Status::Failed { error, message, retryable: false } => {
            let said = format!("{id} failed ({}): {}", text::line(error), text::line(message));
            return Err(
                CommandError::new(Exit::of_error(error), said).hint(format!("castoff retry {run} {id}"))
            );
        }
        _ => {}
    }
    let Some(need) = blocker(state, step) else { return Ok(()) };
    let said = format!("{id} is not ready: {} {}", need.node.id, word(need));
    Err(CommandError::new(of_step(need), said).hint(format!("castoff status {run} shows whose move it is")))
}

/// The step that has to go on before this one can: of those it needs, and those that they need.
fn blocker<'a>(state: &'a RunState, step: &StepState) -> Option<&'a StepState> {
    let mut needs = step.node.needs.iter().filter_map(|need| state.step(need));
    let open = needs.find(|need| !need.status.is_over())?;
    // A graph has no circles: a step needs only what comes before it.
    Some(blocker(state, open).unwrap_or(open))
}

fn word(step: &StepState) -> &'static str {
    match &step.status {
        Status::Pending => "has not begun",
        Status::Running => "has not come to an end",
        Status::Waiting { .. } => "waits",
        Status::Asks { .. } if step.is_answered() => "is answered and has not gone on",
        Status::Asks { .. } => "asks a person",
        Status::Failed { .. } => "failed",
        Status::Unknown { .. } => "stopped, and nobody knows what became of an effect",
        Status::Done { .. } | Status::Skipped { .. } => "is over",
    }
}

/// How a command about one step ends.
fn of_step(step: &StepState) -> Exit {
    match &step.status {
        Status::Done { .. } | Status::Skipped { .. } => Exit::Done,
        Status::Asks { .. } => Exit::Asks,
        // Nothing has to happen outside; somebody has to confirm what cannot be undone, or another job is not done.
        Status::Pending if step.node.irreversible => Exit::Asks,
        Status::Pending | Status::Running | Status::Waiting { .. } => Exit::Waiting,
        Status::Unknown { .. } => Exit::Unknown,
        Status::Failed { error, .. } => Exit::of_error(error),
    }
}
