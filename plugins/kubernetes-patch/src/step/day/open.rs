//! The issue of a cut, its thread and its test report.

use castoff_sdk::github::{self, Issue, IssueSpec};
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::{approval, done, not_found};
use castoff_sdk::{Error, testgrid};
use serde_json::json;

use super::build::builds_of;
use super::chat::{Saying, say};
use super::input::{Built, Cut, Day, Opened, bound};
use crate::core::boards::{Board, comment, names, objections};
use crate::core::ticket::{self, Item, LABELS, Text, body, title};
use crate::core::version::MASTER;
use crate::core::{history, thread};

/// Opens the issue and the thread.
pub(super) fn run(context: &Context, day: &Day, cut: &Cut) -> Result<Outcome, Error> {
    let bound = bound(context, cut)?;
    if let Some(asks) = held(context, day, &bound.tags.prime)? {
        return Ok(asks);
    }
    let issue = keep(context, day, cut, true, None)?;
    let text = thread::head(&bound.tags.prime, &issue.url);
    let thread = say(context, day, &Saying { key: "thread", text: &text, thread: None, replaces: None })?;
    done(&Opened { issue: issue.number, url: issue.url, thread })
}

/// The most open issues that are looked through.
const LISTED: u32 = 100;

/// Two managers can begin the same cut: an open issue about it that this run does not keep is taken over by a person's word
/// only.
fn held(context: &Context, day: &Day, tag: &str) -> Result<Option<Outcome>, Error> {
    let open = github::find_issues(&day.issues, Some(true), &[], LISTED)?;
    let other = open.iter().find(|issue| {
        ticket::is_about(&issue.title, tag) && ticket::holder(&issue.body) != Some(context.run.as_str())
    });
    let Some(other) = other else { return Ok(None) };
    let question = format!("take-over-{}", other.number);
    if context.approved(&question)?.is_some() {
        return Ok(None);
    }
    let keeper = match ticket::holder(&other.body) {
        Some(run) => format!("the run {run} keeps it"),
        None => format!("{} opened it, and keeps it by hand", other.author),
    };
    let prompt =
        format!("{} is about {tag} already: {keeper}. Is this run to cut {tag} all the same?", other.url);
    Ok(Some(approval(&question, prompt, None)))
}

/// Brings the issue to what has been done so far.
pub(super) fn keep(
    context: &Context,
    day: &Day,
    cut: &Cut,
    open: bool,
    history: Option<&str>,
) -> Result<Issue, Error> {
    let bound = bound(context, cut)?;
    let tag = &bound.tags.prime;
    let items = items(context, day, cut)?;
    let body = body(&Text {
        tag,
        tool: &day.workshop.tool_version,
        build_version: &bound.build_version,
        items: &items,
        history,
        run: &context.run,
    });
    let spec = IssueSpec {
        key: format!("cut-{tag}"),
        title: title(tag),
        body,
        labels: LABELS.map(str::to_owned).into(),
        open,
    };
    github::ensure_issue(&day.issues, &spec)
}

fn items(context: &Context, day: &Day, cut: &Cut) -> Result<Vec<Item>, Error> {
    let has = |step: &str| context.outputs.iter().any(|output| output.step == step);
    let log = |phase: &str| -> Result<String, Error> {
        let built: Option<Built> = context.output_of(&cut.step(phase))?;
        Ok(built.map(|built| built.build.log_url).unwrap_or_default())
    };
    let item = |what, done, link: String| Item { what, done, link };
    let mut items = vec![
        item("Green signal to cut the release", has("go"), String::new()),
        item("Slack thread", has(&cut.step("open")), String::new()),
        item("Testgrid snapshot", has(&cut.step("testgrid")), String::new()),
        item("Publishing bot is healthy", has("bot"), String::new()),
    ];
    if day.mocks(cut) {
        items.push(item("Mock Stage", has(&cut.step("mock-stage")), log("mock-stage")?));
        items.push(item("Mock Release", has(&cut.step("mock-release")), log("mock-release")?));
    }
    let pull: Option<super::super::promote::Promoted> = context.output_of("promote")?;
    let pull = pull.and_then(|promoted| promoted.pull.url).unwrap_or_default();
    items.push(item("NoMock Stage", has(&cut.step("stage")), log("stage")?));
    items.push(item("Image Promotion PR", has("production"), pull));
    items.push(item("NoMock Release", has(&cut.step("release")), log("release")?));
    items.push(item("Announcement mail", has(&cut.step("announce")), String::new()));
    items.push(item("Slack notification", has(&cut.step("live")), String::new()));
    if day.is_patch() {
        let schedule: Option<super::Proposed> = context.output_of("schedule")?;
        let url = schedule.and_then(|proposed| proposed.url).unwrap_or_default();
        items.push(item("Release schedule", has("scheduled"), url));
    }
    Ok(items)
}

/// Reports the boards on the issue; failing or stale ones stop the cut unless a person overrides them.
pub(super) fn testgrid(context: &Context, day: &Day, cut: &Cut) -> Result<Outcome, Error> {
    let opened: Opened = context.needed_output(&cut.step("open"))?;
    let mut boards = Vec::new();
    // A branch that is not there yet is judged by the one it comes from.
    let judged = if bound(context, cut)?.new_branch { MASTER } else { cut.branch.as_str() };
    for name in names(judged) {
        let tabs = testgrid::dashboard(&name).map_err(|error| match error {
            Error::NotFound(what) => not_found(format!("{what}; which boards speak for {judged}?")),
            other => other,
        })?;
        boards.push(Board { tabs, name });
    }
    github::ensure_comment(&day.issues, opened.issue, "testgrid", &comment(&cut.branch, &boards))?;
    let objections = objections(&boards, context.now);
    if !objections.is_empty() && context.approved("override")?.is_none() {
        let list: String = objections.iter().map(|line| format!("- {line}\n")).collect();
        let prompt = format!(
            "The boards of {} speak against a release. Tell #release-management; go on all the same?\n\n{list}",
            cut.branch
        );
        return Ok(approval("override", prompt, None));
    }
    done(&json!({ "objections": objections }))
}

/// Writes the history into the issue and closes it.
pub(super) fn close(context: &Context, day: &Day, cut: &Cut) -> Result<Outcome, Error> {
    let bound = bound(context, cut)?;
    let builds = builds_of(day, &bound)?;
    let table = history::table(&builds);
    let issue = keep(context, day, cut, false, Some(&table))?;
    done(&json!({ "issue": issue.url, "builds": builds.len() }))
}
