//! Versions of peer pods: `vX.Y.Z`, and `vX.Y.Z-alpha.N` before it. One typed value goes through a whole release:
//! `v0.10.0-alpha1` in `go.mod` under the tag `v0.10.0-alpha.1` cannot happen.

use std::collections::BTreeSet;
use std::fmt;

use castoff_sdk::version::semver_of;

/// A version of the grammar `^v\d+\.\d+\.\d+(-alpha\.[1-9]\d*)?$`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReleaseVersion {
    /// First number.
    pub major: u64,
    /// Second number.
    pub minor: u64,
    /// Third number.
    pub patch: u64,
    /// `N` of `-alpha.N`.
    pub alpha: Option<u64>,
}

/// Why a version cannot be released.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionFault {
    /// Not of the grammar.
    #[error("{found:?} is not vX.Y.Z or vX.Y.Z-alpha.N{}", meant(.proposal))]
    Malformed {
        /// The text as given.
        found: String,
        /// What was probably meant.
        proposal: Option<ReleaseVersion>,
    },
    /// It would sort below, or at, a version that is there.
    #[error("{version} does not sort above {above}, which is there already; the next free version is {next}")]
    NotAbove {
        /// The version asked for.
        version: ReleaseVersion,
        /// The version in its way.
        above: String,
        /// What could be released instead.
        next: ReleaseVersion,
    },
}

fn meant(proposal: &Option<ReleaseVersion>) -> String {
    proposal.map(|version| format!("; did you mean {version}?")).unwrap_or_default()
}

impl ReleaseVersion {
    /// Reads a version of the grammar and nothing else.
    ///
    /// # Errors
    /// [`VersionFault::Malformed`], with the spelling that was probably meant.
    pub fn parse(text: &str) -> Result<Self, VersionFault> {
        strict(text)
            .ok_or_else(|| VersionFault::Malformed { found: text.to_owned(), proposal: propose(text) })
    }

    /// Whether it comes before a release.
    #[must_use]
    pub fn is_alpha(self) -> bool {
        self.alpha.is_some()
    }

    /// The release that it leads to; itself for a release.
    #[must_use]
    pub fn release(self) -> Self {
        Self { alpha: None, ..self }
    }

    fn key(self) -> (u64, u64, u64, u64) {
        (self.major, self.minor, self.patch, self.alpha.unwrap_or(u64::MAX))
    }

    /// The alpha after the highest one there is of this release.
    #[must_use]
    pub fn next_alpha<'a>(self, existing: impl IntoIterator<Item = &'a str>) -> Self {
        let own = existing.into_iter().filter_map(strict).filter(|found| found.release() == self.release());
        let highest = own.filter_map(|found| found.alpha).max().unwrap_or(0);
        Self { alpha: Some(highest.saturating_add(1)), ..self }
    }
}

impl fmt::Display for ReleaseVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "v{}.{}.{}", self.major, self.minor, self.patch)?;
        self.alpha.map_or(Ok(()), |number| write!(out, "-alpha.{number}"))
    }
}

impl PartialOrd for ReleaseVersion {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ReleaseVersion {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (plain && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok()).flatten()
}

fn strict(text: &str) -> Option<ReleaseVersion> {
    let rest = text.strip_prefix('v')?;
    let (core, alpha) = match rest.split_once('-') {
        Some((core, suffix)) => (core, Some(number(suffix.strip_prefix("alpha.")?).filter(|n| *n > 0)?)),
        None => (rest, None),
    };
    let mut parts = core.split('.');
    let mut next = || parts.next().and_then(number);
    let version = ReleaseVersion { major: next()?, minor: next()?, patch: next()?, alpha };
    parts.next().is_none().then_some(version)
}

/// The spelling that was probably meant: `v0.9.0-alpha1` is `v0.9.0-alpha.1`.
fn propose(text: &str) -> Option<ReleaseVersion> {
    let trimmed = text.trim().trim_start_matches(['v', 'V']);
    let (core, suffix) = trimmed.split_once('-').map_or((trimmed, None), |(core, rest)| (core, Some(rest)));
    let numbers: Vec<u64> = core.split('.').filter_map(number).collect();
    let [major, minor, patch] = numbers.get(..)? else { return None };
    let digits = |rest: &str| rest.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(number);
    let alpha = suffix.map(|rest| digits(rest).filter(|n| *n > 0).unwrap_or(1));
    Some(ReleaseVersion { major: *major, minor: *minor, patch: *patch, alpha })
}

/// The next version that nothing stands in the way of: for an alpha the next alpha, else the next patch.
#[must_use]
pub fn next_free(version: ReleaseVersion, existing: &BTreeSet<String>) -> ReleaseVersion {
    let mut free = match version.alpha {
        Some(_) => version.next_alpha(existing.iter().map(String::as_str)),
        None => version,
    };
    // Bounded by what exists: every round leaves one more version behind.
    for _ in 0..=existing.len() {
        if obstacle(free, existing).is_none() {
            break;
        }
        free = ReleaseVersion { patch: free.patch.saturating_add(1), alpha: free.alpha.map(|_| 1), ..free };
    }
    free
}

/// The version that would sort above, or equal, within the same `X.Y.Z`. Semantic order counts, malformed versions
/// included: Go users are given what sorts highest.
fn obstacle(version: ReleaseVersion, existing: &BTreeSet<String>) -> Option<String> {
    let wanted = semver_of(&version.to_string())?;
    let core = |found: &semver::Version| {
        (found.major, found.minor, found.patch) == (version.major, version.minor, version.patch)
    };
    let above = existing.iter().filter_map(|text| semver_of(text).map(|found| (found, text)));
    above.filter(|(found, _)| core(found) && *found >= wanted).max().map(|(_, text)| text.clone())
}

/// Whether a version may be released where these versions exist.
///
/// # Errors
/// [`VersionFault`] with the next free version.
pub fn check(text: &str, existing: &BTreeSet<String>) -> Result<ReleaseVersion, VersionFault> {
    let version = ReleaseVersion::parse(text)?;
    match obstacle(version, existing) {
        None => Ok(version),
        Some(above) => Err(VersionFault::NotAbove { version, above, next: next_free(version, existing) }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn set(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn the_grammar_is_strict_and_says_what_was_meant() {
        for text in ["v0.9.0", "v0.9.0-alpha.1", "v10.0.12-alpha.23"] {
            assert_eq!(ReleaseVersion::parse(text).map(|version| version.to_string()).as_deref(), Ok(text));
        }
        let table = [
            ("v0.9.0-alpha1", Some("v0.9.0-alpha.1")),
            ("v0.9.0-alpha1-alpha.1", Some("v0.9.0-alpha.1")),
            ("0.9.0", Some("v0.9.0")),
            ("v0.9.0-alpha.0", Some("v0.9.0-alpha.1")),
            ("v0.9.0-rc1", Some("v0.9.0-alpha.1")),
            ("v0.9", None),
            ("main", None),
            ("v0.9.01", None),
        ];
        for (text, meant) in table {
            let Err(VersionFault::Malformed { proposal, .. }) = ReleaseVersion::parse(text) else {
                panic!("{text} is no version")
            };
            assert_eq!(proposal.map(|version| version.to_string()).as_deref(), meant, "{text}");
        }
    }

    #[test]
    fn a_version_has_to_sort_above_its_like() {
        let table: &[(&str, &[&str], Option<&str>)] = &[
            ("v0.9.0-alpha.2", &["v0.9.0-alpha.1", "v0.8.2"], None),
            ("v0.9.0-alpha.2", &["v0.9.0-alpha.2"], Some("v0.9.0-alpha.3")),
            ("v0.9.0-alpha.2", &["v0.9.0-alpha.10"], Some("v0.9.0-alpha.11")),
            // Semantic order: `alpha1` sorts above `alpha.2`, so no alpha of 0.9.0 can follow it.
            ("v0.9.0-alpha.2", &["v0.9.0-alpha1"], Some("v0.9.1-alpha.1")),
            ("v0.9.0", &["v0.9.0-alpha1"], None),
            ("v0.9.0-alpha.1", &["v0.9.0"], Some("v0.9.1-alpha.1")),
            ("v0.8.1", &["v0.8.1"], Some("v0.8.2")),
            ("v0.8.1", &["v0.8.1", "v0.8.2"], Some("v0.8.3")),
        ];
        for (version, existing, next) in table {
            let found = check(version, &set(existing));
            match (found, next) {
                (Ok(found), None) => assert_eq!(found.to_string(), *version),
                (Err(VersionFault::NotAbove { next: found, .. }), Some(next)) => {
                    assert_eq!(found.to_string(), *next, "{version} {existing:?}");
                }
                (found, _) => panic!("{version} {existing:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn the_alpha_counter_comes_from_the_tags() {
        let version = ReleaseVersion::parse("v0.9.0").unwrap();
        assert_eq!(
            version.next_alpha(["v0.9.0-alpha.4", "v0.9.0-alpha.12", "v0.8.0-alpha.99"]).to_string(),
            "v0.9.0-alpha.13"
        );
        assert_eq!(version.next_alpha([]).to_string(), "v0.9.0-alpha.1");
    }

    proptest::proptest! {
        #[test]
        fn what_is_proposed_is_free(text in "v[0-2]\\.[0-2]\\.[0-2](-alpha\\.[1-4])?", existing in proptest::collection::btree_set("v[0-2]\\.[0-2]\\.[0-2](-alpha\\.?[1-4])?", 0..12)) {
            let version = ReleaseVersion::parse(&text).unwrap();
            let next = next_free(version, &existing);
            proptest::prop_assert!(check(&next.to_string(), &existing).is_ok(), "{}", next);
        }
    }
}
