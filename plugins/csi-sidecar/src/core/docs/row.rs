//! One row of a version table: cells, their spacing, and what they must agree on.

use std::fmt;

use castoff_sdk::version::Version;

/// The columns a caller may set. Release and branch follow from the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// "Min CSI Version".
    MinCsi,
    /// "Max CSI Version".
    MaxCsi,
    /// "Container Image", with the tag of the version; for a registry that moved.
    Image,
    /// "Min K8s Version".
    MinKubernetes,
    /// "Max K8s Version".
    MaxKubernetes,
    /// "Recommended K8s Version"; some pages have no such column.
    RecommendedKubernetes,
}

impl Column {
    /// Position in the table, from 0.
    pub fn index(self) -> usize {
        match self {
            Self::MinCsi => 2,
            Self::MaxCsi => 3,
            Self::Image => IMAGE,
            Self::MinKubernetes => 5,
            Self::MaxKubernetes => 6,
            Self::RecommendedKubernetes => 7,
        }
    }
}

pub(super) const RELEASE: usize = 0;
pub(super) const BRANCH: usize = 1;
pub(super) const IMAGE: usize = 4;

/// A row that names a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The version in the text of the first cell.
    pub version: Version,
    /// Cells without surrounding blanks.
    pub cells: Vec<String>,
    /// The line as written, without its newline.
    pub raw: String,
    /// True if the row stands under "Unsupported Versions".
    pub unsupported: bool,
    /// Line number in the page, from 1; 0 for a row that is new.
    pub line: usize,
}

/// What a row contradicts itself in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// Which part.
    pub part: &'static str,
    /// What is written.
    pub seen: String,
    /// What the version asks for.
    pub expected: String,
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {:?}, expected {:?}", self.part, self.seen, self.expected)
    }
}

/// Cells of a line with their blanks; a leading and a trailing bar add no cell.
pub(super) fn split_cells(line: &str) -> Vec<&str> {
    let line = line.trim_end();
    let line = line.strip_suffix('|').unwrap_or(line);
    line.trim_start().strip_prefix('|').unwrap_or(line).split('|').collect()
}

/// Version in a release cell such as `[name v1.2.3 (beta)](url)`.
pub(super) fn release_version(cell: &str) -> Option<Version> {
    let (text, _) = link(cell)?;
    text.split_whitespace().find_map(|word| Version::parse(word).ok())
}

/// Text and address of a cell that is one Markdown link.
fn link(cell: &str) -> Option<(&str, &str)> {
    let inner = cell.trim().strip_prefix('[')?;
    let (text, rest) = inner.split_once("](")?;
    Some((text, rest.strip_suffix(')')?))
}

impl Row {
    /// Compares cells, blanks aside: people leave a blank inside the brackets now and then.
    pub fn same_cells(&self, other: &Self) -> bool {
        let squeezed = |cells: &[String]| -> Vec<String> {
            cells
                .iter()
                .map(|cell| cell.replace("[ ", "[").split_whitespace().collect::<Vec<_>>().join(" "))
                .collect()
        };
        squeezed(&self.cells) == squeezed(&other.cells)
    }

    /// Repository whose release the row names, `owner/name`.
    pub fn repository(&self) -> Option<String> {
        let (_, url) = link(self.cells.get(RELEASE)?)?;
        let path = url.split_once("github.com/")?.1;
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        Some(format!("{}/{}", parts.next()?, parts.next()?))
    }

    /// Everything in which the row contradicts its own version.
    pub fn faults(&self) -> Vec<RowFault> {
        let mut faults = Vec::new();
        let version = self.version;
        let branch = version.line().branch();
        let tag = version.to_string();
        let mut check = |part: &'static str, seen: &str, expected: &str| {
            if seen != expected {
                faults.push(RowFault { part, seen: seen.to_owned(), expected: expected.to_owned() });
            }
        };
        let cell = |index: usize| self.cells.get(index).map(String::as_str).unwrap_or_default();
        if let Some((_, url)) = link(cell(RELEASE)) {
            check("release link", last_segment(url), &tag);
        }
        match link(cell(BRANCH)) {
            Some((text, url)) => {
                check("branch text", text.trim(), &branch);
                check("branch link", last_segment(url), &branch);
            }
            None => check("branch", cell(BRANCH), &format!("[{branch}](…)")),
        }
        for image in cell(IMAGE).replace("<br/>", "<br>").split("<br>").map(str::trim) {
            check("image tag", image.rsplit_once(':').map_or("", |(_, tag)| tag), &tag);
        }
        for (part, column) in [("min CSI link", Column::MinCsi), ("max CSI link", Column::MaxCsi)] {
            if let Some((text, url)) = link(cell(column.index())) {
                check(part, last_segment(url), text.trim());
            }
        }
        faults
    }

    /// A row for `version` in the shape of this one: version, branch and image tags exchanged, everything else kept.
    pub fn for_version(&self, version: Version) -> Self {
        let old = self.version;
        let exchange = |index: usize, text: &str| match index {
            RELEASE | IMAGE => text.replace(&old.to_string(), &version.to_string()),
            BRANCH => text.replace(&old.line().branch(), &version.line().branch()),
            _ => text.to_owned(),
        };
        let cells = self.cells.iter().enumerate().map(|(i, text)| exchange(i, text)).collect();
        self.with_cells(version, cells)
    }

    /// A row with other cells and this row's spacing.
    pub(super) fn with_cells(&self, version: Version, cells: Vec<String>) -> Self {
        let spaced = split_cells(&self.raw);
        let written: Vec<String> = cells
            .iter()
            .enumerate()
            .map(|(i, text)| {
                let pattern = spaced.get(i).copied().unwrap_or(" ");
                let lead = &pattern[..pattern.len() - pattern.trim_start().len()];
                let tail = if pattern.trim().is_empty() { "" } else { &pattern[pattern.trim_end().len()..] };
                format!("{lead}{text}{tail}")
            })
            .collect();
        let opening = if self.raw.trim_start().starts_with('|') { "|" } else { "" };
        let closing = if self.raw.trim_end().ends_with('|') { "|" } else { "" };
        Self {
            version,
            raw: format!("{opening}{}{closing}", written.join("|")),
            cells,
            unsupported: self.unsupported,
            line: 0,
        }
    }
}

fn last_segment(url: &str) -> &str {
    url.trim_end_matches('/').rsplit('/').next().unwrap_or(url)
}
