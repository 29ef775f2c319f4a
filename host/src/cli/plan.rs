//! `castoff plan`: what a release would do.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use castoff::capability::wire::Sleep;
use castoff::clock::Clock;
use castoff::journal::{Header, Journal, StepKind, World};
use castoff::plan::{
    Base, Detail, Origin, Plan, PlanError, PlanParts, PlannedCommit, PlannedEffect, PlannedStep, Reach,
    build, copied, page,
};
use castoff::policy::Policy;
use castoff::site::{Beginning, Prepared, Stored, grants};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::args::PlanArgs;
use super::drive::{call_limits, engine_limits};
use super::error::CommandError;
use super::exit::Exit;
use super::instance::Instance;
use super::planned::short;
use super::run::Start;
use super::time::SystemClock;
use super::ui::Paint;
use super::world::{self, LiveWorld};
use super::{App, Done, text, train};

pub(super) async fn run(app: &App, args: PlanArgs) -> Done {
    let file = Path::new(&args.target);
    if train::is_file(file) {
        return train::plan(app, &args).await;
    }
    let (plan, next) = if file.is_file() {
        let start = Start::read(app, file, &args.start).await?;
        let plan = of_release(app, &start, start.beginning()).await?;
        let mut next = format!("castoff run {}", file.display());
        if let Some(policy) = &args.start.policy {
            next += &format!(" --policy {}", policy.display());
        }
        if let Some(forge) = start.instance.address() {
            next += &format!(" --forge {forge}");
        }
        (plan, next)
    } else {
        let plan = of_run(app, &args.target).await?;
        let next = format!("castoff resume {}", plan.origin.run);
        (plan, next)
    };
    app.site()?.keep_plan(&plan)?;
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text).map_err(|error| CommandError::file(path, &error))
    };
    if let Some(path) = &args.out {
        let text = serde_json::to_string_pretty(&plan)
            .map_err(|error| CommandError::internal(format!("the plan cannot be written: {error}")))?;
        write(path, &text)?;
    }
    if let Some(path) = &args.html {
        write(path, &page(&plan))?;
    }
    if args.json {
        app.ui.json(&plan)?;
    } else {
        app.ui.data(screen(app.ui.data_paint(), &plan).trim_end());
    }
    Ok(end(app, &plan, &next))
}

/// The last lines and the exit code.
fn end(app: &App, plan: &Plan, next: &str) -> Exit {
    app.ui.say(&plan.digest);
    if let Some((step, error, message)) = plan.failures().next() {
        let said = format!("{step} would fail ({error}): {}", text::line(&plan.readable(message)));
        app.ui.say(&app.ui.talk_paint().red(&said));
        app.ui.next(&format!("castoff explain {}", Exit::of_error(error).word()));
        return Exit::of_error(error);
    }
    if plan.is_empty() {
        app.ui.say("nothing to do");
        return Exit::Done;
    }
    app.ui.next(&format!("{next} --plan {}", short(plan)));
    Exit::Changes
}

/// A folder that is gone afterwards.
pub(super) fn temporary() -> Result<TempDir, CommandError> {
    tempfile::tempdir()
        .map_err(|error| CommandError::new(Exit::Failed, format!("no temporary folder: {error}")))
}

/// What stands for a run that has not begun.
pub(super) fn stored(
    prepared: &Prepared,
    policy: &Arc<Policy>,
    folder: &Path,
) -> Result<Stored, CommandError> {
    let name = prepared.graph.title.clone();
    let stored = Stored { name, folder: folder.to_owned(), policy: Some(policy.clone()) };
    world::keep_policy_folder(&stored, policy)?;
    Ok(stored)
}

/// What a run of a release takes over from its plan.
pub(super) fn origin(start: &Start, begin: &Beginning) -> Origin {
    of_header(&start.prepared.header(begin), start.prepared.text.as_bytes())
}

fn of_header(header: &Header, release: &[u8]) -> Origin {
    Origin {
        run: header.run.clone(),
        title: header.title.clone(),
        release: hex::encode(Sha256::digest(release)),
        plugin: header.plugin.clone(),
        policy: header.policy.clone(),
        process: header.process.clone(),
        profile: header.profile.clone(),
        inputs: header.inputs.clone(),
        pinned: header.pinned,
        identity: header.identity.clone(),
        started_by: header.started_by.clone(),
        forge: header.forge.clone(),
    }
}

/// The plan of a release that has not begun.
pub(super) async fn of_release(app: &App, start: &Start, mut begin: Beginning) -> Result<Plan, CommandError> {
    begin.confirm = false;
    let folder = temporary()?;
    let stored = stored(&start.prepared, &start.policy, folder.path())?;
    let header = start.prepared.header(&begin);
    let journal = Journal::create(folder.path().join("journal.sqlite"), header.clone(), begin.pinned)?;
    let origin = of_header(&header, start.prepared.text.as_bytes());
    let (plugin, instance) =
        (start.site.load(&header.plugin.name, &start.prepared.component)?, &start.instance);
    made(app, &stored, journal, Making { origin, base: None, plugin, instance, header: &header }).await
}

/// The plan of what is left of a run.
async fn of_run(app: &App, name: &str) -> Result<Plan, CommandError> {
    let (stored, journal, state) = app.look(name)?;
    let header = state.header();
    train::only_release(&state, "plan")?;
    if header.world == World::Rehearsal {
        return Err(CommandError::usage("a rehearsal has ended with its forge: there is nothing to plan"));
    }
    let folder = temporary()?;
    let (copy, base) = copied(&journal, &folder.path().join("journal.sqlite"))?;
    let base = Some(base);
    let release = stored.folder.join("release.toml");
    let text = std::fs::read(&release).map_err(|error| CommandError::file(&release, &error))?;
    let site = app.site_with(engine_limits(stored.policy.as_deref()))?;
    let (plugin, instance) = (site.plugin_of(header)?, Instance::of(header)?);
    let origin = of_header(header, &text);
    // What the plan keeps or writes is gone with its folder; secrets in files are still found beside the policy.
    let beside =
        Stored { name: stored.name.clone(), folder: folder.path().to_owned(), policy: stored.policy.clone() };
    world::keep_policy_folder_of(&stored, &beside)?;
    let making = Making { origin, base, plugin, instance: &instance, header };
    made(app, &beside, copy, making).await
}

/// What both kinds of plans are made from.
struct Making<'a> {
    origin: Origin,
    base: Option<Base>,
    plugin: castoff::engine::Plugin,
    instance: &'a Instance,
    header: &'a Header,
}

async fn made(
    app: &App,
    stored: &Stored,
    journal: Journal,
    making: Making<'_>,
) -> Result<Plan, CommandError> {
    let world = LiveWorld::open(app, stored, making.instance)?;
    let parts = PlanParts {
        journal,
        origin: making.origin,
        base: making.base,
        grants: grants(&making.plugin, stored.policy.clone(), making.header),
        plugin: making.plugin,
        live: world.capabilities.clone(),
        now: SystemClock.now(),
        pause: Arc::new(Sleep),
        limits: call_limits(stored.policy.as_deref()),
        scratch: stored.scratch(),
        approval: stored.policy.as_deref().map(|policy| policy.approval().clone()).unwrap_or_default(),
    };
    Ok(build(parts).await?)
}

impl From<PlanError> for CommandError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Run(error) => Self::from(error),
            PlanError::Journal(error) => Self::from(error),
            PlanError::Capability(error) => Self::from(error),
        }
    }
}

/// The plan without colour, for comparing.
pub(super) fn plain(plan: &Plan) -> String {
    screen(Paint::none(), plan)
}

fn screen(paint: Paint, plan: &Plan) -> String {
    let origin = &plan.origin;
    let mut out = format!(
        "{}  {}\n{} {}, process {}, profile {}, written by {} <{}>\n\n",
        paint.bold(&text::line(&origin.title)),
        paint.dim(&origin.run),
        text::line(&origin.plugin.name),
        text::line(&origin.plugin.version),
        text::line(&origin.process),
        text::line(&origin.profile),
        text::line(&origin.identity.name),
        text::line(&origin.identity.email),
    );
    for (at, step) in plan.steps.iter().enumerate() {
        self::step(paint, plan, at + 1, step, &mut out);
    }
    out.push('\n');
    out.push_str(&paint.bold(&sum(plan)));
    for (step, why) in plan.ends() {
        let _ = write!(out, "\nThe plan ends at {step}: {}", text::line(&plan.readable(why)));
    }
    out
}

/// The one line that sums a plan up.
fn sum(plan: &Plan) -> String {
    let totals = plan.totals();
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    format!(
        "Plan: {} in {}, {} cannot be undone; {}, {}, about {} requests",
        plural(totals.effects, "effect"),
        plural(totals.steps, "step"),
        totals.irreversible,
        plural(totals.waits, "wait"),
        plural(totals.questions, "question"),
        totals.requests
    )
}

fn step(paint: Paint, plan: &Plan, number: usize, step: &PlannedStep, out: &mut String) {
    let mark = match (&step.reach, step.node.kind) {
        (Reach::Before, _) => paint.dim("✓"),
        (Reach::Fails { .. }, _) => paint.red("✗"),
        (Reach::Ends { .. }, _) => "⊘".to_owned(),
        (Reach::Beyond { .. }, _) => paint.dim("·"),
        (Reach::Whole, StepKind::Gate) => "?".to_owned(),
        (Reach::Whole, StepKind::Wait) => "…".to_owned(),
        (Reach::Whole, StepKind::Work) if step.effects.is_empty() => paint.dim("="),
        (Reach::Whole, StepKind::Work) => "+".to_owned(),
    };
    let undo =
        if step.node.irreversible && step.reach != Reach::Before { "  (cannot be undone)" } else { "" };
    let _ = writeln!(
        out,
        "{number:>3} {mark} {}  {}{undo}",
        paint.bold(&text::line(&step.node.id)),
        text::line(&step.node.title)
    );
    let mut say = |words: &str| {
        let _ = writeln!(out, "{}", text::indented(&text::block(&plan.readable(words)), "      "));
    };
    match &step.reach {
        Reach::Ends { why } => say(&format!("the plan ends here: {why}")),
        Reach::Beyond { after } => say(&format!("planned after {}", after.join(", "))),
        Reach::Fails { error, message } => say(&format!("would fail ({error}): {message}")),
        Reach::Before | Reach::Whole => {}
    }
    for wait in &step.waits {
        say(&format!("waits: {}", wait.summary));
    }
    for question in &step.questions {
        say(&format!("asks: {}", question.prompt));
        if let Some(rule) = &question.rule {
            say(&format!("needs: {}", rule.words()));
        }
        if let Some(document) = &question.document {
            say(&format!("{}:\n{}", document.name, text::indented(&document.text, "  | ")));
        }
    }
    for remark in &step.remarks {
        say(remark);
    }
    for (at, effect) in step.effects.iter().enumerate() {
        self::effect(paint, plan, &format!("{number}.{}", at + 1), effect, out);
    }
    for commit in &step.commits {
        self::commit(paint, plan, commit, out);
    }
}

fn effect(paint: Paint, plan: &Plan, number: &str, effect: &PlannedEffect, out: &mut String) {
    let mark = if effect.reversible { "↩".to_owned() } else { paint.red("✗") };
    let summary = text::line(&plan.readable(&effect.summary));
    let _ = writeln!(out, "    {number} {mark} {summary}  {}", paint.dim(&effect.function));
    for detail in effect.details() {
        let _ = match detail {
            Detail::Line(line) => writeln!(out, "        {}", paint.dim(&text::line(&plan.readable(&line)))),
            Detail::Text(name, words) => {
                let words = text::block(&plan.readable(words));
                writeln!(out, "        {name}:\n{}", text::indented(&words, "        | "))
            }
        };
    }
}

fn commit(paint: Paint, plan: &Plan, commit: &PlannedCommit, out: &mut String) {
    let subject = commit.message.lines().next().unwrap_or_default();
    let subject = text::line(&plan.readable(subject));
    let _ = writeln!(out, "        commit {} of {}: {subject}", commit.id, commit.repository);
    for line in text::block(&plan.readable(&commit.diff)).lines() {
        let painted = match line.as_bytes().first() {
            Some(b'+') => paint.green(line),
            Some(b'-') => paint.red(line),
            _ => line.to_owned(),
        };
        let _ = writeln!(out, "        {painted}");
    }
}
