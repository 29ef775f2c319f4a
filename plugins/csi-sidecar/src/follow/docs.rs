//! `docs`: rows of new releases in the version tables of the documentation book.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process};
use castoff_sdk::tree::{FileEntry, Tree};
use castoff_sdk::version::Version;
use serde::Deserialize;
use serde_json::json;

use super::checkout::Checkout;
use super::graph;
use super::input::{self, invalid, refused};
use super::propose::{self, Proposal, Target};
use crate::core::docs::{self, Column, PageEdit, WantedRow, update_page};
use crate::core::support::{Seconds, SupportWindow, parse_moment};

pub(super) const NAME: &str = "docs";

const SOURCE: &str = "seed 000, Release Process: update the documentation";

/// What the process is told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inputs {
    #[serde(default = "repository")]
    repository: String,
    base: Option<String>,
    fork: Option<String>,
    rows: Vec<RowInput>,
    #[serde(default)]
    tag_dates: BTreeMap<String, Dates>,
}

/// One wanted row.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RowInput {
    page: String,
    version: String,
    cells: Option<Vec<String>>,
    substitute_from: Option<String>,
    #[serde(default)]
    overrides: BTreeMap<ColumnName, String>,
}

/// Columns a person may decide, as they are named in a release file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ColumnName {
    MinCsi,
    MaxCsi,
    Image,
    MinKubernetes,
    MaxKubernetes,
    RecommendedKubernetes,
}

impl ColumnName {
    fn column(self) -> Column {
        match self {
            Self::MinCsi => Column::MinCsi,
            Self::MaxCsi => Column::MaxCsi,
            Self::Image => Column::Image,
            Self::MinKubernetes => Column::MinKubernetes,
            Self::MaxKubernetes => Column::MaxKubernetes,
            Self::RecommendedKubernetes => Column::RecommendedKubernetes,
        }
    }
}

/// Tag dates: of one version (for all pages), or of all versions of one page.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Dates {
    Version(String),
    Page(BTreeMap<String, String>),
}

fn repository() -> String {
    "kubernetes-csi/docs".to_owned()
}

pub(super) fn process() -> Process {
    let mut inputs = vec![
        input::repository(Some("kubernetes-csi/docs")),
        input::required(
            "rows",
            InputKind::Table,
            "Rows to add: `{ page = \"book/src/livenessprobe.md\", version = \"v2.4.0\" }`, each with `cells` (all of them), or \
             `substitute-from` (the listed version to copy; the nearest when left out) and `overrides` \
             (`recommended-kubernetes = \"v1.21\"`)",
        ),
        input::optional(
            "tag-dates",
            InputKind::Table,
            "When the versions were tagged, to tell supported from unsupported ones: `\"v2.4.0\" = \"2021-08-18T11:28:17-07:00\"`, \
             or one such table for each page name without `.md`. Left out: no row changes its table",
        ),
    ];
    inputs.extend(input::target());
    graph::process(NAME, "List new releases in the version tables of the documentation book", inputs)
}

pub(super) fn steps(inputs: &str) -> Result<Graph, Error> {
    let inputs = read(inputs)?;
    let title = format!("Documentation: {}", subject(&inputs));
    Ok(graph::proposal(title, &format!("the rows to {}", inputs.repository), SOURCE))
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = read(&context.inputs)?;
    let target = Target::new(&inputs.repository, inputs.base.as_deref(), inputs.fork.as_deref());
    let files = |checkout: &Checkout| checkout.files(inputs.rows.iter().map(|row| row.page.as_str()));
    propose::run(context, &target, files, |tree| plan(tree, &inputs, context.pinned))
}

fn read(inputs: &str) -> Result<Inputs, Error> {
    let inputs: Inputs = input::read(inputs)?;
    if inputs.rows.is_empty() {
        return Err(invalid("`rows` is empty; expected at least one row with `page` and `version`"));
    }
    for row in &inputs.rows {
        Version::parse(&row.version).map_err(invalid)?;
    }
    Ok(inputs)
}

/// The pages with their rows. `now` decides which minors are still supported.
fn plan(tree: &Tree, inputs: &Inputs, now: Seconds) -> Result<Proposal, Error> {
    let mut proposal = Proposal {
        process: NAME,
        subject: subject(inputs),
        title: title(inputs),
        kind: "documentation",
        ..Proposal::default()
    };
    let mut by_page: BTreeMap<&str, Vec<&RowInput>> = BTreeMap::new();
    for row in &inputs.rows {
        by_page.entry(&row.page).or_default().push(row);
    }
    for (path, rows) in by_page {
        let entry = tree.get(path).ok_or_else(|| {
            refused(format!("{path} is not in {}; correct the `page` of the row", inputs.repository))
        })?;
        let text = entry
            .text()
            .ok_or_else(|| refused(format!("{path} is a link or not UTF-8; name the page itself")))?;
        let edit = edit(path, text, &rows, inputs, now)?;
        describe(path, &edit, &mut proposal);
        if !edit.is_noop() {
            let written = FileEntry { mode: entry.mode, bytes: edit.text.into_bytes() };
            proposal.changes.writes.insert(path.to_owned(), written);
        }
    }
    proposal.report.summary =
        "Lists the releases below in the version tables. Rows nobody asked to change keep every byte."
            .to_owned();
    proposal.outputs.insert("lints".to_owned(), json!(proposal.report.remarks));
    Ok(proposal)
}

fn edit(
    path: &str,
    text: &str,
    rows: &[&RowInput],
    inputs: &Inputs,
    now: Seconds,
) -> Result<PageEdit, Error> {
    let failed = |error: docs::DocsError| refused(format!("{path}: {error}"));
    let listed = docs::rows(text).map_err(failed)?;
    let wanted: Vec<WantedRow> =
        rows.iter().map(|row| wanted(path, row, &listed)).collect::<Result<_, _>>()?;
    let window = window(path, inputs, now)?;
    update_page(text, &wanted, docs::Placement { window: window.as_ref() }).map_err(failed)
}

fn wanted(path: &str, row: &RowInput, listed: &[docs::Row]) -> Result<WantedRow, Error> {
    let version = Version::parse(&row.version).map_err(invalid)?;
    let cells = match (&row.cells, &row.substitute_from) {
        (Some(cells), _) => Some(cells.clone()),
        (None, Some(from)) => Some(substituted(path, version, from, listed)?),
        (None, None) => None,
    };
    let overrides = row.overrides.iter().map(|(column, text)| (column.column(), text.clone())).collect();
    Ok(WantedRow { version, cells, overrides })
}

/// Cells of the row of `from` with the version exchanged. A row of the wanted version itself needs no substitution.
fn substituted(path: &str, version: Version, from: &str, listed: &[docs::Row]) -> Result<Vec<String>, Error> {
    let from = Version::parse(from).map_err(invalid)?;
    let present = |wanted: Version| listed.iter().find(|row| row.version == wanted);
    // A patch release takes the place of the row it was made from: on a second run that row is gone.
    if let Some(row) = present(from).or_else(|| present(version)) {
        return Ok(row.for_version(version).cells);
    }
    let versions: Vec<String> = listed.iter().map(|row| row.version.to_string()).collect();
    Err(refused(format!(
        "{path} lists no {from} to copy the row of {version} from; it lists {}; name one of them as `substitute-from`",
        versions.join(", ")
    )))
}

fn window(path: &str, inputs: &Inputs, now: Seconds) -> Result<Option<SupportWindow>, Error> {
    let stem = stem(path);
    let of_all = inputs.tag_dates.iter().filter_map(|(version, date)| match date {
        Dates::Version(date) => Some((version, date)),
        Dates::Page(_) => None,
    });
    let of_page = match inputs.tag_dates.get(stem) {
        Some(Dates::Page(dates)) => Some(dates),
        _ => None,
    };
    let dates: Vec<(&String, &String)> = of_all.chain(of_page.into_iter().flatten()).collect();
    let mut tags = Vec::new();
    for (version, date) in dates {
        // Tags of other forms are not released; they say nothing about support.
        let Ok(version) = Version::parse(version) else { continue };
        tags.push((version, parse_moment(date).map_err(invalid)?));
    }
    let window = SupportWindow::new(now, tags.iter().map(|(version, at)| (version, *at)));
    Ok((!tags.is_empty()).then_some(window))
}

fn describe(path: &str, edit: &PageEdit, proposal: &mut Proposal) {
    let page = stem(path);
    let report = &mut proposal.report;
    report.changes.extend(edit.added.iter().map(|version| format!("{page}: row of {version} added")));
    report
        .changes
        .extend(edit.replaced.iter().map(|(old, new)| format!("{page}: row of {old} becomes {new}")));
    report.changes.extend(
        edit.retired.iter().map(|version| format!("{page}: {version} moves to the unsupported versions")),
    );
    let outdated = edit.outdated.iter();
    report.remarks.extend(
        outdated.map(|(wanted, listed)| {
            format!("{page}: {wanted} is not listed because {listed} is there already")
        }),
    );
    report
        .remarks
        .extend(edit.faults.iter().map(|(version, fault)| format!("{page}: row of {version}: {fault}")));
}

/// Page name without folder and ending.
fn stem(path: &str) -> &str {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.strip_suffix(".md").unwrap_or(name)
}

fn subject(inputs: &Inputs) -> String {
    let rows: Vec<String> =
        inputs.rows.iter().map(|row| format!("{} {}", stem(&row.page), row.version)).collect();
    rows.join(" ")
}

fn title(inputs: &Inputs) -> String {
    let mut pages: Vec<&str> = inputs.rows.iter().map(|row| stem(&row.page)).collect();
    pages.dedup();
    match pages.as_slice() {
        [page] => {
            let versions: Vec<&str> = inputs.rows.iter().map(|row| row.version.as_str()).collect();
            format!("{page}: list {}", versions.join(", "))
        }
        pages => format!("List {} releases on {} pages", inputs.rows.len(), pages.len()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HEAD: &str = "Latest stable release | Branch | Min CSI Version | Max CSI Version | Container Image\n--|--|--|--|--\n";

    fn row(version: &str) -> String {
        let line = version.trim_start_matches('v').rsplit_once('.').unwrap().0;
        format!(
            "[box {version}](r/{version}) | [release-{line}](t/release-{line}) | [v1.0.0](s/v1.0.0) | - | i/box:{version}\n"
        )
    }

    fn page(supported: &[&str], unsupported: &[&str]) -> Tree {
        let rows = |versions: &[&str]| versions.iter().map(|v| row(v)).collect::<String>();
        let text = format!(
            "# box\n\n### Supported Versions\n\n{HEAD}{}\n### Unsupported Versions\n\n{HEAD}{}\nEnd\n",
            rows(supported),
            rows(unsupported)
        );
        [("b/box.md".to_owned(), FileEntry::file(text))].into()
    }

    #[test]
    fn adds_replaces_and_retires_and_is_done_the_second_time() {
        let dates = r#""v1.0.0":"2020-01-01T00:00:00Z","v1.1.0":"2020-02-01T00:00:00Z","v1.1.1":"2022-02-01T00:00:00Z","v2.0.0":"2022-01-01T00:00:00Z""#;
        let now = parse_moment("2022-03-01T00:00:00Z").unwrap();
        for tag_dates in [format!("{{{dates}}}"), format!("{{\"box\":{{{dates}}}}}")] {
            let inputs = format!(
                r#"{{"rows":[{{"page":"b/box.md","version":"v2.0.0","substitute-from":"v1.1.0"}},
                    {{"page":"b/box.md","version":"v1.1.1","overrides":{{"max-csi":"v1.5.0"}}}}],"tag-dates":{tag_dates}}}"#
            );
            let inputs = read(&inputs).unwrap();
            let tree = page(&["v1.1.0", "v1.0.0"], &[]);
            let proposal = plan(&tree, &inputs, now).unwrap();
            let after = proposal.changes.apply(&tree);
            let fixed = row("v1.1.1").replace("| - |", "| v1.5.0 |");
            let expected = page(&["v2.0.0", "v1.1.1"], &["v1.0.0"]);
            let expected = expected["b/box.md"].text().unwrap().replace(&row("v1.1.1"), &fixed);
            assert_eq!(after["b/box.md"].text(), Some(expected.as_str()));
            let again = plan(&after, &inputs, now).unwrap();
            assert!(again.changes.is_empty(), "{:?}", again.report);
        }
    }

    #[test]
    fn refuses_what_it_cannot_place() {
        let tree = page(&["v1.1.0"], &[]);
        let cases = [
            (r#"{"rows":[]}"#, "`rows` is empty"),
            (r#"{"rows":[{"page":"b/box.md","version":"1.2"}]}"#, "1.2"),
            (r#"{"rows":[{"page":"b/other.md","version":"v1.2.0"}]}"#, "b/other.md is not in"),
            (
                r#"{"rows":[{"page":"b/box.md","version":"v1.2.0","substitute-from":"v9.0.0"}]}"#,
                "lists no v9.0.0",
            ),
            (
                r#"{"rows":[{"page":"b/box.md","version":"v1.2.0","overrides":{"min-kubernetes":"v1.20"}}]}"#,
                "no column",
            ),
            (r#"{"rows":[{"page":"b/box.md","version":"v1.2.0"}],"tag-dates":{"v1.2.0":"soon"}}"#, "soon"),
        ];
        for (inputs, expected) in cases {
            let error = read(inputs).and_then(|inputs| plan(&tree, &inputs, 0)).unwrap_err();
            assert!(format!("{error:?}").contains(expected), "{error:?}");
        }
    }
}
