//! Those downstream: the operator's own release, and whoever still requires older modules. P23.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::github::{self, ReleaseSpec};
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::{approval, conflict, done, invalid, words};
use castoff_sdk::{kustomization, yaml};
use serde_json::json;

use super::checkout::{Checkout, text_at, warn};
use super::edit::consumers;
use super::input::Inputs;
use super::propose::{Edit, Merged, Proposal, Proposed, propose};

/// The kustomization that a release of the operator is made from.
const RELEASE: &str = "config/release/kustomization.yaml";
/// Payload images that follow kata-containers.
const PAYLOAD: [&str; 2] = ["kata-deploy", "reqs-payload"];

/// Proposes the operator's release: its image, and the payload of kata-containers where one is told.
pub(crate) fn release(context: &Context) -> Result<Outcome, Error> {
    let inputs = Inputs::of(context)?;
    if !inputs.wants("operator-release") {
        return done(&Proposed::default());
    }
    let version = inputs.version_text()?;
    let checkout = match Checkout::open(&inputs.operator_repository, None) {
        Ok(checkout) => checkout,
        // The operator was given up in 2026.
        Err(Error::NotFound(why)) => {
            warn(&format!("there is no operator to release: {why}"));
            return done(&Proposed::default());
        }
        Err(error) => return Err(error),
    };
    let mut edits = Vec::new();
    if let Some(kata) = &inputs.kata {
        edits.push(payload(&checkout, kata)?);
    }
    edits.push(own_image(&checkout, &version)?);
    let proposed = propose(
        &checkout,
        inputs.fork.as_deref(),
        &Proposal {
            branch: format!("release-{version}"),
            title: format!("Release {version}"),
            summary: format!("The operator follows peer pods {version}."),
            edits,
            ..Proposal::default()
        },
    )?;
    done(&proposed)
}

/// Where the operator is released: the commit that holds its change; none where there is no operator, or nothing to release.
fn released(context: &Context) -> Result<Option<(Proposed, String)>, Error> {
    let proposed: Proposed = context.needed_output("operator")?;
    let merged: Merged = context.needed_output("operator-merged")?;
    // Without a change there is still something to tag: an earlier run may have brought it in.
    Ok((!proposed.repository.is_empty() && !merged.commit.is_empty()).then_some((proposed, merged.commit)))
}

/// The commit that the operator's tag names already; a tag elsewhere is never moved.
fn tagged(checkout: &Checkout, version: &str, commit: &str) -> Result<bool, Error> {
    match checkout.tags()?.get(version) {
        None => Ok(false),
        Some(found) if found == commit => Ok(true),
        Some(found) => Err(conflict(format!(
            "the tag {version} of {} is at {found} and not at {commit}; a tag is never moved: release the operator under the next version",
            checkout.name
        ))),
    }
}

/// Gate: question `operator`.
pub(crate) fn approve(context: &Context) -> Result<Outcome, Error> {
    let inputs = Inputs::of(context)?;
    let Some((proposed, commit)) = released(context)? else { return done(&json!({ "by": null })) };
    let checkout = Checkout::open(&proposed.repository, None)?;
    let version = inputs.version_text()?;
    if tagged(&checkout, &version, &commit)? {
        return done(&json!({ "by": null }));
    }
    if let Some(answer) = context.approved("operator")? {
        return done(&json!({ "by": answer.by }));
    }
    let prompt = format!(
        "Tag and release {version} of {} at {commit}? It deploys the operator of that version with its payload; a tag is never moved.",
        checkout.name
    );
    Ok(approval("operator", prompt, None))
}

/// Tags and publishes the operator's release.
pub(crate) fn tag(context: &Context) -> Result<Outcome, Error> {
    let inputs = Inputs::of(context)?;
    let Some((proposed, commit)) = released(context)? else { return done(&json!({ "tag": null })) };
    let checkout = Checkout::open(&proposed.repository, None)?;
    let version = inputs.version_text()?;
    tagged(&checkout, &version, &commit)?;
    let found = github::release_of_tag(&checkout.name, &version)?.filter(|release| !release.draft);
    // Its notes may have been edited since.
    let body = found.map_or_else(
        || format!("The operator of Confidential Containers {version}, with peer pods {version}.\n"),
        |release| release.body,
    );
    let release = github::ensure_release(
        &checkout.name,
        &ReleaseSpec {
            tag: version.clone(),
            commit: commit.clone(),
            name: version.clone(),
            body,
            prerelease: version.contains('-'),
            draft: false,
            assets: Vec::new(),
        },
    )?;
    done(&json!({ "tag": version, "commit": commit, "url": release.url }))
}

/// Takes the payload back to what it was before the release: a pin is for the release alone.
pub(crate) fn revert(context: &Context) -> Result<Outcome, Error> {
    let inputs = Inputs::of(context)?;
    let (Some((proposed, _)), Some(kata)) = (released(context)?, inputs.kata.clone()) else {
        return done(&Proposed::default());
    };
    let checkout = Checkout::open(&proposed.repository, None)?;
    let version = inputs.version_text()?;
    let edit = unpin(&checkout, &proposed.base, &kata)?;
    done(&propose(
        &checkout,
        inputs.fork.as_deref(),
        &Proposal {
            branch: format!("post-release-{version}"),
            title: format!("After the release {version}"),
            summary: format!("Takes back the payload that {version} pinned."),
            edits: vec![edit],
            ..Proposal::default()
        },
    )?)
}

/// The payload's tags as they were at `base`, where this release pinned them: a release that followed another stays.
fn unpin(checkout: &Checkout, base: &str, kata: &str) -> Result<Edit, Error> {
    let mut files = BTreeMap::new();
    for path in samples(checkout)? {
        let (text, before) =
            (checkout.text(&path)?.unwrap_or_default(), text_at(&checkout.repository, base, &path)?);
        let mut new = text.clone();
        for (name, tag) in unpinned(&text, before.as_deref().unwrap_or_default(), kata) {
            new = yaml::set(&new, &format!("images[name={name}].newTag"), &tag)
                .map_err(|error| invalid(format!("{path}: {error}")))?;
        }
        if new != text {
            files.insert(path, new);
        }
    }
    Ok(Edit {
        title: "samples: take the payload back".to_owned(),
        reason: "It was pinned for the release.".to_owned(),
        files,
    })
}

/// Payload images that stand at `kata` now and stood at something that was no release before, with that.
fn unpinned(text: &str, before: &str, kata: &str) -> Vec<(String, String)> {
    let old = kustomization::images(before);
    let images =
        kustomization::images(text).into_iter().filter(|image| image.new_tag.as_deref() == Some(kata));
    let back = |image: kustomization::Image| {
        let tag = old.iter().find(|old| old.name == image.name)?.new_tag.clone()?;
        (tag != kata && !is_release(&tag) && is_payload(&image.name)).then_some((image.name, tag))
    };
    images.filter_map(back).collect()
}

/// Whether a tag is a version of kata-containers, `3.8.0`.
fn is_release(tag: &str) -> bool {
    let parts: Vec<&str> = tag.trim_start_matches('v').split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| part.chars().next().is_some_and(|c| c.is_ascii_digit()))
}

fn is_payload(name: &str) -> bool {
    PAYLOAD.first().is_some_and(|payload| name.contains(payload))
}

/// The kustomizations of the samples.
fn samples(checkout: &Checkout) -> Result<Vec<String>, Error> {
    let entries = match checkout.repository.entries(&checkout.head.id, "config/samples", true) {
        Err(Error::NotFound(_)) => Vec::new(),
        other => other?,
    };
    let paths = entries.into_iter().map(|entry| entry.path);
    Ok(paths.filter(|path| path.ends_with("kustomization.yaml")).collect())
}

fn own_image(checkout: &Checkout, version: &str) -> Result<Edit, Error> {
    let mut edit = Edit {
        title: format!("release: use the operator image {version}"),
        reason: "What is tagged next deploys itself.".to_owned(),
        ..Edit::default()
    };
    let Some(old) = checkout.text(RELEASE)? else { return Ok(edit) };
    let image = kustomization::images(&old)
        .into_iter()
        .find(|image| image.name.rsplit('/').next() == Some("operator"));
    if let Some(image) = image {
        let new = kustomization::set_new_tag(&old, &image.name, version)
            .map_err(|error| invalid(format!("{RELEASE}: {error}")))?;
        if new != old {
            edit.files.insert(RELEASE.to_owned(), new);
        }
    }
    Ok(edit)
}

fn payload(checkout: &Checkout, kata: &str) -> Result<Edit, Error> {
    let mut files = BTreeMap::new();
    for path in samples(checkout)? {
        let old = checkout.text(&path)?.unwrap_or_default();
        let mut new = old.clone();
        for image in kustomization::images(&old) {
            if is_payload(&image.name) && image.new_tag.is_some() {
                new = yaml::set(&new, &format!("images[name={}].newTag", image.name), kata)
                    .map_err(|error| invalid(format!("{path}: {error}")))?;
            }
        }
        if new != old {
            files.insert(path, new);
        }
    }
    Ok(Edit {
        title: format!("samples: kata-containers {kata}"),
        reason: "The payload of the release.".to_owned(),
        files,
    })
}

/// Who requires older modules: told, never changed.
pub(crate) fn report(context: &Context) -> Result<Outcome, Error> {
    let inputs = Inputs::of(context)?;
    let checkout = match Checkout::open(&inputs.operator_repository, None) {
        Ok(checkout) => checkout,
        Err(error) => {
            warn(&format!("{}: {}", inputs.operator_repository, words(&error)));
            return done(&json!({ "behind": [] }));
        }
    };
    let text = checkout.text("go.mod")?.unwrap_or_default();
    let behind: Vec<String> = consumers(&text, &inputs.repository)
        .into_iter()
        .filter(|(_, version)| *version != inputs.version)
        .map(|(module, version)| format!("{} requires {module} {version}", inputs.operator_repository))
        .collect();
    behind.iter().for_each(|line| warn(line));
    done(&json!({ "behind": behind }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_release_pinned_is_taken_back() {
        let text = |tag: &str| {
            format!(
                "images:\n- name: quay.io/kata-containers/kata-deploy\n  newTag: {tag}\n- name: quay.io/o/reqs-payload\n  newTag: {tag}\n"
            )
        };
        let back = |now: &str, before: &str| unpinned(&text(now), &text(before), "3.8.0");
        let pinned =
            vec![("quay.io/kata-containers/kata-deploy".to_owned(), "kata-containers-4fd4b02f".to_owned())];
        assert_eq!(back("3.8.0", "kata-containers-4fd4b02f"), pinned);
        assert!(back("3.8.0", "3.7.0").is_empty(), "one release after another");
        assert!(back("3.9.0", "latest").is_empty(), "somebody else's pin");
        assert!(back("3.8.0", "3.8.0").is_empty() && unpinned(&text("3.8.0"), "", "3.8.0").is_empty());
    }
}
