//! Texts about a change, for its pull request and for the person who watches the run.

/// What a follow-up process wants changed, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// One sentence: what and why.
    pub(super) summary: String,
    /// What changes, one line each.
    pub(super) changes: Vec<String>,
    /// What a person should look at, one line each.
    pub(super) remarks: Vec<String>,
}

/// Pull request bodies end somewhere below 65536 characters; the whole report is kept with the run.
const LINES: usize = 200;

impl Report {
    /// Body of the pull request. `kind` is the word of Prow's `/kind` command.
    pub(super) fn body(&self, kind: &str) -> String {
        format!(
            "{}\n\n{}{}/kind {kind}\n\n```release-note\nNONE\n```\n",
            self.summary,
            list("Changes:", &self.changes, LINES),
            list("Not changed, please look at:", &self.remarks, LINES),
        )
    }

    /// The report for the run's artefacts.
    pub(super) fn text(&self, title: &str) -> String {
        let changes =
            if self.changes.is_empty() { "Nothing to change.\n\n".to_owned() } else { String::new() };
        format!(
            "# {title}\n\n{}\n\n{changes}{}{}",
            self.summary,
            list("## Changes", &self.changes, usize::MAX),
            list("## Please look at", &self.remarks, usize::MAX),
        )
    }
}

/// A headed list with a blank line behind it; nothing without items. Nobody is called by a mention.
pub(super) fn list(heading: &str, items: &[String], most: usize) -> String {
    if items.is_empty() {
        return String::new();
    }
    let mut text = format!("{heading}\n\n");
    for item in items.iter().take(most) {
        text.push_str(&format!("- {}\n", item.replace('@', "@\u{200b}").replace('\n', " ")));
    }
    if items.len() > most {
        text.push_str(&format!("- and {} more\n", items.len() - most));
    }
    text.push('\n');
    text
}

/// Branch of a proposal, the same for every run of the same request: process and subject in safe characters. A long
/// subject is cut and told apart by a checksum.
pub(super) fn branch(process: &str, subject: &str) -> String {
    let safe: String = format!("{process}-{subject}")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let parts: Vec<&str> =
        safe.split('-').map(|part| part.trim_matches('.')).filter(|part| !part.is_empty()).collect();
    let name = parts.join("-").replace("..", ".");
    const LONGEST: usize = 60;
    if name.len() <= LONGEST {
        return name.trim_end_matches(".lock").to_owned();
    }
    let head = name.get(..LONGEST - 9).unwrap_or(&name).trim_end_matches(['-', '.']);
    format!("{head}-{:08x}", checksum(subject))
}

/// FNV-1a, 32 bits: short, stable, no secret.
fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn branches_are_valid_stable_and_told_apart() {
        let long = "csi-attacher:v4.7.0 csi-provisioner:v5.1.0 csi-resizer:v1.12.0 livenessprobe:v2.14.0";
        let cases = [
            ("docs", "livenessprobe v2.4.0", "docs-livenessprobe-v2.4.0"),
            ("prow", "CSI_PROW_X=..~^:?*[\\", "prow-csi-prow-x"),
        ];
        for (process, subject, expected) in cases {
            assert_eq!(branch(process, subject), expected);
        }
        let (one, other) = (branch("deploy-images", long), branch("deploy-images", &format!("{long}1")));
        assert_ne!(one, other);
        assert!(one.len() <= 60 && other.len() <= 60);
    }

    #[test]
    fn bodies_call_nobody_and_say_what_was_left_out() {
        let report = Report {
            summary: "Why.".to_owned(),
            changes: (0..LINES + 3).map(|n| format!("line {n} @somebody")).collect(),
            remarks: Vec::new(),
        };
        let body = report.body("cleanup");
        assert!(!body.contains(" @somebody") && body.contains("- and 3 more\n"));
        assert!(body.contains("/kind cleanup\n") && !body.contains("please look at"));
        assert!(report.text("T").contains(&format!("line {}", LINES + 2)), "the artefact holds everything");
    }
}
