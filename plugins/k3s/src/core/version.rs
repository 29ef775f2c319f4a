//! The tags of a k3s release, strictly: `v1.M.P` upstream, `v1.M.P-k3sN` in the Kubernetes fork, `v1.M.P[-rcR]+k3sN`
//! in k3s, k3s-upgrade and system-agent-installer-k3s, the same with `-` for `+` as an image tag.
//!
//! Malformed tags were really pushed, and a tag cannot be taken back; so nothing else is read, and what was probably
//! meant is proposed. Order is (minor, patch, round, candidate): semantic versioning ignores what follows the `+`.

use std::fmt;

use castoff_sdk::version::Version;
use serde::{Deserialize, Serialize};

/// Why a text is no tag of k3s.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {shape}: {fault}{}", meant(.proposal.as_ref()))]
pub struct TagError {
    /// The text as given.
    pub found: String,
    /// What was expected.
    pub shape: &'static str,
    /// What is wrong with it.
    pub fault: String,
    /// The spelling that was probably meant.
    pub proposal: Option<String>,
}

fn meant(proposal: Option<&String>) -> String {
    proposal.map(|tag| format!("; did you mean {tag}?")).unwrap_or_default()
}

/// A tag of k3s: `v1.M.P+k3sN`, or `v1.M.P-rcR+k3sN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag {
    /// `M`.
    pub minor: u64,
    /// `P`.
    pub patch: u64,
    /// `N`: the round of k3s on this Kubernetes patch.
    pub round: u64,
    /// `R` of a candidate. Candidates come before their release.
    pub candidate: Candidate,
}

/// Whether a tag is a candidate, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Candidate {
    /// `-rcR`.
    Number(u64),
    /// A release.
    None,
}

impl Tag {
    /// The release of a Kubernetes patch and round.
    #[must_use]
    pub fn release(kubernetes: Version, round: u64) -> Self {
        Self { minor: kubernetes.minor, patch: kubernetes.patch, round, candidate: Candidate::None }
    }

    /// The candidate of this number.
    #[must_use]
    pub fn candidate(self, number: u64) -> Self {
        Self { candidate: Candidate::Number(number), ..self }
    }

    /// The release that a candidate leads to.
    #[must_use]
    pub fn general(self) -> Self {
        Self { candidate: Candidate::None, ..self }
    }

    /// Whether this is a candidate.
    #[must_use]
    pub fn is_candidate(self) -> bool {
        self.candidate != Candidate::None
    }

    /// The Kubernetes patch.
    #[must_use]
    pub fn kubernetes(self) -> Version {
        Version::new(1, self.minor, self.patch)
    }

    /// The tag of the Kubernetes fork: `v1.M.P-k3sN`.
    #[must_use]
    pub fn fork(self) -> ForkTag {
        ForkTag { kubernetes: self.kubernetes(), round: self.round }
    }

    /// The tag of its images: `-` for `+`.
    #[must_use]
    pub fn image_tag(self) -> String {
        self.to_string().replace('+', "-")
    }

    /// Reads a tag; nothing else, however usual elsewhere.
    ///
    /// # Errors
    /// [`TagError`] names the fault and what was probably meant.
    pub fn parse(text: &str) -> Result<Self, TagError> {
        strict(text).ok_or_else(|| explain(text))
    }
}

const SHAPE: &str = "v1.M.P+k3sN or v1.M.P-rcR+k3sN";

fn strict(text: &str) -> Option<Tag> {
    let (kubernetes, round) = text.split_once("+k3s")?;
    let kubernetes = Version::parse(kubernetes).ok().filter(|version| version.major == 1)?;
    let round = positive(round)?;
    let candidate = match kubernetes.candidate {
        Some(number) if number > 0 => Candidate::Number(number),
        Some(_) => return None,
        None => Candidate::None,
    };
    Some(Tag { candidate, ..Tag::release(kubernetes, round) })
}

/// A number from 1, without leading zeros.
fn positive(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// The digits behind a word, dots and dashes between them skipped.
fn number_after(text: &str, word: &str) -> Option<u64> {
    let rest = text.split_once(word)?.1.trim_start_matches(['.', '-']);
    let end = rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    positive(rest.get(..end)?)
}

/// `M.P` at the begin of a text.
fn numbers(text: &str) -> Option<(u64, u64)> {
    let rest = text.trim().trim_start_matches(['v', 'V']).strip_prefix("1.")?;
    let (minor, rest) = rest.split_once('.')?;
    let end = rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    Some((minor.parse().ok()?, rest.get(..end)?.parse().ok()?))
}

fn explain(text: &str) -> TagError {
    let proposal = numbers(text).map(|(minor, patch)| {
        let candidate = number_after(text, "rc").map_or(Candidate::None, Candidate::Number);
        let round = number_after(text, "k3s").unwrap_or(1);
        Tag { minor, patch, round, candidate }.to_string()
    });
    let fault = if numbers(text).is_none() {
        "it names no Kubernetes version v1.M.P"
    } else if !text.contains("k3s") {
        "the round k3sN is missing"
    } else if number_after(text, "k3s").is_none() {
        "k3s is not followed by the number of the round"
    } else if !text.contains('+') {
        "the round is joined by + in tags; - is the spelling of images"
    } else if !text.contains("+k3s") {
        "between + and k3s there is something else"
    } else {
        "there is something else in it"
    };
    TagError { found: text.to_owned(), shape: SHAPE, fault: fault.to_owned(), proposal }
}

impl fmt::Display for Tag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "v1.{}.{}", self.minor, self.patch)?;
        if let Candidate::Number(number) = self.candidate {
            write!(out, "-rc{number}")?;
        }
        write!(out, "+k3s{}", self.round)
    }
}

impl TryFrom<String> for Tag {
    type Error = TagError;

    fn try_from(text: String) -> Result<Self, TagError> {
        Self::parse(&text)
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.to_string()
    }
}

/// A tag of the Kubernetes fork: `v1.M.P-k3sN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ForkTag {
    /// The Kubernetes patch it is made from.
    pub kubernetes: Version,
    /// `N`.
    pub round: u64,
}

impl ForkTag {
    /// Reads a tag of the fork.
    ///
    /// # Errors
    /// [`TagError`] names the fault and what was probably meant.
    pub fn parse(text: &str) -> Result<Self, TagError> {
        let read = || {
            let (kubernetes, round) = text.split_once("-k3s")?;
            let kubernetes = Version::parse(kubernetes).ok()?;
            let plain = kubernetes.major == 1 && kubernetes.is_final();
            plain.then_some(Self { kubernetes, round: positive(round)? })
        };
        read().ok_or_else(|| TagError {
            found: text.to_owned(),
            shape: "v1.M.P-k3sN",
            fault: "it is no tag of the Kubernetes fork".to_owned(),
            proposal: numbers(text).map(|(minor, patch)| {
                let round = number_after(text, "k3s").unwrap_or(1);
                Self { kubernetes: Version::new(1, minor, patch), round }.to_string()
            }),
        })
    }

    /// Version of the published modules of this Kubernetes patch: `v0.M.P`.
    #[must_use]
    pub fn client(self) -> String {
        client(self.kubernetes)
    }
}

/// `v0.M.P` of a Kubernetes version.
#[must_use]
pub fn client(kubernetes: Version) -> String {
    Version { major: 0, ..kubernetes }.to_string()
}

impl fmt::Display for ForkTag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-k3s{}", self.kubernetes, self.round)
    }
}

impl TryFrom<String> for ForkTag {
    type Error = TagError;

    fn try_from(text: String) -> Result<Self, TagError> {
        Self::parse(&text)
    }
}

impl From<ForkTag> for String {
    fn from(tag: ForkTag) -> Self {
        tag.to_string()
    }
}

/// The number of the next candidate: one more than the greatest there is of this release. Numbers have gaps, and start
/// again with every round.
#[must_use]
pub fn next_candidate<'a>(release: Tag, tags: impl IntoIterator<Item = &'a str>) -> u64 {
    let known =
        tags.into_iter().filter_map(|text| Tag::parse(text).ok()).filter(|tag| tag.general() == release);
    let numbers = known.filter_map(|tag| match tag.candidate {
        Candidate::Number(number) => Some(number),
        Candidate::None => None,
    });
    numbers.max().unwrap_or(0).saturating_add(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn malformed_tags_are_refused_and_the_right_one_proposed() {
        let table = [
            ("v1.22.17+k3s", "v1.22.17+k3s1"),
            ("v1.23.12+rk3s1", "v1.23.12+k3s1"),
            ("v1.33.10-k3s1", "v1.33.10+k3s1"),
            ("v1.18.20-rc1+k3s", "v1.18.20-rc1+k3s1"),
            ("v1.27.5-rc1+", "v1.27.5-rc1+k3s1"),
            ("1.27.5+k3s2", "v1.27.5+k3s2"),
            ("v1.27.5-rc.10+k3s.2", "v1.27.5-rc10+k3s2"),
            ("v1.28.2", "v1.28.2+k3s1"),
            ("v1.28.2+k3s01", "v1.28.2+k3s1"),
            ("v1.28.2-rc0+k3s1", "v1.28.2+k3s1"),
        ];
        for (found, wanted) in table {
            let error = Tag::parse(found).unwrap_err();
            assert_eq!(error.proposal.as_deref(), Some(wanted), "{error}");
            assert!(error.to_string().contains("did you mean"), "{error}");
        }
        assert_eq!(Tag::parse("release").unwrap_err().proposal, None);
        assert_eq!(ForkTag::parse("v1.33.10+k3s1").unwrap_err().proposal.as_deref(), Some("v1.33.10-k3s1"));
    }

    #[test]
    fn tags_are_read_written_and_ordered() {
        let sorted =
            ["v1.9.10-rc2+k3s1", "v1.9.10-rc10+k3s1", "v1.9.10+k3s1", "v1.9.10-rc1+k3s2", "v1.10.0+k3s1"];
        for pair in sorted.windows(2) {
            assert!(Tag::parse(pair[0]).unwrap() < Tag::parse(pair[1]).unwrap(), "{pair:?}");
        }
        let tag = Tag::parse("v1.28.2-rc12+k3s2").unwrap();
        assert_eq!(
            (tag.to_string().as_str(), tag.image_tag().as_str()),
            ("v1.28.2-rc12+k3s2", "v1.28.2-rc12-k3s2")
        );
        assert_eq!(
            (tag.fork().to_string().as_str(), tag.fork().client().as_str()),
            ("v1.28.2-k3s2", "v0.28.2")
        );
    }

    #[test]
    fn candidates_are_numbered_by_listing() {
        let tags = [
            "v1.34.3-rc5+k3s1",
            "v1.34.3-rc7+k3s1",
            "v1.34.3-rc10+k3s1",
            "v1.34.3-rc11+k3s2",
            "v1.34.2-rc20+k3s1",
            "x",
        ];
        let release = |round| Tag::release(Version::new(1, 34, 3), round);
        assert_eq!(next_candidate(release(1), tags), 11);
        assert_eq!(next_candidate(release(2), tags), 12);
        assert_eq!(next_candidate(release(3), tags), 1);
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_is_written_the_same(text in "v1\\.[0-9]{1,2}\\.[0-9]{1,2}(-rc[0-9]{1,2})?[+-]k3s[0-9]{0,2}") {
            if let Ok(tag) = Tag::parse(&text) {
                proptest::prop_assert_eq!(tag.to_string(), text);
            }
        }
    }
}
