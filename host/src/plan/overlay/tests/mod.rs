//! Plans against the embedded forge: what lands in the overlay is seen there, and the forge never sees it.

#![allow(clippy::unwrap_used)]

mod assumption;
mod equivalence;
mod reading;
mod reference;

use chrono::{DateTime, Utc};
use tempfile::TempDir;

use super::{Overlay, Settings};
use crate::capability::files::{ArtefactLimits, Artefacts};
use crate::capability::git::{Change, CommitSpec, EntryKind, Identity, RefUpdate};
use crate::capability::{CapabilityError, Result, Slug};
use crate::forge::{Snapshot, World};
use crate::gate::Capabilities;
use crate::rehearsal::Stage;

const WORLD: &str = r##"
    now = "2026-03-01T09:00:00Z"
    user = "release-bot"

    [[account]]
    login = "release-bot"
    token = "t-bot"
    permissions = { "acme/*" = "write" }

    [[repository]]
    name = "acme/tool"

    [[repository.history]]
    id = "first"
    message = "first"
    date = "2026-01-01T10:00:00Z"
    files = { "README.md" = "# tool\n", "list.txt" = "a\nb\nc\nd\ne\n" }
    tag = "v1.0.0"

    [[repository.history]]
    id = "second"
    date = "2026-01-02T10:00:00Z"
    files = { "docs/a.md" = "a\n" }
    pull = { number = 2, title = "Add docs", labels = ["kind/documentation"], user = "ann", head = "docs" }

    [[repository.history]]
    branch = "left"
    from = "second"
    message = "left"
    date = "2026-01-03T10:00:00Z"
    files = { "list.txt" = "a\nleft\nc\nd\ne\n" }

    [[repository.history]]
    branch = "right"
    from = "second"
    message = "right"
    date = "2026-01-03T10:00:00Z"
    files = { "list.txt" = "a\nright\nc\nd\ne\n" }

    [[repository.pull]]
    number = 3
    title = "Left"
    body = "left"
    user = "ann"
    head = "left"

    [[repository.pull]]
    number = 4
    title = "Given up"
    user = "ann"
    head = "right"
    closed = true

    [[repository.issue]]
    number = 5
    title = "Release notes"
    body = "to be written\n<!-- castoff notes -->\n"
    labels = ["release"]
    user = "ann"

    [[repository.release]]
    tag = "v1.0.0"
    name = "v1.0.0"
    body = "the first"
    assets = { "tool.txt" = "one" }

    [[repository.status]]
    at = "second"
    context = "build"
    state = "success"

    [[repository.status]]
    at = "second"
    context = "e2e"
    state = "pending"

    [[repository]]
    name = "release-bot/tool"
    fork_of = "acme/tool"
"##;

/// A forge, its back ends, and an overlay over them.
struct Scene {
    stage: Stage,
    live: Capabilities,
    overlay: Overlay,
    before: Snapshot,
    _folder: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let world = World::from_toml(WORLD).unwrap();
        let stage = Stage::set(world, &folder.path().join("forge"), moment()).await.unwrap();
        let artefacts = Artefacts::open(&folder.path().join("artefacts"), ArtefactLimits::default()).unwrap();
        let live = stage.capabilities(&folder.path().join("git"), artefacts, None).unwrap();
        let overlay = Overlay::new(live.clone(), Settings { pinned: moment(), login: None }).unwrap();
        let before = stage.forge().snapshot().unwrap();
        Self { stage, live, overlay, before, _folder: folder }
    }

    /// Nothing of what was done in the overlay is in the world.
    fn is_untouched(&self) {
        assert_eq!(self.stage.forge().snapshot().unwrap(), self.before);
        let wrote = |method: &str, path: &str| method != "GET" && !path.ends_with("/graphql");
        let served = self.stage.forge().requests();
        let written: Vec<_> = served
            .iter()
            .filter(|one| wrote(&one.method, &one.path) && !one.path.ends_with("/git-upload-pack"))
            .collect();
        assert!(written.is_empty(), "{written:?}");
    }

    fn seeded(&self, label: &str) -> String {
        self.stage.forge().seeded("acme/tool", label).unwrap()
    }
}

/// The world's beginning.
fn moment() -> DateTime<Utc> {
    "2026-03-01T09:00:00Z".parse().unwrap()
}

fn tool() -> Slug {
    Slug::parse("acme/tool").unwrap()
}

fn fork() -> Slug {
    Slug::parse("release-bot/tool").unwrap()
}

fn identity() -> Identity {
    Identity { name: "Release Bot".into(), email: "bot@example.org".into() }
}

/// A commit that puts one file.
fn spec(parent: &str, path: &str, content: &str) -> CommitSpec {
    CommitSpec {
        parents: vec![parent.into()],
        changes: vec![Change::Put {
            path: path.into(),
            kind: EntryKind::File,
            content: content.as_bytes().to_vec(),
        }],
        message: format!("put {path}\n"),
        identity: identity(),
        time: moment().timestamp(),
        author_of: None,
    }
}

fn update(name: &str, object: &str, expected: Option<&str>) -> RefUpdate {
    RefUpdate { name: name.into(), object: object.into(), expected: expected.map(Into::into) }
}

/// The kind of an error, as the journal names it; `ok` without one.
fn kind<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(CapabilityError::NotFound { .. }) => "not-found",
        Err(CapabilityError::Conflict { .. }) => "conflict",
        Err(CapabilityError::Unavailable { .. }) => "unavailable",
        Err(CapabilityError::RateLimited { .. }) => "rate-limited",
        Err(CapabilityError::Forbidden { .. }) => "forbidden",
        Err(CapabilityError::Invalid { .. }) => "invalid",
        Err(CapabilityError::Cancelled) => "cancelled",
    }
}
