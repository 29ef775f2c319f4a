//! `builder-image`: the image that runs the build files, before a pruned one stops the next release.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process};
use castoff_sdk::tree::Tree;
use serde::Deserialize;

use super::checkout::Checkout;
use super::graph;
use super::input::{self, invalid, refused};
use super::propose::{self, Proposal, Target};
use crate::core::cloudbuild::{BuilderChange, bump};

pub(super) const NAME: &str = "builder-image";

const SOURCE: &str = "seed 000, Release Process: image build of a tag";
const REPOSITORY: &str = "kubernetes-csi/csi-release-tools";

/// What the process is told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    #[serde(default = "repository")]
    repository: String,
    base: Option<String>,
    fork: Option<String>,
    before: Vec<String>,
    after: Vec<String>,
    #[serde(default)]
    files: Vec<String>,
}

fn repository() -> String {
    REPOSITORY.to_owned()
}

pub(super) fn process() -> Process {
    let mut inputs = vec![
        input::repository(Some(REPOSITORY)),
        input::required(
            "before",
            InputKind::Texts,
            "Builder images to exchange, `registry/path/name:tag`; without a tag any tag of that image",
        ),
        input::required("after", InputKind::Texts, "Their replacements in the same order, or one for all"),
        input::optional(
            "files",
            InputKind::Texts,
            "Build files; every `cloudbuild*.yaml` at the top of the repository when left out",
        ),
    ];
    inputs.extend(input::target());
    graph::process(NAME, "Exchange the builder image of the build files", inputs)
}

pub(super) fn steps(inputs: &str) -> Result<Graph, Error> {
    let inputs = read(inputs)?;
    let title = format!("{}: builder {}", inputs.repository, subject(&inputs));
    Ok(graph::proposal(title, &format!("the builder image to {}", inputs.repository), SOURCE))
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = read(&context.inputs)?;
    let target = Target::new(&inputs.repository, inputs.base.as_deref(), inputs.fork.as_deref());
    propose::run(context, &target, |checkout| build_files(checkout, &inputs), |tree| plan(tree, &inputs))
}

fn build_files(checkout: &Checkout, inputs: &Inputs) -> Result<Tree, Error> {
    if !inputs.files.is_empty() {
        return checkout.files(inputs.files.iter().map(String::as_str));
    }
    let top = checkout.repository.entries(&checkout.head.id, "", false)?;
    let named = top.iter().map(|entry| entry.path.as_str()).filter(|path| is_build_file(path));
    checkout.files(named)
}

fn is_build_file(path: &str) -> bool {
    let name = path.trim_start_matches('.');
    name.starts_with("cloudbuild") && (name.ends_with(".yaml") || name.ends_with(".yml"))
}

fn read(inputs: &str) -> Result<Inputs, Error> {
    let inputs: Inputs = input::read(inputs)?;
    let (before, after) = (inputs.before.len(), inputs.after.len());
    if before == 0 || !(after == before || after == 1) {
        return Err(invalid(format!(
            "{before} images in `before` and {after} in `after`; expected as many, or one replacement for all"
        )));
    }
    Ok(inputs)
}

fn plan(tree: &Tree, inputs: &Inputs) -> Result<Proposal, Error> {
    let missing = inputs.files.iter().find(|path| !tree.contains_key(*path));
    if let Some(path) = missing {
        return Err(refused(format!("{path} is not in {}; correct `files`", inputs.repository)));
    }
    let replacements = inputs.after.iter().cycle();
    let wanted: Vec<BuilderChange> = inputs
        .before
        .iter()
        .zip(replacements)
        .map(|(before, after)| BuilderChange { before: before.clone(), after: after.clone() })
        .collect();
    let changes = bump(tree, &wanted).map_err(refused)?;
    let mut proposal = Proposal {
        process: NAME,
        subject: subject(inputs),
        title: format!("cloudbuild: builder {}", subject(inputs)),
        kind: "cleanup",
        ..Proposal::default()
    };
    proposal.report.summary =
        "Exchanges the builder image. Builders are pruned after some time, and a tag made on a commit that names a pruned one \
         builds nothing."
            .to_owned();
    let lines = wanted.iter().map(|change| format!("`{}` becomes `{}`", change.before, change.after));
    proposal.report.changes = lines.filter(|_| !changes.is_empty()).collect();
    proposal.changes = changes;
    Ok(proposal)
}

/// Tags of the new builders.
fn subject(inputs: &Inputs) -> String {
    let last = |image: &str| image.rsplit('/').next().unwrap_or(image).to_owned();
    let mut images: Vec<String> = inputs.after.iter().map(|image| last(image)).collect();
    images.dedup();
    images.join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use castoff_sdk::tree::FileEntry;

    #[test]
    fn exchanges_the_builder_once() {
        let text = "steps:\n  - name: gcr.io/p/builder:v1\n    entrypoint: make\n";
        let tree: Tree = [("cloudbuild.yaml".to_owned(), FileEntry::file(text))].into();
        let inputs = read(r#"{"before":["gcr.io/p/builder:v1"],"after":["gcr.io/p/builder:v2"]}"#).unwrap();
        let after = plan(&tree, &inputs).unwrap().changes.apply(&tree);
        assert_eq!(after["cloudbuild.yaml"].text(), Some(text.replace(":v1", ":v2").as_str()));
        assert!(plan(&after, &inputs).unwrap().changes.is_empty());
        let cases = [
            (r#"{"before":[],"after":[]}"#, "0 images"),
            (r#"{"before":["gcr.io/p/other:v1"],"after":["gcr.io/p/other:v2"]}"#, "gcr.io/p/builder:v1"),
            (r#"{"before":["gcr.io/p/builder"],"after":["gcr.io/p/builder"]}"#, "no tag"),
        ];
        for (inputs, expected) in cases {
            let error = read(inputs).and_then(|inputs| plan(&tree, &inputs)).unwrap_err();
            assert!(format!("{error:?}").contains(expected), "{error:?}");
        }
    }

    #[test]
    fn knows_build_files() {
        for (path, expected) in [
            ("cloudbuild.yaml", true),
            (".cloudbuild.yml", true),
            ("cloudbuild-client.yaml", true),
            ("main.yaml", false),
        ] {
            assert_eq!(is_build_file(path), expected, "{path}");
        }
    }
}
