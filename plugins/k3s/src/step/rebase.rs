//! `rebase-and-tag`: the fork's commits move from one Kubernetes patch to the next, and the result is tagged.
//!
//! As `git rebase --onto NEW OLD OLD_K3S~1` does it, commit by commit; the last one, made by the tagging, is dropped. What the
//! fork deleted stays deleted; a conflict of content goes to a person, whose text is taken from there on.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::git::{self, Change, Commit, CommitSpec, EntryKind, File, Repository, TreeEntry};
use castoff_sdk::process::{Condition, Context, Graph, InputKind, Outcome, Process, Question, StepKind};
use castoff_sdk::step::{
    APPROVE, DECLINE, approval, conflict, document, done, inputs as read_inputs, invalid, not_found, waiting,
};
use castoff_sdk::{Error, http};
use serde::{Deserialize, Serialize};

use super::input::{self, Release, optional};
use super::tree::{tagged, text_at};
use super::{irreversible, step, tag_fork};
use crate::core::fork_tag::{VERSION_FILES, rfc3339};
use crate::core::merge::{Merged, has_markers, merge};
use crate::core::version::{ForkTag, client};

pub(super) const NAME: &str = "rebase-and-tag";
const COMMITS: u32 = 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Inputs {
    #[serde(flatten)]
    release: Release,
    old: Option<ForkTag>,
    #[serde(default = "input::fork")]
    kubernetes_fork: String,
    #[serde(default = "input::upstream")]
    upstream: String,
    #[serde(default = "modules")]
    modules: Vec<String>,
}

/// Modules of Kubernetes whose publication is waited for: the last one published is usually `cri-client`.
fn modules() -> Vec<String> {
    vec!["k8s.io/client-go".to_owned(), "k8s.io/cri-client".to_owned()]
}

/// What step `detect` found.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Detected {
    /// Tag of the fork whose commits move.
    old: ForkTag,
    /// The new Kubernetes commit.
    onto: String,
    /// Its Go version.
    go: Option<String>,
}

/// What step `rebase` built.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Rebased {
    /// The last commit.
    commit: String,
    /// How many commits moved.
    commits: usize,
    /// Texts that a person wrote, by question.
    resolved: BTreeMap<String, String>,
    /// The tags to push.
    tags: Vec<String>,
}

pub(super) fn describe() -> Process {
    let mut inputs = input::release().to_vec();
    inputs.extend([
        optional(
            "old",
            InputKind::Text,
            "Tag of the fork whose commits move, `v1.34.2-k3s1`; the newest of the minor when left out",
        ),
        optional("kubernetes-fork", InputKind::Text, "The Kubernetes fork; k3s-io/kubernetes when left out"),
        optional("upstream", InputKind::Text, "Kubernetes itself; kubernetes/kubernetes when left out"),
        optional(
            "modules",
            InputKind::Texts,
            "Modules that have to be on the Go module proxy; client-go and cri-client when left out",
        ),
    ]);
    input::process(NAME, "Move the Kubernetes fork to a new patch and tag it", inputs)
}

pub(super) fn steps(text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    let tag = inputs.release.tag()?.fork();
    let row = "Rebasing and Generating Tags";
    Ok(Graph {
        title: format!("{}: {tag}", inputs.kubernetes_fork),
        steps: vec![
            step(
                "detect",
                "Wait for the Kubernetes patch and its modules",
                StepKind::Wait,
                &[],
                "Clone and Setup Remotes",
            ),
            step("rebase", "Move the fork's commits onto the new patch", StepKind::Work, &["detect"], row),
            step("approve", "Approve the tags", StepKind::Gate, &["rebase"], "Push tags to k3s-io remote"),
            irreversible(
                "tag",
                "Commit the version and push all tags at once",
                &["approve"],
                "Push tags to k3s-io remote",
            ),
        ],
    })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    match context.step.as_str() {
        "detect" => detect(&inputs),
        "rebase" => rebase(context, &inputs),
        "approve" => approve(context, &inputs),
        "tag" => tag(context, &inputs),
        other => Err(invalid(format!("{NAME} has no step {other}"))),
    }
}

fn detect(inputs: &Inputs) -> Result<Outcome, Error> {
    let new = inputs.release.tag()?.fork();
    let upstream = git::open(&inputs.upstream)?;
    let Some(onto) = tagged(&upstream, &new.kubernetes.to_string())? else {
        return Ok(waiting(
            Condition::Other(format!("tag {} of {}", new.kubernetes, inputs.upstream)),
            format!("Kubernetes {} is not released yet", new.kubernetes),
            None,
            1800,
            0,
        ));
    };
    for module in &inputs.modules {
        let version = client(new.kubernetes);
        let url = format!("https://proxy.golang.org/{module}/@v/{version}.info");
        let request =
            http::Request { method: "GET".into(), url: url.clone(), headers: Vec::new(), body: None };
        match http::fetch(&request)?.status {
            200 => {}
            // What the module proxy protocol says of versions that it does not have.
            status @ (404 | 410) => {
                return Ok(waiting(
                    Condition::ModuleVisible((module.clone(), version.clone())),
                    format!("{module} {version} is published later than the tag; the proxy answers {status}"),
                    Some(url),
                    900,
                    0,
                ));
            }
            other => {
                return Err(Error::Unavailable(format!(
                    "the module proxy answers {other} for {module} {version}"
                )));
            }
        }
    }
    let fork = git::open(&inputs.kubernetes_fork)?;
    let old = match inputs.old {
        Some(old) => old,
        None => newest(&fork, new)?,
    };
    let go = text_at(&upstream, &onto.id, ".go-version")?.map(|text| text.trim().to_owned());
    done(&Detected { old, onto: onto.id, go })
}

/// The newest tag of the fork below the new one, of the same minor; its suffix is not always k3s1.
fn newest(fork: &Repository, new: ForkTag) -> Result<ForkTag, Error> {
    let line = new.kubernetes.line();
    let found = fork.references(&format!("refs/tags/v{line}.*-k3s*"))?;
    let tags = found.iter().filter_map(|found| ForkTag::parse(found.name.strip_prefix("refs/tags/")?).ok());
    let newest = tags.filter(|tag| tag.kubernetes.line() == line && *tag < new).max();
    newest.ok_or_else(|| not_found(format!("the fork has no tag of {line} below {new}; name one as `old`")))
}

fn rebase(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let detected: Detected = context.needed_output("detect")?;
    let fork = git::open(&inputs.kubernetes_fork)?;
    let answers = resolved(context)?;
    match replay(&fork, inputs, &detected, answers)? {
        Replay::Conflict(question) => Ok(Outcome::Asks(*question)),
        Replay::Done(rebased) => done(&rebased),
    }
}

/// The texts that people left for conflicts of this step.
fn resolved(context: &Context) -> Result<BTreeMap<String, String>, Error> {
    let mut texts = BTreeMap::new();
    for answer in &context.answers {
        if answer.choice != APPROVE {
            return Err(conflict(format!("{} gave up the rebase at {}", answer.by, answer.question)));
        }
        let text = answer.document.clone().filter(|text| !has_markers(text));
        let text = text.ok_or_else(|| {
            conflict(format!("the text for {} still has conflict markers", answer.question))
        })?;
        texts.insert(answer.question.clone(), text);
    }
    Ok(texts)
}

enum Replay {
    Done(Rebased),
    Conflict(Box<Question>),
}

fn replay(
    fork: &Repository,
    inputs: &Inputs,
    detected: &Detected,
    resolved: BTreeMap<String, String>,
) -> Result<Replay, Error> {
    let missing = |what: String| {
        not_found(format!("{} does not hold {what}; bring the fork up to date", inputs.kubernetes_fork))
    };
    let old = detected.old;
    let base =
        tagged(fork, &old.kubernetes.to_string())?.ok_or_else(|| missing(old.kubernetes.to_string()))?;
    let last = tagged(fork, &old.to_string())?.ok_or_else(|| missing(old.to_string()))?;
    let mut tip = fork.resolve(&detected.onto)?.ok_or_else(|| missing(detected.onto.clone()))?;
    let mut commits = fork.log(Some(&base.id), &last.id, COMMITS)?;
    if commits.first().is_some_and(|commit| commit.subject == old.to_string()) {
        commits.remove(0);
    } else {
        return Err(conflict(format!(
            "the last commit of {old} is {:?}, not the one that its tagging made",
            last.subject
        )));
    }
    let count = commits.len();
    for commit in commits.into_iter().rev() {
        let [parent] = commit.parents.as_slice() else {
            return Err(conflict(format!(
                "{} of the fork is a merge; commits of the fork are linear",
                commit.id
            )));
        };
        let mut picked = Pick {
            fork,
            base: parent,
            ours: &tip.id,
            theirs: &commit,
            resolved: &resolved,
            changes: Vec::new(),
        };
        if let Some(question) = picked.folder("")? {
            return Ok(Replay::Conflict(Box::new(question)));
        }
        let changes = picked.changes;
        if changes.is_empty() {
            continue;
        }
        let message = commit.message.clone();
        tip = fork.build_commit(&CommitSpec {
            parents: vec![tip.id.clone()],
            changes,
            message,
            sign_off: false,
        })?;
    }
    let tag = inputs.release.tag()?.fork().to_string();
    let has_version = VERSION_FILES.iter().try_fold(false, |found, path| -> Result<bool, Error> {
        Ok(found || fork.read(&tip.id, path)?.is_some())
    })?;
    let tags = if has_version { tag_fork::stamp(fork, &tip.id, &tag, "")?.tags } else { Vec::new() };
    Ok(Replay::Done(Rebased { commit: tip.id, commits: count, resolved, tags }))
}

/// One commit of the fork, carried onto another tree.
struct Pick<'a> {
    fork: &'a Repository,
    base: &'a str,
    ours: &'a str,
    theirs: &'a Commit,
    resolved: &'a BTreeMap<String, String>,
    changes: Vec<Change>,
}

type Entries = BTreeMap<String, TreeEntry>;

impl Pick<'_> {
    fn entries(&self, commit: &str, folder: &str) -> Result<Entries, Error> {
        match self.fork.entries(commit, folder, false) {
            Ok(entries) => Ok(entries.into_iter().map(|entry| (entry.path.clone(), entry)).collect()),
            Err(Error::NotFound(_)) => Ok(Entries::new()),
            Err(other) => Err(other),
        }
    }

    /// Carries what differs below a folder; only folders that differ are opened.
    fn folder(&mut self, folder: &str) -> Result<Option<Question>, Error> {
        let (base, theirs) = (self.entries(self.base, folder)?, self.entries(&self.theirs.id, folder)?);
        let ours = self.entries(self.ours, folder)?;
        let paths: BTreeSet<&String> = base.keys().chain(theirs.keys()).collect();
        for path in paths {
            let (before, after, mine) = (base.get(path), theirs.get(path), ours.get(path));
            if same(before, after) || same(after, mine) {
                continue;
            }
            if let Some(question) = self.entry(path, before, after, mine)? {
                return Ok(Some(question));
            }
        }
        Ok(None)
    }

    fn entry(
        &mut self,
        path: &str,
        before: Option<&TreeEntry>,
        after: Option<&TreeEntry>,
        mine: Option<&TreeEntry>,
    ) -> Result<Option<Question>, Error> {
        let folders = [before, after, mine]
            .into_iter()
            .flatten()
            .filter(|entry| entry.kind == EntryKind::Directory)
            .count();
        match (before, after, mine) {
            // What the fork deletes stays deleted, whatever became of it upstream.
            (_, None, Some(_)) => self.changes.push(Change::Remove(path.to_owned())),
            (_, None, None) => {}
            (_, Some(after), _)
                if after.kind == EntryKind::Directory
                    && (mine.is_none() || folders == 3 || before.is_none()) =>
            {
                if same(before, mine) || mine.is_none() {
                    self.changes.push(Change::Graft((path.to_owned(), after.id.clone())));
                } else {
                    return self.folder(path);
                }
            }
            (_, Some(after), _) if same(before, mine) => self.take(path, after)?,
            (Some(_), Some(_), Some(_)) if folders == 0 => return self.text(path),
            _ => {
                return Err(conflict(format!(
                    "{path}: {} changes what the new patch deleted or made anew; rebase by hand",
                    self.theirs.subject
                )));
            }
        }
        Ok(None)
    }

    fn take(&mut self, path: &str, entry: &TreeEntry) -> Result<(), Error> {
        let content = self.read(&self.theirs.id, path)?;
        self.changes.push(Change::Put(File { path: path.to_owned(), kind: entry.kind, content }));
        Ok(())
    }

    fn read(&self, commit: &str, path: &str) -> Result<Vec<u8>, Error> {
        self.fork.read(commit, path)?.ok_or_else(|| not_found(format!("{path} at {commit}")))
    }

    fn text(&mut self, path: &str) -> Result<Option<Question>, Error> {
        let text = |commit: &str| -> Result<String, Error> {
            String::from_utf8(self.read(commit, path)?)
                .map_err(|_| conflict(format!("{path} is no text and changed on both sides")))
        };
        let merged = merge(&text(self.base)?, &text(self.ours)?, &text(&self.theirs.id)?);
        let id = format!("{} {path}", self.theirs.id.get(..12).unwrap_or_default());
        let text = match (merged, self.resolved.get(&id)) {
            (Merged::Clean(text), _) => text,
            (Merged::Conflict(_), Some(text)) => text.clone(),
            (Merged::Conflict(text), None) => {
                let prompt = format!(
                    "{path}: {:?} of the fork and the new patch changed the same lines. Leave the text as it shall be.",
                    self.theirs.subject
                );
                return Ok(Some(Question {
                    id,
                    prompt,
                    document: Some(document(path.rsplit('/').next().unwrap_or(path), text, true)),
                    choices: vec![APPROVE.to_owned(), DECLINE.to_owned()],
                    approvals: 1,
                }));
            }
        };
        let kind = self.entries(&self.theirs.id, path.rsplit_once('/').map_or("", |(folder, _)| folder))?;
        let kind = kind.get(path).map_or(EntryKind::File, |entry| entry.kind);
        self.changes.push(Change::Put(File { path: path.to_owned(), kind, content: text.into_bytes() }));
        Ok(None)
    }
}

fn same(one: Option<&TreeEntry>, other: Option<&TreeEntry>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.id == other.id && one.kind == other.kind,
        (None, None) => true,
        _ => false,
    }
}

fn approve(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let rebased: Rebased = context.needed_output("rebase")?;
    let detected: Detected = context.needed_output("detect")?;
    if let Some(answer) = context.approved("tags")? {
        return done(&serde_json::json!({ "by": answer.by }));
    }
    let prompt = format!(
        "Push {} tags to {} on {} commits moved from {}? Tags are never moved or taken back.",
        rebased.tags.len(),
        inputs.kubernetes_fork,
        rebased.commits,
        detected.old
    );
    Ok(approval("tags", prompt, Some(document("tags.txt", rebased.tags.join("\n"), false))))
}

/// The commits are built again: only what a ref names outlives the step that built it.
fn tag(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let rebased: Rebased = context.needed_output("rebase")?;
    let detected: Detected = context.needed_output("detect")?;
    let fork = git::open(&inputs.kubernetes_fork)?;
    let tag = inputs.release.tag()?.fork().to_string();
    let Replay::Done(again) = replay(&fork, inputs, &detected, rebased.resolved)? else {
        return Err(conflict("the rebase meets a conflict that it did not meet before"));
    };
    if again.commit != rebased.commit {
        return Err(conflict(format!(
            "the rebase gives {} and gave {} before; the fork changed meanwhile",
            again.commit, rebased.commit
        )));
    }
    let stamped = tag_fork::stamp(&fork, &again.commit, &tag, &rfc3339(context.pinned))?;
    tag_fork::push(&fork, &tag, &stamped)?;
    done(&stamped)
}
