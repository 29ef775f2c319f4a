//! What is wrong with a page as it stands: rows that contradict themselves, rows twice or out of order, rows in the wrong table.

use std::collections::BTreeMap;
use std::fmt;

use castoff_sdk::version::{Line, Version};

use super::page::Page;
use super::{DocsError, Row, RowFault};
use crate::core::support::SupportWindow;

/// One finding on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageLint {
    /// Line of the row, from 1.
    pub line: usize,
    /// The row's version.
    pub version: Version,
    /// What is wrong.
    pub what: Wrong,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// It contradicts itself.
    Contradiction(RowFault),
    /// Its minor has another row.
    Twice(Version),
    /// It stands below an older version of the same table.
    Order(Version),
    /// It stands under "Supported Versions" and is out of support.
    OutOfSupport,
    /// It stands under "Unsupported Versions" and is supported.
    StillSupported,
    /// Nothing of its minor was ever tagged.
    NeverTagged,
}

impl fmt::Display for PageLint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, {}: ", self.line, self.version)?;
        match &self.what {
            Wrong::Contradiction(fault) => fault.fmt(f),
            Wrong::Twice(other) => write!(f, "the minor is listed again as {other}; keep the newest patch"),
            Wrong::Order(above) => write!(f, "stands below the older {above}; rows go newest first"),
            Wrong::OutOfSupport => write!(f, "is out of support; move it to the unsupported versions"),
            Wrong::StillSupported => write!(f, "is still supported; move it to the supported versions"),
            Wrong::NeverTagged => write!(f, "no version of this minor was ever tagged; correct the row"),
        }
    }
}

/// Everything wrong with the rows of a page, in page order. Without tag dates nothing is said about support.
///
/// # Errors
/// [`DocsError`] when the page cannot be read.
pub fn lint_page(text: &str, window: Option<&SupportWindow>) -> Result<Vec<PageLint>, DocsError> {
    let page = Page::parse(text)?;
    let two_tables = page.two_tables;
    let rows = page.into_rows();
    let mut found = Vec::new();
    let mut first: BTreeMap<Line, Version> = BTreeMap::new();
    let mut above: BTreeMap<bool, Version> = BTreeMap::new();
    for row in &rows {
        let mut wrong: Vec<Wrong> = row.faults().into_iter().map(Wrong::Contradiction).collect();
        if let Some(other) = first.insert(row.version.line(), row.version) {
            wrong.push(Wrong::Twice(other));
        }
        if let Some(older) = above.insert(row.unsupported, row.version).filter(|older| *older < row.version) {
            wrong.push(Wrong::Order(older));
        }
        wrong.extend(window.and_then(|window| misplaced(row, window, two_tables)));
        found.extend(wrong.into_iter().map(|what| PageLint { line: row.line, version: row.version, what }));
    }
    Ok(found)
}

fn misplaced(row: &Row, window: &SupportWindow, two_tables: bool) -> Option<Wrong> {
    match window.is_supported(&row.version) {
        None => Some(Wrong::NeverTagged),
        // A page with one table lists old versions there, too.
        Some(false) if two_tables && !row.unsupported => Some(Wrong::OutOfSupport),
        Some(true) if row.unsupported => Some(Wrong::StillSupported),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::support::Seconds;
    use proptest::prelude::*;

    const HEAD: &str = "Latest stable release | Branch | Min CSI Version | Max CSI Version | Container Image\n--|--|--|--|--\n";
    const DAY: Seconds = 86_400;

    fn row(version: &str, image: &str) -> String {
        let line = version.trim_start_matches('v').rsplit_once('.').unwrap().0;
        format!(
            "[box {version}](r/{version}) | [release-{line}](t/release-{line}) | [v1.0.0](s/v1.0.0) | - | i/box:{image}\n"
        )
    }

    fn page(supported: &[(&str, &str)], unsupported: &[(&str, &str)]) -> String {
        let rows = |rows: &[(&str, &str)]| rows.iter().map(|(v, i)| row(v, i)).collect::<String>();
        format!(
            "### Supported Versions\n\n{HEAD}{}\n### Unsupported Versions\n\n{HEAD}{}\n",
            rows(supported),
            rows(unsupported)
        )
    }

    #[test]
    fn finds_every_kind_of_fault() {
        let version = |text: &str| Version::parse(text).unwrap();
        let tags = [
            (version("v1.0.0"), 0),
            (version("v1.1.0"), 400 * DAY),
            (version("v1.2.0"), 500 * DAY),
            (version("v1.2.1"), 520 * DAY),
        ];
        let window = SupportWindow::new(600 * DAY, tags.iter().map(|(version, at)| (version, *at)));
        let text = page(
            &[("v1.0.0", "v1.0.0"), ("v1.2.0", "v1.1.0"), ("v1.2.1", "v1.2.1")],
            &[("v1.1.0", "v1.1.0"), ("v0.9.0", "v0.9.0")],
        );
        let seen: Vec<String> =
            lint_page(&text, Some(&window)).unwrap().iter().map(ToString::to_string).collect();
        let expected = [
            "line 5, v1.0.0: is out of support",
            "line 6, v1.2.0: image tag is \"v1.1.0\", expected \"v1.2.0\"",
            "line 6, v1.2.0: stands below the older v1.0.0",
            "line 7, v1.2.1: the minor is listed again as v1.2.0",
            "line 7, v1.2.1: stands below the older v1.2.0",
            "line 13, v1.1.0: is still supported",
            "line 14, v0.9.0: no version of this minor was ever tagged",
        ];
        assert_eq!(seen.len(), expected.len(), "{seen:#?}");
        for (seen, expected) in seen.iter().zip(expected) {
            assert!(seen.starts_with(expected), "{seen} is not {expected}");
        }
        let sound = page(&[("v1.2.1", "v1.2.1")], &[("v1.0.0", "v1.0.0")]);
        assert_eq!(lint_page(&sound, Some(&window)).unwrap(), []);
        assert_eq!(lint_page(&sound, None).unwrap(), []);
        // A page that speaks of supported versions separates them, before there is any other.
        let (one_table, _) = text.split_once("### Unsupported").unwrap();
        assert!(
            lint_page(one_table, Some(&window)).unwrap().iter().any(|lint| lint.what == Wrong::OutOfSupport)
        );
        let all = one_table.replace("### Supported Versions", "### Releases");
        assert!(lint_page(&all, Some(&window)).unwrap().iter().all(|lint| lint.what != Wrong::OutOfSupport));
    }

    proptest! {
        #[test]
        fn never_panics_on_pages(text in "(\\PC{0,30}|[|]|--[|]--|\\[x v1.0.0\\]\\(y\\) [|]|Latest stable release [|] Branch|\n){0,20}") {
            let _ = lint_page(&text, None);
        }
    }
}
