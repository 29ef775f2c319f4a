//! A repository's past as the world file tells it.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, FixedOffset, Utc};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name and mail address in a commit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Display name.
    pub name: String,
    /// Mail address.
    pub email: String,
}

/// What happens to a path: text in short form, or a full description.
#[derive(Debug, Clone)]
pub enum FileSpec {
    /// An ordinary file with this text.
    Text(String),
    /// Anything else.
    File(File),
}

impl FileSpec {
    /// The long form of either.
    #[must_use]
    pub fn file(&self) -> File {
        match self {
            Self::Text(text) => File { content: text.clone(), ..File::default() },
            Self::File(file) => file.clone(),
        }
    }
}

impl From<&str> for FileSpec {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for FileSpec {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Serialize for FileSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::File(file) => file.serialize(serializer),
        }
    }
}

/// By hand rather than untagged, so that a mistake inside the long form is named instead of "matches no variant".
impl<'de> Deserialize<'de> for FileSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FileVisitor)
    }
}

struct FileVisitor;

impl<'de> Visitor<'de> for FileVisitor {
    type Value = FileSpec;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the text of a file, or a table with content, mode and delete")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<FileSpec, E> {
        Ok(FileSpec::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FileSpec, A::Error> {
        File::deserialize(MapAccessDeserializer::new(map)).map(FileSpec::File)
    }
}

/// A file in full.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// Text, or the target of a symbolic link (without newline).
    pub content: String,
    /// `100644` (default), `100755` or `120000`.
    pub mode: Option<String>,
    /// Removes the path.
    pub delete: bool,
}

/// A commit with explicit parents.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeedCommit {
    /// Label, unique in the repository; [`crate::forge::Forge::seeded`] maps it to the object id.
    pub id: String,
    /// Labels (or full object ids) of the parents. A root commit has none.
    pub parents: Vec<String>,
    /// Message, taken as it is.
    pub message: String,
    /// Author; the repository's owner when absent.
    pub author: Option<Person>,
    /// Committer; the author when absent.
    pub committer: Option<Person>,
    /// Author date; the world's start when absent.
    pub date: Option<DateTime<FixedOffset>>,
    /// Committer date; the author date when absent.
    pub commit_date: Option<DateTime<FixedOffset>>,
    /// Changes against the first parent's tree (or the empty tree).
    pub files: BTreeMap<String, FileSpec>,
    /// `files` is the whole tree instead of changes.
    pub whole_tree: bool,
}

/// One thing that happened: a commit, or the merge of a pull request, then perhaps a tag.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// Label of the resulting commit.
    pub id: Option<String>,
    /// Branch it happened on; the default branch when absent. An unknown branch starts at `from`.
    pub branch: Option<String>,
    /// Label, tag or branch at which a new branch starts; the default branch when absent.
    pub from: Option<String>,
    /// Commit message. Without message and pull request the step only makes the branch or the tag.
    pub message: Option<String>,
    /// Author.
    pub author: Option<Person>,
    /// When.
    pub date: Option<DateTime<FixedOffset>>,
    /// Changes.
    pub files: BTreeMap<String, FileSpec>,
    /// The commit came through this pull request: a side commit with the changes and Prow's merge commit.
    pub pull: Option<MergedPull>,
    /// Tag made at the branch's head afterwards.
    pub tag: Option<String>,
    /// Makes the tag annotated, with this message.
    pub tag_message: Option<String>,
}

/// A pull request merged by a history step.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MergedPull {
    /// Number.
    pub number: u64,
    /// Title: second paragraph of the merge commit.
    pub title: String,
    /// Description.
    pub body: String,
    /// Labels.
    pub labels: Vec<String>,
    /// Login of its author.
    pub user: String,
    /// Head branch; `patch-N` when absent.
    pub head: Option<String>,
    /// Owner of the head branch; the author when absent.
    pub head_owner: Option<String>,
    /// Squashed instead of merged.
    pub squash: bool,
}

/// A branch at a commit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Branch {
    /// Name without `refs/heads/`.
    pub name: String,
    /// Label, branch, tag or object id.
    pub at: String,
}

/// A tag at a commit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tag {
    /// Name without `refs/tags/`.
    pub name: String,
    /// Label, branch, tag or object id.
    pub at: String,
    /// Makes the tag annotated.
    pub message: Option<String>,
    /// Tagger of an annotated tag.
    pub tagger: Option<Person>,
    /// Date of an annotated tag.
    pub date: Option<DateTime<FixedOffset>>,
}

/// A pull request, open, closed or merged.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeedPull {
    /// Number.
    pub number: u64,
    /// Title.
    pub title: String,
    /// Description.
    pub body: Option<String>,
    /// Labels.
    pub labels: Vec<String>,
    /// Login of its author.
    pub user: String,
    /// Base branch; the default branch when absent.
    pub base: Option<String>,
    /// Head branch.
    pub head: String,
    /// Owner of the head branch; the repository's owner when absent.
    pub head_owner: Option<String>,
    /// Label or id of the head commit; the head branch's commit when absent.
    pub head_at: Option<String>,
    /// Changes on top of the base branch from which the head commit is made, when it does not exist yet.
    pub files: BTreeMap<String, FileSpec>,
    /// Label or id of the merge commit: the pull request is merged.
    pub merge_commit: Option<String>,
    /// Closed without a merge.
    pub closed: bool,
    /// A draft.
    pub draft: bool,
    /// When it was opened; the world's start when absent.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was merged or closed; its merge commit's date, or `created_at`, when absent.
    pub closed_at: Option<DateTime<Utc>>,
    /// Login of who merged it.
    pub merged_by: Option<String>,
    /// Title of the milestone.
    pub milestone: Option<String>,
}

/// An issue.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeedIssue {
    /// Number.
    pub number: u64,
    /// Title.
    pub title: String,
    /// Description.
    pub body: Option<String>,
    /// Labels.
    pub labels: Vec<String>,
    /// Login of its author.
    pub user: String,
    /// Closed already.
    pub closed: bool,
    /// When it was opened; the world's start when absent.
    pub created_at: Option<DateTime<Utc>>,
    /// Title of the milestone.
    pub milestone: Option<String>,
}

/// A label.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeedLabel {
    /// Name.
    pub name: String,
    /// Six hexadecimal digits.
    pub color: Option<String>,
    /// One line about it.
    pub description: Option<String>,
}

/// A release.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeedRelease {
    /// Tag.
    pub tag: String,
    /// Branch or id the tag would be made at; the default branch when absent.
    pub target: Option<String>,
    /// Name; the tag when absent.
    pub name: Option<String>,
    /// Text.
    pub body: String,
    /// Not published.
    pub draft: bool,
    /// Not for everybody.
    pub prerelease: bool,
    /// Login of its author; the repository's owner when absent.
    pub author: Option<String>,
    /// When it was made; the world's start when absent.
    pub created_at: Option<DateTime<Utc>>,
    /// Text assets by file name.
    pub assets: BTreeMap<String, String>,
}

/// Protection of a branch.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Protection {
    /// Branch, or a glob over branches (`release-*`).
    pub branch: String,
    /// Nobody pushes or merges.
    pub lock_branch: bool,
    /// Contexts that have to be green before a merge.
    pub required_checks: Vec<String>,
    /// Approvals needed before a merge; none needs no pull request either.
    pub required_reviews: u64,
    /// Administrators obey too.
    pub enforce_admins: bool,
    /// History may be rewritten.
    pub allow_force_pushes: bool,
    /// The branch may be deleted.
    pub allow_deletions: bool,
}

/// A commit status.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeedStatus {
    /// Label, branch, tag or id.
    pub at: String,
    /// Context.
    pub context: String,
    /// `success`, `failure`, `pending` or `error`.
    pub state: String,
    /// One line about it.
    pub description: Option<String>,
    /// Link.
    pub target_url: Option<String>,
}

/// A check run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeedCheckRun {
    /// Label, branch, tag or id.
    pub at: String,
    /// Name.
    pub name: String,
    /// `completed` (default), `in_progress` or `queued`.
    pub status: Option<String>,
    /// `success`, `failure`, … for a completed run.
    pub conclusion: Option<String>,
}
