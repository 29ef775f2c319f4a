//! The notes: every commit of the range accounted for, the entry printed, and a person's review.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::Error;
use castoff_sdk::git::{self, Repository};
use castoff_sdk::github;
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::{approval, document, done, invalid};
use serde::{Deserialize, Serialize};

use super::dependencies;
use super::input::Inputs;
use super::preflight::Preflight;
use super::world::{LONGEST_WALK, list, publish, text};
use crate::core::audit;
use crate::core::changelog::{Content, HeaderStyle, entry_of, has_heading, render_entry};
use crate::core::note::Note;
use crate::core::pull::{self, Accounting, Commit, PullRequest};
use crate::core::range::ReleaseRange;

/// Most rounds of reading originals of cherry-picks: a pick of a pick of a pick is as deep as it gets.
const MOST_ROUNDS: usize = 4;

/// Output of the step `notes`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Notes {
    /// The whole entry.
    pub(crate) entry: String,
    /// The report on every commit.
    pub(crate) audit: String,
    /// One line of counts.
    pub(crate) tally: String,
    /// What the reviewer should look at.
    pub(crate) doubts: Vec<String>,
    /// Whether the entry stood in the file already.
    pub(crate) merged: bool,
}

/// Output of the gate `review`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reviewed {
    /// The entry as approved.
    pub(crate) entry: String,
    /// Whether a person changed it.
    pub(crate) edited: bool,
    /// Who approved; nobody where the entry was merged before.
    pub(crate) by: Option<String>,
}

/// Step `notes`.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let preflight: Preflight = context.needed_output("preflight")?;
    let range = &preflight.range;
    let repository = git::open(&inputs.repository)?;

    let (line, side) = walk(&repository, &preflight)?;
    let pulls = read_pulls(&inputs.repository, &line)?;
    let accounting = Accounting::new(&line, &pulls, &range.bases, &inputs.repository);
    let quoted = pull::quoted_numbers(&line, &side);
    let audit = format!("{}{}", audit::report(&accounting), audit::quoted_report(&quoted));
    let tally = audit::Tally::of(&accounting).line();

    let proxy = if inputs.module_proxy == "off" { "" } else { inputs.module_proxy.as_str() };
    let dependencies =
        dependencies::report(&repository, &range.since_commit, &range.head, &context.day(), proxy)?;
    let notes: Vec<Note> = accounting.notes().cloned().collect();
    let content = Content {
        version: range.version,
        since: &range.since,
        notes: &notes,
        dependencies: &dependencies.text,
        repository: &inputs.repository,
    };
    let files = changelogs(&repository, range)?;
    let style = style(context, range, &files);
    let found = files.first().filter(|(path, _)| *path == range.changelog);
    let existing = found.and_then(|(_, file)| entry_of(file, range.version));
    let merged = existing.is_some();
    let entry = existing.map_or_else(|| render_entry(content, &style), |entry| entry.text);

    let mut doubts = preflight.warnings.clone();
    doubts.extend(dependencies.doubt);
    publish("notes.md", &entry)?;
    publish("audit.md", &format!("# Audit of {}\n\n{audit}{}", range.version, list("To know:", &doubts)))?;
    done(&Notes { entry, audit, tally, doubts, merged })
}

/// The first-parent line of the range, and the other commits in it.
fn walk(repository: &Repository, preflight: &Preflight) -> Result<(Vec<Commit>, Vec<Commit>), Error> {
    let since = Some(preflight.merge_base.as_str());
    let head = &preflight.range.head;
    let commit = |commit: git::Commit| Commit {
        sha: commit.id,
        parents: commit.parents.len(),
        message: commit.message,
    };
    let line: Vec<Commit> =
        repository.first_parents(since, head, LONGEST_WALK)?.into_iter().map(commit).collect();
    let on_line: BTreeSet<&str> = line.iter().map(|commit| commit.sha.as_str()).collect();
    let all = repository.log(since, head, LONGEST_WALK)?.into_iter();
    let side = all.filter(|commit| !on_line.contains(commit.id.as_str())).map(commit).collect();
    Ok((line, side))
}

/// The pull requests of a range and the originals of cherry-picks.
fn read_pulls(repository: &str, line: &[Commit]) -> Result<BTreeMap<u64, PullRequest>, Error> {
    let mut pulls = BTreeMap::new();
    let mut wanted = pull::numbers(line);
    for _ in 0..MOST_ROUNDS {
        if wanted.is_empty() {
            break;
        }
        let asked: Vec<(String, u64)> =
            wanted.iter().map(|number| (repository.to_owned(), *number)).collect();
        let found = github::pull_requests(&asked)?;
        pulls.extend(found.into_iter().map(|(_, pull)| (pull.number, of_forge(pull))));
        let mut missing = pull::missing_origins(&pulls);
        missing.retain(|number| !wanted.contains(number));
        wanted = missing;
    }
    Ok(pulls)
}

fn of_forge(pull: github::PullRequest) -> PullRequest {
    PullRequest {
        number: pull.number,
        title: pull.title,
        user: pull.author,
        labels: pull.labels,
        body: pull.body,
        head_ref: pull.head,
        base_ref: pull.base,
        merge_commit_sha: pull.merge_commit,
    }
}

/// The changelog files that the style is inherited from, the one of the release first, with their paths.
fn changelogs(repository: &Repository, range: &ReleaseRange) -> Result<Vec<(String, String)>, Error> {
    let mut files = Vec::new();
    for path in std::iter::once(&range.changelog).chain(&range.previous_changelogs) {
        if let Some(file) = text(repository, &range.head, path)? {
            files.push((path.clone(), file));
        }
        // One file with entries says enough; two, where the first is empty.
        if files.len() == 2 {
            break;
        }
    }
    Ok(files)
}

fn style(context: &Context, range: &ReleaseRange, files: &[(String, String)]) -> HeaderStyle {
    let mut style = HeaderStyle::inherit(files.iter().map(|(_, file)| file.as_str()));
    if context.profile == "patch-script-notes" && range.version.patch > 0 {
        style.since = false;
    }
    style
}

/// Gate `review`: question `notes` with the entry to edit.
pub(crate) fn review(context: &Context) -> Result<Outcome, Error> {
    let preflight: Preflight = context.needed_output("preflight")?;
    let notes: Notes = context.needed_output("notes")?;
    if notes.merged {
        return done(&Reviewed { entry: notes.entry, edited: false, by: None });
    }
    let range = &preflight.range;
    if let Some(answer) = context.approved("notes")? {
        let entry = answer.document.clone().unwrap_or_else(|| notes.entry.clone());
        if !has_heading(&entry, range.version) {
            return Err(invalid(format!(
                "the edited entry has no heading \"Release notes for {}\"; the gate before the tag looks for it. Put it \
                 back and answer again",
                range.version
            )));
        }
        let edited = entry.trim() != notes.entry.trim();
        return done(&Reviewed { entry, edited, by: Some(answer.by.clone()) });
    }
    let prompt = format!(
        "Notes of {} since {}. Reword them as needed; look for breaking changes and deprecations.\n\n{}{}",
        range.version,
        range.since,
        notes.audit,
        list("To know:", &notes.doubts)
    );
    Ok(approval("notes", prompt, Some(document("CHANGELOG-entry.md", notes.entry, true))))
}
