//! Versions and tags as Kubernetes projects write them: `vX.Y.Z`, `vX.Y.Z-rcN`, and the same behind a prefix
//! (`client/v6.0.0`) for a Go submodule. Everything here orders by semantic version, never by text: text puts
//! `v4.9.0` after `v4.12.0` and has sent release managers to the wrong start tag.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A release version: three numbers and possibly a candidate number.
///
/// The text form is always `vX.Y.Z` or `vX.Y.Z-rcN`; candidates order before their release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// First number: changes when something breaks.
    pub major: u64,
    /// Second number: changes with features.
    pub minor: u64,
    /// Third number: changes with fixes.
    pub patch: u64,
    /// `N` of `-rcN`.
    pub candidate: Option<u64>,
}

/// Why a text is not a release version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not vX.Y.Z or vX.Y.Z-rcN: {fault}{}", proposal_text(.proposal))]
pub struct VersionError {
    /// The text as given.
    pub found: String,
    /// What is wrong with it, in words.
    pub fault: String,
    /// The spelling that was probably meant.
    pub proposal: Option<Version>,
}

fn proposal_text(proposal: &Option<Version>) -> String {
    proposal.map(|version| format!("; did you mean {version}?")).unwrap_or_default()
}

/// A version of any semantic form, with or without its `v`; build metadata such as `+incompatible` is left out.
#[must_use]
pub fn semver_of(text: &str) -> Option<semver::Version> {
    let plain = text.strip_prefix('v').unwrap_or(text);
    semver::Version::parse(plain.split('+').next().unwrap_or(plain)).ok()
}

/// A minor line: everything released from `release-X.Y`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Line {
    /// First number.
    pub major: u64,
    /// Second number.
    pub minor: u64,
}

impl Line {
    /// Name of the release branch, `release-X.Y`.
    pub fn branch(self) -> String {
        format!("release-{self}")
    }

    /// The line of a branch named `release-X.Y`; any other name has none.
    pub fn of_branch(branch: &str) -> Option<Line> {
        let (major, minor) = branch.strip_prefix("release-")?.split_once('.')?;
        Some(Line { major: number(major)?, minor: number(minor)? })
    }

    /// First release of the line, `vX.Y.0`.
    pub fn first(self) -> Version {
        Version { major: self.major, minor: self.minor, patch: 0, candidate: None }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.major, self.minor)
    }
}

/// What a version is, compared with the versions before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseKind {
    /// `vX.0.0`.
    Major,
    /// `vX.Y.0`.
    Minor,
    /// `vX.Y.Z`, `Z` greater than 0.
    Patch,
    /// `vX.Y.Z-rcN`.
    Candidate,
}

impl fmt::Display for ReleaseKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            ReleaseKind::Major => "major",
            ReleaseKind::Minor => "minor",
            ReleaseKind::Patch => "patch",
            ReleaseKind::Candidate => "release candidate",
        })
    }
}

impl Version {
    /// A release without suffix.
    pub fn new(major: u64, minor: u64, patch: u64) -> Version {
        Version { major, minor, patch, candidate: None }
    }

    /// Reads `vX.Y.Z` or `vX.Y.Z-rcN`; nothing else, however usual elsewhere.
    ///
    /// # Errors
    /// [`VersionError`] names the fault and, where it can be guessed, the right spelling.
    pub fn parse(text: &str) -> Result<Version, VersionError> {
        strict(text).ok_or_else(|| explain(text))
    }

    /// `X.Y.Z` without the `v`, as some changelogs write it.
    pub fn bare(self) -> String {
        let text = self.to_string();
        text.strip_prefix('v').map(str::to_owned).unwrap_or(text)
    }

    /// The minor line of the version.
    pub fn line(self) -> Line {
        Line { major: self.major, minor: self.minor }
    }

    /// Whether the version is a release and not a candidate.
    pub fn is_final(self) -> bool {
        self.candidate.is_none()
    }

    /// The release that a candidate leads to; a release itself.
    pub fn release(self) -> Version {
        Version { candidate: None, ..self }
    }

    /// Kind of the version by its numbers alone.
    pub fn kind(self) -> ReleaseKind {
        match self {
            Version { candidate: Some(_), .. } => ReleaseKind::Candidate,
            Version { minor: 0, patch: 0, .. } => ReleaseKind::Major,
            Version { patch: 0, .. } => ReleaseKind::Minor,
            _ => ReleaseKind::Patch,
        }
    }

    /// `vX.Y.(Z+1)`.
    pub fn next_patch(self) -> Version {
        Version::new(self.major, self.minor, self.patch.saturating_add(1))
    }

    /// `vX.(Y+1).0`.
    pub fn next_minor(self) -> Version {
        Version::new(self.major, self.minor.saturating_add(1), 0)
    }

    /// `v(X+1).0.0`.
    pub fn next_major(self) -> Version {
        Version::new(self.major.saturating_add(1), 0, 0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "v{}.{}.{}", self.major, self.minor, self.patch)?;
        match self.candidate {
            Some(number) => write!(out, "-rc{number}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Version, VersionError> {
        Version::parse(text)
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Version, VersionError> {
        Version::parse(&text)
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.to_string()
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Version) -> Ordering {
        let numbers = |version: &Version| {
            // A candidate comes before its release, so "no candidate" is the greatest.
            (version.major, version.minor, version.patch, version.candidate.unwrap_or(u64::MAX))
        };
        numbers(self).cmp(&numbers(other))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A number without sign, spaces or leading zeros.
fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    (plain && canonical).then(|| text.parse().ok()).flatten()
}

fn strict(text: &str) -> Option<Version> {
    let (core, candidate) = match text.strip_prefix('v')?.split_once('-') {
        Some((core, suffix)) => (core, Some(number(suffix.strip_prefix("rc")?)?)),
        None => (text.strip_prefix('v')?, None),
    };
    let mut parts = core.split('.');
    let mut next = || parts.next().and_then(number);
    let version = Version { major: next()?, minor: next()?, patch: next()?, candidate };
    parts.next().is_none().then_some(version)
}

/// Finds the words for a text that [`strict`] refused.
fn explain(text: &str) -> VersionError {
    let trimmed = text.trim();
    let unprefixed = trimmed.strip_prefix(['v', 'V']).unwrap_or(trimmed);
    let (core, suffix) = match unprefixed.split_once(['-', '+']) {
        Some((core, suffix)) => (core, Some(suffix)),
        None => (unprefixed, None),
    };
    let numbers: Vec<u64> = core.split('.').map_while(|part| part.parse().ok()).collect();
    let parts = core.split('.').count();
    let proposal = (numbers.len() == parts && !numbers.is_empty()).then(|| propose(&numbers, suffix));
    let fault = if numbers.len() != parts {
        "a part is not a number".to_owned()
    } else if parts != 3 {
        format!("it has {parts} number{}, a release has three", if parts == 1 { "" } else { "s" })
    } else if let Some(suffix) = suffix {
        format!("the suffix {suffix:?} is not allowed, a pre-release is written -rcN")
    } else if !trimmed.starts_with('v') {
        "it must start with v".to_owned()
    } else {
        "numbers have no leading zeros and nothing may stand around them".to_owned()
    };
    VersionError { found: text.to_owned(), fault, proposal }
}

fn propose(numbers: &[u64], suffix: Option<&str>) -> Version {
    let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
    let candidate = suffix.and_then(|suffix| {
        let known = ["rc", "alpha", "beta"].iter().find_map(|word| suffix.strip_prefix(word));
        known.and_then(|rest| rest.trim_start_matches(['.', '-']).parse().ok())
    });
    Version { major: at(0), minor: at(1), patch: at(2), candidate }
}

/// A tag split into the prefix of its submodule and its version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagName {
    /// Empty, or a folder with its slash: `client/`.
    pub prefix: String,
    /// The version behind it.
    pub version: Version,
}

impl TagName {
    /// Reads `v1.2.3` or `client/v1.2.3`.
    ///
    /// # Errors
    /// The part after the last slash is no version.
    pub fn parse(text: &str) -> Result<TagName, VersionError> {
        let start = text.rfind('/').map_or(0, |slash| slash + 1);
        let (prefix, version) = text.split_at(start);
        Ok(TagName { prefix: prefix.to_owned(), version: Version::parse(version)? })
    }
}

impl fmt::Display for TagName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.prefix, self.version)
    }
}

/// The tags of a repository: versions of its root, with commits, and what else was found.
#[derive(Clone, Debug, Default)]
pub struct TagSet {
    versions: BTreeMap<Version, String>,
    prefixed: BTreeMap<String, BTreeMap<Version, String>>,
    other: BTreeMap<String, String>,
}

impl TagSet {
    /// Sorts tags (name, commit it points at after peeling) into versions and the rest.
    pub fn new<N: AsRef<str>, C: Into<String>>(tags: impl IntoIterator<Item = (N, C)>) -> TagSet {
        let mut set = TagSet::default();
        for (name, commit) in tags {
            match TagName::parse(name.as_ref()) {
                Ok(TagName { prefix, version }) if prefix.is_empty() => {
                    set.versions.insert(version, commit.into());
                }
                Ok(TagName { prefix, version }) => {
                    set.prefixed.entry(prefix).or_default().insert(version, commit.into());
                }
                Err(_) => {
                    set.other.insert(name.as_ref().to_owned(), commit.into());
                }
            }
        }
        set
    }

    /// Commit of a version's tag.
    pub fn commit(&self, version: Version) -> Option<&str> {
        self.versions.get(&version).map(String::as_str)
    }

    /// Commit of any tag by its full name.
    pub fn commit_of_name(&self, name: &str) -> Option<&str> {
        match TagName::parse(name) {
            Ok(TagName { prefix, version }) if prefix.is_empty() => self.commit(version),
            Ok(TagName { prefix, version }) => {
                self.prefixed.get(&prefix).and_then(|tags| tags.get(&version)).map(String::as_str)
            }
            Err(_) => self.other.get(name).map(String::as_str),
        }
    }

    /// All versions of the root in ascending order, with their commits.
    pub fn versions(&self) -> impl DoubleEndedIterator<Item = (Version, &str)> {
        self.versions.iter().map(|(version, commit)| (*version, commit.as_str()))
    }

    /// Releases without candidates, ascending.
    pub fn finals(&self) -> impl DoubleEndedIterator<Item = Version> {
        self.versions.keys().copied().filter(|version| version.is_final())
    }

    /// Prefixes of submodule tags, such as `client/`.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.prefixed.keys().map(String::as_str)
    }

    /// Tag names that are no versions, such as `v2.11`.
    pub fn malformed(&self) -> impl Iterator<Item = &str> {
        self.other.keys().map(String::as_str)
    }

    /// Highest release of all.
    pub fn latest(&self) -> Option<Version> {
        self.finals().next_back()
    }

    /// Highest release of one line.
    pub fn latest_of(&self, line: Line) -> Option<Version> {
        self.finals().rev().find(|version| version.line() == line)
    }

    /// Highest release below `version`.
    pub fn latest_below(&self, version: Version) -> Option<Version> {
        self.finals().rev().find(|found| *found < version)
    }

    /// Highest `vX.Y.0` below `version`: where the notes of a minor or major release start.
    pub fn latest_first_below(&self, version: Version) -> Option<Version> {
        self.finals().rev().find(|found| found.patch == 0 && *found < version)
    }

    /// Highest candidate of a release.
    pub fn latest_candidate(&self, release: Version) -> Option<Version> {
        let release = release.release();
        self.versions.keys().rev().copied().find(|found| !found.is_final() && found.release() == release)
    }

    /// Next patch release of a line; its first release where there is none.
    pub fn next_patch(&self, line: Line) -> Version {
        self.latest_of(line).map_or(line.first(), Version::next_patch)
    }

    /// Next minor release inside a major version, from its highest line.
    pub fn next_minor(&self, major: u64) -> Option<Version> {
        self.finals().rev().find(|version| version.major == major).map(Version::next_minor)
    }

    /// Next candidate of a release.
    pub fn next_candidate(&self, release: Version) -> Version {
        let number = self.latest_candidate(release).and_then(|version| version.candidate);
        Version { candidate: Some(number.map_or(1, |number| number.saturating_add(1))), ..release.release() }
    }

    /// Releases whose tags point at a commit.
    pub fn finals_at(&self, commit: &str) -> Vec<Version> {
        let at = self.versions().filter(|(version, at)| version.is_final() && *at == commit);
        at.map(|(version, _)| version).collect()
    }

    /// The versions that could come next for whoever asked for `wanted`: patch of its line, minor of its
    /// major version and of the latest, and the next major.
    pub fn successors(&self, wanted: Version) -> Vec<Version> {
        let Some(latest) = self.latest() else {
            return vec![wanted.release()];
        };
        let mut next = Vec::new();
        next.extend(self.latest_of(wanted.line()).map(Version::next_patch));
        next.extend(self.next_minor(wanted.major));
        next.extend([latest.next_patch(), latest.next_minor(), latest.next_major()]);
        next.sort();
        next.dedup();
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        Version::parse(text).expect(text)
    }

    #[test]
    fn refuses_loose_spellings_and_proposes_the_right_one() {
        let cases = [
            ("v2.11", Some("v2.11.0"), "2 numbers"),
            ("2.11.0", Some("v2.11.0"), "start with v"),
            ("v0.9.0-alpha1", Some("v0.9.0-rc1"), "suffix"),
            ("v2.2.0-rc.3", Some("v2.2.0-rc3"), "suffix"),
            ("v5.0.0-test-main", Some("v5.0.0"), "suffix"),
            ("v0.2.0.2", Some("v0.2.0"), "4 numbers"),
            ("v01.2.3", Some("v1.2.3"), "leading zeros"),
            (" v1.2.3", Some("v1.2.3"), "nothing may stand around"),
            ("v7", Some("v7.0.0"), "1 number"),
            ("latest", None, "not a number"),
            ("", None, "not a number"),
            ("v1.2.3-rc", Some("v1.2.3"), "suffix"),
        ];
        for (text, proposal, fault) in cases {
            let error = Version::parse(text).expect_err(text);
            assert_eq!(error.proposal.map(|version| version.to_string()).as_deref(), proposal, "{text}");
            assert!(error.to_string().contains(fault), "{text}: {error}");
            assert!(error.to_string().contains("not vX.Y.Z"), "{error}");
        }
    }

    #[test]
    fn orders_by_number_and_puts_candidates_before_their_release() {
        let sorted = ["v1.9.0", "v1.10.0-rc1", "v1.10.0-rc2", "v1.10.0-rc10", "v1.10.0", "v1.10.1", "v2.0.0"];
        for pair in sorted.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn kinds_follow_the_numbers() {
        let cases = [
            ("v5.0.0", ReleaseKind::Major),
            ("v5.1.0", ReleaseKind::Minor),
            ("v5.1.3", ReleaseKind::Patch),
            ("v5.0.0-rc1", ReleaseKind::Candidate),
        ];
        for (text, kind) in cases {
            assert_eq!(version(text).kind(), kind);
        }
    }

    #[test]
    fn lines_come_from_branches() {
        assert_eq!(Line::of_branch("release-4.10"), Some(Line { major: 4, minor: 10 }));
        for other in ["master", "release-4", "release-4.x", "release-04.1", "release-4.1.2"] {
            assert_eq!(Line::of_branch(other), None, "{other}");
        }
        assert_eq!(version("v4.10.2").line().branch(), "release-4.10");
    }

    fn tags() -> TagSet {
        let names = [
            "v4.8.0",
            "v4.8.1",
            "v4.9.0",
            "v4.10.0",
            "v4.10.1",
            "v4.11.0-rc1",
            "v4.11.0-rc2",
            "v2.11",
            "client/v4.2.0",
        ];
        TagSet::new(names.iter().map(|name| (name, format!("commit of {name}"))))
    }

    #[test]
    fn finds_what_comes_before_and_after() {
        let tags = tags();
        assert_eq!(tags.latest(), Some(version("v4.10.1")));
        assert_eq!(tags.latest_first_below(version("v4.11.0")), Some(version("v4.10.0")));
        assert_eq!(tags.latest_of(version("v4.8.7").line()), Some(version("v4.8.1")));
        assert_eq!(tags.next_patch(Line { major: 4, minor: 10 }), version("v4.10.2"));
        assert_eq!(tags.next_patch(Line { major: 4, minor: 12 }), version("v4.12.0"));
        assert_eq!(tags.next_minor(4), Some(version("v4.11.0")));
        assert_eq!(tags.next_candidate(version("v4.11.0")), version("v4.11.0-rc3"));
        assert_eq!(tags.next_candidate(version("v5.0.0")), version("v5.0.0-rc1"));
        assert_eq!(tags.malformed().collect::<Vec<_>>(), ["v2.11"]);
        assert_eq!(tags.prefixes().collect::<Vec<_>>(), ["client/"]);
        assert_eq!(tags.commit_of_name("client/v4.2.0"), Some("commit of client/v4.2.0"));
    }

    proptest! {
        #[test]
        fn text_round_trips(major in 0u64..99, minor in 0u64..99, patch in 0u64..99, rc in proptest::option::of(0u64..99)) {
            let version = Version { major, minor, patch, candidate: rc };
            prop_assert_eq!(Version::parse(&version.to_string()), Ok(version));
        }

        #[test]
        fn any_text_is_read_or_explained(text in ".{0,20}") {
            match Version::parse(&text) {
                Ok(version) => prop_assert_eq!(version.to_string(), text),
                Err(error) => prop_assert_eq!(error.found, text),
            }
        }
    }
}
