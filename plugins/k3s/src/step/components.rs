//! `components`: the table of embedded versions, from the tree of a release.

use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{conflict, done, inputs as read_inputs, not_found};
use castoff_sdk::{Error, git, scratch};
use serde::Deserialize;

use super::input::{self, optional, required};
use super::step;
use super::tree::{tagged, text_at};
use crate::core::component::{
    Components, IMAGE_LIST, SQLITE_HEADER, Sources, VERSION_SCRIPT, read, sqlite_module,
};
use crate::core::version::Tag;

pub(super) const NAME: &str = "components";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    tag: Tag,
    revision: Option<String>,
    #[serde(default = "input::k3s")]
    repository: String,
    #[serde(default = "sqlite")]
    sqlite: String,
}

/// The repository of the module that carries SQLite.
pub(super) fn sqlite() -> String {
    "mattn/go-sqlite3".to_owned()
}

pub(super) fn describe() -> Process {
    let inputs = vec![
        required("tag", InputKind::Text, "Release, `v1.34.3+k3s1`"),
        optional("revision", InputKind::Text, "Ref or commit to read; the tag when left out"),
        optional("repository", InputKind::Text, "Repository; k3s-io/k3s when left out"),
        optional("sqlite", InputKind::Text, "Repository that carries SQLite; mattn/go-sqlite3 when left out"),
    ];
    input::process(NAME, "List the versions of embedded components", inputs)
}

pub(super) fn steps(text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    let title = format!("Components of {}", inputs.tag);
    let row = "Verifying Component Release Versions";
    Ok(Graph { title, steps: vec![step("components", "Read the versions", StepKind::Work, &[], row)] })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let repository = git::open(&inputs.repository)?;
    let revision = inputs.revision.clone().unwrap_or_else(|| format!("refs/tags/{}", inputs.tag));
    let commit = repository.resolve(&revision)?;
    let commit = commit.ok_or_else(|| not_found(format!("{} has no {revision}", inputs.repository)))?;
    let found = at(&repository, &commit.id, &inputs.sqlite)?;
    let table = found.table(inputs.tag.kubernetes());
    scratch::publish("components.md", "text/markdown", table.as_bytes())?;
    done(&found)
}

/// The versions at a commit.
pub(super) fn at(repository: &git::Repository, commit: &str, sqlite: &str) -> Result<Components, Error> {
    let need = |path: &str| -> Result<String, Error> {
        text_at(repository, commit, path)?.ok_or_else(|| not_found(format!("{path} at {commit}")))
    };
    let go_mod = need("go.mod")?;
    let module = sqlite_module(&go_mod).map_err(conflict)?;
    let carrier = git::open(sqlite)?;
    let at = tagged(&carrier, &module)?.ok_or_else(|| not_found(format!("{sqlite} has no tag {module}")))?;
    let header = text_at(&carrier, &at.id, SQLITE_HEADER)?;
    let header = header.ok_or_else(|| not_found(format!("{SQLITE_HEADER} of {sqlite} {module}")))?;
    let images = need(IMAGE_LIST)?;
    let script = text_at(repository, commit, VERSION_SCRIPT)?;
    read(Sources { go_mod: &go_mod, images: &images, script: script.as_deref(), sqlite_header: &header })
        .map_err(conflict)
}
