//! Subtree update of the shared release tools: messages, trailers and the tree that results.
//!
//! The message of the squash commit lists the upstream commits. Release-notes tools read commit messages, and the words
//! "Merge pull request #N" or "(#N)" in that list have put notes of other repositories into published changelogs; so the list is
//! written without them.

use std::collections::BTreeMap;

/// A commit of the upstream repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamCommit {
    /// Full object id.
    pub sha: String,
    /// Full message.
    pub message: String,
}

/// What is known before the update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubtreeUpdate {
    /// Folder of the subtree, without slashes at the ends.
    pub prefix: String,
    /// Upstream commit of the last update, from its trailer; none when the subtree is new.
    pub split_before: Option<String>,
    /// Upstream commit to take.
    pub split_after: String,
    /// Commits of `split_before..split_after`, newest first.
    pub commits: Vec<UpstreamCommit>,
    /// Commits of `split_after..split_before`: upstream history that is taken back, newest first.
    pub reverted: Vec<UpstreamCommit>,
    /// Tree id of the folder at the branch head, if it exists.
    pub prefix_tree: Option<String>,
    /// Tree id of the upstream commit to take.
    pub upstream_tree: String,
    /// Branch the update is merged into.
    pub branch: String,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubtreePlan {
    /// The folder holds that tree already.
    NothingToDo,
    /// Two commits.
    Update {
        /// Message of the squash commit, whose tree is the upstream tree and whose parent is the previous squash commit.
        squash_message: String,
        /// Folder whose tree becomes `tree`.
        prefix: String,
        /// Tree of the folder afterwards.
        tree: String,
    },
}

/// An update that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubtreeError {
    /// An object id is not one.
    #[error("{what} is {seen:?}; expected 40 hexadecimal digits")]
    NotAnId {
        /// Which id.
        what: &'static str,
        /// As given.
        seen: String,
    },
    /// The folder was changed locally.
    #[error(
        "{prefix} holds the tree {seen}, but upstream {split} holds {expected}: the folder was edited in place; send the edit \
         upstream first, or revert it"
    )]
    EditedInPlace {
        /// The folder.
        prefix: String,
        /// Tree in the folder.
        seen: String,
        /// Upstream commit of the last update.
        split: String,
        /// Tree upstream.
        expected: String,
    },
    /// No squash commit with the trailers was found.
    #[error(
        "no commit with the trailers git-subtree-dir: {prefix} and git-subtree-split in the history; add the subtree by hand once"
    )]
    NoTrailer {
        /// The folder.
        prefix: String,
    },
}

/// Plans an update. Nothing to do when the folder holds the wanted tree already.
pub fn plan(update: &SubtreeUpdate) -> Result<SubtreePlan, SubtreeError> {
    check_id("the upstream commit", &update.split_after)?;
    check_id("the upstream tree", &update.upstream_tree)?;
    if let Some(split) = &update.split_before {
        check_id("the split of the last update", split)?;
    }
    if update.prefix_tree.as_deref() == Some(update.upstream_tree.as_str()) {
        return Ok(SubtreePlan::NothingToDo);
    }
    Ok(SubtreePlan::Update {
        squash_message: squash_message(update),
        prefix: update.prefix.clone(),
        tree: update.upstream_tree.clone(),
    })
}

/// Checks that the folder is what upstream had at the last update, so that no local edit is lost.
pub fn check_pristine(
    prefix: &str,
    prefix_tree: &str,
    split: &str,
    upstream_tree: &str,
) -> Result<(), SubtreeError> {
    if prefix_tree == upstream_tree {
        return Ok(());
    }
    Err(SubtreeError::EditedInPlace {
        prefix: prefix.to_owned(),
        seen: prefix_tree.to_owned(),
        split: split.to_owned(),
        expected: upstream_tree.to_owned(),
    })
}

/// Message of the squash commit.
pub fn squash_message(update: &SubtreeUpdate) -> String {
    let dir = &update.prefix;
    let after = short(&update.split_after);
    let mut message = match &update.split_before {
        Some(before) => format!("Squashed '{dir}/' changes from {}..{after}\n\n", short(before)),
        None => format!("Squashed '{dir}/' content from commit {after}\n\n"),
    };
    for commit in &update.commits {
        message.push_str(&format!("{} {}\n", short(&commit.sha), harmless_subject(&commit.message)));
    }
    for commit in &update.reverted {
        message.push_str(&format!("REVERT: {} {}\n", short(&commit.sha), harmless_subject(&commit.message)));
    }
    if !(update.commits.is_empty() && update.reverted.is_empty()) {
        message.push('\n');
    }
    message.push_str(&format!("git-subtree-dir: {dir}\ngit-subtree-split: {}\n", update.split_after));
    message
}

/// Message of the commit that merges the squash commit into the branch.
pub fn merge_message(squash: &str, branch: &str) -> String {
    format!("Merge commit '{squash}' into {branch}\n")
}

/// Trailers of the last update of `prefix` among commit messages, newest first: the upstream commit taken.
pub fn last_split<'a>(
    prefix: &str,
    messages: impl IntoIterator<Item = &'a str>,
) -> Result<String, SubtreeError> {
    for message in messages {
        let trailers = trailers(message);
        let dir = trailers.get("git-subtree-dir").map(|dir| dir.trim_end_matches('/'));
        if let Some(split) = trailers.get("git-subtree-split").filter(|_| dir == Some(prefix)) {
            check_id("git-subtree-split", split)?;
            return Ok((*split).to_owned());
        }
    }
    Err(SubtreeError::NoTrailer { prefix: prefix.to_owned() })
}

/// The `git-subtree-…` trailers of a message.
pub fn trailers(message: &str) -> BTreeMap<&str, &str> {
    let lines = message.lines().filter(|line| line.starts_with("git-subtree-"));
    lines.filter_map(|line| line.split_once(':')).map(|(key, value)| (key, value.trim())).collect()
}

/// Pull request numbers that a release-notes tool would read out of a commit message.
///
/// The forms are those of the upstream generator: `Merge pull request #N`, `automated-cherry-pick-of-#N` and `(#N)`, anywhere.
pub fn numbers_read_by_notes_tools(message: &str) -> Vec<u64> {
    let forms = ["Merge pull request #", "automated-cherry-pick-of-#", "(#"];
    let mut numbers = Vec::new();
    for form in forms {
        for (at, lead) in message.match_indices(form) {
            let rest = message.get(at + lead.len()..).unwrap_or_default();
            let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let closed = form != "(#" || rest.get(length..).is_some_and(|tail| tail.starts_with(')'));
            if let Some(Ok(number)) = rest.get(..length).map(str::parse).filter(|_| closed)
                && !numbers.contains(&number)
            {
                numbers.push(number);
            }
        }
    }
    numbers
}

/// First line of a message, reworded where it would be read as a pull request of this repository.
fn harmless_subject(message: &str) -> String {
    let mut lines = message.lines();
    let subject = lines.next().unwrap_or_default().trim();
    let reworded = match subject.strip_prefix("Merge pull request #") {
        Some(rest) => {
            let (_, source) = rest.split_once(" from ").unwrap_or(("", ""));
            let title = lines.map(str::trim).find(|line| !line.is_empty()).unwrap_or(source);
            format!("Merge: {title}")
        }
        None => subject.to_owned(),
    };
    // "#12" turns into "12" so that neither tools nor the forge link another repository's number.
    without_number_signs(&reworded)
}

fn without_number_signs(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '#' && characters.peek().is_some_and(char::is_ascii_digit) {
            continue;
        }
        result.push(character);
    }
    result
}

fn short(sha: &str) -> &str {
    sha.get(..8).unwrap_or(sha)
}

fn check_id(what: &'static str, seen: &str) -> Result<(), SubtreeError> {
    let valid = seen.len() == 40 && seen.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if valid { Ok(()) } else { Err(SubtreeError::NotAnId { what, seen: seen.to_owned() }) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn id(digit: char) -> String {
        digit.to_string().repeat(40)
    }

    fn update(messages: &[&str]) -> SubtreeUpdate {
        let commits =
            messages.iter().map(|m| UpstreamCommit { sha: id('c'), message: (*m).to_owned() }).collect();
        SubtreeUpdate {
            prefix: "tools".to_owned(),
            split_before: Some(id('a')),
            split_after: id('b'),
            commits,
            reverted: Vec::new(),
            prefix_tree: Some(id('d')),
            upstream_tree: id('e'),
            branch: "main".to_owned(),
        }
    }

    #[test]
    fn writes_subject_list_and_trailers() {
        let update = update(&["Merge pull request #12 from me/x\n\nBetter x\n", "Fix y (#13)\n"]);
        let expected = format!(
            "Squashed 'tools/' changes from aaaaaaaa..bbbbbbbb\n\ncccccccc Merge: Better x\ncccccccc Fix y (13)\n\n\
             git-subtree-dir: tools\ngit-subtree-split: {}\n",
            id('b')
        );
        assert_eq!(squash_message(&update), expected);
        assert_eq!(last_split("tools", ["other", expected.as_str()]), Ok(id('b')));
        assert!(last_split("other", [expected.as_str()]).is_err());
        assert_eq!(merge_message("1234", "main"), "Merge commit '1234' into main\n");
    }

    #[test]
    fn plans_only_what_is_missing_and_refuses_lost_edits() {
        let mut wanted = update(&[]);
        assert!(matches!(plan(&wanted), Ok(SubtreePlan::Update { tree, .. }) if tree == id('e')));
        wanted.prefix_tree = Some(id('e'));
        assert_eq!(plan(&wanted), Ok(SubtreePlan::NothingToDo));
        wanted.split_after = "main".to_owned();
        assert!(plan(&wanted).unwrap_err().to_string().contains("40 hexadecimal digits"));
        assert_eq!(check_pristine("tools", "x", "s", "x"), Ok(()));
        assert!(check_pristine("tools", "x", "s", "y").unwrap_err().to_string().contains("edited in place"));
    }

    proptest! {
        #[test]
        fn no_notes_tool_reads_a_number(
            messages in proptest::collection::vec(
                "(Merge pull request #[0-9]{1,4} from a/b\n\n)?[a-z ]{0,8}(\\(#[0-9]{1,4}\\))?(automated-cherry-pick-of-#[0-9]{1,3})?", 0..6)
        ) {
            let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
            let message = squash_message(&update(&messages));
            prop_assert_eq!(numbers_read_by_notes_tools(&message), Vec::<u64>::new());
        }
    }
}
