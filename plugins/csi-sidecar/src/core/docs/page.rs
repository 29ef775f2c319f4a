//! A page with its tables: reading, placing rows, writing.

use castoff_sdk::version::Version;

use super::row::{self, RELEASE, Row};
use super::{DocsError, Placement, RowFault, WantedRow};

const COLUMNS: [&str; 5] =
    ["Latest stable release", "Branch", "Min CSI Version", "Max CSI Version", "Container Image"];

/// Result of [`update_page`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageEdit {
    /// The whole page.
    pub text: String,
    /// Versions whose row was added.
    pub added: Vec<Version>,
    /// Rows that were replaced, old version and new.
    pub replaced: Vec<(Version, Version)>,
    /// Versions whose row went to "Unsupported Versions".
    pub retired: Vec<Version>,
    /// Wanted versions for which the page lists a later patch already; nothing was done for them.
    pub outdated: Vec<(Version, Version)>,
    /// Faults in rows nobody asked to change; they are reported, not repaired.
    pub faults: Vec<(Version, RowFault)>,
}

impl PageEdit {
    /// True when the page is as wanted already.
    pub fn is_noop(&self) -> bool {
        self.added.is_empty() && self.replaced.is_empty() && self.retired.is_empty()
    }
}

/// Puts the wanted rows into a page.
pub fn update_page(
    text: &str,
    wanted: &[WantedRow],
    placement: Placement<'_>,
) -> Result<PageEdit, DocsError> {
    let mut page = Page::parse(text)?;
    let mut edit = PageEdit {
        text: String::new(),
        added: Vec::new(),
        replaced: Vec::new(),
        retired: Vec::new(),
        outdated: Vec::new(),
        faults: Vec::new(),
    };
    let patterns = page.patterns(wanted);
    for row in wanted {
        page.place(&patterns, row, placement, &mut edit)?;
    }
    page.retire(placement, &mut edit);
    let touched = |version: Version| wanted.iter().any(|row| row.version == version);
    for row in page.rows().filter(|row| !touched(row.version)) {
        edit.faults.extend(row.faults().into_iter().map(|fault| (row.version, fault)));
    }
    edit.faults.sort_by(|(a, _), (b, _)| b.cmp(a));
    edit.text = if edit.is_noop() { text.to_owned() } else { page.render() };
    Ok(edit)
}

/// A page in pieces.
pub(super) struct Page {
    pieces: Vec<Piece>,
    /// True when the page separates supported from unsupported versions.
    pub(super) two_tables: bool,
}

enum Piece {
    /// Lines outside tables.
    Text(Vec<String>),
    Table(Table),
}

struct Table {
    header: String,
    rule: String,
    columns: usize,
    unsupported: bool,
    lines: Vec<Line>,
}

enum Line {
    Versioned(Row),
    Other(String),
}

impl Page {
    pub(super) fn parse(text: &str) -> Result<Self, DocsError> {
        let lines: Vec<&str> = text.split('\n').collect();
        let mut page = Self { pieces: Vec::new(), two_tables: false };
        let mut plain: Vec<String> = Vec::new();
        let mut unsupported = false;
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            if let Some(section) = section_heading(line) {
                unsupported = section;
                page.two_tables = true;
            }
            let rule = lines.get(at + 1).copied().unwrap_or_default();
            if !(is_rule(rule)
                && line.contains('|')
                && row::split_cells(line).iter().any(|c| c.contains("stable release")))
            {
                plain.push((*line).to_owned());
                at += 1;
                continue;
            }
            let columns = check_header(at, line)?;
            // Whatever its heading looks like, a second table holds the older versions.
            if page.tables().next().is_some() {
                unsupported = true;
                page.two_tables = true;
            }
            let mut table = Table {
                header: (*line).to_owned(),
                rule: rule.to_owned(),
                columns,
                unsupported,
                lines: Vec::new(),
            };
            at += 2;
            while let Some(line) = lines.get(at).filter(|line| line.contains('|')) {
                table.lines.push(parse_line(at, line, columns, unsupported)?);
                at += 1;
            }
            page.pieces.push(Piece::Text(std::mem::take(&mut plain)));
            page.pieces.push(Piece::Table(table));
        }
        if page.pieces.is_empty() {
            return Err(DocsError::NoTable);
        }
        page.pieces.push(Piece::Text(plain));
        Ok(page)
    }

    pub(super) fn into_rows(self) -> Vec<Row> {
        self.rows().cloned().collect()
    }

    /// Rows to copy from: the page as it was, with the rows given in full in place of its own, so that the order of the wanted rows
    /// does not matter.
    fn patterns(&self, wanted: &[WantedRow]) -> Vec<Row> {
        let mut patterns: Vec<Row> = self.rows().cloned().collect();
        let Some(spacing) = patterns.first().cloned() else { return patterns };
        for row in wanted {
            let Some(cells) = &row.cells else { continue };
            let spacing = best_pattern(&patterns, row.version).cloned().unwrap_or_else(|| spacing.clone());
            patterns.retain(|known| known.version != row.version);
            patterns.push(spacing.with_cells(row.version, cells.clone()));
        }
        patterns
    }

    fn tables(&self) -> impl Iterator<Item = &Table> {
        self.pieces
            .iter()
            .filter_map(|piece| if let Piece::Table(table) = piece { Some(table) } else { None })
    }

    fn tables_mut(&mut self) -> impl Iterator<Item = &mut Table> {
        self.pieces
            .iter_mut()
            .filter_map(|piece| if let Piece::Table(table) = piece { Some(table) } else { None })
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.tables().flat_map(|table| &table.lines).filter_map(|line| match line {
            Line::Versioned(row) => Some(row),
            Line::Other(_) => None,
        })
    }

    /// Adds or replaces the row of one wanted version.
    fn place(
        &mut self,
        patterns: &[Row],
        wanted: &WantedRow,
        placement: Placement<'_>,
        edit: &mut PageEdit,
    ) -> Result<(), DocsError> {
        let version = wanted.version;
        let columns = self.tables().next().map_or(0, |table| table.columns);
        let mut row = build_row(patterns, wanted, columns)?;
        let old = self.rows().find(|row| row.version.line() == version.line()).cloned();
        if let Some(old) = &old {
            if old.version > version {
                edit.outdated.push((version, old.version));
                return Ok(());
            }
            if old.version == version && old.same_cells(&row) {
                return Ok(());
            }
        }
        let by_policy =
            placement.window.and_then(|window| window.is_supported(&version)).map(|supported| !supported);
        let stays = old.as_ref().is_some_and(|row| row.unsupported);
        row.unsupported = self.two_tables && by_policy.unwrap_or(stays);
        match old {
            Some(old) => {
                self.remove(old.version);
                edit.replaced.push((old.version, version));
            }
            None => edit.added.push(version),
        }
        self.insert(row);
        Ok(())
    }

    /// Moves rows of minors that are out of support to the second table.
    fn retire(&mut self, placement: Placement<'_>, edit: &mut PageEdit) {
        let Some(window) = placement.window.filter(|_| self.two_tables) else { return };
        let leaving: Vec<Row> = self
            .rows()
            .filter(|row| !row.unsupported && window.is_supported(&row.version) == Some(false))
            .cloned()
            .collect();
        for mut row in leaving {
            self.remove(row.version);
            edit.retired.push(row.version);
            row.unsupported = true;
            self.insert(row);
        }
    }

    fn remove(&mut self, version: Version) {
        for table in self.tables_mut() {
            table.lines.retain(|line| !matches!(line, Line::Versioned(row) if row.version == version));
        }
    }

    /// Inserts by version, newest first, above rows without a version.
    fn insert(&mut self, row: Row) {
        if !self.tables().any(|table| table.unsupported == row.unsupported) {
            self.add_unsupported_table();
        }
        let two_tables = self.two_tables;
        let Some(table) = self.tables_mut().find(|table| !two_tables || table.unsupported == row.unsupported)
        else {
            return;
        };
        let lower = |line: &Line| match line {
            Line::Versioned(other) => other.version < row.version,
            Line::Other(_) => true,
        };
        let at = table.lines.iter().position(lower).unwrap_or(table.lines.len());
        table.lines.insert(at, Line::Versioned(row));
    }

    /// Adds an empty second table after the first, with the first one's header.
    fn add_unsupported_table(&mut self) {
        let Some(at) = self.pieces.iter().position(|piece| matches!(piece, Piece::Table(_))) else { return };
        let Some(Piece::Table(first)) = self.pieces.get(at) else { return };
        let table = Table {
            header: first.header.clone(),
            rule: first.rule.clone(),
            columns: first.columns,
            unsupported: true,
            lines: Vec::new(),
        };
        let heading = vec![String::new(), "### Unsupported Versions".to_owned(), String::new()];
        self.pieces.splice(at + 1..=at, [Piece::Text(heading), Piece::Table(table)]);
    }

    fn render(&self) -> String {
        let mut lines: Vec<&str> = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => lines.extend(text.iter().map(String::as_str)),
                Piece::Table(table) => {
                    lines.extend([table.header.as_str(), table.rule.as_str()]);
                    lines.extend(table.lines.iter().map(|line| match line {
                        Line::Versioned(row) => row.raw.as_str(),
                        Line::Other(raw) => raw.as_str(),
                    }));
                }
            }
        }
        lines.join("\n")
    }
}

/// The wanted row: given cells, or the best pattern with the version exchanged.
fn build_row(patterns: &[Row], wanted: &WantedRow, columns: usize) -> Result<Row, DocsError> {
    let version = wanted.version;
    let no_pattern = || DocsError::NoPattern { version };
    let mut row = match &wanted.cells {
        Some(cells) => {
            // Only the spacing is taken from the page, so a contradictory row serves as well.
            let spacing =
                best_pattern(patterns, version).or_else(|| patterns.first()).ok_or_else(no_pattern)?;
            spacing.with_cells(version, cells.clone())
        }
        None => best_pattern(patterns, version).ok_or_else(no_pattern)?.for_version(version),
    };
    for (column, text) in &wanted.overrides {
        let mut cells = row.cells.clone();
        let Some(cell) = cells.get_mut(column.index()) else {
            return Err(DocsError::NoColumn { column: *column, columns });
        };
        cell.clone_from(text);
        row = row.with_cells(version, cells);
    }
    let mut faults: Vec<String> = row.faults().iter().map(ToString::to_string).collect();
    let named = row.cells.get(RELEASE).and_then(|cell| row::release_version(cell));
    if named != Some(version) {
        faults.insert(0, "the first cell names another version".to_owned());
    }
    if !(COLUMNS.len()..=columns).contains(&row.cells.len()) {
        faults.push(format!("{} cells, the table has {columns} columns", row.cells.len()));
    }
    if !faults.is_empty() {
        return Err(DocsError::WrongCells { version, faults: faults.join(", ") });
    }
    Ok(row)
}

/// The row to copy: its own minor's, else the nearest older and then the nearest newer of its major, else of any; never one that
/// contradicts itself.
fn best_pattern<'a>(patterns: &'a [Row], version: Version) -> Option<&'a Row> {
    let sound = || patterns.iter().filter(|row| row.faults().is_empty());
    let older = |row: &&Row| row.version < version;
    let same_major = |row: &&Row| row.version.major == version.major;
    let latest = |rows: &mut dyn Iterator<Item = &'a Row>| rows.max_by(|a, b| a.version.cmp(&b.version));
    let earliest = |rows: &mut dyn Iterator<Item = &'a Row>| rows.min_by(|a, b| a.version.cmp(&b.version));
    latest(&mut sound().filter(|row| row.version.line() == version.line()))
        .or_else(|| latest(&mut sound().filter(same_major).filter(older)))
        .or_else(|| earliest(&mut sound().filter(same_major)))
        .or_else(|| latest(&mut sound().filter(older)))
        .or_else(|| earliest(&mut sound()))
}

/// `Some(unsupported)` for the headings of the two sections.
fn section_heading(line: &str) -> Option<bool> {
    let marked =
        line.trim_start().starts_with('#') || line.contains("<summary>") || line.contains("<details>");
    if !marked {
        return None;
    }
    if line.contains("Unsupported Versions") {
        return Some(true);
    }
    line.contains("Supported Versions").then_some(false)
}

fn is_rule(line: &str) -> bool {
    line.contains("--") && line.chars().all(|c| matches!(c, '-' | '|' | ' ' | ':' | '\r'))
}

fn check_header(at: usize, line: &str) -> Result<usize, DocsError> {
    let seen: Vec<String> = row::split_cells(line).iter().map(|cell| cell.trim().to_owned()).collect();
    let known = COLUMNS.iter().zip(&seen).filter(|(known, seen)| *known == seen).count();
    if known != COLUMNS.len() {
        let expected = COLUMNS.iter().map(|column| (*column).to_owned()).collect();
        return Err(DocsError::OtherShape { line: at + 1, seen, expected });
    }
    Ok(seen.len())
}

fn parse_line(at: usize, line: &str, columns: usize, unsupported: bool) -> Result<Line, DocsError> {
    let cells: Vec<String> = row::split_cells(line).iter().map(|cell| cell.trim().to_owned()).collect();
    let Some(version) = row::release_version(cells.first().map(String::as_str).unwrap_or_default()) else {
        return Ok(Line::Other(line.to_owned()));
    };
    // Some pages leave the last column out in every row.
    if !(COLUMNS.len()..=columns).contains(&cells.len()) {
        return Err(DocsError::RaggedRow { line: at + 1, seen: cells.len(), expected: columns });
    }
    Ok(Line::Versioned(Row { version, cells, raw: line.to_owned(), unsupported, line: at + 1 }))
}
