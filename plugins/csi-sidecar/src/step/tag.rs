//! The tag: every fact about the commit, the one gate that cannot be taken back, and the refs.
//!
//! Also the process `tag`, for a release whose changelog is merged already.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::Error;
use castoff_sdk::git::{RefSpec, Repository};
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, Step, StepKind};
use castoff_sdk::step::{approval, conflict, done, inputs as read_inputs, invalid};
use castoff_sdk::version::{ReleaseKind, Version};
use serde::{Deserialize, Serialize};

use super::input::Inputs;
use super::preflight::builder_warnings;
use super::world::{LONGEST_WALK, World, list, paths, text};
use super::{input, profile, step};
use crate::core::changelog::{announced, has_heading};
use crate::core::range::{changelog_file, previous_release};
use crate::core::tag_gate::{Refusal, TagFacts, TagPlan, TagRefused, decide};

/// What was checked, and what the tag step shall create.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Checked {
    /// The commit.
    pub(crate) commit: String,
    /// Branch the release is made from.
    pub(crate) branch: String,
    /// Release before.
    pub(crate) previous: Option<String>,
    /// Full names of the refs that are missing.
    pub(crate) create: Vec<String>,
    /// What to see before saying yes.
    pub(crate) remarks: Vec<String>,
    /// Whether the changelog announces the version at the commit.
    pub(crate) heading: bool,
}

/// Describes the process `tag`.
pub(crate) fn describe() -> Process {
    let inputs = vec![
        input("repository", InputKind::Text, true, "repository to tag, as kubernetes-csi/livenessprobe"),
        input("version", InputKind::Text, true, "version, vX.Y.Z or vX.Y.Z-rcN"),
        input("commit", InputKind::Text, false, "commit to tag; the merge of the changelog when left out"),
        input(
            "branch",
            InputKind::Text,
            false,
            "branch a vX.Y.0 is made from; the default branch when left out",
        ),
        input("since", InputKind::Text, false, "tag of the release before; found by itself when left out"),
        input("skip", InputKind::Texts, false, "versions left out on purpose"),
        input(
            "submodules",
            InputKind::Texts,
            false,
            "folders of Go submodules that get the same tag, as client/",
        ),
    ];
    Process {
        name: "tag".to_owned(),
        summary: "Tag a release whose changelog is merged, and create its release branch".to_owned(),
        inputs,
        profiles: vec![profile(
            "seed-2022-02",
            "2022-02",
            "the process as written down in SIDECAR_RELEASE_PROCESS.md",
        )],
    }
}

/// Lays the process out.
pub(crate) fn graph(text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    let steps = vec![
        step(
            "check",
            "Check commit, branch, version and changelog",
            StepKind::Work,
            &[],
            "seed 000, Release Process 11",
        ),
        step("approve", "Approve the tag", StepKind::Gate, &["check"], "seed 000, Release Process 12"),
        tag_step(&["check", "approve"]),
    ];
    Ok(Graph { title: format!("Tag {} {}", inputs.repository, inputs.version), steps })
}

/// The irreversible step, of this process and of `release`.
pub(crate) fn tag_step(needs: &[&str]) -> Step {
    let step = step(
        "tag",
        "Create the tag, and the branch of a new minor release",
        StepKind::Work,
        needs,
        "seed 000, Release Process 12 and 13",
    );
    Step { irreversible: true, ..step }
}

/// Runs a step of the process.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    match context.step.as_str() {
        "check" => check(context),
        "approve" => {
            let checked: Checked = context.needed_output("check")?;
            approve(context, &checked, &[])
        }
        "tag" => {
            let checked: Checked = context.needed_output("check")?;
            tag(context, &checked)
        }
        other => Err(invalid(format!("the process tag has no step {other}"))),
    }
}

fn check(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let world = World::read(&inputs.repository)?;
    let commit = match &inputs.commit {
        Some(commit) => commit.clone(),
        None => announced_commit(&world, &inputs)?,
    };
    let mut checked = examine(&world, &inputs, &commit)?;
    checked.remarks.extend(builder_warnings(&world.repository, &checked.commit)?);
    done(&checked)
}

/// The first commit of the branch whose changelog announces the version; the head where none does.
pub(crate) fn announced_commit(world: &World, inputs: &Inputs) -> Result<String, Error> {
    let version = inputs.version()?;
    let branch = base_branch(world, inputs, version);
    let head = world.head(&branch)?.to_owned();
    let line = line(world, inputs, version, &head)?;
    let headings = headings(&world.repository, version, &line)?;
    let first = line.iter().find(|commit| headings.contains_key(*commit));
    Ok(first.cloned().unwrap_or(head))
}

/// Branch that the gate will ask for: the release branch, for the first release of a line the branch it is cut from.
fn base_branch(world: &World, inputs: &Inputs, version: Version) -> String {
    let release_branch = version.line().branch();
    if version.patch > 0 || world.branches.contains_key(&release_branch) {
        return release_branch;
    }
    inputs.branch.clone().unwrap_or_else(|| world.default_branch.clone())
}

/// First-parent commits of a branch since the release before, oldest first.
fn line(world: &World, inputs: &Inputs, version: Version, head: &str) -> Result<Vec<String>, Error> {
    let since = match &inputs.since {
        Some(name) => world.tags.commit_of_name(name).map(str::to_owned),
        None => previous_release(version, &world.tags)
            .and_then(|found| world.tags.commit(found))
            .map(str::to_owned),
    };
    let start = match since {
        Some(since) => world.repository.merge_base(&since, head)?,
        None => None,
    };
    let walked = world.repository.first_parents(start.as_deref(), head, LONGEST_WALK)?;
    Ok(walked.into_iter().rev().map(|commit| commit.id).collect())
}

/// Commits of a line, oldest first, that have the heading of the version. A heading once merged stays, so the walk
/// goes from the head down to the first commit without it.
fn headings(
    repository: &Repository,
    version: Version,
    line: &[String],
) -> Result<BTreeMap<String, bool>, Error> {
    let mut found = BTreeMap::new();
    for commit in line.iter().rev() {
        if !heading_at(repository, version, commit)? {
            break;
        }
        found.insert(commit.clone(), true);
    }
    Ok(found)
}

fn heading_at(repository: &Repository, version: Version, commit: &str) -> Result<bool, Error> {
    let file = text(repository, commit, &changelog_file(version.line()))?;
    Ok(file.is_some_and(|file| has_heading(&file, version)))
}

/// Versions that the changelogs at a commit announce.
fn announced_at(world: &World, commit: &str) -> Result<Vec<Version>, Error> {
    let mut files = Vec::new();
    for path in paths(&world.repository, commit, "CHANGELOG")? {
        files.extend(text(&world.repository, commit, &path)?);
    }
    Ok(announced(files.iter().map(String::as_str), &world.tags))
}

/// Gathers the facts about a commit and lets the gate decide.
///
/// # Errors
/// `conflict` or `invalid` with every reason to refuse, and the right commit and version where they are known.
pub(crate) fn examine(world: &World, inputs: &Inputs, commit: &str) -> Result<Checked, Error> {
    let found = world.repository.resolve(commit)?;
    let found = found.ok_or_else(|| invalid(format!("{} has no commit {commit}", inputs.repository)))?;
    let (plan, heading) = match Version::parse(&inputs.version) {
        Ok(version) => examine_version(world, inputs, version, &found.id)?,
        Err(error) => return Err(invalid(error)),
    };
    Ok(Checked {
        commit: found.id,
        branch: plan.branch,
        previous: plan.previous.map(|previous| previous.to_string()),
        create: plan.create.into_iter().map(|new| new.name).collect(),
        remarks: plan.remarks,
        heading,
    })
}

fn examine_version(
    world: &World,
    inputs: &Inputs,
    version: Version,
    commit: &str,
) -> Result<(TagPlan, bool), Error> {
    let repository = &world.repository;
    let base = base_branch(world, inputs, version);
    let head = world.branches.get(&base);
    let line = match head {
        Some(head) => line(world, inputs, version, head)?,
        None => Vec::new(),
    };
    let mut headings = headings(repository, version, &line)?;
    let heading = heading_at(repository, version, commit)?;
    headings.insert(commit.to_owned(), heading);
    let contained_in = containing(world, &base, commit)?;
    let mut on_line_of = BTreeSet::new();
    if let Some(head) = head.filter(|_| contained_in.contains(&base))
        && on_line(repository, head, commit)?
    {
        on_line_of.insert(base.clone());
    }
    let default_branch = inputs.branch.as_ref().unwrap_or(&world.default_branch);
    let announced = announced_at(world, commit)?;
    let plan = decide(&TagFacts {
        version: &inputs.version,
        commit,
        default_branch,
        branches: &world.branches,
        tags: &world.tags,
        contained_in: &contained_in,
        on_line_of: &on_line_of,
        line: &line,
        heading_at: &headings,
        announced: &announced,
        skip: &inputs.skipped()?,
        submodules: &inputs.submodules,
    });
    plan.map(|plan| (plan, heading)).map_err(|refused| refusal(&refused))
}

/// Branches of releases, the default branch and the base that contain a commit.
fn containing(world: &World, base: &str, commit: &str) -> Result<BTreeSet<String>, Error> {
    let of_release = |name: &str| {
        name == base || name == world.default_branch || castoff_sdk::version::Line::of_branch(name).is_some()
    };
    let mut found = BTreeSet::new();
    for (name, head) in world.branches.iter().filter(|(name, _)| of_release(name)) {
        if world.repository.is_ancestor(commit, head)? {
            found.insert(name.clone());
        }
    }
    Ok(found)
}

fn on_line(repository: &Repository, head: &str, commit: &str) -> Result<bool, Error> {
    let parent = repository.resolve(commit)?.and_then(|commit| commit.parents.into_iter().next());
    let walked = repository.first_parents(parent.as_deref(), head, LONGEST_WALK)?;
    Ok(walked.iter().any(|found| found.id == commit))
}

/// A refusal as an error: `invalid` where only the request is wrong, `conflict` where the world says otherwise.
fn refusal(refused: &TagRefused) -> Error {
    let mut message = refused.to_string();
    if let Some(version) = &refused.right_version {
        message.push_str(&format!(". The version to release is {version}"));
    }
    let request = |refusal: &Refusal| matches!(refusal, Refusal::Malformed(_) | Refusal::NotNext(_));
    if refused.refusals.iter().all(request) { invalid(message) } else { conflict(message) }
}

/// Gate: question `tag`. `facts` are further lines for the prompt.
pub(crate) fn approve(context: &Context, checked: &Checked, facts: &[String]) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    if checked.create.is_empty() {
        return done(&serde_json::json!({ "by": null, "create": [] }));
    }
    if let Some(answer) = context.approved("tag")? {
        return done(
            &serde_json::json!({ "by": answer.by, "comment": answer.comment, "create": checked.create }),
        );
    }
    Ok(approval("tag", prompt(&inputs, checked, facts), None))
}

fn prompt(inputs: &Inputs, checked: &Checked, facts: &[String]) -> String {
    let heading = if checked.heading { "is in the changelog there" } else { "is NOT in the changelog there" };
    let previous = checked.previous.as_deref().unwrap_or("none");
    let mut lines = vec![
        format!("commit {}, on {}", checked.commit, checked.branch),
        format!("the heading of {} {heading}", inputs.version),
        format!("release before: {previous}"),
    ];
    lines.extend(facts.iter().cloned());
    format!(
        "Create {} in {}? This cannot be undone: the images build at once, and a published tag is never moved.\n{}{}",
        checked.create.join(" and "),
        inputs.repository,
        list("Facts:", &lines),
        list("To know:", &checked.remarks)
    )
}

/// Output of the step `tag`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tagged {
    /// The commit.
    pub(crate) commit: String,
    /// Full names of the refs created; none where all were there.
    pub(crate) created: Vec<String>,
    /// Release before.
    pub(crate) previous: Option<String>,
    /// Whether it is a candidate.
    pub(crate) candidate: bool,
}

/// Creates the refs, all or none. The facts are gathered again: what was approved must still hold.
pub(crate) fn tag(context: &Context, approved: &Checked) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let world = World::read(&inputs.repository)?;
    let checked = examine(&world, &inputs, &approved.commit)?;
    if let Some(new) = checked.create.iter().find(|name| !approved.create.contains(name)) {
        return Err(conflict(format!(
            "{new} was there when the tag was approved and is gone; look at it by hand"
        )));
    }
    let refs: Vec<RefSpec> = checked
        .create
        .iter()
        .map(|name| RefSpec { name: name.clone(), commit: checked.commit.clone(), annotation: None })
        .collect();
    if !refs.is_empty() {
        world.repository.ensure_refs(&refs)?;
    }
    done(&Tagged {
        commit: checked.commit,
        created: checked.create,
        previous: checked.previous,
        candidate: inputs.version()?.kind() == ReleaseKind::Candidate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked() -> Checked {
        Checked {
            commit: "c1".to_owned(),
            branch: "master".to_owned(),
            previous: None,
            create: vec!["refs/tags/v1.0.0".to_owned()],
            remarks: vec!["the builder is gone".to_owned()],
            heading: true,
        }
    }

    #[test]
    fn the_prompt_shows_what_decides() {
        let inputs: Inputs = read_inputs(r#"{"repository": "o/r", "version": "v1.0.0"}"#).expect("inputs");
        let text = prompt(&inputs, &checked(), &["CI: 3 canary jobs pass".to_owned()]);
        for part in
            ["refs/tags/v1.0.0", "o/r", "commit c1, on master", "is in the changelog", "canary", "builder"]
        {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn a_wrong_version_is_a_wrong_request() {
        let error = Version::parse("v1.2").expect_err("malformed");
        let refused = TagRefused {
            refusals: vec![Refusal::Malformed(error)],
            right_commit: None,
            right_version: Some(Version::new(1, 2, 0)),
        };
        let Error::Invalid(message) = refusal(&refused) else { panic!("expected invalid") };
        assert!(message.contains("The version to release is v1.2.0"), "{message}");
    }

    #[test]
    fn a_tag_elsewhere_is_a_conflict() {
        let refusals = vec![Refusal::TagElsewhere {
            name: "v1.0.0".to_owned(),
            found: "a".to_owned(),
            wanted: "b".to_owned(),
        }];
        let refused = TagRefused { refusals, right_commit: None, right_version: None };
        assert!(matches!(refusal(&refused), Error::Conflict(_)));
    }
}
