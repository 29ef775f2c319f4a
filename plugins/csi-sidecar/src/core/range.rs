//! Which commits a release covers: from the version wanted, the tags and the branches alone. Overrides are
//! explicit inputs, never guesses.

use std::collections::BTreeMap;

use castoff_sdk::version::{ReleaseKind, TagSet, Version};
use serde::{Deserialize, Serialize};

/// What is known of the repository before anything is decided.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// `master` or `main`.
    pub default_branch: &'a str,
    /// Branch name to commit of its head.
    pub branches: &'a BTreeMap<String, String>,
    /// All tags.
    pub tags: &'a TagSet,
}

/// What a release manager may decide differently.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Branch to release from.
    pub branch: Option<String>,
    /// Tag the notes start at; also admits a version that is not the next of its line.
    pub since: Option<String>,
    /// Versions left out on purpose (burnt by a failed build, tagged by mistake).
    pub skip: Vec<Version>,
}

/// The answer: branch, start and files of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRange {
    /// The version.
    pub version: Version,
    /// Its kind.
    pub kind: ReleaseKind,
    /// Branch whose head is released and which the changelog pull request targets.
    pub branch: String,
    /// Commit of that head: end of the range.
    pub head: String,
    /// `release-X.Y`.
    pub release_branch: String,
    /// Whether the release branch has to be created with the tag.
    pub creates_branch: bool,
    /// Tag where the notes start and which the entry names.
    pub since: String,
    /// Commit of that tag. The range is `merge-base(since, head)..head`, first parents only.
    pub since_commit: String,
    /// File of the entry.
    pub changelog: String,
    /// Older changelog files, nearest first, to inherit the style from when the file is new.
    pub previous_changelogs: Vec<String>,
    /// Base branches that pull requests of the range may name.
    pub bases: Vec<String>,
    /// Commit of the version's own tag where it is there already (a resumed release).
    pub tagged: Option<String>,
    /// Things a person should know; none stops the release.
    pub remarks: Vec<String>,
}

impl ReleaseRange {
    /// What to say when the start tag of a patch release is not on its branch: it was made on another branch, and
    /// the notes then start where the two part.
    pub fn start_off_branch(&self, merge_base: &str) -> Option<String> {
        (self.version.patch > 0 && merge_base != self.since_commit).then(|| {
            format!(
                "{} is not on {}; the notes start at {merge_base}, where they part, and may repeat what was released",
                self.since, self.branch
            )
        })
    }

    /// What to say when the branch has moved since the notes were made; nothing while it has not. `merges` are the
    /// subjects of the commits that came, oldest first.
    pub fn moved(&self, head_now: &str, merges: &[String]) -> Option<String> {
        if head_now == self.head {
            return None;
        }
        let list: String = merges.iter().map(|subject| format!("\n- {subject}")).collect();
        Some(format!(
            "{} has moved from {} to {head_now} since the notes were made; add the notes of what came, or release \
             from the older commit:{list}",
            self.branch, self.head
        ))
    }
}

/// Why no range can be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// A patch release needs its branch.
    #[error(
        "{version} is a patch release, but there is no branch {branch}; expected the branch created with {}. \
         Create it at the commit of {}, or ask for the version you meant",
        version.line().first(), version.line().first()
    )]
    MissingReleaseBranch {
        /// Version wanted.
        version: Version,
        /// Branch that is not there.
        branch: String,
    },
    /// The branch to release from does not exist.
    #[error("the repository has no branch {branch}; it has {}. Correct the input `branch` or `default-branch`", .known.join(", "))]
    MissingBranch {
        /// Branch that is not there.
        branch: String,
        /// Branches that are.
        known: Vec<String>,
    },
    /// The version does not follow what was released.
    #[error(transparent)]
    NotNext(#[from] NotNext),
    /// The start tag was given but is no tag of the repository.
    #[error("the start tag {since} does not exist{}", the_nearest(.nearest))]
    MissingSince {
        /// Name given.
        since: String,
        /// Highest release below the version.
        nearest: Option<Version>,
    },
    /// Nothing was released before.
    #[error(
        "no release is tagged below {version}, so the notes have no start; name a tag in the input `since`"
    )]
    NoSince {
        /// Version wanted.
        version: Version,
    },
}

fn the_nearest(version: &Option<Version>) -> String {
    version.map(|version| format!("; the release before is {version}")).unwrap_or_default()
}

/// A version that is not the next of its line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{version} is not the next release{}: expected {}. Did you mean {}? To leave versions out on purpose, name them in the input `skip`",
    after(.latest), choice(.expected), first(.expected)
)]
pub struct NotNext {
    /// Version wanted.
    pub version: Version,
    /// Highest release of all.
    pub latest: Option<Version>,
    /// Versions that would be right, most likely first.
    pub expected: Vec<Version>,
}

impl NotNext {
    /// The version most likely meant.
    pub fn right_version(&self) -> Option<Version> {
        self.expected.first().copied()
    }
}

fn after(latest: &Option<Version>) -> String {
    latest.map(|version| format!(" after {version}")).unwrap_or_default()
}

fn choice(versions: &[Version]) -> String {
    versions.iter().map(Version::to_string).collect::<Vec<_>>().join(" or ")
}

fn first(versions: &[Version]) -> String {
    versions.first().map(Version::to_string).unwrap_or_default()
}

/// Path of the changelog of a minor line.
pub fn changelog_file(line: castoff_sdk::version::Line) -> String {
    format!("CHANGELOG/CHANGELOG-{line}.md")
}

/// Decides branch, start and files of a release.
///
/// # Errors
/// [`RangeError`] says what is missing or wrong and how to go on.
pub fn discover(
    version: Version,
    world: World<'_>,
    overrides: &Overrides,
) -> Result<ReleaseRange, RangeError> {
    let mut remarks = Vec::new();
    check_successor(version, world.tags, overrides, &mut remarks)?;
    let (branch, head, creates_branch) = choose_branch(version, world, overrides, &mut remarks)?;
    let (since, since_commit) = choose_start(version, world.tags, overrides, &mut remarks)?;
    let release_branch = version.line().branch();
    let mut bases = vec![branch.clone()];
    if version.patch == 0 && branch != world.default_branch {
        // Merged before the release branch was cut.
        bases.push(world.default_branch.to_owned());
    }
    Ok(ReleaseRange {
        version,
        kind: version.kind(),
        branch,
        head,
        release_branch,
        creates_branch,
        previous_changelogs: older_changelogs(version, &since, world.tags),
        since,
        since_commit,
        changelog: changelog_file(version.line()),
        bases,
        tagged: world.tags.commit(version).map(str::to_owned),
        remarks,
    })
}

fn choose_branch(
    version: Version,
    world: World<'_>,
    overrides: &Overrides,
    remarks: &mut Vec<String>,
) -> Result<(String, String, bool), RangeError> {
    let release_branch = version.line().branch();
    let exists = world.branches.contains_key(&release_branch);
    let name = match &overrides.branch {
        Some(name) => name.clone(),
        None if exists => release_branch.clone(),
        None if version.patch > 0 => {
            return Err(RangeError::MissingReleaseBranch { version, branch: release_branch });
        }
        None => world.default_branch.to_owned(),
    };
    if exists && version.patch == 0 && name == release_branch {
        remarks.push(format!(
            "{release_branch} exists already; {version} is released from it, not from {}",
            world.default_branch
        ));
    }
    let Some(head) = world.branches.get(&name) else {
        let known = world.branches.keys().cloned().collect();
        return Err(RangeError::MissingBranch { branch: name, known });
    };
    Ok((name, head.clone(), !exists && version.kind() != ReleaseKind::Candidate))
}

fn choose_start(
    version: Version,
    tags: &TagSet,
    overrides: &Overrides,
    remarks: &mut Vec<String>,
) -> Result<(String, String), RangeError> {
    if let Some(since) = &overrides.since {
        let Some(commit) = tags.commit_of_name(since) else {
            return Err(RangeError::MissingSince {
                since: since.clone(),
                nearest: tags.latest_below(version),
            });
        };
        return Ok((since.clone(), commit.to_owned()));
    }
    let start = previous_release(version, tags).ok_or(RangeError::NoSince { version })?;
    if version.patch == 0 && start.patch != 0 {
        remarks.push(format!(
            "no vX.Y.0 is tagged below {version}; the notes start at the patch release {start}"
        ));
    }
    let commit = tags.commit(start).unwrap_or_default().to_owned();
    Ok((start.to_string(), commit))
}

/// The release whose tag starts the notes of a version: the one before on the line for a patch, the newest
/// `vX.Y.0` for everything else.
pub fn previous_release(version: Version, tags: &TagSet) -> Option<Version> {
    let of_line = || tags.finals().rev().find(|found| found.line() == version.line() && *found < version);
    let by_kind = if version.patch > 0 { of_line() } else { tags.latest_first_below(version) };
    by_kind.or_else(|| tags.latest_below(version))
}

fn older_changelogs(version: Version, since: &str, tags: &TagSet) -> Vec<String> {
    let start = castoff_sdk::version::TagName::parse(since).ok().map(|tag| tag.version.line());
    let others = tags.finals().rev().map(Version::line).filter(|line| *line < version.line());
    let mut files: Vec<String> = Vec::new();
    for line in start.into_iter().filter(|line| *line != version.line()).chain(others) {
        let file = changelog_file(line);
        if !files.contains(&file) {
            files.push(file);
        }
    }
    files
}

fn check_successor(
    version: Version,
    tags: &TagSet,
    overrides: &Overrides,
    remarks: &mut Vec<String>,
) -> Result<(), RangeError> {
    match successor_fault(version, tags, &overrides.skip) {
        Some(fault) if overrides.since.is_some() => {
            remarks.push(format!("{fault} (accepted because the start tag was given)"));
            Ok(())
        }
        Some(fault) => Err(fault.into()),
        None => Ok(()),
    }
}

/// Checks that a version follows what is released: next patch of its line, next minor of its major version,
/// next major, or next candidate. A version whose candidates are tagged counts as announced. `skip` lists
/// versions left out on purpose.
pub fn successor_fault(version: Version, tags: &TagSet, skip: &[Version]) -> Option<NotNext> {
    let released = |wanted: Version| tags.commit(wanted).is_some() || skip.contains(&wanted);
    let in_major = |major: u64| tags.finals().any(|found| found.major == major);
    let in_line = |wanted: Version| {
        tags.finals().any(|found| found.line() == wanted.line())
            || skip.iter().any(|found| found.line() == wanted.line())
    };
    let announced = tags.latest_candidate(version).is_some();
    let follows = match version {
        _ if tags.finals().next().is_none() => true,
        Version { candidate: Some(_), .. } => candidate_follows(version, tags, skip),
        _ if tags.commit(version).is_some() || announced => true,
        Version { patch: 1.., .. } => released(Version { patch: version.patch - 1, ..version }),
        Version { minor: 1.., .. } => {
            let before = Version { minor: version.minor - 1, ..version };
            in_line(before) || tags.latest_candidate(before).is_some()
        }
        Version { major: 1.., .. } => {
            in_major(version.major - 1) || skip.iter().any(|v| v.major.checked_add(1) == Some(version.major))
        }
        _ => true,
    };
    (!follows).then(|| not_next(version, tags))
}

/// A candidate is the next of its release, which is not out and would itself be a next release.
fn candidate_follows(version: Version, tags: &TagSet, skip: &[Version]) -> bool {
    if tags.commit(version).is_some() {
        return true;
    }
    let release = version.release();
    let next = tags.next_candidate(version);
    let first =
        version.candidate.is_none_or(|number| number <= 1) && tags.latest_candidate(release).is_none();
    let counted = version == next || first;
    let before = version.candidate.and_then(|number| number.checked_sub(1));
    let skipped = before.is_some_and(|number| skip.contains(&Version { candidate: Some(number), ..version }));
    tags.commit(release).is_none() && (counted || skipped) && successor_fault(release, tags, skip).is_none()
}

fn not_next(version: Version, tags: &TagSet) -> NotNext {
    let mut expected = match version.candidate {
        Some(_) if tags.commit(version.release()).is_none() => vec![tags.next_candidate(version)],
        _ => tags.successors(version),
    };
    expected.retain(|candidate| *candidate != version && tags.commit(*candidate).is_none());
    // Nearest to what was typed first; among equals, the newest.
    expected.sort_by_key(|candidate| (distance(version, *candidate), std::cmp::Reverse(*candidate)));
    NotNext { version, latest: tags.latest(), expected }
}

/// In how many places two versions differ.
fn distance(left: Version, right: Version) -> usize {
    [left.major != right.major, left.minor != right.minor, left.patch != right.patch]
        .iter()
        .filter(|d| **d)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> TagSet {
        TagSet::new(names.iter().map(|name| (name, format!("at-{name}"))))
    }

    fn branches(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), format!("head-{name}"))).collect()
    }

    fn version(text: &str) -> Version {
        Version::parse(text).expect(text)
    }

    const TAGGED: &[&str] =
        &["v4.8.0", "v4.9.0", "v4.9.1", "v4.10.0", "v4.10.1", "v5.0.0-rc1", "v2.11", "client/v4.2.0"];

    fn find(text: &str, heads: &[&str], overrides: &Overrides) -> Result<ReleaseRange, RangeError> {
        let (tags, branches) = (tags(TAGGED), branches(heads));
        let world = World { default_branch: "main", branches: &branches, tags: &tags };
        discover(version(text), world, overrides)
    }

    #[test]
    fn branch_and_start_follow_from_the_version() {
        let cases = [
            ("v4.11.0", &["main", "release-4.10"][..], "main", "v4.10.0", true),
            ("v4.11.0", &["main", "release-4.11"], "release-4.11", "v4.10.0", false),
            ("v5.0.0", &["main"], "main", "v4.10.0", true),
            ("v5.0.0-rc2", &["main"], "main", "v4.10.0", false),
            ("v4.10.2", &["main", "release-4.10"], "release-4.10", "v4.10.1", false),
            ("v4.9.2", &["main", "release-4.9"], "release-4.9", "v4.9.1", false),
        ];
        for (text, heads, branch, since, creates) in cases {
            let range = find(text, heads, &Overrides::default()).expect(text);
            assert_eq!(
                (range.branch.as_str(), range.since.as_str(), range.creates_branch),
                (branch, since, creates),
                "{text}"
            );
            assert_eq!(range.since_commit, format!("at-{since}"));
            assert_eq!(range.head, format!("head-{branch}"));
        }
    }

    #[test]
    fn notices_that_the_start_is_elsewhere() {
        let patch = find("v4.10.2", &["main", "release-4.10"], &Overrides::default()).expect("patch");
        assert_eq!(patch.start_off_branch("at-v4.10.1"), None);
        assert!(
            patch
                .start_off_branch("fork")
                .is_some_and(|text| text.contains("v4.10.1 is not on release-4.10"))
        );
        let minor = find("v4.11.0", &["main"], &Overrides::default()).expect("minor");
        assert_eq!(minor.start_off_branch("fork"), None);
    }

    #[test]
    fn notices_that_the_branch_has_moved() {
        let range = find("v4.11.0", &["main"], &Overrides::default()).expect("minor");
        assert_eq!(range.moved("head-main", &[]), None);
        let text = range.moved("newer", &["Merge pull request #9".to_owned()]).expect("moved");
        assert!(text.contains("main has moved from head-main to newer") && text.contains("#9"), "{text}");
    }

    #[test]
    fn names_the_files() {
        let minor = find("v4.11.0", &["main"], &Overrides::default()).expect("minor");
        assert_eq!(minor.changelog, "CHANGELOG/CHANGELOG-4.11.md");
        assert_eq!(
            minor.previous_changelogs.first().map(String::as_str),
            Some("CHANGELOG/CHANGELOG-4.10.md")
        );
        assert_eq!(minor.bases, ["main"]);
        let on_branch = find("v4.11.0", &["main", "release-4.11"], &Overrides::default()).expect("minor");
        assert_eq!(on_branch.bases, ["release-4.11", "main"]);
    }

    #[test]
    fn refuses_versions_out_of_line_and_proposes_the_right_one() {
        let cases = [
            ("v3.10.2", Some("v4.10.2")),
            ("v4.12.0", Some("v4.11.0")),
            ("v4.10.3", Some("v4.10.2")),
            ("v1.11.0", Some("v4.11.0")),
            ("v6.0.0", Some("v5.0.0")),
            ("v5.0.0-rc3", Some("v5.0.0-rc2")),
        ];
        for (text, right) in cases {
            let fault = successor_fault(version(text), &tags(TAGGED), &[]).expect(text);
            assert_eq!(fault.right_version().map(|v| v.to_string()).as_deref(), right, "{text}: {fault}");
        }
        for next in ["v4.10.2", "v4.9.2", "v4.8.1", "v4.11.0", "v5.0.0", "v5.0.0-rc2", "v4.11.0-rc1"] {
            assert_eq!(successor_fault(version(next), &tags(TAGGED), &[]), None, "{next}");
        }
        assert_eq!(successor_fault(version("v4.10.3"), &tags(TAGGED), &[version("v4.10.2")]), None);
    }

    #[test]
    fn explicit_inputs_win() {
        let given = Overrides { since: Some("v4.9.0".to_owned()), ..Overrides::default() };
        let range = find("v4.12.0", &["main"], &given).expect("explicit start");
        assert_eq!(range.since, "v4.9.0");
        assert!(range.remarks.iter().any(|remark| remark.contains("not the next")));
        let wrong = Overrides { since: Some("v4.1.1".to_owned()), ..Overrides::default() };
        let error = find("v4.11.0", &["main"], &wrong).expect_err("no such tag");
        assert!(error.to_string().contains("v4.1.1 does not exist"), "{error}");
    }

    #[test]
    fn says_what_is_missing() {
        let error = find("v4.10.2", &["main"], &Overrides::default()).expect_err("no branch");
        assert!(error.to_string().contains("no branch release-4.10"), "{error}");
        let error = find("v4.11.0", &["master"], &Overrides::default()).expect_err("other default");
        assert!(error.to_string().contains("no branch main; it has master"), "{error}");
        let world =
            World { default_branch: "main", branches: &branches(&["main"]), tags: &TagSet::default() };
        let error = discover(version("v1.0.0"), world, &Overrides::default()).expect_err("nothing before");
        assert_eq!(error, RangeError::NoSince { version: version("v1.0.0") });
    }
}
