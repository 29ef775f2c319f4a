//! The issue of a cut, its thread and its test report.

use castoff_sdk::github::{self, Issue, IssueSpec};
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::{approval, done};
use castoff_sdk::{Error, testgrid};
use serde_json::json;

use super::build::builds_of;
use super::chat::{Saying, say};
use super::input::{Built, Cut, Day, Opened, bound};
use crate::core::boards::{Board, comment, names, objections};
use crate::core::ticket::{Item, LABELS, body, title};
use crate::core::{history, thread};

/// Opens the issue and the thread.
pub(super) fn run(context: &Context, day: &Day, cut: &Cut) -> Result<Outcome, Error> {
    let bound = bound(context, cut)?;
    let issue = keep(context, day, cut, true, None)?;
    let text = thread::head(&bound.tags.prime, &issue.url);
    let thread = say(context, day, &Saying { key: "thread", text: &text, thread: None, replaces: None })?;
    done(&Opened { issue: issue.number, url: issue.url, thread })
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
    let body = body(tag, &day.workshop.tool_version, &bound.build_version, &items, history);
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
    for name in names(&cut.branch) {
        boards.push(Board { tabs: testgrid::dashboard(&name)?, name });
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
