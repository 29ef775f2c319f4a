//! Those downstream: the operator's own release, and whoever still requires older modules. P23.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::{done, invalid, words};
use castoff_sdk::{kustomization, yaml};
use serde_json::json;

use super::checkout::{Checkout, warn};
use super::edit::consumers;
use super::input::Inputs;
use super::propose::{Edit, Proposal, Proposed, propose};

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
    let entries = checkout.repository.entries(&checkout.head.id, "config/samples", true);
    let entries = match entries {
        Err(Error::NotFound(_)) => Vec::new(),
        other => other?,
    };
    let mut files = BTreeMap::new();
    for path in
        entries.into_iter().map(|entry| entry.path).filter(|path| path.ends_with("kustomization.yaml"))
    {
        let old = checkout.text(&path)?.unwrap_or_default();
        let mut new = old.clone();
        for image in kustomization::images(&old) {
            let kata_image = PAYLOAD.first().is_some_and(|name| image.name.contains(name));
            if kata_image && image.new_tag.is_some() {
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
