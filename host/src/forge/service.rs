//! Services that are only read: testgrid dashboards and fixed documents; bodies sent to them are kept.

use chrono::Duration;
use serde_json::{Map, Value, json};

use super::Received;
use super::git;
use super::people::seconds;
use super::reply::{Call, Reply, glob};
use super::rest::shape;
use super::state::State;
use super::world::{Dashboard, Document, Tab};

const TESTGRID: &str = "testgrid.k8s.io";

/// Whether the world describes this host.
pub(crate) fn serves(state: &State, host: &str) -> bool {
    state.world.documents.iter().any(|document| document.host == host)
        || state.world.dashboards.iter().any(|board| host_of(board) == host)
}

fn host_of(board: &Dashboard) -> &str {
    board.host.as_deref().unwrap_or(TESTGRID)
}

/// Answers for a host of the world: a document, else a dashboard's summary, else 404.
pub(crate) fn answer(state: &mut State, call: &Call) -> Reply {
    if call.writes() {
        state.received.push(Received {
            method: call.method.clone(),
            host: call.host.clone(),
            path: call.path.clone(),
            body: call.body.clone(),
        });
    }
    let elapsed = state.clock.now() - state.started;
    let document = state.world.documents.iter().rev().find(|document| fits(document, call, elapsed));
    if let Some(document) = document {
        return serve(state, document);
    }
    let boards: Vec<&Dashboard> =
        state.world.dashboards.iter().filter(|board| host_of(board) == call.host).collect();
    if boards.is_empty() {
        return Reply::text(404, "Not Found");
    }
    let segments = call.segments();
    match segments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [name, "summary"] => match boards.into_iter().find(|board| board.name == *name) {
            Some(board) => Reply::json(200, &summary(state, board, elapsed)),
            None => Reply::text(404, &format!("Dashboard {name} not found")),
        },
        _ => Reply::text(404, "Not Found"),
    }
}

fn fits(document: &Document, call: &Call, elapsed: Duration) -> bool {
    let method = document.method.as_deref().unwrap_or("GET");
    let same = method == call.method || (method == "GET" && call.method == "HEAD");
    let target =
        if document.path.contains('?') { format!("{}?{}", call.path, call.query) } else { call.path.clone() };
    document.host == call.host
        && same
        && glob(&document.path, &target)
        && seconds(document.after_seconds) <= elapsed
}

fn serve(state: &State, document: &Document) -> Reply {
    let mut reply = Reply::empty(document.status.unwrap_or(200));
    let body = if document.template { fill(state, &document.body) } else { document.body.clone() };
    reply.body = body.into_bytes();
    for (name, value) in &document.headers {
        reply = reply.with(&name.to_lowercase(), value.clone());
    }
    if reply.header("content-type").is_none() {
        let kind = if document.body.starts_with(['{', '[']) {
            "application/json"
        } else {
            "text/plain; charset=utf-8"
        };
        reply = reply.with("content-type", kind);
    }
    reply
}

/// Fills the places of a template; what is unknown becomes empty.
pub(super) fn fill(state: &State, body: &str) -> String {
    let mut out = String::new();
    let mut rest = body;
    while let Some((before, (place, after))) =
        rest.split_once("{{").and_then(|(before, tail)| Some((before, tail.split_once("}}")?)))
    {
        out.push_str(before);
        match place.trim().split_once('@') {
            Some((name, reference)) => out.push_str(&commit(state, name, reference).unwrap_or_default()),
            None if place.trim() == "now" => out.push_str(&shape::time(state.clock.now())),
            None => {}
        }
        rest = after;
    }
    out + rest
}

fn commit(state: &State, name: &str, reference: &str) -> Option<String> {
    let git = state.repos.get(&name.to_lowercase())?.git().ok()?;
    git::commit_of(&git, reference).map(|commit| commit.id().to_string())
}

/// A dashboard's tabs as they are now, flips applied.
fn summary(state: &State, board: &Dashboard, elapsed: Duration) -> Value {
    let now = state.clock.now();
    let mut tabs = Map::new();
    for (name, tab) in &board.tabs {
        tabs.insert(name.clone(), tab_json(board, name, &present(board, name, tab, elapsed), now));
    }
    Value::Object(tabs)
}

fn present(board: &Dashboard, name: &str, tab: &Tab, elapsed: Duration) -> Tab {
    let mut present = tab.clone();
    let mut flips: Vec<_> = board
        .flips
        .iter()
        .filter(|flip| flip.tab == name && seconds(flip.after_seconds) <= elapsed)
        .collect();
    flips.sort_by_key(|flip| flip.after_seconds);
    if let Some(flip) = flips.last() {
        present.overall_status.clone_from(&flip.overall_status);
        present.status.clone_from(&flip.status);
    }
    present
}

fn tab_json(board: &Dashboard, name: &str, tab: &Tab, now: chrono::DateTime<chrono::Utc>) -> Value {
    json!({
        "alert": tab.alert, "last_run_timestamp": tab.last_run.unwrap_or(now).timestamp_millis(),
        "last_update_timestamp": tab.last_update.unwrap_or(now).timestamp(), "latest_green": tab.latest_green,
        "overall_status": tab.overall_status, "overall_status_icon": "", "status": tab.status, "tests": [],
        "dashboard_name": board.name, "tab_name": name, "bug_url": "", "healthiness": null,
    })
}
