//! `ci-jobs`: the generated CI jobs of kubernetes-csi for another set of Kubernetes versions.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process};
use castoff_sdk::tree::{FileEntry, Tree};
use serde::Deserialize;
use serde_json::json;

use super::checkout::Checkout;
use super::graph;
use super::input::{self, invalid, refused};
use super::propose::{self, Proposal, Target};
use crate::core::gen_jobs::{JobRemark, Variables, edit_script, read_script, regenerate};

pub(super) const NAME: &str = "ci-jobs";

const SOURCE: &str = "seed 000, Release Process: CI jobs in test-infra";
const REPOSITORY: &str = "kubernetes/test-infra";
const DIRECTORY: &str = "config/jobs/kubernetes-csi";
const SCRIPT: &str = "gen-jobs.sh";

/// What the process is told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    #[serde(default = "repository")]
    repository: String,
    base: Option<String>,
    fork: Option<String>,
    #[serde(default = "directory")]
    directory: String,
    kubernetes: Option<String>,
    #[serde(default)]
    verified: bool,
    variables_before: Option<Given>,
    #[serde(default)]
    variables_after: Given,
    dind_image: Option<String>,
}

/// Variables as they are named in the script; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    k8s_versions: Option<Vec<String>>,
    deployment_versions: Option<Vec<String>>,
    experimental_k8s_version: Option<String>,
    latest_stable_k8s_version: Option<String>,
    latest_stable_k8s_minor_version: Option<String>,
    hostpath_driver_version: Option<String>,
    dind_image: Option<String>,
}

impl Given {
    /// `from` with what is given in its place. An empty experimental version means there is none.
    fn over(&self, from: Variables) -> Variables {
        let experimental = match &self.experimental_k8s_version {
            Some(version) => Some(version.clone()).filter(|version| !version.is_empty()),
            None => from.experimental_k8s_version,
        };
        Variables {
            k8s_versions: self.k8s_versions.clone().unwrap_or(from.k8s_versions),
            deployment_versions: self.deployment_versions.clone().unwrap_or(from.deployment_versions),
            experimental_k8s_version: experimental,
            latest_stable_k8s_version: self
                .latest_stable_k8s_version
                .clone()
                .unwrap_or(from.latest_stable_k8s_version),
            latest_stable_k8s_minor_version: self
                .latest_stable_k8s_minor_version
                .clone()
                .or(from.latest_stable_k8s_minor_version),
            hostpath_driver_version: self
                .hostpath_driver_version
                .clone()
                .unwrap_or(from.hostpath_driver_version),
            dind_image: self.dind_image.clone().or(from.dind_image),
        }
    }
}

fn repository() -> String {
    REPOSITORY.to_owned()
}

fn directory() -> String {
    DIRECTORY.to_owned()
}

pub(super) fn process() -> Process {
    let mut inputs = vec![
        input::repository(Some(REPOSITORY)),
        input::optional(
            "kubernetes",
            InputKind::Text,
            "New Kubernetes version `1.36`; the variables follow from it",
        ),
        input::optional(
            "verified",
            InputKind::Flag,
            "The experimental version works: its jobs become required and it runs the alpha jobs",
        ),
        input::optional(
            "variables-after",
            InputKind::Table,
            "Variables by their names in gen-jobs.sh: `k8s_versions = [\"1.34\", \"1.35\", \"1.36\"]`, \
             `hostpath_driver_version = \"v1.17.1\"`; what is left out stays",
        ),
        input::optional(
            "variables-before",
            InputKind::Table,
            "Variables the present files were generated with; read from gen-jobs.sh when left out",
        ),
        input::optional("dind-image", InputKind::Text, "Image of all jobs; the present one when left out"),
        input::optional(
            "directory",
            InputKind::Text,
            "Folder of the jobs; `config/jobs/kubernetes-csi` when left out",
        ),
    ];
    inputs.extend(input::target());
    graph::process(NAME, "Regenerate the CI jobs of kubernetes-csi for other Kubernetes versions", inputs)
}

pub(super) fn steps(inputs: &str) -> Result<Graph, Error> {
    let inputs = read(inputs)?;
    let title = format!("{}: CI jobs for {}", inputs.repository, subject(&inputs));
    Ok(graph::proposal(title, &format!("the jobs to {}", inputs.repository), SOURCE))
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = read(&context.inputs)?;
    let target = Target::new(&inputs.repository, inputs.base.as_deref(), inputs.fork.as_deref());
    let script = script_path(&inputs);
    let files = |checkout: &Checkout| checkout.below(folder(&inputs), |path| is_yaml(path) || path == script);
    propose::run(context, &target, files, |tree| plan(tree, &inputs))
}

fn folder(inputs: &Inputs) -> &str {
    inputs.directory.trim_end_matches('/')
}

fn script_path(inputs: &Inputs) -> String {
    format!("{}/{SCRIPT}", folder(inputs))
}

fn is_yaml(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml")
}

fn read(inputs: &str) -> Result<Inputs, Error> {
    let inputs: Inputs = input::read(inputs)?;
    let wanted = inputs.kubernetes.is_some()
        || inputs.verified
        || inputs.dind_image.is_some()
        || inputs.variables_after != Given::default();
    if !wanted {
        return Err(invalid(
            "nothing is wanted; expected `kubernetes`, `verified`, `variables-after` or `dind-image`",
        ));
    }
    Ok(inputs)
}

fn plan(tree: &Tree, inputs: &Inputs) -> Result<Proposal, Error> {
    let path = script_path(inputs);
    let script = tree.get(&path).and_then(FileEntry::text);
    let before = before(inputs, &path, script)?;
    let after = after(inputs, &before)?;
    let mut made = regenerate(tree, &before, &after).map_err(refused)?;
    if let (Some(text), Some(entry)) = (script, tree.get(&path)) {
        let edited = edit_script(text, &after).map_err(|error| refused(format!("{path}: {error}")))?;
        if read_script(text).as_ref() != Ok(&after) && edited != text {
            let written = FileEntry { mode: entry.mode, bytes: edited.into_bytes() };
            made.changes.writes.insert(path, written);
        }
    }
    let mut proposal = Proposal {
        process: NAME,
        subject: subject(inputs),
        title: format!("kubernetes-csi: CI jobs for {}", subject(inputs)),
        kind: "cleanup",
        ..Proposal::default()
    };
    proposal.report.summary =
        "Regenerates the CI jobs of kubernetes-csi. The present files come out of their own variables byte \
                               for byte, so nothing but the variables changes."
            .to_owned();
    if !made.changes.is_empty() {
        proposal.report.changes.push(made.summary());
    }
    proposal.report.changes.extend(made.jobs_added.iter().map(|job| format!("new: {job}")));
    proposal.report.changes.extend(made.jobs_removed.iter().map(|job| format!("gone: {job}")));
    proposal.report.remarks = made.remarks.iter().map(remark).collect();
    proposal.outputs.insert("jobs-added".to_owned(), json!(made.jobs_added));
    proposal.outputs.insert("jobs-removed".to_owned(), json!(made.jobs_removed));
    proposal.changes = made.changes;
    Ok(proposal)
}

/// The variables the files were generated with.
fn before(inputs: &Inputs, path: &str, script: Option<&str>) -> Result<Variables, Error> {
    let read = script.map(|script| read_script(script).map_err(|error| refused(format!("{path}: {error}"))));
    match (&inputs.variables_before, read) {
        (Some(given), Some(Ok(read))) => Ok(given.over(read)),
        (Some(given), _) => Ok(given.over(Variables::default())),
        (None, Some(read)) => read,
        (None, None) => Err(refused(format!(
            "{path} is not there; expected the generator, or its variables as `variables-before`"
        ))),
    }
}

fn after(inputs: &Inputs, before: &Variables) -> Result<Variables, Error> {
    let mut after = before.clone();
    if let Some(version) = &inputs.kubernetes {
        // Already there: a second run of the same request.
        if after.k8s_versions.last() != Some(version) {
            after = after.with_kubernetes(version).map_err(invalid)?;
        }
    }
    if inputs.verified {
        after = after.verified();
    }
    let mut after = inputs.variables_after.over(after);
    after.dind_image = inputs.dind_image.clone().or(after.dind_image);
    Ok(after)
}

fn remark(remark: &JobRemark) -> String {
    match remark {
        JobRemark::Stale { path, versions } => {
            format!("{path} was left over from {}; it is brought up to date", versions.join(", "))
        }
        JobRemark::NoAlphaJobs { latest } => {
            format!("the latest stable version {latest} is not under test, so there are no alpha jobs")
        }
        JobRemark::OldVersion { path, version, lines } => {
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            format!("{path} is kept by hand and tests {version} on line {}, which leaves", lines.join(", "))
        }
        JobRemark::Duplicate { path, job } => {
            format!(
                "{path} is kept by hand and defines {job}, which is generated too; Prow refuses two jobs of one name"
            )
        }
    }
}

fn subject(inputs: &Inputs) -> String {
    let given = &inputs.variables_after;
    let newest = inputs
        .kubernetes
        .as_ref()
        .or_else(|| given.k8s_versions.as_ref().and_then(|versions| versions.last()));
    let mut parts: Vec<String> = newest.map(|version| format!("Kubernetes {version}")).into_iter().collect();
    parts.extend(inputs.verified.then(|| "verified".to_owned()));
    parts.extend(given.hostpath_driver_version.as_ref().map(|version| format!("driver {version}")));
    let image = inputs.dind_image.as_ref().or(given.dind_image.as_ref());
    parts.extend(image.map(|image| image.rsplit('/').next().unwrap_or(image).to_owned()));
    if parts.is_empty() { "other versions".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SCRIPT_TEXT: &str = "k8s_versions=\"\n1.1\n1.2\n\"\ndeployment_versions=\"\n1.1\n1.2\n\"\n\
                               experimental_k8s_version=\"1.2\"\nlatest_stable_k8s_version=\"1.1\"\n\
                               hostpath_driver_version=\"v1.0.0\"\n";

    #[test]
    fn variables_come_from_the_script_or_the_request() {
        let script = read_script(SCRIPT_TEXT).unwrap();
        let cases = [
            (r#"{"kubernetes":"1.3"}"#, script.with_kubernetes("1.3").unwrap()),
            (r#"{"kubernetes":"1.2","verified":true}"#, script.verified()),
            (
                r#"{"variables-after":{"hostpath_driver_version":"v1.1.0","experimental_k8s_version":""}}"#,
                Variables {
                    hostpath_driver_version: "v1.1.0".to_owned(),
                    experimental_k8s_version: None,
                    ..script.clone()
                },
            ),
        ];
        for (inputs, expected) in cases {
            let inputs = read(inputs).unwrap();
            let before = before(&inputs, "gen-jobs.sh", Some(SCRIPT_TEXT)).unwrap();
            assert_eq!(after(&inputs, &before).unwrap(), expected);
        }
        let given = read(r#"{"kubernetes":"1.3"}"#).unwrap();
        assert!(format!("{:?}", before(&given, "x/gen-jobs.sh", None)).contains("variables-before"));
        assert!(read("{}").is_err());
    }
}
