//! A case as its folder tells it: `case.json`, `world.json`, and trees of files before and after.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Why something about a case cannot be read or done; in words, for its line of the report.
pub type Result<T> = std::result::Result<T, String>;

/// A path of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An ordinary file.
    File(Vec<u8>),
    /// A symbolic link with its text.
    Link(String),
}

impl Entry {
    /// The text of either, as far as it is text.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::File(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Link(text) => text.clone(),
        }
    }
}

/// Files and links by path.
pub type Tree = BTreeMap<String, Entry>;

/// How a case is judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judge {
    /// Byte for byte.
    #[default]
    Bytes,
    /// Equal once parsed.
    Parsed,
    /// The named parts are equal.
    Subset,
    /// The published result is wrong; there is a better one.
    MustDiffer,
    /// Nothing may be written.
    MustRefuse,
}

/// The part of `case.json` that every kind has in common, read before anything is known of the kind.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Head {
    /// Its name.
    pub id: String,
    /// The plugin it is for.
    pub process: String,
    /// Its kind.
    pub kind: String,
    /// `owner/name`.
    pub repo: String,
    /// What is released: a version, several, or none.
    pub version: Value,
}

impl Head {
    /// Reads the head of a case folder.
    ///
    /// # Errors
    /// What is missing or misspelt.
    pub fn read(folder: &Path) -> Result<Self> {
        json(&folder.join("case.json"))
    }

    /// The line's head: id, kind, repository and version.
    #[must_use]
    pub fn title(&self) -> String {
        let version = match &self.version {
            Value::Null => String::new(),
            Value::String(text) => text.chars().take(60).collect(),
            other => other.to_string().chars().take(60).collect(),
        };
        format!("{} {} {} {version}", self.id, self.kind, self.repo).trim_end().to_owned()
    }
}

/// `case.json` of a kind that there is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Data {
    /// Its name.
    pub id: String,
    /// The plugin it is for.
    pub process: String,
    /// Its kind.
    pub kind: String,
    /// `owner/name`.
    pub repo: String,
    /// The commit before; empty when there is none, or one for each branch.
    #[serde(deserialize_with = "text_or_null")]
    pub base: String,
    /// The published commit; empty when there is none, or one for each branch.
    #[serde(deserialize_with = "text_or_null")]
    pub target: String,
    /// What is released; empty when that is several things, or none.
    #[serde(deserialize_with = "text_or_null")]
    pub version: String,
    /// What the process is told, in the words of the kind.
    pub inputs: Map<String, Value>,
    /// How it is judged.
    pub judge: Judge,
    /// How each part of a changelog is judged.
    pub judge_parts: BTreeMap<String, Judge>,
    /// Changed paths.
    pub files: Vec<String>,
    /// Paths that are gone afterwards.
    pub deleted: Vec<String>,
    /// Links afterwards.
    pub symlinks: BTreeMap<String, String>,
    /// Links before.
    pub base_symlinks: BTreeMap<String, String>,
    /// Files made by a generator.
    pub generated_files: Vec<String>,
    /// Of those, the ones whose published text no generator made.
    pub differs_from_generator: Vec<String>,
    /// Files with changes by hand.
    pub edited_beyond_image_tags: Vec<String>,
    /// Image tags afterwards, by file and image.
    pub image_tags_by_file: BTreeMap<String, BTreeMap<String, String>>,
    /// What must come out.
    pub expect: Map<String, Value>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

fn text_or_null<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<String, D::Error> {
    let value = Value::deserialize(from)?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}

/// A commit of `world.json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Commit {
    /// Published id.
    pub sha: String,
    /// Published ids of its parents.
    pub parents: Vec<String>,
    /// Name of its author.
    pub author: String,
    /// Author date.
    pub date: String,
    /// Message.
    pub message: String,
}

/// A tag of `world.json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Tag {
    /// Published id of its commit.
    pub sha: String,
    /// `lightweight` or `annotated`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was made.
    pub date: String,
}

/// A pull request of `world.json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Pull {
    /// Number.
    pub number: u64,
    /// Title.
    pub title: String,
    /// Login of its author.
    pub user: String,
    /// Labels.
    pub labels: Vec<String>,
    /// Description.
    pub body: String,
    /// Head branch.
    pub head_ref: String,
    /// Owner of the head branch.
    pub head_owner: String,
    /// Published id of the merge.
    pub merge_commit_sha: Option<String>,
    /// Base branch.
    pub base_ref: String,
}

/// What `world.json` says of the changelog at a commit.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ChangelogAt {
    /// Path.
    pub file: String,
    /// Whether it has an entry for the version.
    pub has_heading: bool,
}

/// `world.json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct World {
    /// The branch of the range.
    pub branch: Option<String>,
    /// The tag the range starts at.
    pub since_tag: Option<String>,
    /// Its commit.
    pub since_sha: Option<String>,
    /// The merge base of tag and branch.
    pub merge_base: Option<String>,
    /// The range, or every commit told.
    pub commits: Vec<Commit>,
    /// Other commits in the range.
    pub side_commits: Vec<Commit>,
    /// Pull requests.
    pub pulls: Vec<Pull>,
    /// Branches.
    pub branches: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, Tag>,
    /// First-parent line of each tip, oldest first.
    pub first_parent: BTreeMap<String, Vec<String>>,
    /// The changelog at certain commits.
    pub changelog_at: BTreeMap<String, ChangelogAt>,
    /// Repository of a subtree.
    pub upstream: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its folder.
    pub folder: PathBuf,
    /// `case.json`.
    pub data: Data,
    /// `world.json`.
    pub world: Option<World>,
}

impl Case {
    /// Reads a case folder.
    ///
    /// # Errors
    /// What is missing or misspelt.
    pub fn read(folder: &Path) -> Result<Self> {
        let data: Data = json(&folder.join("case.json"))?;
        let path = folder.join("world.json");
        let world = if path.is_file() { Some(json(&path)?) } else { None };
        Ok(Self { folder: folder.to_owned(), data, world })
    }

    /// A tree of the case: `base`, `target`, `expected`, `since`; empty when there is none.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn tree(&self, name: &str) -> Result<Tree> {
        let mut tree = Tree::new();
        let folder = self.folder.join(name);
        if folder.is_dir() {
            walk(&folder, "", &mut tree)?;
        }
        let links = match name {
            "base" => Some(&self.data.base_symlinks),
            "target" => Some(&self.data.symlinks),
            _ => None,
        };
        for (path, text) in links.into_iter().flatten() {
            tree.insert(path.clone(), Entry::Link(text.clone()));
        }
        Ok(tree)
    }

    /// A text of the case's inputs.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&str> {
        self.data.inputs.get(name).and_then(Value::as_str)
    }

    /// A text of the case's inputs that has to be there.
    ///
    /// # Errors
    /// When it is not there.
    pub fn need(&self, name: &str) -> Result<&str> {
        self.input(name).ok_or_else(|| format!("the case has no inputs.{name}"))
    }

    /// Texts of the case's inputs.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<String> {
        texts(self.data.inputs.get(name))
    }
}

/// The texts of a list.
#[must_use]
pub fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Folders with a `case.json` below (or at) `folder`, sorted.
#[must_use]
pub fn find(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        if folder.join("case.json").is_file() {
            found.push(folder);
            continue;
        }
        let entries = std::fs::read_dir(&folder).into_iter().flatten().filter_map(std::result::Result::ok);
        open.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir() && !path.is_symlink()));
    }
    found.sort();
    found
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn walk(folder: &Path, prefix: &str, tree: &mut Tree) -> Result<()> {
    let said = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(said)? {
        let entry = entry.map_err(said)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let kind = entry.file_type().map_err(said)?;
        if kind.is_symlink() {
            let text = std::fs::read_link(entry.path()).map_err(said)?;
            tree.insert(path, Entry::Link(text.to_string_lossy().into_owned()));
        } else if kind.is_dir() {
            walk(&entry.path(), &path, tree)?;
        } else {
            tree.insert(path, Entry::File(std::fs::read(entry.path()).map_err(said)?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_whatever_the_rest_looks_like() {
        let versions = [r#""v1.2.3""#, r#"["v1.2.3", "v1.3.0"]"#, "null", r#"{"a": 1}"#];
        let titles = versions.map(|version| {
            let text = format!(r#"{{"id": "X1", "kind": "k", "repo": "o/r", "version": {version}, "base": null, "judge": "new"}}"#);
            serde_json::from_str::<Head>(&text).map(|head| head.title()).unwrap_or_default()
        });
        assert_eq!(
            titles,
            ["X1 k o/r v1.2.3", r#"X1 k o/r ["v1.2.3","v1.3.0"]"#, "X1 k o/r", r#"X1 k o/r {"a":1}"#]
        );
    }
}
