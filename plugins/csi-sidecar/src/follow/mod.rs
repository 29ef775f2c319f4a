//! Follow-up processes: what a release leaves to be done in other repositories, each as one pull request.
//!
//! Every process here is thin: it reads the files it needs at the head of a branch, lets [`crate::core`] compute, and
//! proposes the difference. When nothing differs it finishes with `{"changed": false}`; a run that is started again
//! finds its own branch and pull request.

mod audit;
mod builder_image;
pub(crate) mod checkout;
mod ci_jobs;
mod deploy_images;
mod deployment_links;
mod docs;
mod docs_lint;
mod graph;
mod hostpath_deployment;
mod in_tree;
mod input;
mod propose;
mod prow;
mod release_tools;
mod report;

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, Outcome, Process};

/// A process of this folder.
struct Follow {
    name: &'static str,
    process: fn() -> Process,
    steps: fn(&str) -> Result<Graph, Error>,
    run: fn(&Context) -> Result<Outcome, Error>,
}

/// One row for the module of a process.
macro_rules! follow {
    ($($module:ident),* $(,)?) => {
        [$(Follow { name: $module::NAME, process: $module::process, steps: $module::steps, run: $module::run }),*]
    };
}

const ALL: [Follow; 11] = follow![
    docs,
    docs_lint,
    deploy_images,
    deployment_links,
    hostpath_deployment,
    in_tree,
    ci_jobs,
    prow,
    builder_image,
    release_tools,
    audit,
];

/// Descriptions of all follow-up processes.
pub(crate) fn processes() -> Vec<Process> {
    ALL.iter().map(|follow| (follow.process)()).collect()
}

/// The graph of a follow-up process; none when `process` is no follow-up.
pub(crate) fn steps(process: &str, inputs: &str) -> Option<Result<Graph, Error>> {
    find(process).map(|follow| (follow.steps)(inputs))
}

/// Runs a step of a follow-up process; none when the process of `context` is no follow-up.
pub(crate) fn run(context: &Context) -> Option<Result<Outcome, Error>> {
    find(&context.process).map(|follow| (follow.run)(context))
}

fn find(process: &str) -> Option<&'static Follow> {
    const TABLE: &[Follow] = &ALL;
    TABLE.iter().find(|follow| follow.name == process)
}

#[cfg(test)]
mod tests;
