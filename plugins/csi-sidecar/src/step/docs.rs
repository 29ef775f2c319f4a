//! The documentation book: the row of the version on every page that lists the sidecar.

use castoff_sdk::Error;
use castoff_sdk::git::{self, Repository};
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::done;
use castoff_sdk::version::Version;

use super::input::Inputs;
use super::pull::{self, Proposed};
use super::world::{World, list, paths, release_dates, text};
use crate::core::docs::{Column, Placement, WantedRow, rows, update_page};
use crate::core::proposal::{Proposal, marker};
use crate::core::support::SupportWindow;

/// Folder of the pages.
const PAGES: &str = "book/src";

/// Step `docs`.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let version = inputs.version()?;
    let world = World::read(&inputs.docs_repository)?;
    let head = world.head(&world.default_branch)?;
    let pages = match inputs.pages.is_empty() {
        true => find_pages(&world.repository, head, &inputs.repository)?,
        false => inputs.pages.clone(),
    };
    let window = support_window(&inputs.repository, context.pinned)?;
    let row = WantedRow { version, cells: None, overrides: overrides(&inputs) };
    let (mut changes, mut remarks) = (Vec::new(), Vec::new());
    for page in &pages {
        let Some(old) = text(&world.repository, head, page)? else {
            remarks.push(format!("{page} is not there"));
            continue;
        };
        match update_page(&old, std::slice::from_ref(&row), Placement { window: Some(&window) }) {
            Ok(edit) => {
                remarks.extend(edit.faults.iter().map(|(of, fault)| format!("{page}: row of {of}: {fault}")));
                let late = edit.outdated.iter();
                remarks
                    .extend(late.map(|(_, listed)| format!("{page} lists {listed} already, a later patch")));
                if !edit.is_noop() {
                    changes.push(pull::put(page, &edit.text));
                }
            }
            Err(error) => remarks.push(format!("{page}: {error}")),
        }
    }
    if pages.is_empty() {
        remarks.push(format!(
            "no page of {} lists {}; name it in the input `pages`",
            inputs.docs_repository, inputs.repository
        ));
    }
    if changes.is_empty() {
        let repository = inputs.docs_repository.clone();
        return done(&Proposed { repository, remarks, ..Proposed::default() });
    }
    let proposal = proposal(&inputs, version, &world.default_branch, &remarks);
    let proposed = pull::propose(&inputs.docs_repository, inputs.fork.as_deref(), head, changes, &proposal)?;
    done(&Proposed { remarks, ..proposed })
}

/// Pages with a version table whose rows link releases of the repository.
pub(crate) fn find_pages(repository: &Repository, commit: &str, sidecar: &str) -> Result<Vec<String>, Error> {
    let link = format!("github.com/{sidecar}/releases/tag/");
    let mut pages = Vec::new();
    for path in paths(repository, commit, PAGES)? {
        if !path.ends_with(".md") {
            continue;
        }
        let page = text(repository, commit, &path)?.unwrap_or_default();
        if page.contains(&link) && rows(&page).is_ok_and(|rows| !rows.is_empty()) {
            pages.push(path);
        }
    }
    Ok(pages)
}

fn support_window(repository: &str, now: i64) -> Result<SupportWindow, Error> {
    let dates = release_dates(&git::open(repository)?)?;
    Ok(SupportWindow::new(now, dates.iter().map(|(version, time)| (version, *time))))
}

fn overrides(inputs: &Inputs) -> Vec<(Column, String)> {
    let given = [
        (Column::MinKubernetes, &inputs.minimum_kubernetes),
        (Column::RecommendedKubernetes, &inputs.recommended_kubernetes),
    ];
    let prefixed = |value: &String| if value.starts_with('v') { value.clone() } else { format!("v{value}") };
    given.into_iter().filter_map(|(column, value)| Some((column, prefixed(value.as_ref()?)))).collect()
}

fn proposal(inputs: &Inputs, version: Version, base: &str, remarks: &[String]) -> Proposal {
    let name = inputs.name();
    let title = format!("Update {name} to {version}");
    let body = format!(
        "Lists https://github.com/{}/releases/tag/{version}. Rows of minor versions out of support move to their own \
         table.\n{}\n```release-note\nNONE\n```\n\n{}\n",
        inputs.repository,
        list("Please look at:", remarks),
        marker(&inputs.repository, version, "docs")
    );
    Proposal {
        head: format!("docs-{name}-{version}"),
        base: base.to_owned(),
        commit_message: title.clone(),
        title,
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_versions_are_written_with_v() {
        let text = r#"{"repository": "o/r", "version": "v1.0.0", "minimum-kubernetes": "1.20",
                       "recommended-kubernetes": "v1.30"}"#;
        let inputs: Inputs = castoff_sdk::step::inputs(text).expect("inputs");
        let cells: Vec<String> = overrides(&inputs).into_iter().map(|(_, text)| text).collect();
        assert_eq!(cells, ["v1.20", "v1.30"]);
    }
}
