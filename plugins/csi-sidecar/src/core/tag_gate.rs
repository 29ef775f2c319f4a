//! The gate before the one step that cannot be taken back: creating the tag, which starts the image build at
//! once. Pure over facts; the answer is a list of refs to create, or every reason to refuse, with the right
//! commit or version where it is known.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::version::{ReleaseKind, TagSet, Version, VersionError};

use crate::core::range::{NotNext, changelog_file, previous_release, successor_fault};

/// What is known when a tag is asked for.
#[derive(Clone, Debug)]
pub struct TagFacts<'a> {
    /// Version as given, not yet checked.
    pub version: &'a str,
    /// Commit to tag.
    pub commit: &'a str,
    /// `master` or `main`.
    pub default_branch: &'a str,
    /// Branch name to commit of its head.
    pub branches: &'a BTreeMap<String, String>,
    /// All tags.
    pub tags: &'a TagSet,
    /// Branches that contain the commit anywhere.
    pub contained_in: &'a BTreeSet<String>,
    /// Branches whose first-parent line contains the commit.
    pub on_line_of: &'a BTreeSet<String>,
    /// Commits of the line of the base branch since the previous release, oldest first; its head is the last.
    pub line: &'a [String],
    /// For each commit looked at, whether the changelog of the line has the heading of the version.
    pub heading_at: &'a BTreeMap<String, bool>,
    /// For a wrong version: the versions that the changelogs at the commit do announce.
    pub announced: &'a [Version],
    /// Versions left out on purpose.
    pub skip: &'a [Version],
    /// Submodule prefixes to tag with the same version, such as `client/`.
    pub submodules: &'a [String],
}

/// A ref to create, always at the requested commit; tags are lightweight.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewRef {
    /// Full name: `refs/tags/v1.2.3`, `refs/heads/release-1.2`.
    pub name: String,
    /// Commit.
    pub commit: String,
}

/// What the gate lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagPlan {
    /// The version.
    pub version: Version,
    /// Its kind.
    pub kind: ReleaseKind,
    /// Branch the release is made from.
    pub branch: String,
    /// Release before.
    pub previous: Option<Version>,
    /// Refs that are missing; empty when all is done.
    pub create: Vec<NewRef>,
    /// Things to see before saying yes.
    pub remarks: Vec<String>,
}

/// One reason to refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The version cannot be a release.
    #[error("{0}")]
    Malformed(VersionError),
    /// The version does not follow what is released.
    #[error("{0}")]
    NotNext(NotNext),
    /// The tag exists at another commit; tags are never moved.
    #[error(
        "tag {name} exists at {found}, not at the requested commit {wanted}; a published tag is never moved. \
         Release the next version instead"
    )]
    TagElsewhere {
        /// Name of the tag.
        name: String,
        /// Where it is.
        found: String,
        /// Where it was asked for.
        wanted: String,
    },
    /// The commit belongs to another version.
    #[error(
        "requested commit is already tagged {}; one commit is released under one version. Merge the changelog of \
         the new version first, then tag that merge", list(.0)
    )]
    AlreadyReleased(Vec<Version>),
    /// The branch that a patch release is made from does not exist.
    #[error("there is no branch {branch} to release {version} from; create it at the tag of {}", version.line().first())]
    MissingBranch {
        /// Branch that is not there.
        branch: String,
        /// Version wanted.
        version: Version,
    },
    /// The commit is not part of the branch, or only inside a merged pull request.
    #[error("requested commit is not on {branch}{}", where_is_it(.inside, .others))]
    NotOnBranch {
        /// Branch the release is made from.
        branch: String,
        /// The branch contains it, but not on its own line.
        inside: bool,
        /// Branches that have it.
        others: Vec<String>,
    },
    /// The changelog was not merged before.
    #[error(
        "no changelog heading for the version at the requested commit: {file} does not say \"Release notes for \
         {version}\" there{}", where_is_the_heading(.announced)
    )]
    NoHeading {
        /// Version wanted.
        version: Version,
        /// File looked at.
        file: String,
        /// Versions announced there instead.
        announced: Vec<Version>,
    },
}

fn list(versions: &[Version]) -> String {
    versions.iter().map(Version::to_string).collect::<Vec<_>>().join(", ")
}

fn where_is_it(inside: &bool, others: &[String]) -> String {
    match (inside, others) {
        (true, _) => " itself but inside a pull request merged there; tag the merge".to_owned(),
        (false, []) => String::new(),
        (false, others) => format!("; it is on {}", others.join(", ")),
    }
}

fn where_is_the_heading(announced: &[Version]) -> String {
    match announced {
        [] => ". Merge the changelog pull request first".to_owned(),
        announced => format!("; the changelog there announces {}", list(announced)),
    }
}

/// A refused tag: all reasons at once, and the way out where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", reasons(.refusals), way_out(.right_commit))]
pub struct TagRefused {
    /// Reasons, never empty.
    pub refusals: Vec<Refusal>,
    /// Commit that could be tagged: the first of the branch that has the changelog heading.
    pub right_commit: Option<String>,
    /// Version that was probably meant.
    pub right_version: Option<Version>,
}

fn reasons(refusals: &[Refusal]) -> String {
    refusals.iter().map(Refusal::to_string).collect::<Vec<_>>().join("; ")
}

fn way_out(commit: &Option<String>) -> String {
    commit.as_ref().map(|commit| format!(". The commit to tag is {commit}")).unwrap_or_default()
}

/// Decides about a tag and the release branch that may come with it.
///
/// Nothing to do, success and conflict are told apart by what exists: refs at the requested commit are done,
/// refs elsewhere are refused.
///
/// # Errors
/// [`TagRefused`] with every reason.
pub fn decide(facts: &TagFacts<'_>) -> Result<TagPlan, TagRefused> {
    let version = Version::parse(facts.version).map_err(|error| TagRefused {
        right_version: error.proposal,
        refusals: vec![Refusal::Malformed(error)],
        right_commit: None,
    })?;
    let release_branch = version.line().branch();
    let branch_exists = facts.branches.contains_key(&release_branch);
    let from_default = version.patch == 0 && !branch_exists;
    let branch = if from_default { facts.default_branch.to_owned() } else { release_branch.clone() };

    let mut remarks = Vec::new();
    let mut refusals = Vec::new();
    refusals.extend(branch_fault(version, &branch, facts));
    refusals.extend(heading_fault(version, facts, &mut remarks));
    refusals.extend(tag_faults(version, facts));
    refusals.extend(successor_refusal(version, facts, &mut remarks));
    if !refusals.is_empty() {
        return Err(refused(refusals, facts));
    }

    let mut create: Vec<NewRef> = tag_names(version, facts.submodules)
        .filter(|name| facts.tags.commit_of_name(name).is_none())
        .map(|name| new_ref(format!("refs/tags/{name}"), facts.commit))
        .collect();
    if from_default && version.is_final() {
        create.push(new_ref(format!("refs/heads/{release_branch}"), facts.commit));
    }
    remarks.extend(submodule_remark(version, facts));
    Ok(TagPlan {
        version,
        kind: version.kind(),
        branch,
        previous: previous_release(version, facts.tags),
        create,
        remarks,
    })
}

fn new_ref(name: String, commit: &str) -> NewRef {
    NewRef { name, commit: commit.to_owned() }
}

/// The version's tag and those of the submodules.
fn tag_names(version: Version, submodules: &[String]) -> impl Iterator<Item = String> {
    std::iter::once(version.to_string())
        .chain(submodules.iter().map(move |prefix| format!("{}/{version}", prefix.trim_end_matches('/'))))
}

fn tag_faults(version: Version, facts: &TagFacts<'_>) -> Vec<Refusal> {
    let elsewhere = tag_names(version, facts.submodules).filter_map(|name| {
        let found = facts.tags.commit_of_name(&name).filter(|found| *found != facts.commit)?;
        Some(Refusal::TagElsewhere { name, found: found.to_owned(), wanted: facts.commit.to_owned() })
    });
    let mut faults: Vec<Refusal> = elsewhere.collect();
    let mut others = facts.tags.finals_at(facts.commit);
    others.retain(|found| *found != version);
    if !others.is_empty() {
        faults.push(Refusal::AlreadyReleased(others));
    }
    faults
}

fn branch_fault(version: Version, branch: &str, facts: &TagFacts<'_>) -> Option<Refusal> {
    if !facts.branches.contains_key(branch) {
        return Some(Refusal::MissingBranch { branch: branch.to_owned(), version });
    }
    if facts.on_line_of.contains(branch) {
        return None;
    }
    let inside = facts.contained_in.contains(branch);
    let others = facts.contained_in.iter().filter(|name| *name != branch).cloned().collect();
    Some(Refusal::NotOnBranch { branch: branch.to_owned(), inside, others })
}

fn heading_fault(version: Version, facts: &TagFacts<'_>, remarks: &mut Vec<String>) -> Option<Refusal> {
    if facts.heading_at.get(facts.commit).copied().unwrap_or(false) {
        return None;
    }
    if !version.is_final() {
        remarks.push(format!("the changelog does not announce {version}; that is usual for a candidate"));
        return None;
    }
    let announced = facts.announced.iter().copied().filter(|found| *found != version).collect();
    Some(Refusal::NoHeading { version, file: changelog_file(version.line()), announced })
}

/// A version ahead of the next one is refused unless the merged changelog announces it: then the reviewers of
/// the changelog have decided, and a person sees it before the tag is made.
fn successor_refusal(version: Version, facts: &TagFacts<'_>, remarks: &mut Vec<String>) -> Option<Refusal> {
    let fault = successor_fault(version, facts.tags, facts.skip)?;
    let ahead = facts.tags.latest().is_none_or(|latest| version > latest)
        || facts.tags.latest_of(version.line()).is_some_and(|latest| version > latest);
    if ahead && facts.heading_at.get(facts.commit).copied().unwrap_or(false) {
        remarks.push(format!("{fault}. The changelog at the commit announces {version}"));
        return None;
    }
    Some(Refusal::NotNext(fault))
}

fn refused(refusals: Vec<Refusal>, facts: &TagFacts<'_>) -> TagRefused {
    let wrong_place = refusals.iter().any(|refusal| {
        matches!(
            refusal,
            Refusal::NotOnBranch { .. } | Refusal::NoHeading { .. } | Refusal::AlreadyReleased(_)
        )
    });
    let wrong_version = refusals.iter().find_map(|refusal| match refusal {
        Refusal::NotNext(fault) => Some(announced_or_nearest(fault, facts.announced)),
        _ => None,
    });
    let with_heading = |commit: &&String| facts.heading_at.get(*commit).copied().unwrap_or(false);
    let right_commit = facts.line.iter().find(with_heading).filter(|_| wrong_place).cloned();
    TagRefused { refusals, right_commit, right_version: wrong_version.flatten() }
}

/// Among the versions that could come next, the one the changelog announces.
fn announced_or_nearest(fault: &NotNext, announced: &[Version]) -> Option<Version> {
    let both = fault.expected.iter().find(|version| announced.contains(version));
    both.copied().or_else(|| fault.right_version())
}

fn submodule_remark(version: Version, facts: &TagFacts<'_>) -> Option<String> {
    let untagged: Vec<String> = facts
        .tags
        .prefixes()
        .filter(|prefix| {
            !facts.submodules.iter().any(|given| given.trim_end_matches('/') == prefix.trim_end_matches('/'))
        })
        .map(|prefix| format!("{prefix}{version}"))
        .filter(|name| facts.tags.commit_of_name(name).is_none())
        .collect();
    (!untagged.is_empty())
        .then(|| format!("the repository also tags submodules; not planned: {}", untagged.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small repository: `main` with m1..m3, `release-1.2` with r1..r2 since v1.2.0.
    struct Sample {
        branches: BTreeMap<String, String>,
        tags: Vec<(&'static str, &'static str)>,
        on: BTreeSet<String>,
        line: Vec<String>,
        headings: BTreeMap<String, bool>,
        announced: Vec<Version>,
        submodules: Vec<String>,
    }

    impl Sample {
        fn new(on: &[&str], line: &[&str], headings: &[&str]) -> Sample {
            let head = |name: &str, commit: &str| (name.to_owned(), commit.to_owned());
            Sample {
                branches: BTreeMap::from([head("main", "m3"), head("release-1.2", "r2")]),
                tags: vec![("v1.1.0", "a"), ("v1.2.0", "b"), ("v2.0", "x")],
                on: on.iter().map(|name| (*name).to_owned()).collect(),
                line: line.iter().map(|name| (*name).to_owned()).collect(),
                headings: headings.iter().map(|name| ((*name).to_owned(), true)).collect(),
                announced: Vec::new(),
                submodules: Vec::new(),
            }
        }

        fn decide(&self, version: &str, commit: &str) -> Result<TagPlan, TagRefused> {
            decide(&TagFacts {
                version,
                commit,
                default_branch: "main",
                branches: &self.branches,
                tags: &TagSet::new(self.tags.iter().copied()),
                contained_in: &self.on,
                on_line_of: &self.on,
                line: &self.line,
                heading_at: &self.headings,
                announced: &self.announced,
                skip: &[],
                submodules: &self.submodules,
            })
        }
    }

    fn names(plan: &TagPlan) -> Vec<&str> {
        plan.create.iter().map(|new| new.name.as_str()).collect()
    }

    #[test]
    fn a_minor_release_brings_its_branch() {
        let mut sample = Sample::new(&["main"], &["m1", "m2", "m3"], &["m3"]);
        let plan = sample.decide("v1.3.0", "m3").expect("allowed");
        assert_eq!(names(&plan), ["refs/tags/v1.3.0", "refs/heads/release-1.3"]);
        assert_eq!(plan.previous, Some(Version::new(1, 2, 0)));
        assert!(plan.create.iter().all(|new| new.commit == "m3"));
        // Interrupted after the tag, then after both.
        sample.tags.push(("v1.3.0", "m3"));
        assert_eq!(names(&sample.decide("v1.3.0", "m3").expect("resumed")), ["refs/heads/release-1.3"]);
        sample.branches.insert("release-1.3".into(), "m3".into());
        sample.on.insert("release-1.3".into());
        assert_eq!(names(&sample.decide("v1.3.0", "m3").expect("done")), Vec::<&str>::new());
        // The branch elsewhere.
        sample.on.remove("release-1.3");
        let refused = sample.decide("v1.3.0", "m3").expect_err("branch elsewhere");
        assert!(refused.to_string().contains("not on release-1.3"), "{refused}");
    }

    #[test]
    fn a_patch_release_needs_its_branch_and_its_changelog() {
        let sample = Sample::new(&["release-1.2"], &["r1", "r2"], &["r1", "r2"]);
        assert_eq!(names(&sample.decide("v1.2.1", "r2").expect("allowed")), ["refs/tags/v1.2.1"]);

        let wrong_branch = Sample::new(&["main"], &["r1", "r2"], &["r1", "r2"]);
        let refused = wrong_branch.decide("v1.2.1", "m3").expect_err("wrong branch");
        let text = refused.to_string();
        assert!(text.contains("requested commit is not on release-1.2; it is on main"), "{text}");
        assert!(text.contains("no changelog heading for the version at the requested commit"), "{text}");
        assert_eq!(refused.right_commit.as_deref(), Some("r1"));

        let nothing_merged = Sample::new(&["main"], &["r1", "r2"], &[]);
        assert_eq!(nothing_merged.decide("v1.2.1", "m3").expect_err("refused").right_commit, None);
        let refused = sample.decide("v1.1.1", "r2").expect_err("no branch");
        assert!(refused.to_string().contains("no branch release-1.1"), "{refused}");
    }

    #[test]
    fn wrong_versions_are_named_with_the_right_one() {
        let mut sample = Sample::new(&["main"], &["m3"], &[]);
        sample.announced = vec![Version::new(1, 3, 0)];
        let cases = [
            ("v1.3", "v1.3.0", "not vX.Y.Z"),
            ("v0.3.0", "v1.3.0", "not the next release"),
            ("v1.4.0", "v1.3.0", "announces v1.3.0"),
        ];
        for (text, right, fault) in cases {
            let refused = sample.decide(text, "m3").expect_err(text);
            assert_eq!(
                refused.right_version.map(|version| version.to_string()).as_deref(),
                Some(right),
                "{refused}"
            );
            assert!(refused.to_string().contains(fault), "{refused}");
        }
    }

    #[test]
    fn a_jump_that_the_changelog_announces_is_shown_not_refused() {
        let sample = Sample::new(&["main"], &["m3"], &["m3"]);
        let plan = sample.decide("v3.0.0", "m3").expect("announced");
        assert!(
            plan.remarks.iter().any(|remark| remark.contains("not the next release")),
            "{:?}",
            plan.remarks
        );
        assert!(sample.decide("v1.0.5", "m3").is_err());
    }

    #[test]
    fn tags_are_never_moved_and_commits_never_tagged_twice() {
        let mut sample = Sample::new(&["main"], &["m3"], &["m3"]);
        sample.tags.push(("v1.3.0", "other"));
        let refused = sample.decide("v1.3.0", "m3").expect_err("moved");
        assert!(refused.to_string().contains("tag v1.3.0 exists at other"), "{refused}");
        sample.tags.pop();
        sample.tags.push(("v1.3.0-rc1", "m3"));
        assert!(sample.decide("v1.3.0", "m3").is_ok(), "a candidate may become the release");
        sample.tags.push(("v1.3.0", "m3"));
        sample.branches.insert("release-1.3".into(), "m3".into());
        sample.on.insert("release-1.3".into());
        let refused = sample.decide("v1.3.1", "m3").expect_err("retag");
        assert!(refused.to_string().contains("already tagged v1.3.0"), "{refused}");
    }

    #[test]
    fn candidates_and_submodules() {
        let mut sample = Sample::new(&["main"], &["m3"], &[]);
        let plan = sample.decide("v1.3.0-rc1", "m3").expect("candidate");
        assert_eq!(names(&plan), ["refs/tags/v1.3.0-rc1"]);
        sample.tags.push(("client/v1.2.0", "b"));
        let plan = sample.decide("v1.3.0-rc1", "m3").expect("candidate");
        assert!(plan.remarks.iter().any(|remark| remark.contains("client/v1.3.0-rc1")), "{:?}", plan.remarks);
        sample.submodules = vec!["client/".to_owned()];
        let plan = sample.decide("v1.3.0-rc1", "m3").expect("candidate");
        assert_eq!(names(&plan), ["refs/tags/v1.3.0-rc1", "refs/tags/client/v1.3.0-rc1"]);
    }
}
