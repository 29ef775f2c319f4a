//! Releases by a version file: proposes the new version, waits for the merge, asks, tags the merge commit.
//!
//! `describe` says what there is, `steps` lays the process out, `run` does one step. A step may be started again after a
//! crash: everything it does to the world is an `ensure`, which is content with what is there already. Steps are functions
//! over a `Host`: the real one in the component, a world in memory in the tests below.

use castoff_sdk::git::Change;
use castoff_sdk::host::{Forge, Git, Host, Repository, Wit};
use castoff_sdk::inputs::{Inputs, json};
use castoff_sdk::process::{Context, Description, Graph, Outcome, Process, Profile, StepKind};
use castoff_sdk::proposal::{Merged, Proposal, Proposed};
use castoff_sdk::step::{approval, conflict, done, invalid, not_found, step};
use castoff_sdk::version::Version;
use castoff_sdk::{Error, Plugin};

const MINUTE: u32 = 60;
const WEEK: u32 = 7 * 24 * 3600;

/// The plugin.
pub struct Bump;

castoff_sdk::plugin!(Bump, manifest: "../manifest.toml");

/// The inputs: what a release file says, and what people read about it.
#[derive(Debug, Inputs)]
struct Release {
    /// what is released
    #[input(example = "acme/widget")]
    repository: String,
    /// the new version
    #[input(example = "1.4.0")]
    version: String,
    /// the file that holds the version
    #[input(default = "VERSION")]
    file: String,
}

impl Plugin for Bump {
    fn describe() -> Description {
        Description {
            name: "{{name}}".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            processes: vec![Process {
                name: "bump".into(),
                summary: "writes a version, has it merged, and tags the merge".into(),
                inputs: Release::describe(),
                profiles: vec![Profile {
                    name: "current".into(),
                    since: "2026-01".into(),
                    summary: "the only one".into(),
                }],
            }],
        }
    }

    fn steps(_process: String, _profile: String, inputs: String) -> Result<Graph, Error> {
        let Release { repository, version, file } = Release::checked(&inputs)?;
        Ok(Graph {
            title: format!("{repository} {version}"),
            steps: vec![
                step("propose", format!("Propose {version} in {file}"), StepKind::Work, &[]),
                step("merged", "Wait for the merge", StepKind::Wait, &["propose"]),
                step("approve", format!("Approve the tag v{version}"), StepKind::Gate, &["merged"]),
                step("tag", format!("Tag v{version}"), StepKind::Work, &["approve"]).irreversible(),
            ],
        })
    }

    fn run(context: Context) -> Result<Outcome, Error> {
        run(&Wit, &context)
    }
}

/// Does one step, on any host.
fn run(host: &impl Host, context: &Context) -> Result<Outcome, Error> {
    let release = Release::checked(&context.inputs)?;
    match context.step.as_str() {
        "propose" => propose(host, &release),
        "merged" => merged(host, &context.needed_output("propose")?),
        "approve" => approve(&release, context),
        "tag" => tag(host, &release, &context.needed_output("merged")?),
        other => Err(invalid(format!("there is no step {other}"))),
    }
}

impl Release {
    fn checked(inputs: &str) -> Result<Self, Error> {
        let release = Self::read(inputs)?;
        match Version::parse(&format!("v{}", release.version)) {
            Ok(version) if version.is_final() => Ok(release),
            _ => {
                Err(invalid(format!("input `version`: expected one like 1.4.0, found {:?}", release.version)))
            }
        }
    }

    fn title(&self) -> String {
        format!("Release {}", self.version)
    }
}

/// A branch with the new version, and a pull request from it.
fn propose(host: &(impl Git + Forge), release: &Release) -> Result<Outcome, Error> {
    let Release { repository, version, file } = release;
    let remote = host.open(repository)?;
    let (_, head) = remote.head(None)?;
    let now = remote.text(&head.id, file)?;
    let now = now.ok_or_else(|| not_found(format!("{repository} has no file {file}")))?;
    if now.trim() == version {
        return Err(conflict(format!("{file} of {repository} says {version} already")));
    }
    let proposal = Proposal {
        repository: repository.clone(),
        branch: format!("bump-{version}"),
        title: release.title(),
        body: format!("Sets {file} to {version}. The merge is tagged v{version}."),
        changes: vec![Change::put(file, format!("{version}\n"))],
        sign_off: true,
        ..Proposal::default()
    };
    done(&proposal.propose(host)?)
}

/// The merge commit; until there is one, the step waits, and the host looks without starting the plugin.
fn merged(host: &impl Forge, proposed: &Proposed) -> Result<Outcome, Error> {
    proposed.probe(host)?.every(MINUTE, WEEK).or_wait(|merged| done(&merged))
}

/// A person agrees to what cannot be undone.
fn approve(release: &Release, context: &Context) -> Result<Outcome, Error> {
    let merged: Merged = context.needed_output("merged")?;
    if context.approved("tag")?.is_some() {
        return done(&merged);
    }
    let Release { repository, version, .. } = release;
    let commit = merge_commit(&merged)?;
    let prompt = format!("Tag v{version} of {repository} at {commit}? A published tag is never moved.");
    Ok(approval("tag", prompt, None))
}

fn tag(host: &impl Git, release: &Release, merged: &Merged) -> Result<Outcome, Error> {
    let (name, commit) = (format!("v{}", release.version), merge_commit(merged)?);
    host.open(&release.repository)?.ensure_tag(&name, commit, Some(&release.title()))?;
    done(&json!({ "tag": name, "commit": commit }))
}

fn merge_commit(merged: &Merged) -> Result<&str, Error> {
    merged.commit.as_deref().ok_or_else(|| conflict("the pull request was merged without a commit"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use castoff_sdk::host::fake::{Call, World, context, restarts};

    fn world() -> World {
        let world = World::new();
        world.commit("acme/widget", "main", "Begin", &[("VERSION", "1.3.0\n"), ("widget.txt", "turns\n")]);
        world
    }

    fn at(step: &str) -> Context {
        context("bump", step, &json!({ "repository": "acme/widget", "version": "1.4.0" }))
    }

    fn output(outcome: Outcome) -> castoff_sdk::inputs::Value {
        match outcome {
            Outcome::Done(text) => text.parse().expect("outputs are JSON"),
            other => panic!("not done: {other:?}"),
        }
    }

    #[test]
    fn versions() {
        let read = |version: &str| {
            Release::checked(&json!({ "repository": "acme/widget", "version": version }).to_string())
        };
        for version in ["1.4.0", "0.0.1", "10.20.30"] {
            assert_eq!(read(version).map(|release| release.file), Ok("VERSION".into()), "{version}");
        }
        for version in ["", "1.4", "v1.4.0", "1.4.0-rc1", "1..0"] {
            assert!(read(version).is_err(), "{version}");
        }
    }

    #[test]
    fn a_release_goes_its_way() {
        let world = world();
        let proposed = output(run(&world, &at("propose")).expect("a proposal"));
        let wait = at("merged").after("propose", &proposed);
        assert!(matches!(run(&world, &wait), Ok(Outcome::Waiting(_))));
        let commit = world.merge("acme/widget", 1);
        let merged = output(run(&world, &wait).expect("merged"));
        let asked = at("approve").after("merged", &merged);
        assert!(matches!(run(&world, &asked), Ok(Outcome::Asks(_))));
        assert!(matches!(run(&world, &asked.clone().answered("tag", "decline")), Err(Error::Conflict(_))));
        assert!(matches!(run(&world, &asked.answered("tag", "approve")), Ok(Outcome::Done(_))));
        run(&world, &at("tag").after("merged", &merged)).expect("a tag");
        assert_eq!(world.at("acme/widget", "refs/tags/v1.4.0"), Some(commit));
        assert_eq!(world.file("acme/widget", "refs/tags/v1.4.0", "VERSION").as_deref(), Some("1.4.0\n"));
        assert_eq!(world.file("acme/widget", "refs/tags/v1.4.0", "widget.txt").as_deref(), Some("turns\n"));
    }

    #[test]
    fn a_step_that_was_killed_does_nothing_twice() {
        let effects = restarts(world, |world| run(world, &at("propose")));
        assert_eq!(effects, ["push acme/widget refs/heads/bump-1.4.0", "open acme/widget#1"]);
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        let world = world();
        world.deny(Call::EnsureBranch);
        let Err(Error::Denied(denial)) = run(&world, &at("propose")) else { panic!("not denied") };
        assert_eq!(denial.power, "git.push acme/widget refs/heads/bump-1.4.0");
        world.commit("acme/widget", "main", "By hand", &[("VERSION", "1.4.0\n")]);
        assert!(matches!(run(&world, &at("propose")), Err(Error::Conflict(_))));
        assert!(world.effects().is_empty());
    }
}
