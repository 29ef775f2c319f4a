//! Process `audit`: every version there is, held against what its tags should be. Reads git and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::Error;
use castoff_sdk::go_sum;
use castoff_sdk::process::{Context, Graph, Input, InputKind, Outcome, Process, StepKind};
use castoff_sdk::scratch;
use castoff_sdk::step::{done, inputs as read_inputs, not_found, words};
use serde::Serialize;

use super::checkout::{Checkout, hash_at, list, modules_at, text_at, warn};
use super::input::{self, Inputs, optional};
use super::{profiles, step};
use crate::core::audit::{Finding, VersionFacts, tag_of, versions};
use crate::core::module::ModuleSet;

/// Its name.
pub(crate) const NAME: &str = "audit";

/// Describes the process.
pub(crate) fn describe() -> Process {
    let version = Input { required: false, ..input::version("version to look at; all when left out") };
    let mut inputs = vec![
        version,
        optional("commit", InputKind::Text, "commit where its tags belong; found by itself when left out"),
    ];
    inputs.extend(input::place());
    Process {
        name: NAME.to_owned(),
        summary: "Report faults of the tags there are, from git alone".to_owned(),
        inputs,
        profiles: profiles(),
    }
}

/// Lays it out.
pub(crate) fn graph(profile: &str, text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    input::profile(profile)?;
    let steps = vec![step(
        "audit",
        "Hold every version against its tags",
        StepKind::Work,
        &[],
        "Tags and update go submodules",
    )];
    Ok(Graph {
        title: format!("Audit {} {}", inputs.repository, inputs.version).trim_end().to_owned(),
        steps,
    })
}

/// What was found about a version.
#[derive(Debug, Serialize)]
struct Audited {
    version: String,
    /// Where its tags belong.
    commit: String,
    /// The refs that a complete version has.
    refs: BTreeMap<String, String>,
    findings: Vec<Finding>,
}

/// Runs its step.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = Inputs::of(context)?;
    let checkout = Checkout::open(&inputs.repository, inputs.branch.as_deref())?;
    let mut eye = Eye { checkout: &checkout, sets: BTreeMap::new(), on_main: BTreeMap::new() };
    let tags = checkout.tags()?;
    let mut facts = versions(&tags);
    if !inputs.version.is_empty() {
        facts.retain(|version, _| *version == inputs.version);
        if facts.is_empty() {
            facts.insert(
                inputs.version.clone(),
                VersionFacts { version: inputs.version.clone(), ..VersionFacts::default() },
            );
        }
    }
    let mut audited = Vec::new();
    for mut facts in facts.into_values() {
        eye.look(&mut facts, inputs.commit.as_deref())?;
        let Some(commit) = inputs.commit.clone().or_else(|| facts.commit().map(str::to_owned)) else {
            return Err(not_found(format!("a tag of {}", facts.version)));
        };
        audited.push(Audited {
            refs: facts.refs(&commit),
            findings: facts.findings(&commit),
            version: facts.version,
            commit,
        });
    }
    if inputs.version.is_empty() {
        moved(&checkout, &tags, &mut audited)?;
    }
    let lines = report(&audited);
    lines.iter().for_each(|line| warn(line));
    let text = format!("# Tags of {}\n{}", inputs.repository, list("Faults:", &lines));
    match scratch::publish("audit.md", "text/markdown; charset=utf-8", text.as_bytes()) {
        Err(error @ Error::Denied(_)) => warn(&format!("audit.md is not kept: {}", words(&error))),
        other => other?,
    }
    done(&serde_json::json!({ "faults": lines.len(), "versions": audited }))
}

fn report(audited: &[Audited]) -> Vec<String> {
    let line = |version: &str, finding: &Finding| match finding {
        Finding::VersionGrammar { .. } => {
            format!("{version}: not of the form vX.Y.Z[-alpha.N]; it sorts where nobody expects it")
        }
        Finding::RequireMismatch { requires } => {
            let told: Vec<String> = requires
                .iter()
                .flat_map(|(file, siblings)| {
                    siblings.iter().map(move |(sibling, found)| format!("{file} requires {sibling} {found}"))
                })
                .collect();
            format!("{version}: the tagged modules require other versions: {}", told.join(", "))
        }
        Finding::OffMain { name, commit } => {
            format!("{version}: {name} is at {commit}, which never was merged")
        }
        Finding::NotOneCommit { commits } => {
            format!("{version}: its tags name several commits: {}", commits.join(", "))
        }
        Finding::MissingRef { refs } => format!("{version}: missing {}", refs.join(", ")),
        Finding::MovedTag { name, recorded, computed } => {
            format!("{version}: {name} was moved: go.sum recorded {recorded}, its content is {computed}")
        }
    };
    audited
        .iter()
        .flat_map(|one| one.findings.iter().map(|finding| line(&one.version, finding)).collect::<Vec<_>>())
        .collect()
}

/// Reads each commit once.
struct Eye<'a> {
    checkout: &'a Checkout,
    sets: BTreeMap<String, ModuleSet>,
    on_main: BTreeMap<String, bool>,
}

impl Eye<'_> {
    fn look(&mut self, facts: &mut VersionFacts, commit: Option<&str>) -> Result<(), Error> {
        let named: BTreeSet<String> =
            facts.modules.values().chain(&facts.root).cloned().chain(commit.map(str::to_owned)).collect();
        for commit in named {
            let repository = &self.checkout.repository;
            if !self.sets.contains_key(&commit) {
                self.sets.insert(commit.clone(), modules_at(repository, &commit)?);
                self.on_main.insert(commit.clone(), repository.is_ancestor(&commit, &self.checkout.head.id)?);
            }
            if self.on_main.get(&commit) == Some(&true) {
                facts.on_main.insert(commit.clone());
            }
            if let Some(set) = self.sets.get(&commit) {
                facts.at.insert(commit, set.clone());
            }
        }
        Ok(())
    }
}

/// Tags whose content is not what a `go.sum` of the repository once recorded: the proxy had seen another content by then.
fn moved(checkout: &Checkout, tags: &BTreeMap<String, String>, audited: &mut [Audited]) -> Result<(), Error> {
    let own = format!("github.com/{}", checkout.name);
    let repository = &checkout.repository;
    let mut read: BTreeSet<String> = BTreeSet::new();
    let mut recorded: BTreeSet<(String, String, String)> = BTreeSet::new();
    let commits: BTreeSet<&String> = tags.values().chain([&checkout.head.id]).collect();
    for commit in commits {
        let sums =
            repository.entries(commit, "", true)?.into_iter().filter(|entry| entry.path.ends_with("go.sum"));
        for entry in sums {
            if !read.insert(entry.id) {
                continue;
            }
            let text = text_at(repository, commit, &entry.path)?.unwrap_or_default();
            let lines = text.lines().filter(|line| line.starts_with(&own)).collect::<Vec<_>>().join("\n");
            for line in go_sum::parse(&lines).into_iter().filter(|line| !line.go_mod) {
                if let Some(tag) = tag_of(&own, &line).filter(|tag| tags.contains_key(tag)) {
                    recorded.insert((tag, line.version, line.hash));
                }
            }
        }
    }
    let mut computed: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (tag, version, hash) in recorded {
        let Some(commit) = tags.get(&tag) else { continue };
        if !computed.contains_key(&tag) {
            let folder = tag.strip_suffix(&format!("/{version}")).unwrap_or_default();
            let hashed = hash_at(repository, commit, folder, &version)?;
            computed.insert(tag.clone(), hashed.map(|hashed| hashed.hashes.h1));
        }
        let Some(Some(found)) = computed.get(&tag) else { continue };
        if *found != hash {
            let finding = Finding::MovedTag {
                name: format!("refs/tags/{tag}"),
                recorded: hash,
                computed: found.clone(),
            };
            if let Some(one) = audited.iter_mut().find(|one| one.version == version) {
                one.findings.push(finding);
            }
        }
    }
    Ok(())
}
