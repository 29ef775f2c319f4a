//! The habits of a repository's changelog header, inherited from the entry before.

use castoff_sdk::version::Version;

use super::entry::{Entry, entries};

/// How urgent notes are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UrgentForm {
    /// A plain list, as release managers have edited it by hand since 2024.
    #[default]
    Clean,
    /// Byte for byte as the generator's template prints it: a space behind the heading, a space before every
    /// further item and on the line behind the last.
    Generator,
}

impl UrgentForm {
    /// Renders the section; nothing without items.
    pub(super) fn render(self, items: &[String]) -> String {
        const WARNING: &str = "### (No, really, you MUST read this before you upgrade)";
        if items.is_empty() {
            return String::new();
        }
        match self {
            UrgentForm::Generator => {
                let list: String = items.iter().map(|item| format!("- {item}\n ")).collect();
                format!("## Urgent Upgrade Notes \n\n{WARNING}\n\n{list}\n")
            }
            UrgentForm::Clean => {
                let list: String = items.iter().map(|item| format!("- {item}\n")).collect();
                format!("## Urgent Upgrade Notes\n\n{WARNING}\n\n{list}\n")
            }
        }
    }
}

/// Header habits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderStyle {
    /// Marks of the heading: `#`, in some files `##`.
    pub marks: String,
    /// Heading with `1.2.3` instead of `v1.2.3`.
    pub bare: bool,
    /// Address of the documentation line, exactly as written; none where there is no such line.
    pub documentation: Option<String>,
    /// Whether there is a line "Changelog since". The scripts for patch releases leave it out; a new entry
    /// has it unless a person decides otherwise.
    pub since: bool,
    /// Start version without `v`.
    pub since_bare: bool,
    /// Layout of urgent notes.
    pub urgent: UrgentForm,
}

impl Default for HeaderStyle {
    fn default() -> HeaderStyle {
        HeaderStyle {
            marks: "#".to_owned(),
            bare: false,
            documentation: Some("https://kubernetes-csi.github.io".to_owned()),
            since: true,
            since_bare: false,
            urgent: UrgentForm::default(),
        }
    }
}

impl HeaderStyle {
    /// Style for a new entry: that of the newest entry in the first file that has one. Give the file itself
    /// first, then older ones. The line "Changelog since" is always kept; its spelling comes from the newest
    /// entry that has it, and follows the heading where none has.
    pub fn inherit<'a>(files: impl IntoIterator<Item = &'a str>) -> HeaderStyle {
        let read = files.into_iter().map(entries).find(|entries| !entries.is_empty());
        let Some(entries) = read else { return HeaderStyle::default() };
        let Some(newest) = entries.first() else { return HeaderStyle::default() };
        let mut style =
            HeaderStyle { since: true, urgent: UrgentForm::default(), ..HeaderStyle::of_entry(newest) };
        if newest.since.is_none() {
            style.since_bare = style.bare;
        }
        style
    }

    /// Style of one entry, including what a new one would not take over.
    pub fn of_entry(entry: &Entry) -> HeaderStyle {
        let clean = entry.text.contains("## Urgent Upgrade Notes\n");
        HeaderStyle {
            marks: "#".repeat(entry.level.max(1)),
            bare: entry.bare,
            documentation: entry.documentation.clone(),
            since: entry.since.is_some(),
            since_bare: entry.since.as_ref().map_or(entry.bare, |since| !since.starts_with('v')),
            urgent: if clean { UrgentForm::Clean } else { UrgentForm::Generator },
        }
    }

    /// Heading, documentation line and "Changelog since", each with a blank line behind it.
    pub(super) fn header(&self, version: Version, since: &str) -> String {
        let shown = if self.bare { version.bare() } else { version.to_string() };
        let mut text = format!("{} Release notes for {shown}\n\n", self.marks);
        if let Some(address) = &self.documentation {
            text.push_str(&format!("[Documentation]({address})\n\n"));
        }
        if self.since {
            let start = if self.since_bare { since.strip_prefix('v').unwrap_or(since) } else { since };
            text.push_str(&format!("# Changelog since {start}\n\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_entry_takes_over_the_habits_of_the_newest() {
        let version = Version::new(1, 3, 0);
        let cases = [
            (
                "# Release notes for v1.2.0\n\n[Documentation](https://a.b/docs/)\n\n# Changelog since v1.1.0\n",
                "# Release notes for v1.3.0\n\n[Documentation](https://a.b/docs/)\n\n# Changelog since v1.2.0\n\n",
            ),
            (
                "## Release notes for 1.2.0\n\n# Changelog since 1.1.0\n",
                "## Release notes for 1.3.0\n\n# Changelog since 1.2.0\n\n",
            ),
            (
                "# Release notes for v1.2.0\n\n[Documentation](https:/broken)\n\n## Dependencies\n",
                "# Release notes for v1.3.0\n\n[Documentation](https:/broken)\n\n# Changelog since v1.2.0\n\n",
            ),
            (
                "# Release notes for 1.2.0\n\n# Changelog since v1.1.0\n\n# Release notes for v1.1.0\n",
                "# Release notes for 1.3.0\n\n# Changelog since v1.2.0\n\n",
            ),
            (
                "",
                "# Release notes for v1.3.0\n\n[Documentation](https://kubernetes-csi.github.io)\n\n# Changelog since v1.2.0\n\n",
            ),
        ];
        for (file, header) in cases {
            assert_eq!(HeaderStyle::inherit([file]).header(version, "v1.2.0"), header, "{file}");
        }
        let older = "# Release notes for 1.2.0\n";
        assert!(HeaderStyle::inherit(["no entry", older]).bare);
    }
}
