//! Remote builds: submitted once, watched, and bound to what came before.

use castoff_sdk::Error;
use castoff_sdk::command::Program;
use castoff_sdk::git;
use castoff_sdk::process::{Condition, Context, Outcome};
use castoff_sdk::step::{approval, conflict, done, invalid, waiting};
use serde_json::Value;

use super::input::{Bound, Builder, Built, Cut, Day, Opened, bound};
use super::{chat, open, service};
use crate::core::cloud_build::{Build, Order, Phase, marked, marker};
use crate::core::thread;
use crate::core::version::MASTER;

/// Name of the secret.
const SECRET: &str = "gcp-token";

const API: &str = "https://cloudbuild.googleapis.com/v1";

/// Seconds between two looks at a build.
const POLL: u32 = 300;

/// The longest that a build takes, with time in the queue.
const LONGEST: u32 = 6 * 3600;

/// How often a build is submitted.
const ATTEMPTS: usize = 5;

/// Builds of a page of a list.
const PAGE: usize = 50;

/// Which build of a cut.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) phase: Phase,
    pub(super) nomock: bool,
}

impl Run {
    fn words(self) -> &'static str {
        match (self.phase, self.nomock) {
            (Phase::Stage, false) => "Mock Stage",
            (Phase::Release, false) => "Mock Release",
            (Phase::Stage, true) => "No-mock Stage",
            (Phase::Release, true) => "No-mock Release",
        }
    }

    fn stage_step(self, cut: &Cut) -> String {
        cut.step(if self.nomock { "stage" } else { "mock-stage" })
    }
}

/// Submits the build and waits for it. A failed one is submitted again when a person says so.
pub(super) fn run(context: &Context, day: &Day, cut: &Cut, run: Run) -> Result<Outcome, Error> {
    let bound = bound(context, cut)?;
    let order = Order {
        phase: run.phase,
        nomock: run.nomock,
        kind: cut.r#type,
        branch: &bound.branch,
        build_version: &bound.build_version,
        prime: &bound.tags.prime,
        kube_cross: &bound.kube_cross,
        marker: "",
    };
    before(context, day, cut, run, &bound, &order)?;
    for attempt in 1..=ATTEMPTS {
        let marker = marker(&context.run, &context.step, attempt);
        let order = Order { marker: &marker, ..order.clone() };
        let submitted = match day.builder {
            Builder::CloudBuild => submit(day, &order, attempt)?,
            Builder::Krel => krel(day, &bound, &order, attempt)?,
        };
        let Some(build) = submitted else {
            return Ok(wait(run, &bound, None));
        };
        let build = now(day, &bound, build)?;
        let finished = build.succeeded();
        say(context, day, cut, run, attempt, &build)?;
        if finished {
            after(context, day, cut, run, &bound)?;
            return done(&Built { build, attempts: attempt });
        }
        if !build.is_over() {
            return Ok(wait(run, &bound, Some(&build)));
        }
        let question = format!("retry-{attempt}");
        if context.approved(&question)?.is_none() {
            let prompt = format!(
                "{} of {} ended {}: {}\nSubmit it again? It is safe to repeat.",
                run.words(),
                bound.tags.prime,
                build.status,
                build.log_url
            );
            return Ok(approval(&question, prompt, None));
        }
    }
    Err(conflict(format!("{} of {} failed {ATTEMPTS} times", run.words(), bound.tags.prime)))
}

fn wait(run: Run, bound: &Bound, build: Option<&Build>) -> Outcome {
    let name = format!("{} of {}", run.words(), bound.tags.prime);
    let url = build.map(|build| build.log_url.clone()).unwrap_or_default();
    let summary = format!("{name} is under way; nobody has to do anything");
    let page = Some(url.clone()).filter(|url| !url.is_empty());
    waiting(Condition::JobSucceeded((name, url)), summary, page, POLL, LONGEST)
}

fn builds_url(day: &Day) -> String {
    format!("{API}/projects/{}/locations/{}/builds", day.workshop.project, day.workshop.region)
}

fn filtered(day: &Day, tag: &str, page: &str) -> String {
    let page = if page.is_empty() { String::new() } else { format!("&pageToken={page}") };
    format!("{}?filter=tags%3D%22{tag}%22&pageSize={PAGE}{page}", builds_url(day))
}

/// Submits a build once; none while this is only planned.
fn submit(day: &Day, order: &Order<'_>, attempt: usize) -> Result<Option<Build>, Error> {
    let look = filtered(day, order.marker, "");
    let body = order.body(&day.workshop);
    let probe = (look.as_str(), order.marker);
    let response = service::ensure(&format!("build-{attempt}"), &builds_url(day), SECRET, &body, probe)?;
    if response.headers.iter().any(|(name, _)| name == "castoff-planned") {
        return Ok(None);
    }
    let found = marked(&response.body, order.marker);
    found.map(Some).ok_or_else(|| conflict("Cloud Build took a build and does not tell which"))
}

/// Has `krel` submit a build; none until Cloud Build lists it.
fn krel(day: &Day, bound: &Bound, order: &Order<'_>, attempt: usize) -> Result<Option<Build>, Error> {
    // Without mock it asks for a `yes`.
    let program =
        Program::new("krel").arguments(order.krel()).secret("GITHUB_TOKEN", "github-token").input("yes\n");
    let finished = program.send(&format!("build-{attempt}"))?;
    if !finished.assumed {
        finished.success()?;
    }
    let user = day.workshop.user_tag();
    let mut own = builds_of(day, bound)?;
    own.retain(|build| order.is_same(build) && build.tags.contains(&user));
    own.sort_by(|one, other| (&one.start_time, &one.id).cmp(&(&other.start_time, &other.id)));
    let build = own.into_iter().nth(attempt - 1);
    let other =
        build.as_ref().map(|build| build.substitution("_BUILDVERSION")).filter(|v| *v != order.build_version);
    match other {
        Some(other) => Err(conflict(format!(
            "krel chose the build version {other}; the day goes by {}. Cancel the build and begin again",
            order.build_version
        ))),
        None => Ok(build),
    }
}

/// A build of a cut as it is now. A list may lag behind what was submitted: it is then still as it was.
fn now(day: &Day, bound: &Bound, build: Build) -> Result<Build, Error> {
    let listed = builds_of(day, bound)?.into_iter().find(|listed| listed.id == build.id);
    Ok(listed.unwrap_or(build))
}

/// All builds with a tag.
fn list(day: &Day, tag: &str) -> Result<Vec<Build>, Error> {
    let (mut found, mut page) = (Vec::new(), String::new());
    loop {
        let value = service::json(&filtered(day, tag, &page), Some(SECRET))?;
        let builds = value.get("builds").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        let builds: Vec<Build> = serde_json::from_value(builds)
            .map_err(|error| invalid(format!("the builds with the tag {tag} cannot be read: {error}")))?;
        found.extend(builds);
        match value.get("nextPageToken").and_then(Value::as_str) {
            Some(next) if !next.is_empty() && next != page => page = next.to_owned(),
            _ => return Ok(found),
        }
    }
}

/// All builds of a cut.
pub(super) fn builds_of(day: &Day, bound: &Bound) -> Result<Vec<Build>, Error> {
    list(day, bound.tags.prime.trim_start_matches('v'))
}

/// What has to hold before a build is submitted: nobody else builds the same, the branch is where it was, a release has
/// its stage.
fn before(
    context: &Context,
    day: &Day,
    cut: &Cut,
    run: Run,
    bound: &Bound,
    order: &Order<'_>,
) -> Result<(), Error> {
    let own = marker(&context.run, &context.step, 1);
    let own = own.strip_suffix('1').unwrap_or(&own);
    // krel marks a build with nothing but its user.
    let user = day.workshop.user_tag();
    let is_mine = |tag: &String| match day.builder {
        Builder::CloudBuild => tag.starts_with(own),
        Builder::Krel => *tag == user,
    };
    let same = builds_of(day, bound)?.into_iter().filter(|build| order.is_same(build));
    let (mine, others): (Vec<Build>, Vec<Build>) = same.partition(|build| build.tags.iter().any(is_mine));
    if let Some(other) = others.iter().find(|build| !build.is_over()) {
        return Err(conflict(format!(
            "somebody else's {} of {} is under way: {}",
            run.words(),
            bound.tags.prime,
            other.log_url
        )));
    }
    if !mine.is_empty() {
        return Ok(());
    }
    if run.phase == Phase::Release {
        let stage: Built = context.needed_output(&run.stage_step(cut))?;
        let stage = now(day, bound, stage.build)?;
        if let Some(why) = stage.unfit_stage(order) {
            return Err(conflict(format!("{} is not released: {why}", bound.tags.prime)));
        }
    }
    let repository = git::open(&day.kubernetes)?;
    let branch = if bound.new_branch { MASTER } else { &bound.branch };
    let head = repository.resolve(&format!("refs/heads/{branch}"))?.map(|head| head.id);
    if head.as_ref() != Some(&bound.head) {
        return Err(conflict(format!(
            "{branch} has moved to {} since {} was chosen at {}; what was rehearsed is not what would be built",
            head.unwrap_or_default(),
            bound.build_version,
            bound.head
        )));
    }
    for tag in &bound.tags.ordered {
        if let Some(taken) = repository.resolve(&format!("refs/tags/{tag}"))? {
            return Err(conflict(format!("the tag {tag} is there already, at {}", taken.id)));
        }
    }
    Ok(())
}

/// The line of the thread, with its completed form.
fn say(
    context: &Context,
    day: &Day,
    cut: &Cut,
    run: Run,
    attempt: usize,
    build: &Build,
) -> Result<(), Error> {
    let opened: Opened = context.needed_output(&cut.step("open"))?;
    let key = format!("build-{attempt}");
    let words = |state| thread::line(run.words(), &build.log_url, state);
    chat::line(context, day, opened.thread.as_deref(), &key, words, build.succeeded())
}

/// What has to hold after a build, and the issue brought up to date.
fn after(context: &Context, day: &Day, cut: &Cut, run: Run, bound: &Bound) -> Result<(), Error> {
    if run.phase == Phase::Release && run.nomock {
        let repository = git::open(&day.kubernetes)?;
        for tag in &bound.tags.ordered {
            let tagged = repository.resolve(&format!("refs/tags/{tag}"))?;
            let tagged = tagged
                .ok_or_else(|| conflict(format!("the release is through, and there is no tag {tag}")))?;
            let on_head = tagged.id == bound.head || tagged.parents.contains(&bound.head);
            let detached = cut.branch == MASTER || bound.new_branch;
            let fits = on_head || detached && repository.is_ancestor(&bound.commit, &tagged.id)?;
            if !fits {
                return Err(conflict(format!(
                    "the tag {tag} is at {}, which was not made from {}",
                    tagged.id, bound.head
                )));
            }
        }
    }
    open::keep(context, day, cut, true, None)?;
    Ok(())
}
