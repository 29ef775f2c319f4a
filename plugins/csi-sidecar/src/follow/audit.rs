//! `audit`: accidents in the past of a repository, so that somebody finds them before its users do. Changes nothing.
//!
//! What the repository itself shows is always looked at; [`outside`] looks at registries and other repositories where that is granted.

mod outside;

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::git::{Commit, Reference};
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, Step, StepKind};
use castoff_sdk::tree::Tree;
use castoff_sdk::version::{Line, TagSet, Version};
use castoff_sdk::{Error, scratch};
use serde::Deserialize;
use serde_json::json;

use super::checkout::Checkout;
use super::graph;
use super::input::{self, invalid};
use super::{deploy_images, hostpath_deployment, report};
use crate::core::accident::{Accident, RangeCommit, false_notes, skipped_versions, tag_accidents};
use crate::core::changelog::{self, Entry};
use crate::core::deploy_images::{TagPlan, bump};
use crate::core::hostpath;
use crate::core::range::changelog_file;

pub(super) const NAME: &str = "audit";

const STEP: &str = "audit";
const SOURCE: &str = "KEP 001, versioning and artifacts";
/// Commits of one release that are looked at.
const RANGE: u32 = 10_000;
/// Commits between changelog and tag that are looked at.
const LATE: u32 = 50;

/// What the process is told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    repository: String,
    base: Option<String>,
    since: Option<String>,
    #[serde(default = "directory")]
    directory: String,
    #[serde(default = "releases")]
    releases: usize,
    #[serde(default = "crate::step::input::staging")]
    staging: String,
    #[serde(default = "crate::step::input::production")]
    production: String,
    #[serde(default = "crate::step::input::promotion_repository")]
    promotion_repository: String,
    #[serde(default = "crate::step::input::promotion_file")]
    promotion_file: String,
    #[serde(default = "crate::step::input::docs_repository")]
    docs_repository: String,
    #[serde(default = "crate::chain::release_tools")]
    release_tools: String,
    #[serde(default = "crate::chain::test_infra")]
    test_infra: String,
}

fn directory() -> String {
    "deploy".to_owned()
}

fn releases() -> usize {
    10
}

pub(super) fn process() -> Process {
    let inputs = vec![
        input::required("repository", InputKind::Text, "Repository to look at, `owner/name`"),
        input::optional(
            "base",
            InputKind::Text,
            "Branch whose files are looked at; the default branch when left out",
        ),
        input::optional("since", InputKind::Text, "Oldest release to look at, `v3.0.0`; all when left out"),
        input::optional("directory", InputKind::Text, "Folder of the deployments; `deploy` when left out"),
        input::optional(
            "releases",
            InputKind::Integer,
            "How many of the newest releases are followed into the registries; 10 when left out",
        ),
        input::optional(
            "staging",
            InputKind::Text,
            "Registry of the builds; that of sig-storage when left out",
        ),
        input::optional(
            "production",
            InputKind::Text,
            "Registry of users; that of sig-storage when left out",
        ),
        input::optional(
            "promotion-repository",
            InputKind::Text,
            "Repository of the promotion list; `kubernetes/k8s.io` when left out",
        ),
        input::optional("promotion-file", InputKind::Text, "Path of that list; sig-storage's when left out"),
        input::optional(
            "docs-repository",
            InputKind::Text,
            "Repository of the documentation; `kubernetes-csi/docs` when left out",
        ),
        input::optional(
            "release-tools",
            InputKind::Text,
            "Repository of prow.sh; `kubernetes-csi/csi-release-tools` when left out",
        ),
        input::optional(
            "test-infra",
            InputKind::Text,
            "Repository of gen-jobs.sh; `kubernetes/test-infra` when left out",
        ),
    ];
    graph::process(
        NAME,
        "Report accidents of past releases: tags, branches, notes, changelogs, deployments",
        inputs,
    )
}

pub(super) fn steps(inputs: &str) -> Result<Graph, Error> {
    let inputs = read(inputs)?;
    let step = Step {
        id: STEP.to_owned(),
        title: format!("Look at the past of {}", inputs.repository),
        kind: StepKind::Work,
        needs: Vec::new(),
        irreversible: false,
        source: SOURCE.to_owned(),
    };
    Ok(Graph { title: format!("Audit of {}", inputs.repository), steps: vec![step] })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = read(&context.inputs)?;
    if context.step != STEP {
        return Err(invalid(format!("{NAME} has no step {}", context.step)));
    }
    let past = Past::open(&inputs)?;
    let mut findings = vec![
        ("tags", past.tags()),
        ("branches", past.branches()?),
        ("notes", past.notes()?),
        ("late merges", past.late_merges()?),
        ("changelogs", past.changelogs()?),
        ("deployments", past.deployments(&inputs.directory)?),
    ];
    let mut left_out = Vec::new();
    for (part, found) in outside::parts(&past, &inputs, context.pinned) {
        match found {
            Ok(found) => findings.push((part, found)),
            Err(why) => left_out.push(format!("{part}: {why}")),
        }
    }
    let (text, counts) = summary(&inputs.repository, &findings, &left_out);
    scratch::publish("audit.md", "text/markdown", text.as_bytes())?;
    let output = json!({ "repository": inputs.repository, "findings": counts, "not-looked-at": left_out, "report": text });
    Ok(Outcome::Done(output.to_string()))
}

fn read(inputs: &str) -> Result<Inputs, Error> {
    let inputs: Inputs = input::read(inputs)?;
    if let Some(since) = &inputs.since {
        Version::parse(since).map_err(invalid)?;
    }
    Ok(inputs)
}

/// The report and the number of findings of each part.
fn summary<'a>(
    repository: &str,
    findings: &[(&'a str, Vec<String>)],
    left_out: &[String],
) -> (String, BTreeMap<&'a str, usize>) {
    let counts: BTreeMap<&str, usize> = findings.iter().map(|(part, lines)| (*part, lines.len())).collect();
    let total: usize = counts.values().sum();
    let mut text = format!("# Audit of {repository}\n\n{total} findings.\n\n");
    for (part, lines) in findings {
        text.push_str(&report::list(&format!("## {part}"), lines, usize::MAX));
    }
    text.push_str(&report::list("## Not looked at", left_out, usize::MAX));
    (text, counts)
}

/// A repository with its tags and release branches.
struct Past {
    checkout: Checkout,
    /// Tag name → commit.
    names: BTreeMap<String, String>,
    tags: TagSet,
    /// Release branches: name → commit.
    branches: BTreeMap<String, String>,
    since: Option<Version>,
}

impl Past {
    fn open(inputs: &Inputs) -> Result<Self, Error> {
        let checkout = Checkout::open(&inputs.repository, inputs.base.as_deref())?;
        let names = by_name(checkout.repository.references("refs/tags/**")?, "refs/tags/");
        let branches = by_name(checkout.repository.references("refs/heads/release-*")?, "refs/heads/");
        let tags = TagSet::new(names.iter().map(|(name, commit)| (name.as_str(), commit.clone())));
        let since = inputs.since.as_deref().and_then(|since| Version::parse(since).ok());
        Ok(Self { checkout, names, tags, branches, since })
    }

    /// Releases to look at, oldest first, with their commits.
    fn releases(&self) -> impl Iterator<Item = (Version, &str)> {
        let wanted =
            |version: &Version| version.is_final() && self.since.is_none_or(|since| *version >= since);
        self.tags.versions().filter(move |(version, _)| wanted(version))
    }

    fn tags(&self) -> Vec<String> {
        let recent = |tag: &str| match (self.since, Version::parse(tag)) {
            (Some(since), Ok(version)) => version >= since,
            _ => true,
        };
        let names = self.names.iter().filter(|(tag, _)| recent(tag));
        let names: BTreeMap<String, String> =
            names.map(|(tag, commit)| (tag.clone(), commit.clone())).collect();
        let finals: Vec<Version> = self.tags.finals().collect();
        let skipped = skipped_versions(&finals);
        let skipped = skipped.iter().filter(|accident| match accident {
            Accident::Skipped { version, .. } => self.since.is_none_or(|since| *version >= since),
            _ => true,
        });
        tag_accidents(&names).iter().chain(skipped).map(ToString::to_string).collect()
    }

    /// Heads of the default branch and of the newest release branches, with their names.
    fn heads(&self, most: usize) -> Vec<(String, String)> {
        let mut lines: Vec<(Line, &String)> = self
            .branches
            .iter()
            .filter_map(|(name, commit)| Some((Line::of_branch(name)?, commit)))
            .collect();
        lines.sort_by(|(a, _), (b, _)| b.cmp(a));
        let own = (self.checkout.base.clone(), self.checkout.head.id.clone());
        let newest = lines.into_iter().take(most).map(|(line, commit)| (line.branch(), commit.clone()));
        std::iter::once(own).chain(newest).collect()
    }

    /// Tags that are not on the release branch of their line, and lines without one.
    fn branches(&self) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        for (version, commit) in self.releases() {
            let branch = version.line().branch();
            let Some(head) = self.branches.get(&branch) else {
                if version.patch == 0 {
                    found.push(format!(
                        "{version} has no branch {branch}; create it at {commit} before the next patch"
                    ));
                }
                continue;
            };
            if !self.checkout.repository.is_ancestor(commit, head)? {
                found.push(format!(
                    "{version} is at {commit}, which is not on {branch}; release the next patch from that branch"
                ));
            }
        }
        Ok(found)
    }

    /// Notes that belong to other repositories, and releases without an entry.
    fn notes(&self) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        for (version, commit) in self.releases() {
            let Some((path, entry)) = self.entry(version, commit)? else {
                found.push(format!(
                    "{version} has no entry in {} at its tag; add one on the release branch",
                    changelog_file(version.line())
                ));
                continue;
            };
            let noted = numbers(&entry);
            let Some(start) = self.start(&entry).filter(|_| !noted.is_empty()) else { continue };
            let commits = self.range(start, commit)?;
            let accidents = false_notes(&commits, &noted);
            found.extend(accidents.iter().map(|accident| format!("{path}, {version}: {accident}")));
        }
        Ok(found)
    }

    /// Merges between the changelog of a release and its tag: they are released without having been looked at for notes.
    fn late_merges(&self) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        for (version, commit) in self.releases() {
            if self.entry(version, commit)?.is_none() {
                continue;
            }
            let mut late: Vec<Commit> = Vec::new();
            // From the tag down to the commit that brought the entry.
            for commit in self.checkout.repository.first_parents(None, commit, LATE)? {
                let parent = commit.parents.first().map(String::as_str);
                let entered = match parent {
                    Some(parent) => self.entry(version, parent)?.is_none(),
                    None => true,
                };
                if entered {
                    break;
                }
                late.push(commit);
            }
            let subjects: Vec<&str> = late.iter().map(|commit| commit.subject.as_str()).collect();
            if !subjects.is_empty() {
                found.push(format!(
                    "{version} was tagged {} commits after its changelog; check them for notes: {}",
                    subjects.len(),
                    subjects.join("; ")
                ));
            }
        }
        Ok(found)
    }

    /// The entry of a version at its tag, in the file of its line or in one at the top of old repositories.
    fn entry(&self, version: Version, commit: &str) -> Result<Option<(String, Entry)>, Error> {
        let path = changelog_file(version.line());
        let top = path.rsplit_once('/').map_or_else(|| path.clone(), |(_, name)| name.to_owned());
        for path in [path, top] {
            let bytes = self.checkout.repository.read(commit, &path)?;
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            if let Some(entry) = text.and_then(|text| changelog::entry_of(&text, version)) {
                return Ok(Some((path, entry)));
            }
        }
        Ok(None)
    }

    /// Commit of the tag that the entry starts after.
    fn start(&self, entry: &Entry) -> Option<&str> {
        let since = entry.since.as_deref()?;
        let version = Version::parse(&format!("v{}", since.trim_start_matches('v'))).ok()?;
        self.tags.commit(version)
    }

    fn range(&self, start: &str, end: &str) -> Result<Vec<RangeCommit>, Error> {
        let repository = &self.checkout.repository;
        let base = repository.merge_base(start, end)?;
        let line = repository.first_parents(base.as_deref(), end, RANGE)?;
        let line: BTreeSet<String> = line.into_iter().map(|commit| commit.id).collect();
        let all = repository.log(base.as_deref(), end, RANGE)?;
        let commits = all.into_iter().map(|commit| RangeCommit {
            first_parent: line.contains(&commit.id),
            sha: commit.id,
            message: commit.message,
        });
        Ok(commits.collect())
    }

    /// Faults of the changelog files at the head of the branch.
    fn changelogs(&self) -> Result<Vec<String>, Error> {
        let files = match self.checkout.below("CHANGELOG", |_| true) {
            Ok(files) => files,
            Err(Error::NotFound(_)) => return Ok(vec!["there is no folder CHANGELOG".to_owned()]),
            Err(other) => return Err(other),
        };
        let texts: BTreeMap<&str, &str> =
            files.iter().filter_map(|(path, file)| Some((path.as_str(), file.text()?))).collect();
        let mut found: Vec<String> =
            changelog::lint_paths(texts.keys().copied()).iter().map(ToString::to_string).collect();
        for (path, text) in &texts {
            found
                .extend(changelog::lint(path, text, &self.tags).iter().map(|lint| format!("{path}: {lint}")));
        }
        let announced = changelog::announced(texts.values().copied(), &self.tags);
        found.extend(announced.iter().map(|version| format!("{version} has an entry and no tag")));
        Ok(found)
    }

    /// Faults of the deployments at the head of the branch.
    fn deployments(&self, folder: &str) -> Result<Vec<String>, Error> {
        let folder = folder.trim_end_matches('/');
        let tree = match self.checkout.below(folder, |_| true) {
            Ok(tree) => tree,
            Err(Error::NotFound(_)) => return Ok(Vec::new()),
            Err(other) => return Err(other),
        };
        Ok(deployment_findings(&tree, folder))
    }
}

fn deployment_findings(tree: &Tree, folder: &str) -> Vec<String> {
    // Links out of the folder cannot be judged here.
    let inside = format!("{folder}/");
    let faults = hostpath::audit(tree, folder, &|path| !path.starts_with(&inside));
    let images = bump(tree, &TagPlan::default()).map(|bump| bump.findings).unwrap_or_default();
    faults.iter().map(hostpath_deployment::fault).chain(images.iter().map(deploy_images::remark)).collect()
}

fn numbers(entry: &Entry) -> Vec<u64> {
    entry.sections.iter().flat_map(|section| &section.notes).filter_map(|note| note.number).collect()
}

fn by_name(references: Vec<Reference>, prefix: &str) -> BTreeMap<String, String> {
    let named = references
        .into_iter()
        .filter_map(|reference| Some((reference.name.strip_prefix(prefix)?.to_owned(), reference.commit)));
    named.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use castoff_sdk::tree::FileEntry;

    #[test]
    fn reports_deployments_and_counts_findings() {
        let tree: Tree = [
            (
                "deploy/kubernetes-1.5/p.yaml",
                FileEntry::file("image: registry.k8s.io/k8s-staging-x/one:v1.0.0\n"),
            ),
            ("deploy/kubernetes-1.5/kubernetes-1.6", FileEntry::symlink("kubernetes-1.6")),
            ("deploy/kubernetes-1.7", FileEntry::symlink("kubernetes-1.4")),
            ("deploy/kubernetes-1.5/out.sh", FileEntry::symlink("../../hack/out.sh")),
        ]
        .into_iter()
        .map(|(path, entry)| (path.to_owned(), entry))
        .collect();
        let found = deployment_findings(&tree, "deploy");
        assert_eq!(found.len(), 3, "{found:?}");
        let (text, counts) = summary(
            "o/r",
            &[("tags", Vec::new()), ("deployments", found)],
            &["images: not granted".to_owned()],
        );
        assert_eq!(counts, [("deployments", 3), ("tags", 0)].into());
        assert!(text.contains("3 findings") && !text.contains("## tags"));
        assert!(text.ends_with("## Not looked at\n\n- images: not granted\n\n"), "{text}");
    }

    #[test]
    fn one_step_that_changes_nothing() {
        let graph = steps(r#"{"repository":"o/r"}"#).unwrap();
        assert_eq!(graph.steps.iter().map(|step| step.id.as_str()).collect::<Vec<_>>(), [STEP]);
        assert!(steps(r#"{"repository":"o/r","since":"soon"}"#).is_err());
    }
}
