//! `general-availability`: the candidate that QA signed off becomes the release: notes, draft, sign-off, tag, files, images,
//! announcement. It stays a pre-release until `promote`.

use castoff_sdk::github::{self, ReleaseSpec};
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{approval, conflict, document, done, inputs as read_inputs, invalid, not_found};
use castoff_sdk::{Error, git, scratch};
use serde::{Deserialize, Serialize};

use super::candidate::{self, Inputs, Regime, Tagged};
use super::input;
use super::proposal::{self, Proposal};
use super::tree::{Checkout, put};
use super::{announce, components, irreversible, step};
use crate::core::note::{Change, message, pull_of, render};
use crate::core::version::Tag;

pub(super) const NAME: &str = "general-availability";
const RANGE: u32 = 2000;

#[derive(Debug, Serialize, Deserialize)]
struct Drafted {
    #[serde(flatten)]
    wanted: Tagged,
    candidate: Tag,
    notes: String,
}

pub(super) fn describe() -> Process {
    let mut inputs = candidate::shared();
    inputs.extend([
        input::optional("channel", InputKind::Text, "Id of the Slack channel that hears of it; none when left out"),
        input::optional(
            "notes-repository",
            InputKind::Text,
            "Repository that the notes go to by pull request before the release, such as rancherlabs/release-notes; none when left out",
        ),
        input::optional(
            "notes-path",
            InputKind::Text,
            "Their path there, with {line} and {tag}; k3s/{line}.X/{tag}.md when left out",
        ),
    ]);
    input::process(NAME, "Release the candidate that was signed off", inputs)
}

pub(super) fn steps(text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = read_inputs(text)?;
    let row = "Create GA Release Candidate";
    let mut steps = vec![
        step("notes", "Write the notes with the table of components", StepKind::Work, &[], row),
        step("draft", "Keep the release as a draft", StepKind::Work, &["notes"], row),
        step("sign-off", "QA signs the candidate off", StepKind::Gate, &["draft"], row),
    ];
    let mut before = vec!["sign-off"];
    if inputs.notes_repository.is_some() {
        steps.push(step("notes-propose", "Propose the notes", StepKind::Work, &["notes"], row));
        steps.push(step(
            "notes-merged",
            "Wait for the merge of the notes",
            StepKind::Wait,
            &["notes-propose"],
            row,
        ));
        before.push("notes-merged");
    }
    steps.push(irreversible("publish", "Set the tag and publish as a pre-release", &before, row));
    steps.extend(candidate::following("publish"));
    steps.push(step("announce", "Announce the release", StepKind::Work, &["images"], row));
    Ok(Graph { title: format!("{}: {}", inputs.repository, inputs.release.tag()?), steps })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let tag = inputs.release.tag()?;
    match context.step.as_str() {
        "notes" => notes(&inputs, tag),
        "draft" => draft(context, &inputs),
        "sign-off" => sign_off(context),
        "publish" => {
            let drafted: Drafted = context.needed_output("notes")?;
            candidate::publish(&inputs.repository, &drafted.wanted, &drafted.notes)?;
            done(&drafted.wanted)
        }
        "notes-propose" => propose_notes(context, &inputs, tag),
        "notes-merged" => proposal::merged(&proposal::of_step(context, "notes-propose")?),
        "announce" => {
            let name = format!("announce-{}", tag.image_tag());
            announce(context, inputs.channel.as_deref(), &name, &message::general(&[tag]))
        }
        other => candidate::follow(context, &inputs, tag)
            .unwrap_or_else(|| Err(invalid(format!("{NAME} has no step {other}")))),
    }
}

fn notes(inputs: &Inputs, tag: Tag) -> Result<Outcome, Error> {
    let base = inputs.release.branch()?;
    let checkout = Checkout::open(&inputs.repository, Some(&base))?;
    let repository = &checkout.repository;
    let listed = repository.references("refs/tags/v1.*")?;
    let tags: Vec<(Tag, String)> = listed
        .iter()
        .filter_map(|found| {
            Some((Tag::parse(found.name.strip_prefix("refs/tags/")?).ok()?, found.commit.clone()))
        })
        .collect();
    let newest = tags.iter().filter(|(other, _)| other.is_candidate() && other.general() == tag).max();
    let (newest, commit) =
        newest.cloned().ok_or_else(|| not_found(format!("there is no candidate of {tag}")))?;
    let mut previous: Vec<&(Tag, String)> = tags
        .iter()
        .filter(|(other, _)| !other.is_candidate() && other.minor == tag.minor && *other < tag)
        .collect();
    previous.sort();
    let since = previous.pop();
    let changes = changes(inputs, repository, since, &commit)?;
    let before = match since {
        Some((since, _)) => {
            github::release_of_tag(&inputs.repository, &since.to_string())?.map(|release| release.body)
        }
        None => None,
    };
    let components = components::at(repository, &commit, &components::sqlite())?;
    let since = since.map(|(since, _)| *since);
    let text = render(tag, since, &changes, before.as_deref().unwrap_or_default(), &components);
    scratch::publish(&format!("notes-{}.md", tag.image_tag()), "text/markdown", text.as_bytes())?;
    let wanted = Tagged { tag, commit, regime: candidate::regime(&checkout)? };
    done(&Drafted { wanted, candidate: newest, notes: text })
}

/// The notes by pull request, where their readers keep them.
fn propose_notes(context: &Context, inputs: &Inputs, tag: Tag) -> Result<Outcome, Error> {
    let drafted: Drafted = context.needed_output("notes")?;
    let repository = inputs.notes_repository.as_deref().unwrap_or_default();
    let checkout = Checkout::open(repository, None)?;
    let line = format!("v{}", tag.kubernetes().line());
    let path = inputs.notes_path.replace("{line}", &line).replace("{tag}", &tag.to_string());
    let changes = match checkout.text(&path)?.is_some_and(|text| text == drafted.notes) {
        true => Vec::new(),
        false => vec![put(&path, &drafted.notes)],
    };
    let title = format!("k3s: notes of {tag}");
    let body = format!("Made from the changes and components of {}.\n", drafted.candidate);
    done(&proposal::propose(&Proposal {
        checkout: &checkout,
        branch: format!("notes-{}", tag.image_tag()),
        title: title.clone(),
        body,
        commits: vec![(title, changes)],
    })?)
}

/// Pull requests since the release before, all of them: the range is walked, not one page of a comparison.
fn changes(
    inputs: &Inputs,
    repository: &git::Repository,
    since: Option<&(Tag, String)>,
    to: &str,
) -> Result<Vec<Change>, Error> {
    let Some((_, since)) = since else { return Ok(Vec::new()) };
    let base = repository.merge_base(since, to)?.unwrap_or_else(|| since.clone());
    let commits = repository.first_parents(Some(&base), to, RANGE)?;
    let numbers = commits.iter().filter_map(|commit| pull_of(&commit.subject));
    let wanted: Vec<(String, u64)> = numbers.map(|number| (inputs.repository.clone(), number)).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let pulls = github::pull_requests(&wanted)?;
    let change = |(_, pull): (String, github::PullRequest)| Change {
        number: pull.number,
        title: pull.title,
        url: format!("https://github.com/{}/pull/{}", inputs.repository, pull.number),
        body: pull.body,
    };
    Ok(pulls.into_iter().map(change).collect())
}

/// Where a release comes first it waits as a draft; where the tag comes first nothing may be there before it.
fn draft(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let drafted: Drafted = context.needed_output("notes")?;
    if drafted.wanted.regime == Regime::TagFirst {
        return done(&serde_json::json!({ "draft": false }));
    }
    let name = drafted.wanted.tag.to_string();
    github::ensure_release(
        &inputs.repository,
        &ReleaseSpec {
            tag: name.clone(),
            commit: drafted.wanted.commit,
            name,
            body: drafted.notes,
            prerelease: true,
            draft: true,
            assets: Vec::new(),
        },
    )?;
    done(&serde_json::json!({ "draft": true }))
}

fn sign_off(context: &Context) -> Result<Outcome, Error> {
    let drafted: Drafted = context.needed_output("notes")?;
    if let Some(answer) = context.approved("sign-off")? {
        if is_friday(answer.at) && answer.comment.as_deref().is_none_or(|comment| comment.trim().is_empty()) {
            return Err(conflict(
                "releases do not go out on a Friday; sign off with a comment that says why this one does",
            ));
        }
        return done(&serde_json::json!({ "by": answer.by, "candidate": drafted.candidate }));
    }
    let prompt = format!(
        "Has QA passed {}, and shall {} become {}? Not on a Friday.",
        drafted.candidate, drafted.wanted.commit, drafted.wanted.tag
    );
    Ok(approval("sign-off", prompt, Some(document("notes.md", drafted.notes, false))))
}

/// The first of January 1970 was a Thursday.
fn is_friday(seconds: i64) -> bool {
    seconds.div_euclid(86_400).rem_euclid(7) == 1
}

#[cfg(test)]
mod tests {
    use super::is_friday;

    #[test]
    fn fridays() {
        for (seconds, friday) in [
            (0, false),
            (86_400, true),
            (8 * 86_400 + 5, true),
            (1_700_000_000, false),
            (1_700_179_200, true),
        ] {
            assert_eq!(is_friday(seconds), friday, "{seconds}");
        }
    }
}
