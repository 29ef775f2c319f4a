//! The graph that most follow-up processes share: propose a change, then wait for its merge.

use castoff_sdk::process::{Graph, Process, Profile, Step, StepKind};

use castoff_sdk::process::Input;

/// The step that computes and proposes.
pub(super) const PROPOSE: &str = "propose";
/// The step that waits for the merge.
pub(super) const MERGED: &str = "merged";

/// A process with the one profile that describes present practice.
pub(super) fn process(name: &str, summary: &str, inputs: Vec<Input>) -> Process {
    let profile = Profile {
        name: "current".to_owned(),
        since: "2021-04".to_owned(),
        summary: "Practice of the kubernetes-csi organisation".to_owned(),
    };
    Process { name: name.to_owned(), summary: summary.to_owned(), inputs, profiles: vec![profile] }
}

/// A graph of one proposal and its merge. `what` completes "Propose …" and names the change.
pub(super) fn proposal(title: String, what: &str, source: &str) -> Graph {
    Graph { title, steps: pair((PROPOSE, MERGED), what, source).into() }
}

/// The two steps of one proposal, by their names.
pub(super) fn pair((propose, merged): (&str, &str), what: &str, source: &str) -> [Step; 2] {
    let step = |id: &str, title: String, kind, needs| Step {
        id: id.to_owned(),
        title,
        kind,
        needs,
        irreversible: false,
        source: source.to_owned(),
    };
    [
        step(propose, format!("Propose {what}"), StepKind::Work, Vec::new()),
        step(merged, format!("Wait for the merge of {what}"), StepKind::Wait, vec![propose.to_owned()]),
    ]
}
