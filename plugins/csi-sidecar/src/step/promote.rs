//! The process `promote`: entries for the promotion list, whatever release they come from.

use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{approval, conflict, done, inputs as read_inputs, invalid, words};
use castoff_sdk::{Error, oci};
use serde::Deserialize;

use super::images::{read_and_promote, wait_production};
use super::input::{production, promotion_file, promotion_repository, staging};
use super::pull::{self, Proposed};
use super::world::{World, list};
use super::{input, profile, step};
use crate::core::promotion::Entry;
use crate::core::proposal::Proposal;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Inputs {
    entries: Vec<EntryInput>,
    #[serde(default = "promotion_repository")]
    repository: String,
    #[serde(default = "promotion_file")]
    file: String,
    base: Option<String>,
    fork: Option<String>,
    #[serde(default = "yes")]
    verify: bool,
    #[serde(default = "staging")]
    staging: String,
    #[serde(default = "production")]
    production: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryInput {
    image: String,
    tag: String,
    digest: String,
}

fn yes() -> bool {
    true
}

impl Inputs {
    fn entries(&self) -> Vec<Entry> {
        let entry = |given: &EntryInput| Entry {
            image: given.image.clone(),
            tag: given.tag.clone(),
            digest: given.digest.clone(),
        };
        self.entries.iter().map(entry).collect()
    }
}

/// Describes the process.
pub(crate) fn describe() -> Process {
    let inputs = vec![
        input("entries", InputKind::Table, true, "list of { image, tag, digest }"),
        input(
            "repository",
            InputKind::Text,
            false,
            "repository of the list; kubernetes/k8s.io when left out",
        ),
        input("file", InputKind::Text, false, "path of the list; that of sig-storage when left out"),
        input("base", InputKind::Text, false, "branch of the list; the default branch when left out"),
        input("fork", InputKind::Text, false, "owner of the fork that the branch is pushed to"),
        input(
            "verify",
            InputKind::Flag,
            false,
            "compare with the registries, before and after; true when left out",
        ),
        input(
            "staging",
            InputKind::Text,
            false,
            "registry of the builds; gcr.io/k8s-staging-sig-storage when left out",
        ),
        input(
            "production",
            InputKind::Text,
            false,
            "registry of users; registry.k8s.io/sig-storage when left out",
        ),
    ];
    Process {
        name: "promote".to_owned(),
        summary: "Insert image digests into the promotion list".to_owned(),
        inputs,
        profiles: vec![profile(
            "seed-2022-02",
            "2022-02",
            "insert into the list as it is; never generate it anew",
        )],
    }
}

/// Lays the process out.
pub(crate) fn graph(text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    let mut steps = vec![
        step(
            "promote",
            "Propose the entries for the promotion list",
            StepKind::Work,
            &[],
            "seed 000, Release Process 15",
        ),
        step(
            "merged",
            "Wait for the merge of the list",
            StepKind::Wait,
            &["promote"],
            "seed 000, Release Process 15",
        ),
    ];
    if inputs.verify {
        steps.push(step(
            "production",
            "Wait for the images in production",
            StepKind::Wait,
            &["merged"],
            "seed 000, Release Process 15",
        ));
    }
    Ok(Graph { title: format!("Promote {}", names(&inputs.entries())), steps })
}

/// Runs a step of the process.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    match context.step.as_str() {
        "promote" => promote(context, &inputs),
        "merged" => pull::wait_merged(&context.needed_output("promote")?, "The promotion"),
        "production" => wait_production(&inputs.production, &inputs.entries()),
        other => Err(invalid(format!("the process promote has no step {other}"))),
    }
}

fn promote(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let entries = inputs.entries();
    let world = World::read(&inputs.repository)?;
    let base = inputs.base.as_deref().unwrap_or(&world.default_branch);
    let head = world.head(base)?;
    let promotion = read_and_promote(&world.repository, head, &inputs.file, &entries)?;
    if promotion.inserted.is_empty() {
        return done(&Proposed { repository: inputs.repository.clone(), ..Proposed::default() });
    }
    let doubts = if inputs.verify { verify(inputs, &promotion.inserted)? } else { Vec::new() };
    let rows: Vec<String> = promotion.inserted.iter().map(row).collect();
    if context.approved("digest")?.is_none() {
        let read = if inputs.verify { "" } else { " Nothing was compared with a registry." };
        let prompt = format!(
            "Promote these images to {}? What is promoted is never replaced.{read}\n{}{}{}",
            inputs.production,
            list("Images:", &rows),
            list("Not confirmed:", &doubts),
            list("To know:", &promotion.remarks)
        );
        return Ok(approval("digest", prompt, None));
    }
    let title = format!("sig-storage: promote {}", names(&promotion.inserted));
    let proposal = Proposal {
        head: branch(&promotion.inserted),
        base: base.to_owned(),
        commit_message: title.clone(),
        body: format!(
            "{}{}{}",
            list("Images:", &rows).trim_start(),
            list("Please look at:", &doubts),
            list("To know:", &promotion.remarks)
        ),
        title,
    };
    let changes = vec![pull::put(&inputs.file, &promotion.content)];
    done(&pull::propose(&inputs.repository, inputs.fork.as_deref(), head, changes, &proposal)?)
}

/// Compares with the registries: other content is an error, no answer a doubt, since staging forgets images.
fn verify(inputs: &Inputs, entries: &[Entry]) -> Result<Vec<String>, Error> {
    let mut doubts = Vec::new();
    for entry in entries {
        doubts.extend(published(&inputs.production, entry)?);
        let reference = format!("{}/{}:{}", inputs.staging, entry.image, entry.tag);
        match oci::manifest(&reference) {
            Ok(Some(found)) if found.digest == entry.digest => {}
            Ok(Some(found)) => {
                return Err(conflict(format!(
                    "{reference} is {}, asked for was {}; check the digest",
                    found.digest, entry.digest
                )));
            }
            Ok(None) => doubts.push(format!("{reference} is not in staging (any more)")),
            Err(error) => doubts.push(format!("{reference} could not be read: {}", words(&error))),
        }
    }
    Ok(doubts)
}

/// What is published is immutable, also where the list no longer says so.
fn published(production: &str, entry: &Entry) -> Result<Option<String>, Error> {
    let reference = format!("{production}/{}:{}", entry.image, entry.tag);
    match oci::manifest(&reference) {
        Ok(Some(found)) if found.digest != entry.digest => Err(conflict(format!(
            "{reference} is published as {}, asked for was {}; a published tag is immutable. Release the next version \
             instead",
            found.digest, entry.digest
        ))),
        Ok(_) => Ok(None),
        Err(error) => Ok(Some(format!("{reference} could not be read: {}", words(&error)))),
    }
}

fn row(entry: &Entry) -> String {
    format!("`{}:{}` {}", entry.image, entry.tag, entry.digest)
}

/// The entries in a few words.
fn names(entries: &[Entry]) -> String {
    match entries {
        [] => "nothing".to_owned(),
        [one] => format!("{} {}", one.image, one.tag),
        [first, rest @ ..] => format!("{} {} and {} more", first.image, first.tag, rest.len()),
    }
}

/// Branch of a promotion: the same for the same entries.
fn branch(entries: &[Entry]) -> String {
    match entries {
        [] => "promote".to_owned(),
        [one] => format!("promote-{}-{}", one.image, one.tag),
        [first, rest @ ..] => format!("promote-{}-{}-and-{}", first.image, first.tag, rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_strictly() {
        let good = r#"{"entries": [{"image": "a", "tag": "v1.0.0", "digest": "sha256:0"}]}"#;
        let inputs: Inputs = read_inputs(good).expect("inputs");
        assert!(inputs.verify && inputs.repository == "kubernetes/k8s.io");
        assert_eq!(branch(&inputs.entries()), "promote-a-v1.0.0");
        assert_eq!(names(&inputs.entries()), "a v1.0.0");
        let typo = r#"{"entries": [{"image": "a", "tags": "v1.0.0", "digest": "sha256:0"}]}"#;
        assert!(read_inputs::<Inputs>(typo).is_err());
    }
}
