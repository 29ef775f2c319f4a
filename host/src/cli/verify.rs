//! `castoff verify`: what a run says it did, compared with the world as it is now. Reads only.

use castoff::evidence::{self, Claim, Finding};
use castoff::journal::{Effect, RunState, StepState, World};
use castoff::site::Stored;
use serde_json::json;

use super::args::VerifyArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::instance::Instance;
use super::ui::Paint;
use super::world::LiveWorld;
use super::{App, Done, text, train};

pub(super) async fn run(app: &App, args: &VerifyArgs) -> Done {
    let (stored, _, state) = app.look(&args.run)?;
    let header = state.header();
    train::only_release(&state, "verify")?;
    if header.world == World::Rehearsal && header.forge.is_none() {
        return Err(CommandError::usage("a rehearsal cannot be verified: its forge ended with it")
            .hint(format!("castoff audit {} checks what it wrote down", header.run)));
    }
    let effects = done(&state);
    // Secrets are for writing to other services; looking needs the token of GitHub at most.
    let reader = Stored { policy: None, ..stored };
    let world = LiveWorld::open(app, &reader, &Instance::of(header)?)?;
    let claims: Vec<Claim> = effects.iter().map(|(_, effect)| claim(effect)).collect();
    let findings = evidence::compare(&world.capabilities, &claims).await.map_err(|error| {
        let mut unreadable = CommandError::from(error);
        unreadable.exit = Exit::Unavailable;
        unreadable.message = format!("the world cannot be read: {}", unreadable.message);
        unreadable
    })?;
    report(app, args, &state, &effects, &findings)
}

/// Effects that are said to be in the world, in the order in which they were announced.
fn done(state: &RunState) -> Vec<(&StepState, &Effect)> {
    let all = state.steps().flat_map(|step| step.effects.iter().map(move |effect| (step, effect)));
    let mut done: Vec<_> = all.filter(|(_, effect)| effect.happened()).collect();
    done.sort_by_key(|(_, effect)| effect.seq);
    done
}

fn claim(effect: &Effect) -> Claim {
    Claim {
        function: effect.function.clone(),
        request: effect.request.clone(),
        value: effect.result.as_ref().and_then(|result| result.value()).cloned(),
    }
}

fn report(
    app: &App,
    args: &VerifyArgs,
    state: &RunState,
    effects: &[(&StepState, &Effect)],
    findings: &[Finding],
) -> Done {
    let count = |wanted: fn(&Finding) -> bool| findings.iter().filter(|finding| wanted(finding)).count();
    let there = count(|finding| matches!(finding, Finding::There(_)));
    let differ = count(|finding| matches!(finding, Finding::Differs(_)));
    let blind = count(|finding| matches!(finding, Finding::Unsearchable(_)));
    let run = &state.header().run;
    if args.json {
        let rows = effects.iter().zip(findings).map(|((step, effect), finding)| {
            json!({
                "event": effect.seq, "step": step.node.id, "function": effect.function,
                "summary": effect.summary, "result": finding,
            })
        });
        let rows: Vec<_> = rows.collect();
        app.ui.json(&json!({
            "run": run, "effects": rows, "there": there, "differ": differ, "unsearchable": blind,
        }))?;
    } else {
        for ((step, effect), finding) in effects.iter().zip(findings) {
            app.ui.data(&line(app.ui.data_paint(), step, effect, finding));
        }
        app.ui.data(&format!("{there} effects there, {differ} differ, {blind} cannot be looked for"));
        app.ui.next(&format!("castoff log {run}"));
    }
    Ok(if differ == 0 { Exit::Done } else { Exit::Conflict })
}

fn line(paint: Paint, step: &StepState, effect: &Effect, finding: &Finding) -> String {
    let (mark, words) = match finding {
        Finding::There(words) => (paint.green("✓"), words),
        Finding::Differs(words) => (paint.red("✗"), words),
        Finding::Unsearchable(words) => (paint.dim("?"), words),
    };
    format!("{mark} {}: {}: {}", step.node.id, text::line(&effect.summary), text::line(words))
}
