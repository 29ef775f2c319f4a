//! `rebase-and-tag`: the fork's commits move from one Kubernetes patch to the next, and the result is tagged.
//!
//! As `git rebase --onto NEW OLD OLD_K3S~1` does it, authors and their dates kept; the last commit, made by the tagging, is
//! dropped. What the fork deleted stays deleted; other conflicts go to a person, who settles them on a sheet or in a work
//! tree, and it goes on from there.

use castoff_sdk::git::{self, Commit, ConflictedPath, RebaseSpec, Repository, Resolution};
use castoff_sdk::process::{Condition, Context, Graph, InputKind, Outcome, Process, Question, StepKind};
use castoff_sdk::step::{
    APPROVE, DECLINE, approval, conflict, document, done, inputs as read_inputs, invalid, not_found, waiting,
};
use castoff_sdk::{Error, http, scratch};
use serde::{Deserialize, Serialize};

use super::input::{self, Release, optional};
use super::tree::{tagged, text_at};
use super::{irreversible, step, tag_fork};
use crate::core::fork_tag::{VERSION_FILES, rfc3339};
use crate::core::settlement::{self, Open, Settled};
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
#[serde(default)]
struct Rebased {
    /// The last commit.
    commit: String,
    /// How many commits moved.
    commits: u32,
    /// Commits that the new patch holds already.
    dropped: Vec<String>,
    /// Where the carrying began: the new patch, or a commit that a person made by hand.
    from: Option<Start>,
    /// What a person settled.
    settled: Vec<Path>,
    /// The tags to push.
    tags: Vec<String>,
}

/// Where the carrying begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Start {
    /// The commit to go on top of.
    onto: String,
    /// The fork's commit that is held already, or the old patch.
    since: String,
    /// How many commits are held already.
    held: u32,
}

/// A path that a person settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Path {
    commit: String,
    path: String,
    text: Option<String>,
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
    let range = Range::of(&fork, inputs, &detected)?;
    let mut start = Start { onto: range.onto.clone(), since: range.base.clone(), held: 0 };
    let mut settled: Vec<Path> = Vec::new();
    loop {
        let stopped = match carry(&fork, &range, &start, &settled)? {
            git::Rebased::Done(carried) => return finish(&fork, inputs, carried, start, settled),
            git::Rebased::Stopped(stopped) => stopped,
        };
        let open: Vec<Open> = stopped.paths.into_iter().map(open).collect();
        let id = stopped.commit.id.get(..12).unwrap_or_default().to_owned();
        let Some(answer) = context.answer_to(&id) else {
            keep_work_tree(inputs, [&start.onto, &start.since, &range.last])?;
            return Ok(Outcome::Asks(question(id, &stopped.commit, &open)));
        };
        if answer.choice != APPROVE {
            return Err(conflict(format!("{} gave up the rebase at {}", answer.by, stopped.commit.subject)));
        }
        let again = settled.iter().any(|path| path.commit == stopped.commit.id);
        match settlement::read(answer.document.as_deref().unwrap_or_default(), &open).map_err(conflict)? {
            Settled::Files(files) if !again => settled.extend(files.into_iter().map(|(path, text)| Path {
                commit: stopped.commit.id.clone(),
                path,
                text,
            })),
            Settled::Commit(made) => start = range.after(&fork, &made, &stopped.commit)?,
            Settled::Files(_) => {
                return Err(conflict(format!(
                    "what {} left for {} does not settle it; rebase by hand in a work tree",
                    answer.by, stopped.commit.subject
                )));
            }
        }
    }
}

/// The commits that move, oldest first, and where to.
struct Range {
    onto: String,
    base: String,
    last: String,
    commits: Vec<Commit>,
}

impl Range {
    fn of(fork: &Repository, inputs: &Inputs, detected: &Detected) -> Result<Self, Error> {
        let missing = |what: String| {
            not_found(format!("{} does not hold {what}; bring the fork up to date", inputs.kubernetes_fork))
        };
        let old = detected.old;
        let base =
            tagged(fork, &old.kubernetes.to_string())?.ok_or_else(|| missing(old.kubernetes.to_string()))?;
        let stamped = tagged(fork, &old.to_string())?.ok_or_else(|| missing(old.to_string()))?;
        let onto = fork.resolve(&detected.onto)?.ok_or_else(|| missing(detected.onto.clone()))?;
        let last = stamped.parents.first().filter(|_| stamped.subject == old.to_string());
        let last = last.cloned().ok_or_else(|| {
            conflict(format!(
                "the last commit of {old} is {:?}, not the one that its tagging made",
                stamped.subject
            ))
        })?;
        let mut commits = fork.log(Some(&base.id), &last, COMMITS)?;
        commits.reverse();
        Ok(Self { onto: onto.id, base: base.id, last, commits })
    }

    /// Where to go on from a commit that a person made by hand.
    fn after(&self, fork: &Repository, made: &str, at: &Commit) -> Result<Start, Error> {
        let found = fork.resolve(made)?;
        let found = found.ok_or_else(|| not_found(format!("{made}; push it to a branch of the fork")))?;
        if !fork.is_ancestor(&self.onto, &found.id)? {
            return Err(conflict(format!("{made} is not on top of the new patch {}", self.onto)));
        }
        let stopped = self.commits.iter().position(|commit| commit.id == at.id).unwrap_or_default();
        let known = self.commits.iter().rposition(|commit| commit.subject == found.subject);
        let held = known.filter(|held| *held >= stopped).ok_or_else(|| {
            conflict(format!(
                "{made} is {:?}, which is not {:?} of the fork and none after it",
                found.subject, at.subject
            ))
        })?;
        let since = self.commits.get(held).map_or(&self.base, |commit| &commit.id);
        let held = u32::try_from(held + 1).unwrap_or(u32::MAX);
        Ok(Start { onto: found.id, since: since.clone(), held })
    }
}

/// Carries what is left. What the fork deletes stays deleted, whatever became of it upstream.
fn carry(fork: &Repository, range: &Range, start: &Start, settled: &[Path]) -> Result<git::Rebased, Error> {
    let resolution = |path: &Path| Resolution {
        commit: path.commit.clone(),
        path: path.path.clone(),
        content: path.text.clone().map(String::into_bytes),
    };
    fork.rebase(&RebaseSpec {
        onto: start.onto.clone(),
        since: start.since.clone(),
        last: range.last.clone(),
        deletions_win: true,
        resolutions: settled.iter().map(resolution).collect(),
    })
}

fn open(path: ConflictedPath) -> Open {
    let text = path.content.and_then(|content| String::from_utf8(content).ok());
    Open { path: path.path, reason: path.reason, text }
}

fn question(id: String, commit: &Commit, open: &[Open]) -> Question {
    let paths: Vec<&str> = open.iter().map(|one| one.path.as_str()).collect();
    Question {
        id,
        prompt: format!(
            "{:?} of the fork and the new patch both changed {}. Leave the files as they shall be, or the line `commit ID` \
             for what was settled in a work tree (rebase.sh makes one).",
            commit.subject,
            paths.join(", ")
        ),
        document: Some(document("conflicts.txt", settlement::sheet(&commit.subject, open), true)),
        choices: vec![APPROVE.to_owned(), DECLINE.to_owned()],
        approvals: 1,
    }
}

fn keep_work_tree(inputs: &Inputs, range: [&str; 3]) -> Result<(), Error> {
    let tag = inputs.release.tag()?.fork().to_string();
    let text = settlement::work_tree(&inputs.kubernetes_fork, &tag, range);
    scratch::publish(&format!("rebase-{tag}.sh"), "text/x-shellscript", text.as_bytes())
}

fn finish(
    fork: &Repository,
    inputs: &Inputs,
    carried: git::Carried,
    start: Start,
    settled: Vec<Path>,
) -> Result<Outcome, Error> {
    let tag = inputs.release.tag()?.fork().to_string();
    let tip = carried.commit.id;
    let has_version = VERSION_FILES.iter().try_fold(false, |found, path| -> Result<bool, Error> {
        Ok(found || fork.read(&tip, path)?.is_some())
    })?;
    let tags = if has_version { tag_fork::stamp(fork, &tip, &tag, "")?.tags } else { Vec::new() };
    let commits = carried.count.saturating_add(start.held);
    done(&Rebased { commit: tip, commits, dropped: carried.dropped, from: Some(start), settled, tags })
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
    let range = Range::of(&fork, inputs, &detected)?;
    let start = rebased.from.ok_or_else(|| invalid("the step rebase left no beginning"))?;
    let git::Rebased::Done(again) = carry(&fork, &range, &start, &rebased.settled)? else {
        return Err(conflict("the rebase meets a conflict that it did not meet before"));
    };
    if again.commit.id != rebased.commit {
        return Err(conflict(format!(
            "the rebase gives {} and gave {} before; the fork changed meanwhile",
            again.commit.id, rebased.commit
        )));
    }
    let stamped = tag_fork::stamp(&fork, &rebased.commit, &tag, &rfc3339(context.pinned))?;
    tag_fork::push(&fork, &tag, &stamped)?;
    done(&stamped)
}
