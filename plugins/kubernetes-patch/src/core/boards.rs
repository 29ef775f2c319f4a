//! The boards of testgrid that speak for a branch: which there are, what they say, and whether that is still true.

use castoff_sdk::testgrid::{Tab, page};

/// Seconds after which a board says nothing about the present. Testgrid goes on showing a summary that nothing updates any
/// more.
pub const FRESH: i64 = 36 * 3600;

/// Seconds after which testgrid itself has stopped: it looks at a board every few minutes.
pub const UPDATED: i64 = 6 * 3600;

/// Marks the comment, as krel's tool does.
pub const MARKER: &str = "<!-- ----[ issue comment ]---- -->";

/// A dashboard with its tabs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// Name of the dashboard.
    pub name: String,
    /// Its tabs.
    pub tabs: Vec<Tab>,
}

/// Short name of a branch: `1.35`, `master`.
#[must_use]
pub fn line(branch: &str) -> &str {
    branch.strip_prefix("release-").unwrap_or(branch)
}

/// Dashboards of a branch: the blocking one first.
#[must_use]
pub fn names(branch: &str) -> [String; 2] {
    ["blocking", "informing"].map(|kind| format!("sig-release-{}-{kind}", line(branch)))
}

/// Why a release should stop: failing tabs of the blocking board, and boards whose tabs ran too long ago.
#[must_use]
pub fn objections(boards: &[Board], now: i64) -> Vec<String> {
    let blocking = boards.iter().filter(|board| board.name.ends_with("-blocking"));
    let mut found = Vec::new();
    for board in blocking {
        let failing = board.tabs.iter().filter(|tab| tab.overall == "FAILING");
        found.extend(failing.map(|tab| format!("{} of {} is FAILING: {}", tab.name, board.name, tab.status)));
        let stale = board.tabs.iter().filter(|tab| is_stale(tab, now));
        found.extend(
            stale.map(|tab| format!("{} of {} is stale; it says nothing about now", tab.name, board.name)),
        );
        if board.tabs.is_empty() {
            found.push(format!("{} has no tabs", board.name));
        }
    }
    found
}

/// Whether a tab says nothing about the present: its job or testgrid itself stopped some time ago.
fn is_stale(tab: &Tab, now: i64) -> bool {
    tab.overall == "STALE" || now - tab.last_run > FRESH || (tab.updated > 0 && now - tab.updated > UPDATED)
}

/// The comment for the release's issue.
#[must_use]
pub fn comment(branch: &str, boards: &[Board]) -> String {
    let mut text =
        format!("{MARKER}\n### Testgrid dashboards for {}\n\nBoards checked for FAILING:\n", line(branch));
    for board in boards {
        text.push_str(&format!("- [{}]({})\n", board.name, page(&board.name)));
    }
    text.push('\n');
    let mut failing = 0;
    for board in boards {
        for tab in board.tabs.iter().filter(|tab| tab.overall == "FAILING") {
            failing += 1;
            text.push_str(&format!(
                "<details><summary>{} {}</summary>\n\n[{}#{}]({}#{}&width=30)\n\n{}\n</details>\n\n",
                tab.overall,
                tab.name,
                board.name,
                tab.name,
                page(&board.name),
                tab.name,
                tab.status
            ));
        }
    }
    if failing == 0 {
        text.push_str("**No FAILING Jobs**\n\n");
    }
    text.push_str(MARKER);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(name: &str, tabs: &[(&str, &str, i64)]) -> Board {
        let tab = |(name, overall, last_run): &(&str, &str, i64)| Tab {
            name: (*name).to_owned(),
            overall: (*overall).to_owned(),
            status: "words".to_owned(),
            last_run: *last_run,
            updated: 0,
        };
        Board { name: name.to_owned(), tabs: tabs.iter().map(tab).collect() }
    }

    #[test]
    fn failing_and_stale_boards_stop_a_release() {
        let now = 1_000_000;
        let updated = |updated| {
            let mut board = board("x-blocking", &[("a", "PASSING", now)]);
            board.tabs[0].updated = updated;
            board
        };
        let table = [
            (board("x-blocking", &[("a", "PASSING", now), ("b", "FLAKY", now)]), 0),
            (board("x-blocking", &[("a", "FAILING", now)]), 1),
            (board("x-blocking", &[("a", "PASSING", now - FRESH - 1)]), 1),
            (board("x-blocking", &[("a", "STALE", now)]), 1),
            (board("x-blocking", &[]), 1),
            (board("x-informing", &[("a", "FAILING", 0)]), 0),
            (updated(now - 60), 0),
            (updated(now - UPDATED - 1), 1),
        ];
        for (board, count) in table {
            assert_eq!(objections(std::slice::from_ref(&board), now).len(), count, "{board:?}");
        }
    }

    #[test]
    fn comments_name_what_fails() {
        let [blocking, informing] = names("release-1.35");
        assert_eq!(
            (blocking.as_str(), names("master")[1].as_str()),
            ("sig-release-1.35-blocking", "sig-release-master-informing")
        );
        let good = comment("release-1.35", &[board(&blocking, &[("a", "PASSING", 1)])]);
        assert!(good.contains("**No FAILING Jobs**") && good.starts_with(MARKER));
        let bad = comment("release-1.35", &[board(&informing, &[("b", "FAILING", 1)])]);
        assert!(bad.contains("sig-release-1.35-informing#b&width=30"), "{bad}");
    }
}
