//! The GitHub release: made at once and never saved as a draft first, since workflows listen for its creation. P11, P17.

use castoff_sdk::Error;
use castoff_sdk::github::{self, ReleaseSpec};
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::done;
use serde::{Deserialize, Serialize};

use super::checkout::Checkout;
use super::input::Inputs;
use super::tags::Tagged;
use crate::core::version::ReleaseVersion;

/// Most commits that notes list.
const MOST: u32 = 500;

/// Output of the step `github-release`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Published {
    /// Page of the release.
    pub(crate) url: String,
    /// Its tag.
    pub(crate) tag: String,
    /// The commit.
    pub(crate) commit: String,
}

/// Step `github-release`: root tag and release at the commit of the module tags.
pub(crate) fn run(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let tagged: Tagged = context.needed_output("tags")?;
    let checkout = Checkout::open(&inputs.repository, inputs.branch.as_deref())?;
    let found = github::release_of_tag(&inputs.repository, &tagged.root)?.filter(|release| !release.draft);
    let body = match found {
        // Its notes may have been edited since.
        Some(release) => release.body,
        None => notes(&checkout, inputs, &tagged)?,
    };
    let release = github::ensure_release(
        &inputs.repository,
        &ReleaseSpec {
            tag: tagged.root.clone(),
            commit: tagged.commit.clone(),
            name: tagged.root.clone(),
            body,
            prerelease: tagged.root.contains('-'),
            draft: false,
            assets: Vec::new(),
        },
    )?;
    done(&Published { url: release.url, tag: tagged.root, commit: tagged.commit })
}

/// What was merged since the release before.
fn notes(checkout: &Checkout, inputs: &Inputs, tagged: &Tagged) -> Result<String, Error> {
    let version = ReleaseVersion::parse(&tagged.root).ok();
    let tags = checkout.tags()?;
    let known = tags.iter().filter_map(|(tag, commit)| Some((ReleaseVersion::parse(tag).ok()?, commit)));
    let alpha = version.is_some_and(ReleaseVersion::is_alpha);
    let before = known
        .filter(|(known, _)| version.is_some_and(|version| *known < version) && (alpha || !known.is_alpha()));
    let Some((previous, commit)) = before.max_by_key(|(known, _)| *known) else {
        return Ok(format!("The first release of {}.\n", inputs.repository));
    };
    let merged = checkout.repository.first_parents(Some(commit), &tagged.commit, MOST)?;
    let lines: String = merged
        .iter()
        .map(|commit| format!("* {} ({})\n", commit.subject.replace('@', "@\u{200b}"), commit.author))
        .collect();
    Ok(format!(
        "## What's Changed\n\n{lines}\n**Full Changelog**: https://github.com/{}/compare/{previous}...{}\n",
        inputs.repository, tagged.root
    ))
}
