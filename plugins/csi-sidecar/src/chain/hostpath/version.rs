//! The driver's version: by the greatest change among its sidecars since its last release.

use castoff_sdk::Error;
use castoff_sdk::process::Outcome;
use castoff_sdk::step::{conflict, done, invalid, not_found};
use castoff_sdk::tree::Tree;
use castoff_sdk::version::{Line, TagSet, Version};
use serde::{Deserialize, Serialize};

use super::input::Inputs;
use crate::core::hostpath::{OwnVersion, Raise};
use crate::follow::checkout::{Checkout, read_entries};
use crate::step::world::World;

/// Output of the step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Decided {
    /// The version to release.
    pub(super) version: String,
    /// The release before.
    pub(super) previous: String,
    /// Sidecars that rose since then.
    pub(super) raises: Vec<String>,
}

/// Step `version`.
pub(super) fn run(inputs: &Inputs) -> Result<Outcome, Error> {
    let world = World::read(&inputs.repository)?;
    let wanted = inputs.version.as_deref().map(Version::parse).transpose().map_err(invalid)?;
    let (previous, commit) = last_release(&world.tags, inputs.base.as_deref(), wanted).ok_or_else(|| {
        not_found(format!("{} has no release to start from; make the first one by hand", inputs.repository))
    })?;
    let checkout = Checkout::open(&inputs.repository, inputs.base.as_deref())?;
    let folder = inputs.directory.trim_matches('/');
    let before = match world.repository.entries(&commit, folder, true) {
        Ok(entries) => read_entries(&world.repository, &commit, &entries)?,
        Err(Error::NotFound(_)) => Tree::new(),
        Err(other) => return Err(other),
    };
    let after = checkout.below(folder, |_| true)?;
    let (next, raises) = OwnVersion::between(previous, &before, &after);
    let version = decide(wanted, next, previous, &inputs.repository)?;
    let raises = raises.iter().map(words).collect();
    done(&Decided { version: version.to_string(), previous: previous.to_string(), raises })
}

/// The release to compare with: the newest, on a release branch the newest of its line; never the wanted one itself, so that a run
/// that is started again after the tag decides the same.
fn last_release(tags: &TagSet, base: Option<&str>, wanted: Option<Version>) -> Option<(Version, String)> {
    let line = base.and_then(Line::of_branch);
    let fits = |version: &Version| {
        version.is_final()
            && line.is_none_or(|line| version.line() == line)
            && wanted.is_none_or(|wanted| *version < wanted)
    };
    let (version, commit) = tags.versions().rfind(|(version, _)| fits(version))?;
    Some((version, commit.to_owned()))
}

fn decide(
    wanted: Option<Version>,
    next: OwnVersion,
    previous: Version,
    repository: &str,
) -> Result<Version, Error> {
    match (wanted, next) {
        (Some(wanted), OwnVersion::Next(least)) if wanted < least => Err(conflict(format!(
            "{wanted} is too low for what changed since {previous}: its sidecars ask for {least} at least; correct `version` or \
             leave it out"
        ))),
        (Some(wanted), _) => Ok(wanted),
        (None, OwnVersion::Next(next)) => Ok(next),
        (None, OwnVersion::Unchanged) => Err(conflict(format!(
            "the deployments of {repository} are as they were at {previous}, so there is nothing to release; name `version` to \
             release all the same"
        ))),
    }
}

fn words(raise: &Raise) -> String {
    match raise.from {
        Some(from) => format!("{} {from} becomes {}", raise.image, raise.to),
        None => format!("{} {} is new", raise.image, raise.to),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn the_release_before_is_the_newest_of_its_line() {
        let tags = TagSet::new(
            ["v1.9.0", "v1.10.0", "v1.10.1", "v1.11.0-rc1", "v2.0.0"].map(|tag| (tag, format!("c-{tag}"))),
        );
        let cases = [
            (None, None, "v2.0.0"),
            (Some("release-1.10"), None, "v1.10.1"),
            (Some("master"), Some("v2.0.0"), "v1.10.1"),
            (Some("release-1.10"), Some("v1.10.1"), "v1.10.0"),
        ];
        for (base, wanted, expected) in cases {
            let found = last_release(&tags, base, wanted.map(version)).unwrap();
            assert_eq!(found, (version(expected), format!("c-{expected}")), "{base:?} {wanted:?}");
        }
        assert_eq!(last_release(&TagSet::default(), None, None), None);
    }

    #[test]
    fn a_version_may_be_higher_and_not_lower_than_the_rule_says() {
        let previous = version("v1.7.0");
        let next = OwnVersion::Next(version("v1.8.0"));
        let decide = |wanted: Option<&str>, next| {
            decide(wanted.map(version), next, previous, "o/r").map(|version| version.to_string())
        };
        assert_eq!(decide(None, next), Ok("v1.8.0".to_owned()));
        assert_eq!(decide(Some("v2.0.0"), next), Ok("v2.0.0".to_owned()));
        assert_eq!(decide(Some("v1.7.1"), OwnVersion::Unchanged), Ok("v1.7.1".to_owned()));
        for (wanted, next, part) in
            [(Some("v1.7.1"), next, "v1.8.0 at least"), (None, OwnVersion::Unchanged, "nothing to release")]
        {
            let refused = format!("{:?}", decide(wanted, next).unwrap_err());
            assert!(refused.contains(part), "{refused}");
        }
    }
}
