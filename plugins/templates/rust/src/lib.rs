//! Releases by a version file: proposes the new version, waits for the merge, asks, tags the merge commit.
//!
//! `describe` says what there is, `steps` lays the process out, `run` does one step. A step may be started again after a
//! crash: everything it does to the world is an `ensure`, which is content with what is there already.

use castoff_sdk::git::{self, BranchRule, Change, CommitSpec, EntryKind, File};
use castoff_sdk::github::{self, PullFilter, PullSpec, PullState};
use castoff_sdk::process::{
    Condition, Context, Description, Graph, Input, InputKind, Outcome, Process, Profile, Step, StepKind,
};
use castoff_sdk::step::{approval, conflict, done, inputs, invalid, not_found, waiting};
use castoff_sdk::{Error, Plugin};
use serde::{Deserialize, Serialize};

const MINUTE: u32 = 60;
const WEEK: u32 = 7 * 24 * 3600;

/// The plugin.
pub struct Bump;

castoff_sdk::plugin!(Bump, manifest: "../manifest.toml");

impl Plugin for Bump {
    fn describe() -> Description {
        let input = |name: &str, required, summary: &str| Input {
            name: name.into(),
            kind: InputKind::Text,
            required,
            summary: summary.into(),
        };
        Description {
            name: "{{name}}".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            processes: vec![Process {
                name: "bump".into(),
                summary: "writes a version, has it merged, and tags the merge".into(),
                inputs: vec![
                    input("repository", true, "what is released, for example acme/widget"),
                    input("version", true, "the new version, for example 1.4.0"),
                    input("file", false, "the file that holds the version; VERSION when left out"),
                ],
                profiles: vec![Profile {
                    name: "current".into(),
                    since: "2026-01".into(),
                    summary: "the only one".into(),
                }],
            }],
        }
    }

    fn steps(_process: String, _profile: String, text: String) -> Result<Graph, Error> {
        let release = Release::read(&text)?;
        let step = |id: &str, title: String, kind, needs: &[&str], irreversible| Step {
            id: id.into(),
            title,
            kind,
            needs: needs.iter().map(|need| (*need).into()).collect(),
            irreversible,
            source: String::new(),
        };
        let Release { repository, version, file } = &release;
        Ok(Graph {
            title: format!("{repository} {version}"),
            steps: vec![
                step("propose", format!("Propose {version} in {file}"), StepKind::Work, &[], false),
                step("merged", "Wait for the merge".into(), StepKind::Wait, &["propose"], false),
                step("approve", format!("Approve the tag v{version}"), StepKind::Gate, &["merged"], false),
                step("tag", format!("Tag v{version}"), StepKind::Work, &["approve"], true),
            ],
        })
    }

    fn run(context: Context) -> Result<Outcome, Error> {
        let release = Release::read(&context.inputs)?;
        match context.step.as_str() {
            "propose" => propose(&release),
            "merged" => merged(&release, &context.needed_output("propose")?),
            "approve" => approve(&release, &context),
            "tag" => tag(&release, &context.needed_output("merged")?),
            other => Err(invalid(format!("there is no step {other}"))),
        }
    }
}

/// The inputs.
#[derive(Debug, Deserialize)]
struct Release {
    repository: String,
    version: String,
    #[serde(default = "version_file")]
    file: String,
}

fn version_file() -> String {
    "VERSION".into()
}

/// What `propose` leaves for the steps after it.
#[derive(Debug, Serialize, Deserialize)]
struct Proposal {
    number: u64,
    url: String,
}

/// What `merged` leaves.
#[derive(Debug, Serialize, Deserialize)]
struct Merged {
    commit: String,
}

impl Release {
    fn read(text: &str) -> Result<Self, Error> {
        let release: Self = inputs(text)?;
        let numbers: Vec<&str> = release.version.split('.').collect();
        let plain = |number: &&str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if numbers.len() != 3 || !numbers.iter().all(plain) {
            return Err(invalid(format!("version {:?} is not like 1.4.0", release.version)));
        }
        Ok(release)
    }

    fn title(&self) -> String {
        format!("Release {}", self.version)
    }
}

/// A branch with the new version, and a pull request from it; the one that is there already, when the step starts again.
fn propose(release: &Release) -> Result<Outcome, Error> {
    let Release { repository, version, file } = release;
    let branch = format!("bump-{version}");
    let owner = repository.split('/').next().unwrap_or_default();
    let filter = PullFilter { state: None, base: None, head: Some(format!("{owner}:{branch}")) };
    if let Some(pull) = github::find_pull_requests(repository, &filter, 1)?.into_iter().next() {
        return done(&Proposal { number: pull.number, url: pull.url });
    }
    let remote = git::open(repository)?;
    let base = remote.default_branch()?;
    let head = remote
        .resolve(&format!("refs/heads/{base}"))?
        .ok_or_else(|| not_found(format!("{repository} has no branch {base}")))?;
    let now = remote
        .read(&head.id, file)?
        .ok_or_else(|| not_found(format!("{repository} has no file {file}")))?;
    if now.trim_ascii() == version.as_bytes() {
        return Err(conflict(format!("{file} of {repository} says {version} already")));
    }
    let content = format!("{version}\n").into_bytes();
    let commit = remote.build_commit(&CommitSpec {
        parents: vec![head.id],
        changes: vec![Change::Put(File { path: file.clone(), kind: EntryKind::File, content })],
        message: release.title(),
        sign_off: true,
    })?;
    remote.ensure_branch(&branch, &commit.id, &BranchRule::Create)?;
    let pull = github::ensure_pull_request(
        repository,
        &PullSpec {
            head: branch,
            base,
            title: release.title(),
            body: format!("Sets {file} to {version}. The merge is tagged v{version}."),
            labels: Vec::new(),
            draft: false,
        },
    )?;
    done(&Proposal { number: pull.number, url: pull.url })
}

/// The merge commit; until there is one, the step waits, and the host looks without starting the plugin.
fn merged(release: &Release, proposal: &Proposal) -> Result<Outcome, Error> {
    let wanted = (release.repository.clone(), proposal.number);
    let found = github::pull_requests(std::slice::from_ref(&wanted))?;
    let pull = found.into_iter().next().map(|(_, pull)| pull);
    let pull = pull.ok_or_else(|| not_found(format!("{} is gone", proposal.url)))?;
    match (pull.state, pull.merge_commit) {
        (PullState::Merged, Some(commit)) => done(&Merged { commit }),
        (PullState::Closed, _) => Err(conflict(format!("{} was closed without a merge", pull.url))),
        _ => {
            let summary = format!("A maintainer has to merge {:?}", pull.title);
            Ok(waiting(Condition::PullRequestMerged(wanted), summary, Some(pull.url), MINUTE, WEEK))
        }
    }
}

/// A person agrees to what cannot be undone.
fn approve(release: &Release, context: &Context) -> Result<Outcome, Error> {
    let merged: Merged = context.needed_output("merged")?;
    if context.approved("tag")?.is_some() {
        return done(&merged);
    }
    let Release { repository, version, .. } = release;
    let prompt = format!("Tag v{version} of {repository} at {}? A published tag is never moved.", merged.commit);
    Ok(approval("tag", prompt, None))
}

fn tag(release: &Release, merged: &Merged) -> Result<Outcome, Error> {
    let name = format!("v{}", release.version);
    git::open(&release.repository)?.ensure_tag(&name, &merged.commit, Some(&release.title()))?;
    done(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let read = |version: &str| {
            Release::read(&format!(r#"{{"repository": "acme/widget", "version": "{version}"}}"#))
        };
        for version in ["1.4.0", "0.0.1", "10.20.30"] {
            assert_eq!(read(version).map(|release| release.file), Ok("VERSION".into()), "{version}");
        }
        for version in ["", "1.4", "v1.4.0", "1.4.0-rc1", "1..0"] {
            assert!(read(version).is_err(), "{version}");
        }
    }
}
