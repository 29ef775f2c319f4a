//! A proposal for the Compatibility table of a README: the version of the CSI specification comes from
//! `go.mod`, the Kubernetes versions are a person's decision.

use castoff_sdk::go_mod::GoMod;
use castoff_sdk::version::Version;

/// Values for the table; what is not given stays.
#[derive(Clone, Debug, Default)]
pub struct Compatibility<'a> {
    /// Version of the CSI specification, `v1.2.3`.
    pub spec: Option<&'a str>,
    /// Oldest Kubernetes release, `1.20`.
    pub minimum_kubernetes: Option<&'a str>,
    /// Recommended Kubernetes release.
    pub recommended_kubernetes: Option<&'a str>,
}

/// A changed README and what a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadmeProposal {
    /// New text; equal to the old one where nothing is to be done.
    pub content: String,
    /// Cells that change: before and after.
    pub changes: Vec<(String, String)>,
    /// Faults found on the way and not repaired.
    pub remarks: Vec<String>,
}

/// Version of the CSI specification that a module requires.
pub fn spec_version(go_mod: &str) -> Option<String> {
    GoMod::parse(go_mod).version_of("github.com/container-storage-interface/spec").map(str::to_owned)
}

/// Puts values into the Compatibility table. Widths of the columns are kept where the new text fits.
pub fn propose(
    readme: &str,
    wanted: &Compatibility<'_>,
    images: &[String],
    version: Version,
) -> ReadmeProposal {
    let mut proposal = ReadmeProposal { content: String::new(), changes: Vec::new(), remarks: Vec::new() };
    let (mut in_section, mut seen, mut columns) = (false, false, Vec::new());
    for line in readme.split_inclusive('\n') {
        if line.starts_with('#') {
            in_section = line.to_ascii_lowercase().contains("compatib");
        }
        if in_section && line.trim_start().starts_with('|') {
            seen = true;
            let (text, cells) = row(line, &columns, wanted, &mut proposal);
            columns = if columns.is_empty() { cells } else { columns };
            proposal.content.push_str(&text);
        } else {
            columns.clear();
            proposal.content.push_str(line);
        }
    }
    if !seen {
        proposal.remarks.push("the README has no Compatibility table".to_owned());
    }
    proposal.remarks.extend(stale_images(readme, images, version));
    proposal
}

/// One table row: the first of a table names its columns, the others are filled in.
fn row(
    line: &str,
    columns: &[String],
    wanted: &Compatibility<'_>,
    proposal: &mut ReadmeProposal,
) -> (String, Vec<String>) {
    let cells: Vec<&str> = line.trim_end_matches('\n').split('|').collect();
    let names = cells.iter().map(|cell| cell.to_ascii_lowercase()).collect();
    if columns.is_empty()
        || cells.iter().all(|cell| cell.trim().bytes().all(|byte| matches!(byte, b'-' | b':')))
    {
        return (line.to_owned(), names);
    }
    let filled: Vec<String> = cells
        .iter()
        .enumerate()
        .map(|(index, cell)| {
            let column = columns.get(index).map(String::as_str).unwrap_or_default();
            let value = new_value(cell.trim(), column, wanted, &mut proposal.remarks);
            match value.filter(|value| value != cell.trim()) {
                Some(value) => {
                    proposal.changes.push((cell.trim().to_owned(), value.clone()));
                    padded(cell, &value)
                }
                None => (*cell).to_owned(),
            }
        })
        .collect();
    let end = if line.ends_with('\n') { "\n" } else { "" };
    (filled.join("|") + end, names)
}

fn new_value(
    cell: &str,
    column: &str,
    wanted: &Compatibility<'_>,
    remarks: &mut Vec<String>,
) -> Option<String> {
    if column.contains("recommended") {
        return wanted.recommended_kubernetes.map(str::to_owned);
    }
    if column.contains("min k8s") || column.contains("min kubernetes") {
        return wanted.minimum_kubernetes.map(str::to_owned);
    }
    if !column.contains("csi version") {
        return None;
    }
    let (label, address) = cell.split_once("](")?;
    if let (Some(shown), Some(linked)) =
        (label.rsplit(' ').next(), address.trim_end_matches(')').rsplit('/').next())
        && shown != linked
    {
        remarks.push(format!("the Compatibility table says {shown} and links to {linked}"));
    }
    let spec = wanted.spec?;
    Some(format!(
        "[CSI Spec {spec}](https://github.com/container-storage-interface/spec/releases/tag/{spec})"
    ))
}

/// The value in a cell as wide as the old one, where it fits.
fn padded(cell: &str, value: &str) -> String {
    let width = cell.chars().count().saturating_sub(2);
    format!(" {value:<width$} ")
}

fn stale_images(readme: &str, images: &[String], version: Version) -> Vec<String> {
    let mut found = Vec::new();
    for image in images {
        for (at, mark) in readme.match_indices(&format!("/{image}:v")) {
            let rest = readme.get(at + mark.len()..).unwrap_or_default();
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-')))
                .unwrap_or(rest.len());
            let tag = format!("v{}", rest.get(..end).unwrap_or_default().trim_end_matches('.'));
            if tag != version.to_string() {
                found.push(format!("an example names {image}:{tag}"));
            }
        }
    }
    if readme.contains("k8s.gcr.io/") {
        found.push("the README names the old registry k8s.gcr.io".to_owned());
    }
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "# Tool

## Compatibility

| Compatible with CSI Version | Container Image | [Min K8s Version](x) | [Recommended K8s Version](y) |
| --------------------------- | ----------------| ---- | ---- |
| [CSI Spec v1.9.0](https://github.com/container-storage-interface/spec/releases/tag/v1.9.0) | registry.k8s.io/sig-storage/tool | 1.20 | 1.27 |

## Usage

| Compatible with CSI Version |
| --- |
| other |

Use registry.k8s.io/sig-storage/tool:v1.0.0.
";

    #[test]
    fn fills_the_table_and_nothing_else() {
        let wanted = Compatibility {
            spec: Some("v1.10.0"),
            recommended_kubernetes: Some("1.31"),
            ..Compatibility::default()
        };
        let images = ["tool".to_owned()];
        let proposal = propose(README, &wanted, &images, Version::new(1, 1, 0));
        let expected = README.replace("v1.9.0", "v1.10.0").replace("| 1.27 |", "| 1.31 |");
        assert_eq!(proposal.content, expected);
        assert_eq!(proposal.changes.len(), 2);
        assert_eq!(proposal.remarks, ["an example names tool:v1.0.0"]);
        let again = propose(&proposal.content, &wanted, &[], Version::new(1, 1, 0));
        assert_eq!((again.content, again.changes.len()), (expected, 0));
    }

    #[test]
    fn reports_links_that_lie_and_missing_tables() {
        let lying = README
            .replace("CSI Spec v1.9.0", "CSI Spec v1.10.0")
            .replace("spec/releases/tag/v1.9.0", "spec/releases/tag/v1.5.0");
        let proposal = propose(&lying, &Compatibility::default(), &[], Version::new(1, 1, 0));
        assert_eq!(proposal.remarks, ["the Compatibility table says v1.10.0 and links to v1.5.0"]);
        assert_eq!(proposal.content, lying);
        let none = propose("# x\n", &Compatibility::default(), &[], Version::new(1, 1, 0));
        assert_eq!(none.remarks, ["the README has no Compatibility table"]);
    }

    #[test]
    fn the_specification_comes_from_go_mod() {
        let go_mod = "module m\nrequire github.com/container-storage-interface/spec v1.10.0\n";
        assert_eq!(spec_version(go_mod).as_deref(), Some("v1.10.0"));
        assert_eq!(spec_version("module m\n"), None);
    }
}
