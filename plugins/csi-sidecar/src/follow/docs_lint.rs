//! `docs-lint`: what is wrong with the version tables of the documentation book, and on request the moves that the support policy
//! asks for. Rows that contradict themselves are for a person to judge and are only reported.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, Step, StepKind};
use castoff_sdk::step::words;
use castoff_sdk::tree::{FileEntry, Tree};
use castoff_sdk::version::Version;
use castoff_sdk::{Error, git, scratch};
use serde::Deserialize;
use serde_json::json;

use super::checkout::Checkout;
use super::graph::{self, MERGED, PROPOSE};
use super::input::{self, invalid};
use super::propose::{self, Proposal};
use super::report;
use crate::core::accident::docs_behind;
use crate::core::docs::{self, Placement, Wrong, lint_page, update_page};
use crate::core::support::{Seconds, SupportWindow};
use crate::step::world::release_dates;

pub(super) const NAME: &str = "docs-lint";

const LINT: &str = "lint";
const SOURCE: &str = "seed 000, Release Process 16; project policies, support";
const REPOSITORY: &str = "kubernetes-csi/docs";
/// How long a release may be missing from the tables before it counts as forgotten.
const PATIENCE: Seconds = 14 * 86_400;

/// What the process is told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    #[serde(default = "repository")]
    repository: String,
    base: Option<String>,
    fork: Option<String>,
    #[serde(default = "directory")]
    directory: String,
    #[serde(default)]
    pages: Vec<String>,
    #[serde(default)]
    propose_moves: bool,
}

fn repository() -> String {
    REPOSITORY.to_owned()
}

fn directory() -> String {
    "book/src".to_owned()
}

pub(super) fn process() -> Process {
    let mut inputs = vec![
        input::repository(Some(REPOSITORY)),
        input::optional(
            "pages",
            InputKind::Texts,
            "Pages to look at; all with a version table when left out",
        ),
        input::optional("directory", InputKind::Text, "Folder of the pages; `book/src` when left out"),
        input::optional(
            "propose-moves",
            InputKind::Flag,
            "Propose to move rows that are out of support to the unsupported versions",
        ),
    ];
    inputs.extend(input::target());
    graph::process(NAME, "Report inconsistent rows of the version tables, and move unsupported ones", inputs)
}

pub(super) fn steps(inputs: &str) -> Result<Graph, Error> {
    let inputs: Inputs = input::read(inputs)?;
    let lint = Step {
        id: LINT.to_owned(),
        title: format!("Look at the version tables of {}", inputs.repository),
        kind: StepKind::Work,
        needs: Vec::new(),
        irreversible: false,
        source: SOURCE.to_owned(),
    };
    let mut steps = vec![lint];
    if inputs.propose_moves {
        let what = format!("the moves to {}", inputs.repository);
        steps.extend(graph::pair((PROPOSE, MERGED), &what, SOURCE));
        steps.iter_mut().filter(|step| step.id == PROPOSE).for_each(|step| step.needs.push(LINT.to_owned()));
    }
    Ok(Graph { title: format!("Version tables of {}", inputs.repository), steps })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = input::read(&context.inputs)?;
    match context.step.as_str() {
        LINT => {
            let book = Book::open(&inputs, context.pinned)?;
            lint(&inputs, &book, context.pinned)
        }
        PROPOSE => {
            let book = Book::open(&inputs, context.pinned)?;
            let proposal = moves(&inputs, &book);
            propose::propose(&book.checkout, inputs.fork.as_deref(), proposal)
        }
        MERGED => propose::merged(context, PROPOSE),
        other => Err(invalid(format!("{NAME} has no step {other}"))),
    }
}

/// When the versions of a repository were tagged.
type TagDates = Vec<(Version, Seconds)>;

/// The pages, and when the releases they list were made.
struct Book {
    checkout: Checkout,
    pages: Tree,
    /// Repository → tag dates, or why they are not known.
    dates: BTreeMap<String, Result<TagDates, String>>,
    now: Seconds,
}

impl Book {
    fn open(inputs: &Inputs, now: Seconds) -> Result<Self, Error> {
        let checkout = Checkout::open(&inputs.repository, inputs.base.as_deref())?;
        let mut pages = match inputs.pages.is_empty() {
            true => checkout.below(inputs.directory.trim_matches('/'), |path| path.ends_with(".md"))?,
            false => checkout.files(inputs.pages.iter().map(String::as_str))?,
        };
        if let Some(missing) = inputs.pages.iter().find(|page| !pages.contains_key(*page)) {
            return Err(invalid(format!("{missing} is not in {}; correct `pages`", inputs.repository)));
        }
        if inputs.pages.is_empty() {
            pages.retain(|_, entry| {
                entry.text().is_some_and(|text| !matches!(docs::rows(text), Err(docs::DocsError::NoTable)))
            });
        }
        let named: BTreeSet<String> =
            pages.values().filter_map(|entry| repository_of(entry.text()?)).collect();
        let read = |repository: String| {
            let found = tag_dates(&repository).map_err(|error| words(&error));
            (repository, found)
        };
        let dates = named.into_iter().map(read).collect();
        Ok(Self { checkout, pages, dates, now })
    }

    fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pages.iter().filter_map(|(path, entry)| Some((path.as_str(), entry.text()?)))
    }

    fn known(&self, text: &str) -> Option<&TagDates> {
        self.dates.get(&repository_of(text)?)?.as_ref().ok()
    }

    fn window(&self, text: &str) -> Option<SupportWindow> {
        let dates = self.known(text).filter(|dates| !dates.is_empty())?;
        Some(SupportWindow::new(self.now, dates.iter().map(|(version, at)| (version, *at))))
    }
}

/// Repository that most rows of a page link to: a single wrong link decides nothing.
fn repository_of(text: &str) -> Option<String> {
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for name in docs::rows(text).ok()?.iter().filter_map(docs::Row::repository) {
        *counted.entry(name).or_default() += 1;
    }
    counted.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name)
}

fn tag_dates(repository: &str) -> Result<TagDates, Error> {
    release_dates(&git::open(repository)?)
}

/// Findings of one page.
fn page_findings(book: &Book, path: &str, text: &str) -> Vec<String> {
    let window = book.window(text);
    let mut found = match lint_page(text, window.as_ref()) {
        Ok(lints) => lints.iter().map(|lint| format!("{path}: {lint}")).collect(),
        Err(error) => vec![format!("{path}: {error}")],
    };
    let listed: Vec<Version> = docs::rows(text).unwrap_or_default().iter().map(|row| row.version).collect();
    let behind = book.known(text).and_then(|dates| docs_behind(path, &listed, dates, book.now, PATIENCE));
    found.extend(behind.map(|accident| accident.to_string()));
    found
}

fn lint(inputs: &Inputs, book: &Book, now: Seconds) -> Result<Outcome, Error> {
    let findings: Vec<String> =
        book.texts().flat_map(|(path, text)| page_findings(book, path, text)).collect();
    let unknown: Vec<String> = book
        .dates
        .iter()
        .filter_map(|(repository, dates)| Some(format!("{repository}: {}", dates.as_ref().err()?)))
        .collect();
    let retire: usize = book.texts().map(|(_, text)| leaving(book, text)).sum();
    let text = format!(
        "# Version tables of {}\n\n{} pages, {} findings.\n\n{}{}",
        inputs.repository,
        book.pages.len(),
        findings.len(),
        report::list("## Findings", &findings, usize::MAX),
        report::list(
            "## Tag dates that are not known, so nothing is said about support",
            &unknown,
            usize::MAX
        ),
    );
    scratch::publish("docs-lint.md", "text/markdown", text.as_bytes())?;
    let output = json!({
        "pages": book.pages.len(), "findings": findings, "out-of-support": retire, "unknown": unknown, "at": now,
    });
    Ok(Outcome::Done(output.to_string()))
}

fn leaving(book: &Book, text: &str) -> usize {
    let lints = lint_page(text, book.window(text).as_ref()).unwrap_or_default();
    lints.iter().filter(|lint| lint.what == Wrong::OutOfSupport).count()
}

fn moves(inputs: &Inputs, book: &Book) -> Proposal {
    let mut proposal = Proposal {
        process: "docs",
        subject: format!("support {}", castoff_sdk::step::day(book.now)),
        title: "Move versions that are out of support".to_owned(),
        kind: "documentation",
        ..Proposal::default()
    };
    proposal.report.summary = format!(
        "Moves rows of {} that the support policy no longer covers to the unsupported versions. No row changes its text.",
        inputs.repository
    );
    for (path, text) in book.texts() {
        let window = book.window(text);
        match update_page(text, &[], Placement { window: window.as_ref() }) {
            Ok(edit) => {
                let lines = edit.retired.iter().map(|version| format!("{path}: {version} moves"));
                proposal.report.changes.extend(lines);
                let faults =
                    edit.faults.iter().map(|(version, fault)| format!("{path}: row of {version}: {fault}"));
                proposal.report.remarks.extend(faults);
                if !edit.is_noop() {
                    let mode = book.pages.get(path).map_or(castoff_sdk::tree::Mode::File, |entry| entry.mode);
                    let written = FileEntry { mode, bytes: edit.text.into_bytes() };
                    proposal.changes.writes.insert(path.to_owned(), written);
                }
            }
            Err(error) => proposal.report.remarks.push(format!("{path}: {error}")),
        }
    }
    proposal
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_repository_is_that_of_most_rows() {
        let row = |name: &str, version: &str| {
            format!(
                "[x {version}](https://github.com/{name}/releases/tag/{version}) | [b](b) | - | - | i:x\n"
            )
        };
        let head = "Latest stable release | Branch | Min CSI Version | Max CSI Version | Container Image\n--|--|--|--|--\n";
        let text = format!(
            "{head}{}{}{}",
            row("o/wrong", "v1.2.0"),
            row("o/right", "v1.1.0"),
            row("o/right", "v1.0.0")
        );
        assert_eq!(repository_of(&text).as_deref(), Some("o/right"));
        assert_eq!(repository_of("nothing"), None);
    }

    #[test]
    fn moves_are_proposed_only_on_request() {
        let ids = |inputs: &str| -> Vec<String> {
            steps(inputs).unwrap().steps.into_iter().map(|step| step.id).collect()
        };
        assert_eq!(ids("{}"), [LINT]);
        assert_eq!(ids(r#"{"propose-moves":true}"#), [LINT, PROPOSE, MERGED]);
    }
}
