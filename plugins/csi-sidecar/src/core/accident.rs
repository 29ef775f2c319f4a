//! Accidents of past releases, looked for in facts: each has happened and was found by users first.
//!
//! The gate before a tag refuses wrong branches and versions; the checks here look at what is there already, and at what was forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use castoff_sdk::version::Version;

use super::cloudbuild::BuilderUse;
use super::subtree::numbers_read_by_notes_tools;
use super::support::Seconds;

const DAY: Seconds = 86_400;

/// A commit in the range of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeCommit {
    /// Full object id.
    pub sha: String,
    /// Full message.
    pub message: String,
    /// True if the commit is on the first-parent line of the branch.
    pub first_parent: bool,
}

/// An image as the registries show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// Image name without registry.
    pub image: String,
    /// Tag.
    pub tag: String,
    /// When the git tag was made.
    pub tagged: Seconds,
    /// Digest in the staging registry; staging forgets images after 90 days.
    pub staged: Option<String>,
    /// Digest in the promotion list.
    pub listed: Option<String>,
    /// Digest in the production registry.
    pub promoted: Option<String>,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accident {
    /// A note of a changelog belongs to another repository: its number stands in the text of a commit, not at the head of a merge.
    FalseNote {
        /// The number.
        number: u64,
        /// The commit whose text holds it.
        commit: String,
    },
    /// A noted number is neither merged in the range nor mentioned in it.
    UnknownNote {
        /// The number.
        number: u64,
    },
    /// Two versions name one commit.
    SameCommit {
        /// The commit.
        commit: String,
        /// The tags.
        tags: Vec<String>,
    },
    /// A tag that looks like a release but is not named like one.
    StrayTag {
        /// The tag.
        tag: String,
    },
    /// A version whose predecessor was never released.
    Skipped {
        /// The version.
        version: Version,
        /// What should have come before.
        before: String,
    },
    /// No image was built.
    NotBuilt {
        /// Image and tag.
        image: String,
        /// Days since the tag.
        days: i64,
    },
    /// The image is built and not in the promotion list.
    NotListed {
        /// Image and tag.
        image: String,
        /// Days since the tag.
        days: i64,
    },
    /// The image is listed and not in production.
    NotPromoted {
        /// Image and tag.
        image: String,
        /// Days since the tag.
        days: i64,
    },
    /// Digests differ between the places.
    DigestDiffers {
        /// Image and tag.
        image: String,
        /// Place → digest.
        digests: BTreeMap<&'static str, String>,
    },
    /// Some images of one release are promoted, others are not.
    HalfPromoted {
        /// The tag.
        tag: String,
        /// Images that are missing in production.
        missing: Vec<String>,
    },
    /// A build file names a builder image that no longer exists.
    BuilderGone {
        /// File.
        path: String,
        /// Line, from 1.
        line: usize,
        /// Reference.
        reference: String,
    },
    /// The documentation does not list a released minor.
    DocsBehind {
        /// Page.
        page: String,
        /// Newest version listed.
        listed: Version,
        /// Newest version released.
        released: Version,
        /// Days since that release.
        days: i64,
    },
    /// The shared CI script and the CI jobs use different drivers.
    DriverDiffers {
        /// Version in prow.sh.
        script: String,
        /// Version in gen-jobs.sh.
        jobs: String,
    },
}

impl fmt::Display for Accident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FalseNote { number, commit } => write!(
                f,
                "note #{number} was read out of the text of {commit}, it is no pull request of this range; remove the note"
            ),
            Self::UnknownNote { number } => {
                write!(
                    f,
                    "note #{number} belongs to no merge of this range; check the number or remove the note"
                )
            }
            Self::SameCommit { commit, tags } => write!(
                f,
                "{} name one commit {commit}; expected one version for one content, release the next version from a new commit",
                tags.join(" and ")
            ),
            Self::StrayTag { tag } => {
                write!(
                    f,
                    "the tag {tag} is not of the form vX.Y.Z; leave it alone and tell users to ignore it"
                )
            }
            Self::Skipped { version, before } => write!(
                f,
                "{version} was released and {before} never was; where that was no choice it is a wrong version: tell users to ignore it"
            ),
            Self::NotBuilt { image, days } => {
                write!(
                    f,
                    "{image} is not in staging {days} days after its tag; look at the build job and run it again"
                )
            }
            Self::NotListed { image, days } => {
                write!(
                    f,
                    "{image} is not in the promotion list {days} days after its tag; send the promotion"
                )
            }
            Self::NotPromoted { image, days } => {
                write!(
                    f,
                    "{image} is listed and not in production {days} days after its tag; look at the promoter"
                )
            }
            Self::DigestDiffers { image, digests } => {
                let places: Vec<String> =
                    digests.iter().map(|(place, digest)| format!("{place} {digest}")).collect();
                write!(f, "{image} differs: {}; stop and find out who rebuilt it", places.join(", "))
            }
            Self::HalfPromoted { tag, missing } => {
                write!(f, "{tag} is promoted without {}; promote the rest", missing.join(", "))
            }
            Self::BuilderGone { path, line, reference } => write!(
                f,
                "{path}:{line} names {reference}, which no longer exists; take a present builder before tagging, or nothing is built"
            ),
            Self::DocsBehind { page, listed, released, days } => {
                write!(f, "{page} lists {listed}, {released} was released {days} days ago; add its row")
            }
            Self::DriverDiffers { script, jobs } => {
                write!(f, "prow.sh uses the driver {script}, the CI jobs {jobs}; bring both to the newer one")
            }
        }
    }
}

/// Notes whose number is no pull request merged in the range.
///
/// A pull request is identified by the head line of a commit on the first-parent line, never by numbers elsewhere in a message.
pub fn false_notes(commits: &[RangeCommit], noted: &[u64]) -> Vec<Accident> {
    let heads = commits.iter().filter(|commit| commit.first_parent).map(|commit| head_line(&commit.message));
    let merged: BTreeSet<u64> = heads.flat_map(numbers_read_by_notes_tools).collect();
    let source = |number: u64| {
        commits.iter().find(|commit| {
            let rest = commit.message.split_once('\n').map_or("", |(_, rest)| rest);
            let whole = if commit.first_parent { rest } else { commit.message.as_str() };
            numbers_read_by_notes_tools(whole).contains(&number)
        })
    };
    let unmerged = noted.iter().copied().filter(|number| !merged.contains(number));
    unmerged
        .map(|number| match source(number) {
            Some(commit) => Accident::FalseNote { number, commit: commit.sha.clone() },
            None => Accident::UnknownNote { number },
        })
        .collect()
}

fn head_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// Release tags on one commit, and tags that look like releases. `tags` maps tag → commit; tags of submodules (`client/v1.0.0`) share
/// a commit with their release on purpose.
pub fn tag_accidents(tags: &BTreeMap<String, String>) -> Vec<Accident> {
    let mut by_commit: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut accidents = Vec::new();
    for (tag, commit) in tags.iter().filter(|(tag, _)| !tag.contains('/')) {
        let release =
            tag.strip_prefix('v').is_some_and(|bare| bare.starts_with(|c: char| c.is_ascii_digit()));
        match release.then(|| Version::parse(tag)) {
            Some(Ok(version)) if version.is_final() => by_commit.entry(commit).or_default().push(tag),
            Some(Err(_)) => accidents.push(Accident::StrayTag { tag: tag.clone() }),
            _ => {}
        }
    }
    let shared = by_commit.into_iter().filter(|(_, tags)| tags.len() > 1);
    accidents.extend(shared.map(|(commit, tags)| Accident::SameCommit {
        commit: commit.to_owned(),
        tags: tags.into_iter().map(str::to_owned).collect(),
    }));
    accidents
}

/// Versions that follow no other: a patch without the patch before, a minor without the minor before, a major without the major before.
/// The lowest version of all has nothing before it.
pub fn skipped_versions(finals: &[Version]) -> Vec<Accident> {
    let has = |fits: &dyn Fn(&Version) -> bool| finals.iter().any(fits);
    let lowest = finals.iter().min();
    let gap = |version: &Version| -> Option<String> {
        let &Version { major, minor, patch, .. } = version;
        if patch > 0 {
            let before = patch - 1;
            return (!has(&|v| (v.major, v.minor, v.patch) == (major, minor, before)))
                .then(|| format!("v{major}.{minor}.{before}"));
        }
        if minor > 0 {
            let before = minor - 1;
            return (!has(&|v| (v.major, v.minor) == (major, before)))
                .then(|| format!("v{major}.{before}.0"));
        }
        let before = major.checked_sub(1)?;
        (!has(&|v| v.major == before)).then(|| format!("any v{before}"))
    };
    let wrong = finals.iter().filter(|version| Some(*version) != lowest);
    wrong.filter_map(|version| Some(Accident::Skipped { version: *version, before: gap(version)? })).collect()
}

/// Images that were forgotten on their way to production. `patience` is how long a release may take before it counts as forgotten.
pub fn image_accidents(images: &[ImageFacts], now: Seconds, patience: Seconds) -> Vec<Accident> {
    let mut accidents: Vec<Accident> =
        images.iter().filter_map(|facts| image_accident(facts, now, patience)).collect();
    let tags: BTreeSet<&str> = images.iter().map(|facts| facts.tag.as_str()).collect();
    for tag in tags {
        let of_tag = || images.iter().filter(|facts| facts.tag == tag);
        let missing: Vec<String> =
            of_tag().filter(|f| f.promoted.is_none()).map(|f| f.image.clone()).collect();
        if !missing.is_empty() && missing.len() < of_tag().count() {
            accidents.push(Accident::HalfPromoted { tag: tag.to_owned(), missing });
        }
    }
    accidents
}

fn image_accident(facts: &ImageFacts, now: Seconds, patience: Seconds) -> Option<Accident> {
    let image = format!("{}:{}", facts.image, facts.tag);
    let places = [("staging", &facts.staged), ("list", &facts.listed), ("production", &facts.promoted)];
    let digests: BTreeMap<&'static str, String> =
        places.into_iter().filter_map(|(place, digest)| Some((place, digest.clone()?))).collect();
    if digests.values().collect::<BTreeSet<_>>().len() > 1 {
        return Some(Accident::DigestDiffers { image, digests });
    }
    let age = now.saturating_sub(facts.tagged);
    if facts.promoted.is_some() || age < patience {
        return None;
    }
    let days = age / DAY;
    Some(match (&facts.staged, &facts.listed) {
        (_, Some(_)) => Accident::NotPromoted { image, days },
        (Some(_), None) => Accident::NotListed { image, days },
        (None, None) => Accident::NotBuilt { image, days },
    })
}

/// Builder images that are gone. `exists` answers for a full reference.
pub fn gone_builders(uses: &[BuilderUse], exists: &dyn Fn(&str) -> bool) -> Vec<Accident> {
    let gone = uses.iter().filter(|found| !exists(&found.reference));
    gone.map(|found| Accident::BuilderGone {
        path: found.path.clone(),
        line: found.line,
        reference: found.reference.clone(),
    })
    .collect()
}

/// A documentation page behind the newest release by more than `patience`. Patches of a listed minor count as behind, too.
pub fn docs_behind(
    page: &str,
    listed: &[Version],
    tags: &[(Version, Seconds)],
    now: Seconds,
    patience: Seconds,
) -> Option<Accident> {
    let newest = listed.iter().max()?;
    let finals = tags.iter().filter(|(version, _)| version.is_final());
    let (released, at) = finals.max_by(|(a, _), (b, _)| a.cmp(b))?;
    let age = now.saturating_sub(*at);
    (released > newest && age >= patience).then(|| Accident::DocsBehind {
        page: page.to_owned(),
        listed: *newest,
        released: *released,
        days: age / DAY,
    })
}

/// The driver version of the shared script against that of the generated jobs.
pub fn driver_differs(script: &str, jobs: &str) -> Option<Accident> {
    (script != jobs).then(|| Accident::DriverDiffers { script: script.to_owned(), jobs: jobs.to_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn commit(sha: &str, message: &str, first_parent: bool) -> RangeCommit {
        RangeCommit { sha: sha.to_owned(), message: message.to_owned(), first_parent }
    }

    #[test]
    fn tells_notes_of_other_repositories_from_own() {
        let commits = [
            commit("a", "Merge pull request #10 from me/x\n\nTitle (#7)", true),
            commit("b", "Squashed 'tools/' changes\n\n12 Merge pull request #5 from other/y\n", false),
            commit("c", "Fix z (#11)\n", true),
        ];
        let seen = false_notes(&commits, &[10, 11, 5, 7, 99]);
        assert_eq!(
            seen,
            [
                Accident::FalseNote { number: 5, commit: "b".into() },
                Accident::FalseNote { number: 7, commit: "a".into() },
                Accident::UnknownNote { number: 99 }
            ]
        );
    }

    #[test]
    fn finds_shared_commits_and_stray_tags() {
        let tags = [
            ("v1.0.0", "a"),
            ("v1.0.1", "a"),
            ("client/v1.0.0", "a"),
            ("v1.1.0-rc1", "b"),
            ("v1.1.0", "b"),
            ("v2.11", "c"),
            ("vendor", "d"),
        ];
        let tags = tags.map(|(tag, commit)| (tag.to_owned(), commit.to_owned())).into();
        assert_eq!(
            tag_accidents(&tags),
            [
                Accident::StrayTag { tag: "v2.11".into() },
                Accident::SameCommit { commit: "a".into(), tags: vec!["v1.0.0".into(), "v1.0.1".into()] }
            ]
        );
    }

    #[test]
    fn finds_versions_that_follow_no_other() {
        let cases: [(&[&str], &[&str]); 6] = [
            (&["v1.0.0", "v1.1.0", "v1.1.1", "v2.0.0"], &[]),
            (&["v0.4.1", "v0.4.2"], &[]),
            (&["v1.3.0", "v1.12.0", "v2.11.0"], &["v1.12.0 was", "v2.11.0 was"]),
            (&["v1.0.0", "v1.0.2"], &["v1.0.2 was released and v1.0.1 never"]),
            (&["v1.0.0", "v3.0.0"], &["v3.0.0 was released and any v2 never"]),
            (&[], &[]),
        ];
        for (tags, expected) in cases {
            let finals: Vec<Version> = tags.iter().map(|tag| Version::parse(tag).unwrap()).collect();
            let seen: Vec<String> = skipped_versions(&finals).iter().map(ToString::to_string).collect();
            assert_eq!(seen.len(), expected.len(), "{seen:?}");
            assert!(seen.iter().zip(expected).all(|(seen, expected)| seen.starts_with(expected)), "{seen:?}");
        }
    }

    #[test]
    fn follows_images_to_production() {
        let facts = |image: &str, places: [Option<&str>; 3]| {
            let [staged, listed, promoted] = places.map(|digest| digest.map(str::to_owned));
            ImageFacts {
                image: image.to_owned(),
                tag: "v1.0.0".to_owned(),
                tagged: 0,
                staged,
                listed,
                promoted,
            }
        };
        let cases = [
            ([None, None, None], 5, "is not in staging 5 days"),
            ([Some("x"), None, None], 5, "is not in the promotion list"),
            ([Some("x"), Some("x"), None], 5, "is listed and not in production"),
            ([Some("x"), Some("y"), None], 1, "differs: list y, staging x"),
            ([None, Some("x"), Some("x")], 500, ""),
            ([None, None, None], 1, ""),
        ];
        for (places, day, expected) in cases {
            let seen = image_accidents(&[facts("box", places)], day * DAY, 2 * DAY);
            let text = seen.first().map(ToString::to_string).unwrap_or_default();
            assert_eq!(seen.is_empty(), expected.is_empty(), "{text}");
            assert!(text.contains(expected), "{text}");
        }
        let half = [facts("box", [None, Some("x"), Some("x")]), facts("lid", [Some("z"), None, None])];
        let last = image_accidents(&half, DAY, 2 * DAY).pop();
        assert_eq!(last, Some(Accident::HalfPromoted { tag: "v1.0.0".into(), missing: vec!["lid".into()] }));
    }

    #[test]
    fn finds_what_was_forgotten_elsewhere() {
        let version = |text: &str| Version::parse(&format!("v{text}")).unwrap();
        let tags = [(version("1.9.0"), 0), (version("1.10.0"), 10 * DAY), (version("2.0.0-rc1"), 11 * DAY)];
        let behind = docs_behind("page.md", &[version("1.9.0")], &tags, 50 * DAY, 14 * DAY).unwrap();
        assert_eq!(behind.to_string(), "page.md lists v1.9.0, v1.10.0 was released 40 days ago; add its row");
        assert_eq!(docs_behind("page.md", &[version("1.10.0")], &tags, 50 * DAY, 14 * DAY), None);
        let uses = [BuilderUse { path: "b.yaml".into(), line: 3, reference: "r.io/b:v1".into() }];
        assert_eq!(gone_builders(&uses, &|_| false).len(), 1);
        assert_eq!(gone_builders(&uses, &|_| true), []);
        assert_eq!(driver_differs("v1", "v1"), None);
        assert!(driver_differs("v1", "v2").is_some());
    }
}
