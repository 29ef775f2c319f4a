//! `release-tools`: the shared build and CI scripts, a git subtree in every sidecar repository.
//!
//! The update is what `git subtree pull --squash` would make: a squash commit whose tree is the upstream tree, and a
//! merge of it. Its message lists the upstream commits without the words that release-notes tools take for pull
//! requests of the sidecar.

use std::collections::BTreeSet;

use castoff_sdk::Error;
use castoff_sdk::git::{self, Change, Commit, CommitSpec, EntryKind, TreeEntry};
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process};
use castoff_sdk::tree::TreeChanges;
use serde::Deserialize;
use serde_json::json;

use super::checkout::{self, Checkout};
use super::graph;
use super::input::{self, invalid, refused};
use super::propose::{self, Destination, Proposal};
use super::report;
use crate::core::subtree::{
    self, SubtreeError, SubtreePlan, SubtreeUpdate, UpstreamCommit, check_pristine, last_split, merge_message,
};

pub(super) const NAME: &str = "release-tools";

const SOURCE: &str = "csi-release-tools README: sharing and updating";
const UPSTREAM: &str = "kubernetes-csi/csi-release-tools";
const PREFIX: &str = "release-tools";
const BRANCH: &str = "update-release-tools";

/// Commits looked at for the last update, in growing steps: most repositories need the first only.
const DEPTHS: [u32; 3] = [500, 5_000, 100_000];
/// Upstream commits listed in a squash message.
const LISTED: u32 = 5_000;

/// What the process is told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    repository: Option<String>,
    #[serde(default)]
    repositories: Vec<String>,
    base: Option<String>,
    fork: Option<String>,
    #[serde(default = "upstream")]
    upstream: String,
    revision: Option<String>,
    #[serde(default = "prefix")]
    prefix: String,
    split_before: Option<String>,
    #[serde(default)]
    discard_edits: bool,
}

fn upstream() -> String {
    UPSTREAM.to_owned()
}

fn prefix() -> String {
    PREFIX.to_owned()
}

impl Inputs {
    fn repositories(&self) -> impl Iterator<Item = &String> {
        self.repository.iter().chain(&self.repositories)
    }

    fn prefix(&self) -> &str {
        self.prefix.trim_matches('/')
    }
}

pub(super) fn process() -> Process {
    let mut inputs = vec![
        input::optional("repositories", InputKind::Texts, "Repositories to update, `owner/name`"),
        input::optional("repository", InputKind::Text, "One repository to update, instead of the list"),
        input::optional(
            "upstream",
            InputKind::Text,
            "Repository of the shared scripts; `kubernetes-csi/csi-release-tools` when left out",
        ),
        input::optional(
            "revision",
            InputKind::Text,
            "Commit, branch or tag to take; the head of upstream's default branch when left out",
        ),
        input::optional("prefix", InputKind::Text, "Folder of the subtree; `release-tools` when left out"),
        input::optional(
            "split-before",
            InputKind::Text,
            "Upstream commit of the last update, for a history without its trailers; found in the history when left out",
        ),
        input::optional(
            "discard-edits",
            InputKind::Flag,
            "Take upstream's files even where the folder was edited in place",
        ),
    ];
    inputs.extend(input::target());
    graph::process(NAME, "Update the shared release tools in one or many repositories", inputs)
}

pub(super) fn steps(inputs: &str) -> Result<Graph, Error> {
    let inputs = read(inputs)?;
    let pairs = inputs.repositories().flat_map(|repository| {
        let (update, merged) = ids(repository);
        graph::pair((&update, &merged), &format!("{} to {repository}", inputs.prefix()), SOURCE)
    });
    let names: Vec<&str> = inputs.repositories().map(String::as_str).collect();
    Ok(Graph { title: format!("Update {} of {}", inputs.prefix(), names.join(", ")), steps: pairs.collect() })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = read(&context.inputs)?;
    for repository in inputs.repositories() {
        let (update, merged) = ids(repository);
        if context.step == update {
            return propose_update(repository, &inputs);
        }
        if context.step == merged {
            return propose::merged(context, &update);
        }
    }
    Err(invalid(format!("{NAME} has no step {}", context.step)))
}

/// Names of the two steps of a repository.
fn ids(repository: &str) -> (String, String) {
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let name = report::branch("", name).replace('.', "-");
    (format!("update-{name}"), format!("merged-{name}"))
}

fn read(inputs: &str) -> Result<Inputs, Error> {
    let inputs: Inputs = input::read(inputs)?;
    let mut seen = BTreeSet::new();
    if let Some(twice) = inputs.repositories().find(|repository| !seen.insert(ids(repository).0)) {
        return Err(invalid(format!(
            "{twice} has the name of another repository in the list; start a run for each"
        )));
    }
    if seen.is_empty() {
        return Err(invalid("no repository is named; expected `repositories` or `repository`"));
    }
    if inputs.fork.as_ref().is_some_and(|fork| fork.contains('/')) && seen.len() > 1 {
        return Err(invalid(
            "`fork` names one repository for several; expected the owner of the forks alone",
        ));
    }
    if inputs.prefix().is_empty() {
        return Err(invalid("`prefix` is empty; expected a folder such as `release-tools`"));
    }
    Ok(inputs)
}

/// Both repositories and what is known of the last update.
struct Facts {
    checkout: Checkout,
    upstream: git::Repository,
    /// The upstream commit to take.
    taken: Commit,
    /// Upstream commit of the last update, and the squash commit that brought it.
    last: Option<(Commit, Option<Commit>)>,
    prefix_tree: Option<String>,
}

fn propose_update(repository: &str, inputs: &Inputs) -> Result<Outcome, Error> {
    let facts = gather(repository, inputs)?;
    let update = describe(&facts, inputs)?;
    let mut proposal = proposal(repository, inputs, &update);
    match subtree::plan(&update).map_err(refused)? {
        SubtreePlan::NothingToDo => propose::unchanged(&proposal),
        SubtreePlan::Update { squash_message, prefix, tree } => {
            if !inputs.discard_edits {
                pristine(&facts, inputs)?;
            }
            let destination = Destination::open(&facts.checkout, inputs.fork.as_deref())?;
            let squash = squash(&facts, destination.repository(), squash_message)?;
            if squash.tree != tree {
                return Err(refused(format!(
                    "the files of {} at {} make the tree {}, expected {tree}: upstream holds something that is neither a file \
                     nor a link; update this subtree by hand",
                    inputs.upstream, facts.taken.id, squash.tree
                )));
            }
            let merge = destination.repository().build_commit(&CommitSpec {
                parents: vec![facts.checkout.head.id.clone(), squash.id.clone()],
                changes: vec![Change::Graft((prefix, tree.clone()))],
                message: merge_message(&squash.id, &facts.checkout.base),
                sign_off: false,
            })?;
            proposal.outputs.insert("squash".to_owned(), json!(squash.id));
            proposal.outputs.insert("tree".to_owned(), json!(tree));
            propose::publish(&destination, &proposal, &merge, "Merge commit '")
        }
    }
}

fn gather(repository: &str, inputs: &Inputs) -> Result<Facts, Error> {
    let checkout = Checkout::open(repository, inputs.base.as_deref())?;
    let upstream = git::open(&inputs.upstream)?;
    let taken = revision(&upstream, inputs)?;
    let prefix_tree = checkout.entry(inputs.prefix())?.filter(|entry| entry.kind == EntryKind::Directory);
    let held = prefix_tree.as_ref().map(|entry| entry.id.as_str());
    let last = last_update(&checkout, (&upstream, &taken), inputs, held)?;
    Ok(Facts { checkout, upstream, taken, last, prefix_tree: prefix_tree.map(|entry| entry.id) })
}

fn revision(upstream: &git::Repository, inputs: &Inputs) -> Result<Commit, Error> {
    let wanted = match &inputs.revision {
        Some(revision) => revision.clone(),
        None => format!("refs/heads/{}", upstream.default_branch()?),
    };
    let forms = [wanted.clone(), format!("refs/tags/{wanted}"), format!("refs/heads/{wanted}")];
    for form in &forms {
        match upstream.resolve(form) {
            Ok(Some(commit)) => return Ok(commit),
            // A branch name is no revision by itself; it is looked for as a ref next.
            Ok(None) | Err(Error::Invalid(_) | Error::NotFound(_)) => {}
            Err(other) => return Err(other),
        }
    }
    Err(Error::NotFound(format!(
        "{} has no commit, tag or branch {wanted}; correct `revision`",
        inputs.upstream
    )))
}

/// The last update: by the trailers of its squash commit, else by the upstream commit whose files the folder holds (a merge that was
/// squashed has lost the trailers). `held` is the tree of the folder.
fn last_update(
    checkout: &Checkout,
    (upstream, taken): (&git::Repository, &Commit),
    inputs: &Inputs,
    held: Option<&str>,
) -> Result<Option<(Commit, Option<Commit>)>, Error> {
    let found = match (&inputs.split_before, squashed(checkout, inputs.prefix())?, held) {
        (Some(split), ..) => Some((split.clone(), None)),
        (None, Some((split, commit)), _) => Some((split, Some(commit))),
        (None, None, Some(tree)) => match with_tree(upstream, taken, tree)? {
            Some(split) => Some((split, None)),
            None => {
                return Err(refused(format!(
                    "{}; or name the upstream commit it holds as `split-before`",
                    SubtreeError::NoTrailer { prefix: inputs.prefix().to_owned() }
                )));
            }
        },
        (None, None, None) => None,
    };
    let Some((split, commit)) = found else { return Ok(None) };
    let Some(at) = upstream.resolve(&split)? else {
        return Err(refused(format!(
            "{} was last updated to {split}, which {} does not hold; name the upstream repository it came from, or its \
             commit as `split-before`",
            inputs.prefix(),
            inputs.upstream
        )));
    };
    // A squash commit that was itself squashed into another one has another tree; it is no parent then.
    Ok(Some((at.clone(), commit.filter(|commit| commit.tree == at.tree))))
}

/// The newest upstream commit with exactly these files.
fn with_tree(upstream: &git::Repository, taken: &Commit, tree: &str) -> Result<Option<String>, Error> {
    let log = upstream.log(None, &taken.id, LISTED)?;
    Ok(log.into_iter().find(|commit| commit.tree == tree).map(|commit| commit.id))
}

fn squashed(checkout: &Checkout, prefix: &str) -> Result<Option<(String, Commit)>, Error> {
    for depth in DEPTHS {
        let log = checkout.repository.log(None, &checkout.head.id, depth)?;
        for commit in &log {
            match last_split(prefix, [commit.message.as_str()]) {
                Ok(split) => return Ok(Some((split, commit.clone()))),
                Err(SubtreeError::NoTrailer { .. }) => {}
                Err(other) => return Err(refused(format!("{}: {other}", commit.id))),
            }
        }
        if u32::try_from(log.len()).is_ok_and(|seen| seen < depth) {
            break;
        }
    }
    Ok(None)
}

fn describe(facts: &Facts, inputs: &Inputs) -> Result<SubtreeUpdate, Error> {
    let between = |since: &str, to: &str| -> Result<Vec<UpstreamCommit>, Error> {
        let log = facts.upstream.log(Some(since), to, LISTED)?;
        Ok(log.into_iter().map(|commit| UpstreamCommit { sha: commit.id, message: commit.message }).collect())
    };
    let after = &facts.taken.id;
    let (commits, reverted) = match &facts.last {
        Some((split, _)) => (between(&split.id, after)?, between(after, &split.id)?),
        None => (Vec::new(), Vec::new()),
    };
    Ok(SubtreeUpdate {
        prefix: inputs.prefix().to_owned(),
        split_before: facts.last.as_ref().map(|(split, _)| split.id.clone()),
        split_after: after.clone(),
        commits,
        reverted,
        prefix_tree: facts.prefix_tree.clone(),
        upstream_tree: facts.taken.tree.clone(),
        branch: facts.checkout.base.clone(),
    })
}

fn pristine(facts: &Facts, inputs: &Inputs) -> Result<(), Error> {
    let (Some(tree), Some((split, _))) = (&facts.prefix_tree, &facts.last) else { return Ok(()) };
    check_pristine(inputs.prefix(), tree, &split.id, &split.tree).map_err(|error| {
        refused(format!("{error}; `discard-edits = true` takes upstream's files all the same"))
    })
}

/// The squash commit: the previous one with upstream's files. Unchanged files are known by their object ids and are
/// not read.
fn squash(facts: &Facts, repository: &git::Repository, message: String) -> Result<Commit, Error> {
    let parent = facts.last.as_ref().and_then(|(_, squash)| squash.as_ref());
    let old = match parent {
        Some(parent) => repository.entries(&parent.id, "", true)?,
        None => Vec::new(),
    };
    let new = facts.upstream.entries(&facts.taken.id, "", true)?;
    let differs = |entry: &&TreeEntry| !old.contains(entry);
    let writes = checkout::read_entries(&facts.upstream, &facts.taken.id, new.iter().filter(differs))?;
    let gone = old.iter().filter(|entry| !new.iter().any(|kept| kept.path == entry.path));
    let edit = TreeChanges { writes, deletes: gone.map(|entry| entry.path.clone()).collect() };
    repository.build_commit(&CommitSpec {
        parents: parent.map(|parent| parent.id.clone()).into_iter().collect(),
        changes: checkout::changes(&edit),
        message,
        sign_off: false,
    })
}

fn proposal(repository: &str, inputs: &Inputs, update: &SubtreeUpdate) -> Proposal {
    let short = update.split_after.get(..8).unwrap_or(&update.split_after);
    let prefix = inputs.prefix();
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let mut proposal = Proposal {
        // A branch that begins with `release-` would start the image builds of a release branch.
        process: BRANCH,
        // Other subtrees and repositories of a run have reports of their own.
        subject: format!("{name} {short}"),
        title: format!("Update {prefix} to {short}"),
        kind: "cleanup",
        ..Proposal::default()
    };
    let before = update.split_before.as_ref().map_or("nothing", |split| split.get(..8).unwrap_or(split));
    proposal.report.summary = format!(
        "Updates `{prefix}` from {before} to {short} of {}, as `git subtree pull --squash` does. Please merge with a merge \
         commit: a squashed merge loses the trailers that the next update looks for.",
        inputs.upstream
    );
    // The list of the squash message is free of numbers that the forge would link to this repository.
    let message = subtree::squash_message(update);
    let lines = message.lines().skip(1).take_while(|line| !line.starts_with("git-subtree-"));
    proposal.report.changes = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
    proposal.outputs.insert("split-before".to_owned(), json!(update.split_before));
    proposal.outputs.insert("split-after".to_owned(), json!(update.split_after));
    proposal
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lays_out_two_steps_for_each_repository() {
        let graph = steps(r#"{"repositories":["o/one.x","o/two"],"repository":"o/three"}"#).unwrap();
        let ids: Vec<&str> = graph.steps.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(
            ids,
            ["update-three", "merged-three", "update-one-x", "merged-one-x", "update-two", "merged-two"]
        );
        assert!(
            graph.steps.iter().all(|step| step.needs.len() == usize::from(step.id.starts_with("merged-")))
        );
    }

    #[test]
    fn refuses_lists_it_cannot_name() {
        let cases = [
            (r#"{}"#, "no repository is named"),
            (r#"{"repositories":["a/x","b/x"]}"#, "b/x has the name"),
            (r#"{"repositories":["a/x","a/y"],"fork":"me/x"}"#, "expected the owner of the forks"),
            (r#"{"repository":"a/x","prefix":"/"}"#, "`prefix` is empty"),
        ];
        for (inputs, expected) in cases {
            assert!(format!("{:?}", read(inputs)).contains(expected), "{inputs}");
        }
    }

    #[test]
    fn a_proposal_names_upstream_commits_without_linking_numbers() {
        let inputs = read(r#"{"repository":"o/r"}"#).unwrap();
        let update = SubtreeUpdate {
            prefix: "release-tools".to_owned(),
            split_before: Some("a".repeat(40)),
            split_after: "b".repeat(40),
            commits: vec![UpstreamCommit {
                sha: "c".repeat(40),
                message: "Merge pull request #7 from x/y\n\nFix (#8)\n".to_owned(),
            }],
            reverted: Vec::new(),
            prefix_tree: None,
            upstream_tree: "d".repeat(40),
            branch: "main".to_owned(),
        };
        let proposal = proposal("o/r", &inputs, &update);
        assert_eq!(proposal.report.changes.len(), 1);
        assert!(subtree::numbers_read_by_notes_tools(&proposal.report.body("cleanup")).is_empty());
        assert_eq!(report::branch(BRANCH, &proposal.subject), "update-release-tools-r-bbbbbbbb");
    }
}
