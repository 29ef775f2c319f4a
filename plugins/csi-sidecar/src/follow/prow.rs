//! `prow`: default values in the shared CI script `prow.sh`.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process};
use castoff_sdk::tree::{FileEntry, Tree};
use serde::Deserialize;

use super::checkout::Checkout;
use super::graph;
use super::input::{self, invalid, refused};
use super::propose::{self, Proposal, Target};
use crate::core::prow::{ProwChange, edit};

pub(super) const NAME: &str = "prow";

const SOURCE: &str = "seed 000, Release Process: driver version of the shared CI";
const REPOSITORY: &str = "kubernetes-csi/csi-release-tools";

/// What the process is told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    #[serde(default = "repository")]
    repository: String,
    base: Option<String>,
    fork: Option<String>,
    #[serde(default = "file")]
    file: String,
    #[serde(default)]
    values: BTreeMap<String, String>,
    kind_version: Option<String>,
    #[serde(default)]
    kind_images: Vec<String>,
    #[serde(default)]
    trial: bool,
}

fn repository() -> String {
    REPOSITORY.to_owned()
}

fn file() -> String {
    "prow.sh".to_owned()
}

pub(super) fn process() -> Process {
    let mut inputs = vec![
        input::repository(Some(REPOSITORY)),
        input::optional(
            "values",
            InputKind::Table,
            "New default values: `CSI_PROW_DRIVER_VERSION = \"v1.17.0\"`",
        ),
        input::optional("kind-version", InputKind::Text, "New default version of kind: `v0.25.0`"),
        input::optional(
            "kind-images",
            InputKind::Texts,
            "Pre-built kind images, each in place of its Kubernetes minor: `kindest/node:v1.36.0@sha256:\u{2026}`",
        ),
        input::optional("file", InputKind::Text, "Path of the script; `prow.sh` when left out"),
        input::optional("trial", InputKind::Flag, "Only to try the values: a draft that nobody shall merge"),
    ];
    inputs.extend(input::target());
    graph::process(NAME, "Change default values of the shared CI script", inputs)
}

pub(super) fn steps(inputs: &str) -> Result<Graph, Error> {
    let inputs = read(inputs)?;
    let title = format!("{}: {}", inputs.repository, title(&inputs));
    Ok(graph::proposal(title, &format!("the values to {}", inputs.repository), SOURCE))
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = read(&context.inputs)?;
    let target = Target::new(&inputs.repository, inputs.base.as_deref(), inputs.fork.as_deref());
    let files = |checkout: &Checkout| checkout.files([inputs.file.as_str()]);
    propose::run(context, &target, files, |tree| plan(tree, &inputs))
}

fn read(inputs: &str) -> Result<Inputs, Error> {
    let inputs: Inputs = input::read(inputs)?;
    if inputs.values.is_empty() && inputs.kind_version.is_none() && inputs.kind_images.is_empty() {
        return Err(invalid("no value is wanted; expected `values`, `kind-version` or `kind-images`"));
    }
    Ok(inputs)
}

fn plan(tree: &Tree, inputs: &Inputs) -> Result<Proposal, Error> {
    let path = &inputs.file;
    let entry = tree.get(path).ok_or_else(|| {
        refused(format!("{path} is not in {}; name the script as `file`", inputs.repository))
    })?;
    let text = entry
        .text()
        .ok_or_else(|| refused(format!("{path} is a link or not UTF-8; name the script itself")))?;
    let change = ProwChange {
        values: inputs.values.clone(),
        kind_version: inputs.kind_version.clone(),
        kind_images: inputs.kind_images.clone(),
    };
    let edited = edit(text, &change).map_err(|error| refused(format!("{path}: {error}")))?;
    let mut proposal = Proposal {
        process: NAME,
        subject: subject(inputs),
        title: title(inputs),
        kind: "cleanup",
        ..Proposal::default()
    };
    proposal.report.summary = format!("Changes default values in `{path}`; every other byte stays.");
    if edited.text != text {
        let written = FileEntry { mode: entry.mode, bytes: edited.text.into_bytes() };
        proposal.changes.writes.insert(path.clone(), written);
    }
    let lines = edited.changes.iter().map(|change| {
        let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        format!("`{}`: `{}` becomes `{}`", change.name, first(&change.from), first(&change.to))
    });
    proposal.report.changes = lines.collect();
    if inputs.trial {
        proposal.draft = true;
        proposal.title = format!("WIP: {}", proposal.title);
        proposal.subject = format!("trial {}", proposal.subject);
        proposal.report.summary = format!(
            "Tries default values in `{path}`. Not to be merged: the script belongs to another repository."
        );
    }
    Ok(proposal)
}

fn subject(inputs: &Inputs) -> String {
    let kind = inputs.kind_version.iter().map(|version| format!("kind {version}"));
    let values = inputs.values.iter().map(|(name, value)| format!("{name} {value}"));
    let images = inputs.kind_images.iter().map(|image| {
        let name = image.split('@').next().unwrap_or(image);
        name.rsplit('/').next().unwrap_or(name).to_owned()
    });
    kind.chain(values).chain(images).collect::<Vec<_>>().join(" ")
}

fn title(inputs: &Inputs) -> String {
    let short = |name: &str| name.trim_start_matches("CSI_PROW_").to_ascii_lowercase().replace('_', " ");
    match (inputs.values.iter().next(), inputs.values.len(), &inputs.kind_version) {
        (_, _, Some(version)) => format!("prow.sh: kind {version}"),
        (Some((name, value)), 1, None) if !value.contains('\n') => {
            format!("prow.sh: {} {value}", short(name))
        }
        _ => "prow.sh: update default values".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn changes_a_value_once_and_refuses_unknown_ones() {
        let script = "#!/bin/bash\nconfigvar CSI_PROW_DRIVER_VERSION \"v1.0.0\" \"driver\"\n";
        let tree: Tree = [("prow.sh".to_owned(), FileEntry::file(script))].into();
        let inputs = read(r#"{"values":{"CSI_PROW_DRIVER_VERSION":"v1.1.0"}}"#).unwrap();
        let proposal = plan(&tree, &inputs).unwrap();
        assert_eq!(proposal.title, "prow.sh: driver version v1.1.0");
        let after = proposal.changes.apply(&tree);
        assert_eq!(after["prow.sh"].text(), Some(script.replace("v1.0.0", "v1.1.0").as_str()));
        assert!(plan(&after, &inputs).unwrap().changes.is_empty());
        assert!(!proposal.draft);
        let trial = plan(&tree, &Inputs { trial: true, ..inputs }).unwrap();
        assert!(trial.draft && trial.title.starts_with("WIP: ") && trial.subject.starts_with("trial "));
        let cases = [
            (r#"{}"#, "no value is wanted"),
            (r#"{"values":{"CSI_PROW_X":"1"}}"#, "CSI_PROW_DRIVER_VERSION"),
            (r#"{"values":{"CSI_PROW_X":"1"},"file":"other.sh"}"#, "other.sh is not in"),
        ];
        for (inputs, expected) in cases {
            let error = read(inputs).and_then(|inputs| plan(&tree, &inputs)).unwrap_err();
            assert!(format!("{error:?}").contains(expected), "{error:?}");
        }
    }
}
