//! The world a forge starts from: plain data, read from a TOML file or built by a test.
//!
//! Everything here is a description; `seed` turns it into bare repositories and forge state, `people` and
//! `robot` make its rules come true as the clock moves.

mod cloud;
mod history;
mod rule;
mod service;
mod tool;

pub use cloud::{BuildRule, Chat};
pub use history::{
    Branch, File, FileSpec, MergedPull, Person, Protection, SeedCheckRun, SeedCommit, SeedIssue, SeedLabel,
    SeedPull, SeedRelease, SeedStatus, Step, Tag,
};
pub use rule::{Action, Answer, MergeMethod, Rule, Trigger};
pub use service::{Dashboard, Document, Flip, Image, ImageRule, Promotion, Tab};
pub use tool::{CommandRule, MailRule, SubmittedBuild};

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Everything that exists, and everything that will happen, before the first request.
///
/// ```
/// let world = castoff::forge::World::from_toml(
///     r##"
///     now = "2026-03-01T09:00:00Z"
///     user = "release-bot"
///
///     [[account]]
///     login = "release-bot"
///     token = "rehearsal"
///     kind = "Bot"
///     permissions = { "acme/*" = "write" }
///
///     [[repository]]
///     name = "acme/tool"
///     files = { "README.md" = "# tool\n", "run.sh" = { content = "#!/bin/sh\n", mode = "100755" } }
///
///     [[repository.history]]            # a merged pull request, with Prow's merge commit, and a tag on it
///     date = "2026-02-01T10:00:00Z"
///     files = { "a.txt" = "a\n", "run.sh" = { delete = true } }
///     pull = { number = 1, title = "Add a", user = "ann", labels = ["kind/feature"] }
///     tag = "v1.0.0"
///
///     [[rule]]                          # an hour after a changelog is proposed, Prow merges it
///     title = "*hangelog*"
///     after_seconds = 3600
///     by = "k8s-ci-robot"
///     action = "merge"
///
///     [[image_rule]]                    # a tag builds an image in ten minutes
///     repository = "acme/tool"
///     tag = "v*"
///     after_seconds = 600
///     images = ["gcr.io/staging/tool"]
///     platforms = ["linux/amd64", "linux/arm64"]
///     "##,
/// )?;
/// assert_eq!(world.repositories[0].history[0].tag.as_deref(), Some("v1.0.0"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct World {
    /// The moment the rehearsal starts; the driver hands a clock standing at it to the forge.
    pub now: Option<DateTime<Utc>>,
    /// Requests an authenticated user may make in an hour; GitHub's 5000 when absent.
    pub rate_limit: Option<u64>,
    /// Login of the user on whose behalf the rehearsal runs.
    pub user: Option<String>,
    /// Accounts with their tokens.
    #[serde(rename = "account")]
    pub accounts: Vec<Account>,
    /// Repositories, forks after their parents.
    #[serde(rename = "repository")]
    pub repositories: Vec<Repository>,
    /// What people and robots will do.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
    /// Faults planned from the start.
    #[serde(rename = "fault")]
    pub faults: Vec<super::Fault>,
    /// Answers of people to the gates of a release; data for the rehearsal's driver, unused by the forge.
    #[serde(rename = "answer")]
    pub answers: Vec<Answer>,
    /// Images that exist in a registry from the start.
    #[serde(rename = "image")]
    pub images: Vec<Image>,
    /// Image builds started by tags and branches.
    #[serde(rename = "image_rule")]
    pub image_rules: Vec<ImageRule>,
    /// What becomes of builds that are submitted to Cloud Build.
    #[serde(rename = "build_rule")]
    pub build_rules: Vec<BuildRule>,
    /// A workspace of Slack.
    pub chat: Option<Chat>,
    /// Promotions started by a change of a promotion manifest.
    #[serde(rename = "promotion")]
    pub promotions: Vec<Promotion>,
    /// Testgrid dashboards.
    #[serde(rename = "dashboard")]
    pub dashboards: Vec<Dashboard>,
    /// Fixed answers of any other service.
    #[serde(rename = "document")]
    pub documents: Vec<Document>,
    /// What programs do that steps run.
    #[serde(rename = "command")]
    pub commands: Vec<CommandRule>,
    /// Recipients that the mail server does not simply deliver to.
    #[serde(rename = "mail_rule")]
    pub mail_rules: Vec<MailRule>,
}

impl World {
    /// Reads a world file.
    ///
    /// # Errors
    /// The place and reason when the text is not a world.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

/// An account of the forge.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Account {
    /// Name in URLs and mentions.
    pub login: String,
    /// Token that authenticates as this account; none means it never calls.
    pub token: Option<String>,
    /// `User` (default), `Bot` or `Organization`.
    pub kind: AccountKind,
    /// Display name; the login when absent.
    pub name: Option<String>,
    /// Mail address used in commits the forge makes for this account.
    pub email: Option<String>,
    /// Rights by repository glob (`kubernetes-csi/*`): the last match in the file's order of names wins by
    /// being the most specific. Repositories owned by the account are always `admin`.
    pub permissions: BTreeMap<String, Permission>,
    /// Whether the account administers the whole site.
    pub site_admin: bool,
}

/// What sort of account it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountKind {
    /// A person.
    #[default]
    User,
    /// A robot.
    Bot,
    /// An organisation; owns repositories, never calls.
    Organization,
}

impl AccountKind {
    /// The word GitHub uses in `type` and `__typename`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Bot => "Bot",
            Self::Organization => "Organization",
        }
    }
}

/// Rights on a repository, ascending.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Nothing: a private repository looks absent.
    #[default]
    None,
    /// See and comment.
    Read,
    /// Label and assign.
    Triage,
    /// Push and merge.
    Write,
    /// Most settings.
    Maintain,
    /// Everything, branch protection included.
    Admin,
}

impl Permission {
    /// The word GitHub uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }
}

/// A repository and its past.
///
/// Its objects come from `source` (a local repository that is copied), then `commits` (an arbitrary graph), then
/// `history` (a told story), in this order; later parts may name commits of earlier ones.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Repository {
    /// `owner/name`.
    pub name: String,
    /// Name of the default branch; `main` when absent.
    pub default_branch: Option<String>,
    /// One line about it.
    pub description: Option<String>,
    /// Invisible without rights.
    pub private: bool,
    /// `owner/name` of the repository it was forked from.
    pub fork_of: Option<String>,
    /// Local repository to copy all refs from.
    pub source: Option<std::path::PathBuf>,
    /// Files of an initial commit on the default branch.
    pub files: BTreeMap<String, FileSpec>,
    /// Commits with explicit parents.
    pub commits: Vec<SeedCommit>,
    /// A story: commits and merges in the order they happened.
    pub history: Vec<Step>,
    /// Branches at labelled commits, beyond those the history made.
    #[serde(rename = "branch")]
    pub branches: Vec<Branch>,
    /// Tags at labelled commits, beyond those the history made.
    #[serde(rename = "tag")]
    pub tags: Vec<Tag>,
    /// Pull requests beyond those the history merged.
    #[serde(rename = "pull")]
    pub pulls: Vec<SeedPull>,
    /// Issues.
    #[serde(rename = "issue")]
    pub issues: Vec<SeedIssue>,
    /// Labels that exist; labels in use are added by themselves.
    #[serde(rename = "label")]
    pub labels: Vec<SeedLabel>,
    /// Titles of milestones, numbered from 1.
    pub milestones: Vec<String>,
    /// Releases.
    #[serde(rename = "release")]
    pub releases: Vec<SeedRelease>,
    /// Glob over tags that are never moved or deleted once they exist; empty protects none.
    pub immutable_tags: Option<String>,
    /// Branch protection.
    #[serde(rename = "protection")]
    pub protections: Vec<Protection>,
    /// Commit statuses.
    #[serde(rename = "status")]
    pub statuses: Vec<SeedStatus>,
    /// Check runs.
    #[serde(rename = "check_run")]
    pub check_runs: Vec<SeedCheckRun>,
}
