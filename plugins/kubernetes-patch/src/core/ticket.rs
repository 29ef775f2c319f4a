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

/// The body of the issue.
#[must_use]
pub fn body(tag: &str, tool: &str, build_version: &str, items: &[Item], history: Option<&str>) -> String {
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
         {build_version}\n```\n{history}\n/milestone v{}\n/priority critical-urgent\n/kind documentation\n",
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
        let body = body("v1.35.1", "v0.18", "V", &items, Some("| Step |\n"));
        assert!(body.contains("- [x] NoMock Stage: L\n- [ ] Release\n"), "{body}");
        assert!(
            body.contains("## Release jobs history\n\n| Step |\n") && body.contains("/milestone v1.35\n")
        );
        assert_eq!(title("v1.35.1"), "Cut v1.35.1 release");
    }
}
