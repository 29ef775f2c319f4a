//! For each kind of case: the process that does it, what it is told, the world it meets, and what counts.

mod changelog;
mod deployment;
mod docs;
mod images;
mod jobs;
mod k3s;
mod module;
mod pod;
mod promotion;
mod schedule;
mod script;
mod subtree;
mod tag;
mod version;

use std::collections::{BTreeMap, BTreeSet};

use castoff::forge::World;
use tempfile::TempDir;

use super::case::{Case, Judge, Result, Tree};
use super::drive::{Outcome, Task};
use super::judge::{self, Faults};

/// Which world a process meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// As it was before the change.
    Before,
    /// As it should be after it: there is nothing to do.
    After,
    /// With another result already in its place, the n-th of those that the kind knows: it must be left alone.
    Taken(usize),
}

/// A case made ready.
pub struct Setup {
    /// The world.
    pub world: World,
    /// The run.
    pub task: Task,
    /// The repository that is looked at afterwards.
    pub repository: String,
    /// Commits that stand for published ids, where the world's own labels do not tell.
    pub ids: BTreeMap<String, String>,
    /// A folder the world is made from.
    pub keep: Option<TempDir>,
}

impl Setup {
    fn new(world: World, task: Task, case: &Case) -> Self {
        Self { world, task, repository: case.data.repo.clone(), ids: BTreeMap::new(), keep: None }
    }
}

/// A kind of case.
pub struct Kind {
    /// Its names in `case.json`.
    pub names: &'static [&'static str],
    /// The process that does it.
    pub process: &'static str,
    /// Makes a case ready.
    pub set: fn(&Case, Base) -> Result<Setup>,
    /// What is wrong with the result of a run from [`Base::Before`].
    pub check: fn(&Case, &Setup, &Outcome) -> Result<Faults>,
    /// Whether a rerun makes sense for the case.
    pub rerun: fn(&Case) -> bool,
    /// How many worlds of [`Base::Taken`] there are.
    pub taken: fn(&Case) -> usize,
}

const ALL: &[Kind] = &[
    changelog::KIND,
    tag::KIND,
    promotion::KIND,
    docs::KIND,
    deployment::BUMP,
    deployment::NEW,
    jobs::KIND,
    script::PROW,
    script::BUILDER,
    subtree::KIND,
    images::KIND,
    schedule::KIND,
    version::KIND,
    pod::KIND,
    module::TAGS,
    module::HASH,
    k3s::bump::EXACT,
    k3s::bump::GO_MOD_EXACT,
    k3s::bump::SEMANTIC,
    k3s::bump::TIDY,
    k3s::bump::TRAP,
    k3s::channel::KIND,
    k3s::component::KIND,
    k3s::fork_tag::KIND,
    k3s::grammar::KIND,
    k3s::kdm::EDIT,
    k3s::kdm::GENERATE,
    k3s::kdm::REGSYNC,
    k3s::kdm::LINT,
];

/// The kind of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Kind> {
    ALL.iter().find(|kind| kind.names.contains(&name))
}

/// The files after the change as they should be: `expected/` over `target/`, over what did not change.
fn wanted(case: &Case) -> Result<Tree> {
    let mut tree = case.tree("base")?;
    tree.retain(|path, _| !case.data.deleted.contains(path));
    tree.extend(case.tree("target")?);
    tree.extend(case.tree("expected")?);
    Ok(tree)
}

/// The files of a world.
fn files(case: &Case, base: Base) -> Result<Tree> {
    if base == Base::Before { case.tree("base") } else { wanted(case) }
}

/// Nothing is ever taken.
fn never(_: &Case) -> usize {
    0
}

/// Cases with files can be run again on the right files.
fn with_files(case: &Case) -> bool {
    case.data.judge != Judge::MustRefuse || !case.data.files.is_empty()
}

/// The whole tree after the change equals the wanted one, but for `skip`.
fn whole(case: &Case, setup: &Setup, outcome: &Outcome, skip: &BTreeSet<String>) -> Result<Faults> {
    let made = judge::applied(&case.tree("base")?, &outcome.changes(&setup.repository)?);
    Ok(judge::trees(&made, &wanted(case)?, skip))
}
