//! The issue of a cut, rendered from what has been done.

/// A box of the issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What is to be done.
    pub what: &'static str,
    /// Whether it is.
    pub done: bool,
    /// Where to see it.
    pub link: String,
}

/// Labels of the issue.
pub const LABELS: [&str; 2] = ["area/release-eng", "sig/release"];

/// Title of the issue. While one for a `.0` release is open, the project's fast-forward job rests: the title is exact.
#[must_use]
pub fn title(tag: &str) -> String {
    format!("Cut {tag} release")
}

/// Begins the invisible line that says which run keeps the issue.
const LEASE: &str = "<!-- castoff-lease ";

/// The run that keeps an issue; none where no run does.
#[must_use]
pub fn holder(body: &str) -> Option<&str> {
    let (_, rest) = body.split_once(LEASE)?;
    rest.split_whitespace().next().filter(|run| *run != "-->")
}

/// Whether a title speaks of cutting this very version. People write it in many ways: `Cut 1.33.10 release`,
/// `Cut v1.33.3. release`.
#[must_use]
pub fn is_about(title: &str, tag: &str) -> bool {
    let words = || title.split_whitespace().map(|word| word.trim_end_matches(['.', ',', ':', ';']));
    let bare = |word: &str| word.trim_start_matches(['v', 'V']).to_owned();
    words().any(|word| word.eq_ignore_ascii_case("cut")) && words().any(|word| bare(word) == bare(tag))
}

/// What the body of an issue says.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// The release.
    pub tag: &'a str,
    /// Version of the tool.
    pub tool: &'a str,
    /// Build version.
    pub build_version: &'a str,
    /// The boxes.
    pub items: &'a [Item],
    /// The table of builds.
    pub history: Option<&'a str>,
    /// The run that keeps the issue.
    pub run: &'a str,
}

/// The body of the issue.
#[must_use]
pub fn body(text: &Text<'_>) -> String {
    let Text { tag, tool, build_version, items, history, run } = *text;
    let boxes: String = items
        .iter()
        .map(|item| {
            let link = if item.link.is_empty() { String::new() } else { format!(": {}", item.link) };
            format!("- [{}] {}{link}\n", if item.done { 'x' } else { ' ' }, item.what)
        })
        .collect();
    let history = history.map(|table| format!("\n## Release jobs history\n\n{table}")).unwrap_or_default();
    format!(
        "## Scheduled to happen: {tag}\n\n## Release steps\n\n{boxes}\n## Release tool\n\n```\nkrel {tool}\nbuild version \
         {build_version}\n```\n{history}\n/milestone v{}\n/priority critical-urgent\n/kind documentation\n\n{LEASE}{run} -->\n",
        tag.trim_start_matches('v').split('.').take(2).collect::<Vec<_>>().join(".")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_ticked_by_what_was_done() {
        let item = |what, done, link: &str| Item { what, done, link: link.to_owned() };
        let items = [item("NoMock Stage", true, "L"), item("Release", false, "")];
        let history = Some("| Step |\n");
        let body = body(&Text {
            tag: "v1.35.1",
            tool: "v0.18",
            build_version: "V",
            items: &items,
            history,
            run: "r1",
        });
        assert!(body.contains("- [x] NoMock Stage: L\n- [ ] Release\n"), "{body}");
        assert!(
            body.contains("## Release jobs history\n\n| Step |\n") && body.contains("/milestone v1.35\n")
        );
        assert_eq!((title("v1.35.1").as_str(), holder(&body)), ("Cut v1.35.1 release", Some("r1")));
        assert_eq!((holder("by hand"), holder("<!-- castoff-lease -->")), (None, None));
    }

    #[test]
    fn titles_are_written_by_people() {
        let tag = "v1.33.3";
        for title in ["Cut v1.33.3 release", "Cut 1.33.3 release", "Cut v1.33.3. release", "cut V1.33.3"] {
            assert!(is_about(title, tag), "{title}");
        }
        for title in ["Cut v1.33.30 release", "Cut v1.33.3-rc.0 release", "v1.33.3 is broken", "Cut releases"]
        {
            assert!(!is_about(title, tag), "{title}");
        }
    }
}
