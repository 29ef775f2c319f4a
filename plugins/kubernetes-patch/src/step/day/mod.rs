//! The process `patch-day`: one or several cuts on one day, from the issue to the schedule.
//!
//! Every cut has steps of its own, named after its branch; images are promoted for all of them at once. What a step finds
//! out is carried in its outputs: no build version is read or typed twice.

mod announce;
mod build;
mod chat;
mod images;
mod input;
mod open;
mod preflight;
mod proof;
mod service;

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, Profile, Step, StepKind};
use castoff_sdk::step::{done, invalid};

use self::build::Run;
use self::input::{Cut, Day};
use super::propose::{Proposed, wait_merged};
use super::{optional, required, schedule, step};
use crate::core::cloud_build::Phase;

/// Name of the process.
pub(super) const NAME: &str = "patch-day";

/// The seed's wording.
const SEED: &str = "seed-2025-02";
/// What release managers do today.
const CURRENT: &str = "current";

pub(super) fn describe() -> Process {
    let inputs = vec![
        required("cuts", InputKind::Table, "list of { branch = \"release-1.35\", type = \"official\" }"),
        required("user", InputKind::Text, "mail address of who submits the builds"),
        optional(
            "kubernetes",
            InputKind::Text,
            "repository that is released; `kubernetes/kubernetes` when left out",
        ),
        optional(
            "issues",
            InputKind::Text,
            "repository of the issues; `kubernetes/sig-release` when left out",
        ),
        optional(
            "workshop",
            InputKind::Table,
            "project, region, pool, tool-ref and tool-version of the builds",
        ),
        optional(
            "place",
            InputKind::Table,
            "repository, fork, file, staging and production of the promotion list",
        ),
        optional(
            "website",
            InputKind::Text,
            "repository of the schedule; `kubernetes/website` when left out",
        ),
        optional(
            "website-fork",
            InputKind::Text,
            "owner of the fork that the schedule's branch is pushed to",
        ),
        optional("channel", InputKind::Text, "id of the Slack channel; #release-management when left out"),
        optional(
            "mock",
            InputKind::Text,
            "mock builds first: `always`, `never`, `auto` (not for patch releases); by profile when left out",
        ),
        optional("mail", InputKind::Text, "`print` (a person sends; when left out), `gmail` or `smtp`"),
        optional(
            "builder",
            InputKind::Text,
            "`cloud-build` (when left out) or `krel`, a program of the policy",
        ),
        optional(
            "signer",
            InputKind::Table,
            "identity and issuer of the images' signatures; those of Kubernetes when left out",
        ),
        optional("thanks", InputKind::Text, "who helped, for the last message"),
        optional(
            "next-rc0",
            InputKind::Flag,
            "the rule before November 2022: the rc.0 of the next patch is tagged, too",
        ),
    ];
    let profile = |name: &str, since: &str, summary: &str| Profile {
        name: name.to_owned(),
        since: since.to_owned(),
        summary: summary.to_owned(),
    };
    Process {
        name: NAME.to_owned(),
        summary: "Cut Kubernetes releases of one day".to_owned(),
        inputs,
        profiles: vec![
            profile(SEED, "2025-02", "a mock stage and a mock release before every cut"),
            profile(CURRENT, "2026-03", "no mock builds for patch releases"),
        ],
    }
}

pub(super) fn graph(profile: &str, inputs: &str) -> Result<Graph, Error> {
    let day = Day::read(profile, inputs)?;
    let mut steps = vec![
        step(
            "preflight",
            "Choose build versions and compute tags",
            StepKind::Work,
            &[],
            "seed 002, Prerequisites and 5",
        ),
        step("bot", "Check the publishing bot", StepKind::Work, &["preflight"], "seed 002, 4"),
        step("go", "Somebody gives the green signal", StepKind::Gate, &["preflight"], "seed 002, 1"),
    ];
    for (at, cut) in day.cuts.iter().enumerate() {
        let opened = at.checked_sub(1).and_then(|before| day.cuts.get(before));
        steps.extend(until_stage(&day, cut, opened));
    }
    let stages = names(&day, "stage");
    let source = "seed 002, 6";
    steps.push(step("promote", "Propose the images for promotion", StepKind::Work, &refs(&stages), source));
    steps.push(step("promoted", "Wait for the merge of the promotion", StepKind::Wait, &["promote"], source));
    steps.push(step("promotion-job", "Wait for the promotion job", StepKind::Wait, &["promoted"], source));
    steps.push(step(
        "production",
        "Prove every digest in production",
        StepKind::Wait,
        &["promotion-job"],
        source,
    ));
    for cut in &day.cuts {
        let [release, announce, live] = ["release", "announce", "live"].map(|phase| cut.step(phase));
        let title = format!("{}: release", cut.branch);
        let released = step(&release, title, StepKind::Work, &["production"], "seed 002, 7");
        steps.push(Step { irreversible: true, ..released });
        let title = format!("{}: announce", cut.branch);
        steps.push(step(&announce, title, StepKind::Gate, &[&release], "seed 002, 8"));
        let title = format!("{}: tell stakeholders", cut.branch);
        steps.push(step(&live, title, StepKind::Work, &[&announce], "seed 002, 9"));
    }
    if day.is_patch() {
        let releases = names(&day, "release");
        let source = "seed 002, 10";
        steps.push(step(
            "schedule",
            "Propose the release schedule",
            StepKind::Work,
            &refs(&releases),
            source,
        ));
        steps.push(step(
            "scheduled",
            "Wait for the merge of the schedule",
            StepKind::Wait,
            &["schedule"],
            source,
        ));
    }
    for cut in &day.cuts {
        let mut needs = vec![cut.step("live")];
        needs.extend(day.is_patch().then(|| "scheduled".to_owned()));
        let title = format!("{}: history into the issue, and close it", cut.branch);
        steps.push(step(&cut.step("close"), title, StepKind::Work, &refs(&needs), "seed 002, 9 and Cleanup"));
    }
    let branches: Vec<&str> = day.cuts.iter().map(|cut| cut.branch.as_str()).collect();
    Ok(Graph { title: format!("Cut {}", branches.join(", ")), steps })
}

/// The steps of a cut up to its stage. Issues and threads are opened one after the other, in the order of the cuts, as people look
/// for them.
fn until_stage(day: &Day, cut: &Cut, opened: Option<&Cut>) -> Vec<Step> {
    let branch = &cut.branch;
    let [open, tests, mock_stage, mock_release, stage] =
        ["open", "testgrid", "mock-stage", "mock-release", "stage"].map(|phase| cut.step(phase));
    let after = opened.map_or_else(|| "go".to_owned(), |cut| cut.step("open"));
    let mut steps = vec![
        step(&open, format!("{branch}: issue and thread"), StepKind::Work, &[&after], "seed 002, 1 and 2"),
        step(&tests, format!("{branch}: testgrid"), StepKind::Work, &[&open], "seed 002, 3"),
    ];
    let mut before = tests;
    if day.mocks(cut) {
        let title = format!("{branch}: mock stage");
        steps.push(step(&mock_stage, title, StepKind::Work, &["bot", &before], "seed 002, 5"));
        let title = format!("{branch}: mock release");
        steps.push(step(&mock_release, title, StepKind::Work, &[&mock_stage], "seed 002, 5"));
        before = mock_release;
    }
    let title = format!("{branch}: stage");
    steps.push(step(&stage, title, StepKind::Work, &["bot", &before], "seed 002, 5 No-mock"));
    steps
}

fn names(day: &Day, phase: &str) -> Vec<String> {
    day.cuts.iter().map(|cut| cut.step(phase)).collect()
}

fn refs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let day = Day::read(&context.profile, &context.inputs)?;
    match context.step.as_str() {
        "preflight" => preflight::run(&day),
        "bot" => preflight::bot(&day),
        "go" => preflight::go(context),
        "promote" => images::promote(context, &day),
        "promoted" => images::merged(context),
        "promotion-job" => images::job(context, &day),
        "production" => images::production(context, &day),
        "schedule" => {
            let inputs = schedule::Inputs::monthly(&day.website, day.website_fork.clone(), &day.kubernetes);
            done(&schedule::update(&inputs, context.pinned)?)
        }
        "scheduled" => wait_merged(&context.needed_output::<Proposed>("schedule")?, "The schedule"),
        other => of_cut(context, &day, other),
    }
}

fn of_cut(context: &Context, day: &Day, name: &str) -> Result<Outcome, Error> {
    let named = day.cuts.iter().find_map(|cut| Some((cut, cut.phase(name)?)));
    let Some((cut, phase)) = named else { return Err(invalid(format!("{NAME} has no step {name}"))) };
    let build = |phase, nomock| build::run(context, day, cut, Run { phase, nomock });
    match phase {
        "open" => open::run(context, day, cut),
        "testgrid" => open::testgrid(context, day, cut),
        "mock-stage" => build(Phase::Stage, false),
        "mock-release" => build(Phase::Release, false),
        "stage" => build(Phase::Stage, true),
        "release" => build(Phase::Release, true),
        "announce" => announce::run(context, day, cut),
        "live" => announce::live(context, day, cut),
        "close" => open::close(context, day, cut),
        other => Err(invalid(format!("{NAME} has no step {other}"))),
    }
}
