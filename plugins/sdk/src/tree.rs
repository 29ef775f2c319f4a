//! Files of a git tree as plain data: what a pure edit reads and what it wants written.

use std::collections::{BTreeMap, BTreeSet};

/// Kind of a file, as git knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Mode 100644.
    File,
    /// Mode 100755.
    Executable,
    /// Mode 120000: the content is the link text, without a final newline.
    Symlink,
}

impl Mode {
    /// The mode as written in a git tree.
    pub fn octal(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
        }
    }
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Kind of the file.
    pub mode: Mode,
    /// Content; of a link its text.
    pub bytes: Vec<u8>,
}

impl FileEntry {
    /// An ordinary file.
    pub fn file(text: impl Into<Vec<u8>>) -> Self {
        Self { mode: Mode::File, bytes: text.into() }
    }

    /// A symbolic link with the given text. No newline is added: git would store a broken link.
    pub fn symlink(target: &str) -> Self {
        Self { mode: Mode::Symlink, bytes: target.as_bytes().to_vec() }
    }

    /// Link text, if this is a link with valid text.
    pub fn link_target(&self) -> Option<&str> {
        if self.mode == Mode::Symlink { std::str::from_utf8(&self.bytes).ok() } else { None }
    }

    /// Content as text, if it is an ordinary file in UTF-8.
    pub fn text(&self) -> Option<&str> {
        if self.mode == Mode::Symlink { None } else { std::str::from_utf8(&self.bytes).ok() }
    }
}

/// Files by path. Paths are relative, separated by `/`.
pub type Tree = BTreeMap<String, FileEntry>;

/// What an edit wants changed. Empty: nothing to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeChanges {
    /// Files to write, created or replaced.
    pub writes: Tree,
    /// Files to remove.
    pub deletes: BTreeSet<String>,
}

impl TreeChanges {
    /// True when nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.deletes.is_empty()
    }

    /// The difference between two trees.
    pub fn between(before: &Tree, after: &Tree) -> Self {
        let writes = after.iter().filter(|(path, entry)| before.get(*path) != Some(*entry));
        Self {
            writes: writes.map(|(path, entry)| (path.clone(), entry.clone())).collect(),
            deletes: before.keys().filter(|path| !after.contains_key(*path)).cloned().collect(),
        }
    }

    /// The tree after these changes.
    pub fn apply(&self, before: &Tree) -> Tree {
        let mut after = before.clone();
        after.retain(|path, _| !self.deletes.contains(path));
        after.extend(self.writes.iter().map(|(path, entry)| (path.clone(), entry.clone())));
        after
    }
}

/// A link that does not do what its author meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkFault {
    /// The text is empty, absolute, ends with a newline or is not UTF-8.
    BadText,
    /// Nothing is at the place the link names.
    Dangling(String),
    /// Following the link comes back to itself.
    Loop,
}

/// Resolves one path through links, at most 40 of them as the kernel does.
///
/// `present` answers for paths outside the tree that are known to exist.
pub fn resolve(tree: &Tree, path: &str, present: &dyn Fn(&str) -> bool) -> Result<String, LinkFault> {
    let mut current = path.to_owned();
    for _ in 0..40 {
        match first_link(tree, &current)? {
            None if exists(tree, &current) || present(&current) => return Ok(current),
            None => return Err(LinkFault::Dangling(current)),
            Some(next) => current = next,
        }
    }
    Err(LinkFault::Loop)
}

/// All links of the tree, as path and text.
pub fn links(tree: &Tree) -> BTreeMap<&str, &str> {
    tree.iter().filter_map(|(path, entry)| Some((path.as_str(), entry.link_target()?))).collect()
}

/// Rewrites `path` by its first component that is a link.
fn first_link(tree: &Tree, path: &str) -> Result<Option<String>, LinkFault> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for end in ends {
        let (head, rest) = path.split_at(end);
        let Some(entry) = tree.get(head).filter(|entry| entry.mode == Mode::Symlink) else { continue };
        let text = entry.link_target().ok_or(LinkFault::BadText)?;
        if text.is_empty() || text.starts_with('/') || text.ends_with('\n') {
            return Err(LinkFault::BadText);
        }
        let parent = head.rsplit_once('/').map_or("", |(parent, _)| parent);
        return Ok(Some(normalise(&format!("{parent}/{text}{rest}"))));
    }
    Ok(None)
}

fn exists(tree: &Tree, path: &str) -> bool {
    if tree.contains_key(path) {
        return true;
    }
    let prefix = format!("{path}/");
    tree.range(prefix.clone()..).next().is_some_and(|(next, _)| next.starts_with(&prefix))
}

fn normalise(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tree(entries: &[(&str, FileEntry)]) -> Tree {
        entries.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())).collect()
    }

    #[test]
    fn resolves_links_to_files_directories_and_links() {
        let tree = tree(&[
            ("d/one/x.yaml", FileEntry::file("x")),
            ("d/two", FileEntry::symlink("one")),
            ("d/latest", FileEntry::symlink("two")),
            ("d/one/run.sh", FileEntry::symlink("../util/run.sh")),
            ("d/gone", FileEntry::symlink("nowhere")),
            ("d/self", FileEntry::symlink("self")),
            ("d/newline", FileEntry::symlink("one\n")),
        ]);
        let outside = |path: &str| path == "d/util/run.sh";
        let cases = [
            ("d/two", Ok("d/one")),
            ("d/latest", Ok("d/one")),
            ("d/latest/x.yaml", Ok("d/one/x.yaml")),
            ("d/one/run.sh", Ok("d/util/run.sh")),
            ("d/gone", Err(LinkFault::Dangling("d/nowhere".into()))),
            ("d/self", Err(LinkFault::Loop)),
            ("d/newline", Err(LinkFault::BadText)),
        ];
        for (path, expected) in cases {
            assert_eq!(resolve(&tree, path, &outside), expected.map(str::to_owned), "{path}");
        }
    }

    #[test]
    fn difference_applied_to_the_old_tree_gives_the_new_one() {
        let before = tree(&[("a", FileEntry::file("1")), ("b", FileEntry::file("2"))]);
        let after = tree(&[("a", FileEntry::file("3")), ("c", FileEntry::symlink("a"))]);
        let changes = TreeChanges::between(&before, &after);
        assert_eq!(changes.apply(&before), after);
        assert!(TreeChanges::between(&after, &after).is_empty());
    }
}
