//! `castoff resume`: goes on with a run.

use std::sync::Arc;

use castoff::clock::Clock;
use castoff::function::Class;
use castoff::journal::{Assumption, EffectResult, Event, Journal, RunState, Status, Verdict, World};
use castoff::run::UNPLANNED;
use castoff::site::Stored;
use castoff::webhook::{WebhookError, Webhooks};

use super::args::{Assume, ResumeArgs};
use super::drive::{Drive, engine_limits};
use super::error::CommandError;
use super::exit::Exit;
use super::run::need_token;
use super::time::SystemClock;
use super::{App, Done, next, person, planned, text, train};

pub(super) async fn run(app: &App, args: ResumeArgs) -> Done {
    let stored = app.site()?.find(&args.run)?;
    let journal = app.armed(stored.journal()?, 0);
    let state = journal.state()?;
    if state.header().world == World::Rehearsal {
        return Err(CommandError::usage("a rehearsal cannot be resumed: its forge ended with it")
            .hint("rehearse the release file again"));
    }
    if castoff::train::is_train(state.header()) {
        let webhooks = listen(app, &args).await?;
        return train::resume(app, args, &stored, journal, webhooks).await;
    }
    let by = person(args.person.clone(), &state);
    if let Some(assume) = args.assume {
        settle(app, &journal, &state, assume, &by)?;
    }
    let state = journal.state()?;
    if state.verdict() == Verdict::Unknown && args.assume.is_none() {
        show_unknown(app, &state);
    }
    if state.is_finished() {
        app.ui.say("the run has ended");
        app.ui.next(&next::command(&state));
        return Ok(Exit::of_run(&state));
    }
    if let Some(name) = &args.plan {
        adopt(app, &stored, &journal, name, &by).await?;
    }
    if let Some(policy) = &stored.policy {
        need_token(app, &state.header().plugin.name, policy)?;
    }
    if !args.driving.json {
        app.ui.data(&stored.name);
    }
    let site = app.site_with(engine_limits(stored.policy.as_deref()))?;
    let plugin = site.plugin_of(state.header())?;
    let webhooks = listen(app, &args).await?;
    Drive { app, stored: &stored, plugin, args: &args.driving, by, webhooks }.go(journal).await
}

/// The place where webhooks arrive, when one is wanted.
async fn listen(app: &App, args: &ResumeArgs) -> Result<Option<Webhooks>, CommandError> {
    let Some(address) = args.listen else { return Ok(None) };
    let secret = match &args.secret_env {
        None => None,
        Some(name) => Some(app.environment.secret(name).ok_or_else(|| {
            CommandError::usage(format!("the secret of the webhooks is missing: {name} is not set"))
        })?),
    };
    let webhooks = Webhooks::listen(address, secret).await.map_err(|error| match error {
        WebhookError::Open(_) => CommandError::usage(error.to_string())
            .hint("--secret-env NAME names the variable that holds the secret of the webhook"),
        WebhookError::Bind { .. } => CommandError::usage(error.to_string()),
    })?;
    app.ui.say(&format!("webhooks wake this run at http://{}/", webhooks.address()));
    Ok(Some(webhooks))
}

/// Holds the run to another plan from here on.
async fn adopt(
    app: &App,
    stored: &Stored,
    journal: &Journal,
    name: &str,
    by: &str,
) -> Result<(), CommandError> {
    let (state, head) = (journal.state()?, journal.verify()?.head);
    let plan = app.site()?.find_plan(name)?;
    if state.plan() == Some(plan.digest.as_str()) {
        return Ok(());
    }
    planned::check_next(app, stored, &state, &head, &plan).await?;
    stored.keep_plan(&plan)?;
    journal.append(Event::PlanAdopted { plan: plan.digest.clone(), by: by.to_owned() }, SystemClock.now())?;
    for step in state.steps() {
        if matches!(&step.status, Status::Failed { error, .. } if error == UNPLANNED) {
            let event = Event::Retried { step: step.node.id.clone(), by: by.to_owned() };
            journal.append(event, SystemClock.now())?;
        }
    }
    Ok(())
}

/// Effects nobody knows the end of and nobody can look up: in steps that stopped for it, and those that a killed process
/// left open.
fn unknown(state: &RunState) -> Vec<(Arc<str>, u64, String)> {
    let open = state.unsettled().filter(|(step, effect)| match step.status {
        Status::Unknown { .. } => true,
        Status::Running => effect.class == Class::Once,
        _ => false,
    });
    open.map(|(step, effect)| (step.node.id.as_str().into(), effect.seq, text::line(&effect.summary)))
        .collect()
}

fn settle(
    app: &App,
    journal: &Journal,
    state: &RunState,
    assume: Assume,
    by: &str,
) -> Result<(), CommandError> {
    let effects = unknown(state);
    if effects.is_empty() {
        return Err(CommandError::usage("of every effect it is known what became of it")
            .hint(format!("castoff resume {}", state.header().run)));
    }
    let verdict = match assume {
        Assume::Done => Assumption::Done,
        Assume::NotDone => Assumption::NotDone,
    };
    for (step, intent, summary) in effects {
        let result = EffectResult::Assumed { verdict, by: by.to_owned() };
        journal.append(Event::Outcome { step: step.to_string(), intent, result }, SystemClock.now())?;
        let word = if assume == Assume::Done { "done" } else { "not done" };
        app.ui.say(&format!("{step}: {summary}: {word}, says {by}"));
    }
    Ok(())
}

fn show_unknown(app: &App, state: &RunState) {
    for (step, _, summary) in unknown(state) {
        app.ui.say(&format!("{step}: nobody knows whether this happened: {summary}"));
    }
}
