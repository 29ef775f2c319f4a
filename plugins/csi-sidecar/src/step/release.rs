//! The process `release`: one sidecar, from triage to the documentation.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, Profile, Step, StepKind};
use castoff_sdk::step::{approval, done, inputs as read_inputs, invalid};

use super::final_check::{self, FinalCheck};
use super::input::Inputs;
use super::{
    changelog, ci, docs, images, input, notes, preflight, profile, publish, pull, readme, step, tag, triage,
};

/// Describes the process.
pub(crate) fn describe() -> Process {
    use InputKind::{Text, Texts};
    let inputs = vec![
        input("repository", Text, true, "repository to release, as kubernetes-csi/livenessprobe"),
        input("version", Text, true, "version, vX.Y.Z or vX.Y.Z-rcN"),
        input("since", Text, false, "tag where the notes start; found by itself when left out"),
        input(
            "branch",
            Text,
            false,
            "branch to release from; release-X.Y or the default branch when left out",
        ),
        input("commit", Text, false, "commit to tag; the merge of the changelog when left out"),
        input("skip", Texts, false, "versions left out on purpose"),
        input("submodules", Texts, false, "folders of Go submodules that get the same tag, as client/"),
        input("images", Texts, false, "image names; CMDS of the Makefile when left out"),
        input(
            "platforms",
            Texts,
            false,
            "platforms, as linux/arm64; those of the build scripts when left out",
        ),
        input("pages", Texts, false, "pages of the documentation; found by themselves when left out"),
        input("fork", Text, false, "owner of the forks that branches are pushed to; no forks when left out"),
        input(
            "minimum-kubernetes",
            Text,
            false,
            "oldest Kubernetes release, as 1.20; unchanged when left out",
        ),
        input(
            "recommended-kubernetes",
            Text,
            false,
            "recommended Kubernetes release; unchanged when left out",
        ),
        input("dashboard", Text, false, "testgrid dashboard; sig-storage-csi-ci when left out"),
        input(
            "image-dashboard",
            Text,
            false,
            "testgrid dashboard of builds; sig-storage-image-build when left out",
        ),
        input(
            "module-proxy",
            Text,
            false,
            "Go module proxy; https://proxy.golang.org when left out, off for none",
        ),
        input("staging", Text, false, "registry of the builds; gcr.io/k8s-staging-sig-storage when left out"),
        input("production", Text, false, "registry of users; registry.k8s.io/sig-storage when left out"),
        input(
            "promotion-repository",
            Text,
            false,
            "repository of the promotion list; kubernetes/k8s.io when left out",
        ),
        input("promotion-file", Text, false, "path of the promotion list; that of sig-storage when left out"),
        input(
            "docs-repository",
            Text,
            false,
            "repository of the documentation; kubernetes-csi/docs when left out",
        ),
    ];
    Process {
        name: "release".to_owned(),
        summary: "Release a kubernetes-csi sidecar, from triage to the documentation".to_owned(),
        inputs,
        profiles: profiles(),
    }
}

pub(crate) fn profiles() -> Vec<Profile> {
    vec![
        profile("seed-2022-02", "2022-02", "the process as written down in SIDECAR_RELEASE_PROCESS.md"),
        profile("patch-script-notes", "2023", "notes of patch releases without the line \"Changelog since\""),
        profile("push-images-precheck", "2026", "the job that pushes images must pass before the tag"),
        profile("canary-before-notes", "2026", "canary jobs are looked at before the notes are made"),
        profile("deps-first", "2026-08", "dependencies and release-tools are updated before the notes"),
    ]
}

/// Lays the process out. A candidate has no changelog, promotion or documentation.
pub(crate) fn graph(profile: &str, text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    let known = profiles();
    if !known.iter().any(|found| found.name == profile) {
        let names: Vec<String> = known.into_iter().map(|found| found.name).collect();
        return Err(invalid(format!("there is no profile {profile:?}; there is {}", names.join(", "))));
    }
    // A malformed version is explained by the first step.
    let candidate = inputs.version().is_ok_and(|version| !version.is_final());
    let steps = if candidate { candidate_steps(profile) } else { final_steps(profile) };
    Ok(Graph { title: format!("Release {} {}", inputs.repository, inputs.version), steps })
}

fn row(numbers: &str) -> String {
    format!("seed 000, Release Process {numbers}")
}

fn work(id: &str, title: &str, needs: &[&str], numbers: &str) -> Step {
    step(id, title, StepKind::Work, needs, &row(numbers))
}

fn wait(id: &str, title: &str, needs: &[&str], numbers: &str) -> Step {
    step(id, title, StepKind::Wait, needs, &row(numbers))
}

fn gate(id: &str, title: &str, needs: &[&str], numbers: &str) -> Step {
    step(id, title, StepKind::Gate, needs, &row(numbers))
}

/// Preflight, triage, scope, and what a profile puts before the notes. Returns what the notes need.
fn first_steps(profile: &str) -> (Vec<Step>, &'static str) {
    let mut steps = vec![
        step(
            "preflight",
            "Check permission, version, range and builder image",
            StepKind::Work,
            &[],
            "seed 000, Prerequisites and Release Process 3",
        ),
        work("triage", "List open pull requests and issues", &["preflight"], "1"),
        gate("scope", "Freeze the scope", &["triage"], "1"),
    ];
    match profile {
        "deps-first" => {
            steps.push(step(
                "dependencies",
                "Dependencies and release-tools are up to date",
                StepKind::Gate,
                &["scope"],
                "csi-release-tools 69dcfaf, Release Process",
            ));
            (steps, "dependencies")
        }
        "canary-before-notes" => {
            steps.push(ci_step("scope"));
            (steps, "ci")
        }
        _ => (steps, "scope"),
    }
}

fn ci_step(after: &str) -> Step {
    work("ci", "Check the canary jobs", &[after], "10")
}

fn final_steps(profile: &str) -> Vec<Step> {
    let (mut steps, before_notes) = first_steps(profile);
    steps.extend([
        work("notes", "Generate the notes and account for every commit", &[before_notes], "4 and 5"),
        gate("review", "Review and reword the notes", &["notes"], "6"),
        work("changelog", "Propose the changelog entry", &["review"], "7 and 8"),
    ]);
    if profile != "canary-before-notes" {
        steps.push(ci_step("changelog"));
    }
    steps.extend([
        work("readme", "Propose the README changes", &["changelog"], "9"),
        wait("changelog-merged", "Wait for the merge of the changelog", &["changelog"], "8"),
        work(
            "final-check",
            "Check that nothing came in between",
            &["changelog-merged", "readme", "ci"],
            "11",
        ),
    ]);
    steps.extend(tag_steps());
    steps.extend([
        work("promote", "Propose the images for promotion", &["images"], "15"),
        wait("promotion-merged", "Wait for the merge of the promotion", &["promote"], "15"),
        wait("production", "Wait for the images in production", &["promotion-merged"], "15"),
        work("docs", "Propose the rows of the documentation", &["production", "github-release"], "16"),
        wait("docs-merged", "Wait for the merge of the documentation", &["docs"], "16"),
        work("summary", "Sum up", &["docs-merged"], "16"),
    ]);
    steps
}

fn candidate_steps(profile: &str) -> Vec<Step> {
    let (mut steps, before_notes) = first_steps(profile);
    steps.push(work("notes", "Generate the notes and account for every commit", &[before_notes], "4 and 5"));
    if profile != "canary-before-notes" {
        steps.push(ci_step("notes"));
    }
    steps.push(work("final-check", "Check that nothing came in between", &["notes", "ci"], "11"));
    steps.extend(tag_steps());
    steps.push(work("summary", "Sum up", &["github-release", "images"], "14"));
    steps
}

/// From the gate before the tag to the images in staging.
fn tag_steps() -> Vec<Step> {
    vec![
        gate("tag-gate", "Approve the tag", &["final-check"], "12"),
        tag::tag_step(&["tag-gate"]),
        work("github-release", "Publish the GitHub release", &["tag"], "12"),
        wait("images", "Wait for the images in staging", &["tag"], "14"),
    ]
}

/// Runs a step of the process.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    match context.step.as_str() {
        "preflight" => preflight::run(context),
        "triage" => triage::run(context),
        "scope" => triage::scope(context),
        "dependencies" => dependencies(context),
        "ci" => ci::run(context),
        "notes" => notes::run(context),
        "review" => notes::review(context),
        "changelog" => changelog::run(context),
        "changelog-merged" => changelog::merged(context),
        "readme" => readme::run(context),
        "final-check" => final_check::run(context),
        "tag-gate" => {
            let check: FinalCheck = context.needed_output("final-check")?;
            tag::approve(context, &check.checked, &check.facts)
        }
        "tag" => {
            let check: FinalCheck = context.needed_output("final-check")?;
            tag::tag(context, &check.checked)
        }
        "github-release" => publish::run(context),
        "images" => images::staged(context),
        "promote" => images::promote(context),
        "promotion-merged" => pull::wait_merged(&context.needed_output("promote")?, "The promotion"),
        "production" => images::production(context),
        "docs" => docs::run(context),
        "docs-merged" => pull::wait_merged(&context.needed_output("docs")?, "The documentation pull request"),
        "summary" => publish::summary(context),
        other => Err(invalid(format!("the process release has no step {other}"))),
    }
}

/// Gate `dependencies`: question `dependencies`. The updates themselves are processes of their own.
fn dependencies(context: &Context) -> Result<Outcome, Error> {
    if let Some(answer) = context.approved("dependencies")? {
        return done(&serde_json::json!({ "by": answer.by, "comment": answer.comment }));
    }
    let inputs: Inputs = context.read_inputs()?;
    let prompt = format!(
        "Are the Go dependencies and release-tools of {} updated and merged? Both belong into this release before its \
         notes are made.",
        inputs.repository
    );
    Ok(approval("dependencies", prompt, None))
}
