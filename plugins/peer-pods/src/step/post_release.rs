//! Process `post-release`: the branch unlocked, pins taken back, the release cited, the operator told.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{done, inputs as read_inputs, invalid};

use super::checkout::Checkout;
use super::edit::Desk;
use super::input::{self, Inputs, optional};
use super::propose::{Proposal, Proposed, merged, propose};
use super::{freeze, irreversible, operator, profiles, step};

/// Its name.
pub(crate) const NAME: &str = "post-release";

/// Describes the process.
pub(crate) fn describe() -> Process {
    let mut inputs = vec![input::version("version that was released, vX.Y.Z")];
    inputs.extend(input::place());
    inputs.extend(input::component_inputs());
    inputs.extend(input::image_inputs());
    inputs.extend(input::lock_inputs());
    inputs.extend([
        optional("commit", InputKind::Text, "commit of the release, where the forge has no tag of it"),
        optional("date-released", InputKind::Text, "day of the release, where the forge does not tell"),
    ]);
    Process {
        name: NAME.to_owned(),
        summary: "Unlock the branch, take pins back, cite the release, propose the operator's".to_owned(),
        inputs,
        profiles: profiles(),
    }
}

/// Lays it out.
pub(crate) fn graph(profile: &str, text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    input::profile(profile)?;
    use StepKind::{Gate, Wait, Work};
    let steps = vec![
        step("unlock", "Unlock the branch", Gate, &[], "Post-release, ask an admin (P19)"),
        step("propose", "Take pins back and cite the release", Work, &[], "Post-release (P20 to P22)"),
        step("merged", "Wait for the merge", Wait, &["propose", "unlock"], "Post-release (P20 to P22)"),
        step("operator", "Propose the operator's release", Work, &[], "The CoCo operator updates (P23)"),
        step(
            "operator-merged",
            "Wait for the operator",
            Wait,
            &["operator"],
            "The CoCo operator updates (P23)",
        ),
        step(
            "operator-approve",
            "Approve the operator's tag",
            Gate,
            &["operator-merged"],
            "The CoCo operator updates and then releases itself (P23)",
        ),
        irreversible(step(
            "operator-tag",
            "Tag and publish the operator's release",
            Work,
            &["operator-approve"],
            "The CoCo operator updates and then releases itself (P23)",
        )),
        step(
            "operator-revert",
            "Take the operator's payload back",
            Work,
            &["operator-tag"],
            "The CoCo operator updates (P23)",
        ),
        step(
            "operator-reverted",
            "Wait for the merge of the operator's revert",
            Wait,
            &["operator-revert"],
            "The CoCo operator updates (P23)",
        ),
        step(
            "consumers",
            "Look who requires older modules",
            Work,
            &["operator-reverted"],
            "allow people to use go get (P23)",
        ),
    ];
    Ok(Graph { title: format!("After the release {} {}", inputs.repository, inputs.version), steps })
}

/// Runs a step.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = Inputs::of(context)?;
    match context.step.as_str() {
        "unlock" => freeze::unlock(context, &inputs),
        "propose" => {
            let checkout = Checkout::open(&inputs.repository, inputs.branch.as_deref())?;
            done(&open(context, &checkout, &inputs)?)
        }
        "merged" => merged(context, "propose", "a review, and a merge by a maintainer"),
        "operator" => operator::release(context),
        "operator-merged" => merged(context, "operator", "the maintainers of the operator"),
        "operator-approve" => operator::approve(context),
        "operator-tag" => operator::tag(context),
        "operator-revert" => operator::revert(context),
        "operator-reverted" => merged(context, "operator-revert", "the maintainers of the operator"),
        "consumers" => operator::report(context),
        other => Err(invalid(format!("the process {NAME} has no step {other}"))),
    }
}

/// Proposes the reverts and the citation; the release does so first, with the same branch and the same commits.
pub(crate) fn open(context: &Context, checkout: &Checkout, inputs: &Inputs) -> Result<Proposed, Error> {
    let mut desk = Desk::open(context, checkout, inputs)?;
    let tags = checkout.tags()?;
    if inputs.wants("operator") {
        let edit = desk.operator_revert()?;
        desk.take(edit);
    }
    if inputs.wants("images") {
        let edit = desk.unpins()?;
        desk.take(edit);
    }
    if inputs.wants("citation") {
        let edit = desk.citation(&tags)?;
        desk.take(edit);
    }
    if inputs.wants("documents") {
        let edit = desk.documents(&tags)?;
        desk.take(edit);
    }
    let version = inputs.version_text()?;
    let proposal = Proposal {
        branch: format!("post-release-{version}"),
        title: format!("After the release {version}"),
        summary: format!("Takes back what {version} pinned, and cites it."),
        edits: desk.edits,
        remarks: desk.remarks,
        draft: false,
    };
    propose(checkout, inputs.fork.as_deref(), &proposal)
}
