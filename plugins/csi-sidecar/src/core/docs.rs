//! Version tables of the kubernetes-csi documentation book.
//!
//! A page holds one table, or two under "Supported Versions" and "Unsupported Versions". A new release gets a row made from an
//! existing row by exchanging the version; a patch release takes the place of its minor's row; rows of minors that are out of
//! support go to the second table. Rows nobody asked to change keep every byte.

mod lint;
mod page;
mod row;

use castoff_sdk::version::Version;

pub use lint::{PageLint, Wrong, lint_page};
pub use page::{PageEdit, update_page};
pub use row::{Column, Row, RowFault};

use super::support::SupportWindow;
use page::Page;

/// A row that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedRow {
    /// The released version.
    pub version: Version,
    /// All cells, when the caller knows them; otherwise they come from the row of the previous release.
    pub cells: Option<Vec<String>>,
    /// Cells that differ from the previous release's (a person's decision), for example the recommended Kubernetes version.
    pub overrides: Vec<(Column, String)>,
}

impl WantedRow {
    /// A row made only from the previous release's row.
    pub fn new(version: Version) -> Self {
        Self { version, cells: None, overrides: Vec::new() }
    }
}

/// Where to decide between the two tables.
#[derive(Debug, Clone, Copy, Default)]
pub struct Placement<'a> {
    /// Tag dates and the present moment; without them no row changes its table.
    pub window: Option<&'a SupportWindow>,
}

/// A page that cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocsError {
    /// The page holds no version table.
    #[error(
        "no version table found: expected a header line with the columns \"Latest stable release | Branch | Min CSI Version | Max \
         CSI Version | Container Image\"; check the page's path or add the table by hand"
    )]
    NoTable,
    /// A table's columns are not the known ones.
    #[error(
        "line {line}: the table has the columns {seen:?}; expected {expected:?} first; edit this page by hand"
    )]
    OtherShape {
        /// Line of the header, from 1.
        line: usize,
        /// Header texts.
        seen: Vec<String>,
        /// The columns every version table starts with.
        expected: Vec<String>,
    },
    /// A row has more cells than its header, or fewer than a row needs.
    #[error(
        "line {line}: the row has {seen} cells, its header {expected}; repair the row first (five cells at least)"
    )]
    RaggedRow {
        /// Line of the row, from 1.
        line: usize,
        /// Cells of the row.
        seen: usize,
        /// Columns of the header.
        expected: usize,
    },
    /// No row is fit to be copied.
    #[error(
        "no row can serve as a pattern for {version}: every row contradicts itself or there is none; give all cells"
    )]
    NoPattern {
        /// The wanted version.
        version: Version,
    },
    /// The cells given contradict themselves or the version.
    #[error("the row wanted for {version} contradicts itself: {faults}; correct the cells")]
    WrongCells {
        /// The wanted version.
        version: Version,
        /// What is wrong.
        faults: String,
    },
    /// The page has no such column.
    #[error("the page has no column for {column:?}; it has {columns} columns; leave the override out")]
    NoColumn {
        /// The overridden column.
        column: Column,
        /// Number of columns.
        columns: usize,
    },
}

/// Reads the rows of a page, in page order; rows without a version are left out.
pub fn rows(text: &str) -> Result<Vec<Row>, DocsError> {
    Ok(Page::parse(text)?.into_rows())
}

/// Rows that contradict themselves: tag link, branch text, branch link, image tag and specification links must agree.
pub fn lint(text: &str) -> Result<Vec<(Version, RowFault)>, DocsError> {
    let rows = rows(text)?;
    Ok(rows.iter().flat_map(|row| row.faults().into_iter().map(|fault| (row.version, fault))).collect())
}

#[cfg(test)]
mod tests;
