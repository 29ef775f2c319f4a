//! The versions and tags that a cut creates, from its build version, type and branch.
//!
//! The rules are those of `krel` (`pkg/release/version.go`), with its checks of branch and type beside them: whoever calls
//! this gets every reason to stop before a build is submitted.

use std::fmt;
use std::sync::LazyLock;

use castoff_sdk::inputs::Choice;
use regex::Regex;
use semver::Version;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The branch that alphas and betas are cut from.
pub const MASTER: &str = "master";

/// What is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Choice)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// From the master branch, early in a cycle.
    Alpha,
    /// From the master branch, late in a cycle.
    Beta,
    /// From a release branch; the first one creates the branch.
    Rc,
    /// The release itself, patch releases included.
    Official,
}

impl Kind {
    /// The word that `krel --type` takes.
    #[must_use]
    pub fn word(self) -> &'static str {
        Choice::name(&self)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is to be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut<'a> {
    /// Type of the release.
    pub kind: Kind,
    /// Build version, for example `v1.35.0-47+1c8457462e868c`.
    pub build_version: &'a str,
    /// Branch: `master` or `release-X.Y`.
    pub branch: &'a str,
    /// Whether the branch is not there yet.
    pub new_branch: bool,
    /// The rule before November 2022: an official release also tags the rc.0 of the next patch.
    pub next_rc0: bool,
}

/// The tags of a cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags {
    /// All of them: official, rc, beta, alpha. What is promoted, too.
    pub ordered: Vec<String>,
    /// The one that names the release.
    pub prime: String,
}

/// Why a cut is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No build version.
    #[error("{0:?} is no build version; expected for example v1.35.0-47+1c8457462e868c")]
    BuildVersion(String),
    /// Neither `master` nor `release-X.Y`.
    #[error("{0:?} is no branch to cut from; expected master or release-X.Y")]
    Branch(String),
    /// Type and branch do not go together.
    #[error("a cut of type {kind} is not made from {branch}; {expected}")]
    KindOfBranch {
        /// The type.
        kind: Kind,
        /// The branch.
        branch: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The build version belongs to another branch.
    #[error("build version {build_version} is of {required}, the cut is of {branch}")]
    OtherBranch {
        /// The build version.
        build_version: String,
        /// The branch that it belongs to.
        required: String,
        /// The branch of the cut.
        branch: String,
    },
    /// An official release from a branch that is not there.
    #[error("{0} is not there yet: its first release is rc.0, not an official one")]
    OfficialOnNewBranch(String),
    /// An alpha after a beta, or a beta after something that is neither.
    #[error("no {kind} is cut after {build_version}: {why}")]
    After {
        /// The type.
        kind: Kind,
        /// The build version.
        build_version: String,
        /// Why, in words.
        why: &'static str,
    },
}

/// A build version of a commit: what `git describe` says, with the hash behind a plus sign. Anchored, unlike the check of
/// `krel`, which also takes a valid part of something longer.
static OF_COMMIT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let text = r"^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)-([a-zA-Z0-9]+\.(0|[1-9]\d*)\.)?([0-9]+)\+([0-9a-f]{5,40})(-dirty)?$";
    Regex::new(text).ok()
});

/// A build version at a tag itself.
static OF_TAG: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let text = r"^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(alpha|beta|rc)\.(0|[1-9]\d*))?$";
    Regex::new(text).ok()
});

/// Major and minor of `release-X.Y`.
#[must_use]
pub fn release_branch(branch: &str) -> Option<(u64, u64)> {
    let (major, minor) = branch.strip_prefix("release-")?.split_once('.')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    Some((number(major)?, number(minor)?))
}

/// Reads a version with the `v` that tags have.
#[must_use]
pub fn parse(tag: &str) -> Option<Version> {
    Version::parse(tag.strip_prefix('v')?).ok()
}

/// Reads a build version.
///
/// # Errors
/// [`Refusal::BuildVersion`].
pub fn build_version(text: &str) -> Result<Version, Refusal> {
    let fits = [&OF_COMMIT, &OF_TAG].into_iter().any(|regex| {
        let regex: Option<&Regex> = LazyLock::force(regex).as_ref();
        regex.is_some_and(|regex| regex.is_match(text))
    });
    let version = if fits { parse(text.strip_suffix("-dirty").unwrap_or(text)) } else { None };
    version.ok_or_else(|| Refusal::BuildVersion(text.to_owned()))
}

/// The commit that a build version names, abbreviated; none at a tag itself.
#[must_use]
pub fn commit_of(build_version: &str) -> Option<&str> {
    let (_, commit) = build_version.split_once('+')?;
    Some(commit.strip_suffix("-dirty").unwrap_or(commit))
}

/// The label of a pre-release and its number: `("rc", Some(0))` of `v1.25.5-rc.0.1+21e06572c3bcd7`.
fn label(version: &Version) -> (Option<&str>, Option<u64>) {
    let mut parts = version.pre.as_str().split('.').filter(|part| !part.is_empty());
    let label = parts.next();
    (label, parts.next().and_then(|number| number.parse().ok()))
}

/// The tags of a cut.
///
/// # Errors
/// The first reason to refuse it.
pub fn tags(cut: &Cut<'_>) -> Result<Tags, Refusal> {
    let version = build_version(cut.build_version)?;
    fitting(cut, &version)?;
    let Version { major, minor, patch, .. } = version;
    let (label, number) = label(&version);
    let next = number.map_or(1, |number| number.saturating_add(1));
    if cut.new_branch {
        let rc = format!("v{major}.{minor}.0-rc.0");
        let alpha = format!("v{major}.{}.0-alpha.0", minor.saturating_add(1));
        return Ok(Tags { prime: rc.clone(), ordered: vec![rc, alpha] });
    }
    let after =
        |why| Err(Refusal::After { kind: cut.kind, build_version: cut.build_version.to_owned(), why });
    // A build version without `label.N` counts from the last official release.
    let patch_of_branch = if number.is_some() { patch } else { patch.saturating_add(1) };
    let ordered = match (cut.kind, label) {
        (Kind::Official, _) if cut.next_rc0 => vec![
            format!("v{major}.{minor}.{patch_of_branch}"),
            format!("v{major}.{minor}.{}-rc.0", patch_of_branch.saturating_add(1)),
        ],
        (Kind::Official, _) => vec![format!("v{major}.{minor}.{patch_of_branch}")],
        (Kind::Rc, _) => vec![format!("v{major}.{minor}.{patch_of_branch}-rc.{next}")],
        (Kind::Beta, Some("alpha")) => vec![format!("v{major}.{minor}.{patch}-beta.0")],
        (Kind::Beta, Some("beta")) => vec![format!("v{major}.{minor}.{patch}-beta.{next}")],
        (Kind::Beta, _) => return after("a beta follows an alpha or a beta"),
        (Kind::Alpha, Some("alpha")) => vec![format!("v{major}.{minor}.{patch}-alpha.{next}")],
        (Kind::Alpha, _) => return after("an alpha follows an alpha; cut a beta"),
    };
    let prime = ordered.first().cloned().unwrap_or_default();
    Ok(Tags { ordered, prime })
}

/// Type, branch and build version go together.
fn fitting(cut: &Cut<'_>, version: &Version) -> Result<(), Refusal> {
    let wrong =
        |expected| Err(Refusal::KindOfBranch { kind: cut.kind, branch: cut.branch.to_owned(), expected });
    let from_master = matches!(cut.kind, Kind::Alpha | Kind::Beta);
    if cut.branch == MASTER {
        return if from_master && !cut.new_branch { Ok(()) } else { wrong("expected a release branch") };
    }
    let Some((major, minor)) = release_branch(cut.branch) else {
        return Err(Refusal::Branch(cut.branch.to_owned()));
    };
    if from_master {
        return wrong("expected master");
    }
    if (major, minor) != (version.major, version.minor) {
        return Err(Refusal::OtherBranch {
            build_version: cut.build_version.to_owned(),
            required: format!("release-{}.{}", version.major, version.minor),
            branch: cut.branch.to_owned(),
        });
    }
    if cut.new_branch && cut.kind == Kind::Official {
        return Err(Refusal::OfficialOnNewBranch(cut.branch.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn cut<'a>(kind: Kind, build_version: &'a str, branch: &'a str) -> Cut<'a> {
        Cut { kind, build_version, branch, new_branch: false, next_rc0: false }
    }

    #[test]
    fn tags_of_every_cut() {
        use Kind::{Alpha, Beta, Official, Rc};
        let table: &[(Kind, &str, &str, &[&str])] = &[
            (Official, "v1.18.4-rc.0.3+3ff09514d162b0", "release-1.18", &["v1.18.4"]),
            (Official, "v1.35.0-47+1c8457462e868c", "release-1.35", &["v1.35.1"]),
            (Official, "v1.25.5-rc.0.1+21e06572c3bcd7", "release-1.25", &["v1.25.5"]),
            (Official, "v1.35.0-rc.1.7+21e06572c3bcd7", "release-1.35", &["v1.35.0"]),
            (Official, "v1.30.2", "release-1.30", &["v1.30.3"]),
            (Rc, "v1.18.4-beta.0.2+3ff09514d162b0", "release-1.18", &["v1.18.4-rc.1"]),
            (Rc, "v1.35.0-rc.0.12+3ff09514d162b0", "release-1.35", &["v1.35.0-rc.1"]),
            (Rc, "v1.35.0-47+1c8457462e868c", "release-1.35", &["v1.35.1-rc.1"]),
            (Beta, "v1.18.0-alpha.5.2+3ff09514d162b0", MASTER, &["v1.18.0-beta.0"]),
            (Beta, "v1.18.0-beta.5.2+3ff09514d162b0", MASTER, &["v1.18.0-beta.6"]),
            (Alpha, "v1.20.0-alpha.2.1273+4e9bdd481e2400", MASTER, &["v1.20.0-alpha.3"]),
        ];
        for (kind, build, branch, expected) in table {
            let made = tags(&cut(*kind, build, branch)).unwrap();
            assert_eq!(
                (made.ordered.as_slice(), made.prime.as_str()),
                (expected.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>().as_slice(), expected[0])
            );
        }
    }

    #[test]
    fn a_new_branch_gets_its_first_candidate_and_master_its_next_alpha() {
        let first =
            Cut { new_branch: true, ..cut(Kind::Rc, "v1.18.0-beta.3.2+3ff09514d162b0", "release-1.18") };
        assert_eq!(tags(&first).unwrap().ordered, ["v1.18.0-rc.0", "v1.19.0-alpha.0"]);
        let old =
            Cut { next_rc0: true, ..cut(Kind::Official, "v1.18.4-rc.0.3+3ff09514d162b0", "release-1.18") };
        assert_eq!(tags(&old).unwrap().ordered, ["v1.18.4", "v1.18.5-rc.0"]);
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        use Kind::{Alpha, Beta, Official, Rc};
        let build = "v1.18.4-rc.0.3+3ff09514d162b0";
        let table = [
            (cut(Alpha, "v1.18.4-beta.1.2+3ff09514d162b0", MASTER), "alpha follows an alpha"),
            (cut(Beta, "v1.18.4-rc.1.2+3ff09514d162b0", MASTER), "follows an alpha or a beta"),
            (cut(Beta, "v1.18.4-47+3ff09514d162b0", MASTER), "follows an alpha or a beta"),
            (cut(Rc, build, MASTER), "expected a release branch"),
            (cut(Official, build, MASTER), "expected a release branch"),
            (cut(Alpha, build, "release-1.18"), "expected master"),
            (cut(Beta, build, "release-1.18"), "expected master"),
            (cut(Official, "v1.35.0-47+1c8457462e868c", "release-1.34"), "is of release-1.35"),
            (cut(Official, build, "feature"), "no branch to cut from"),
            (cut(Official, "", "release-1.18"), "no build version"),
            (cut(Official, "1.18.4", "release-1.18"), "no build version"),
            (cut(Official, "v1.18.4-rc.0.3", "release-1.18"), "no build version"),
            (cut(Official, "v1.18.4-rc.0.3+xyz", "release-1.18"), "no build version"),
            (Cut { new_branch: true, ..cut(Official, build, "release-1.18") }, "not there yet"),
        ];
        for (cut, why) in table {
            let said = tags(&cut).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn commits_of_build_versions() {
        assert_eq!(commit_of("v1.35.0-47+1c8457462e868c"), Some("1c8457462e868c"));
        assert_eq!(commit_of("v1.35.0-47+1c8457462e868c-dirty"), Some("1c8457462e868c"));
        assert_eq!(commit_of("v1.35.0"), None);
    }
}
