//! Processes made of others: what has to be done after all sidecars are out, and for a new Kubernetes release.
//!
//! [`part`] puts a process into another one; [`hostpath`] releases the driver that uses all sidecars; [`kubernetes`] brings CI, shared
//! scripts and sidecars to a new Kubernetes release.

mod hostpath;
mod kubernetes;
mod part;

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, Outcome, Process};

/// The shared scripts of all repositories.
pub(crate) fn release_tools() -> String {
    "kubernetes-csi/csi-release-tools".to_owned()
}

/// The definitions of all CI jobs.
pub(crate) fn test_infra() -> String {
    "kubernetes/test-infra".to_owned()
}

/// Descriptions of all processes made of others.
pub(crate) fn processes() -> Vec<Process> {
    vec![hostpath::describe(), kubernetes::describe()]
}

/// The graph of a process; none when `process` is not of this folder.
pub(crate) fn steps(process: &str, profile: &str, inputs: &str) -> Option<Result<Graph, Error>> {
    match process {
        hostpath::NAME => Some(hostpath::graph(profile, inputs)),
        kubernetes::NAME => Some(kubernetes::graph(inputs)),
        _ => None,
    }
}

/// Runs a step; none when the process of `context` is not of this folder.
pub(crate) fn run(context: &Context) -> Option<Result<Outcome, Error>> {
    match context.process.as_str() {
        hostpath::NAME => Some(hostpath::run(context)),
        kubernetes::NAME => Some(kubernetes::run(context)),
        _ => None,
    }
}
