//! The forge's memory: accounts, repositories and what belongs to them. Objects and refs live in bare repositories.

use super::tool::Ran;
use crate::capability::git::handles::{Handle, Handles};
use crate::capability::mail::Composed;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::chat::Message;
use super::cloud_build::Build;
use super::people::Scheduled;
use super::prow::Job;
use super::registry::Registry;
use super::reply::{Reply, glob};
use super::world::{AccountKind, Permission, World};
use super::{Received, Served};
use crate::clock::Clock;

/// The whole forge behind one lock.
pub(crate) struct State {
    pub(crate) dir: PathBuf,
    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub(crate) url: String,
    pub(crate) clock: Arc<dyn Clock>,
    /// When the forge started: scheduled flips and documents count from here.
    pub(crate) started: DateTime<Utc>,
    /// While a scheduled thing happens: the moment it was due, so that its traces do not depend on when it was noticed.
    pub(crate) acting_at: Option<DateTime<Utc>>,
    pub(crate) world: World,
    /// By lower-case login.
    pub(crate) accounts: BTreeMap<String, Account>,
    /// By lower-case `owner/name`.
    pub(crate) repos: BTreeMap<String, Repo>,
    pub(crate) next_id: u64,
    pub(crate) schedule: Vec<Scheduled>,
    pub(crate) next_event: u64,
    pub(crate) registry: Registry,
    /// Requests counted in the present rate window, by principal.
    pub(crate) spent: BTreeMap<String, (i64, u64)>,
    pub(crate) served: Vec<Served>,
    pub(crate) received: Vec<Received>,
    pub(crate) commands: Vec<Ran>,
    pub(crate) mails: Vec<Composed>,
    pub(crate) services: Services,
}

/// What the services around the forge remember.
#[derive(Debug, Default)]
pub(crate) struct Services {
    pub(crate) builds: Vec<Build>,
    pub(crate) messages: Vec<Message>,
    pub(crate) jobs: Vec<Job>,
}

#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) kind: AccountKind,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) token: Option<String>,
    pub(crate) permissions: BTreeMap<String, Permission>,
    pub(crate) site_admin: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Repo {
    pub(crate) key: String,
    pub(crate) id: u64,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) handles: Arc<Handles>,
    pub(crate) default_branch: String,
    pub(crate) description: Option<String>,
    pub(crate) private: bool,
    pub(crate) fork_of: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) pushed_at: DateTime<Utc>,
    pub(crate) next_number: u64,
    pub(crate) labels: Vec<Label>,
    pub(crate) milestones: Vec<Milestone>,
    pub(crate) issues: BTreeMap<u64, Issue>,
    pub(crate) comments: BTreeMap<u64, Comment>,
    pub(crate) releases: BTreeMap<u64, Release>,
    pub(crate) protections: BTreeMap<String, Guard>,
    /// Glob over tags that never change.
    pub(crate) immutable_tags: Option<String>,
    pub(crate) statuses: Vec<Status>,
    pub(crate) check_runs: Vec<CheckRun>,
    pub(crate) runs: Vec<Run>,
    /// Bodies of `repository_dispatch` events.
    pub(crate) dispatches: Vec<Value>,
    /// Branches and tags as last seen, to notice what a push changed.
    pub(crate) known: BTreeMap<String, String>,
    /// Object ids of labelled seed commits.
    pub(crate) seeded: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Label {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) color: String,
    pub(crate) description: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Milestone {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) created_at: DateTime<Utc>,
}

/// An issue, or a pull request when `pull` is there.
#[derive(Debug, Clone)]
pub(crate) struct Issue {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) user: String,
    pub(crate) labels: Vec<String>,
    pub(crate) assignees: Vec<String>,
    pub(crate) milestone: Option<u64>,
    pub(crate) open: bool,
    pub(crate) state_reason: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) closed_at: Option<DateTime<Utc>>,
    pub(crate) closed_by: Option<String>,
    pub(crate) pull: Option<Pull>,
}

#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) base: String,
    pub(crate) base_sha: String,
    /// Key of the head's repository; it may have gone.
    pub(crate) head_repo: String,
    pub(crate) head_owner: String,
    pub(crate) head: String,
    pub(crate) head_sha: String,
    pub(crate) draft: bool,
    pub(crate) merged_at: Option<DateTime<Utc>>,
    pub(crate) merged_by: Option<String>,
    /// The merge commit of a merged pull request, else the test merge of an open one.
    pub(crate) merge_commit: Option<String>,
    pub(crate) maintainer_can_modify: bool,
    pub(crate) reviews: Vec<Review>,
    pub(crate) requested: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Review {
    pub(crate) id: u64,
    pub(crate) user: String,
    pub(crate) body: String,
    /// `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED` or `PENDING`.
    pub(crate) state: String,
    pub(crate) commit: String,
    pub(crate) at: DateTime<Utc>,
}

#[derive(Debug, Clone)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) issue: u64,
    pub(crate) user: String,
    pub(crate) body: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) id: u64,
    pub(crate) tag: String,
    pub(crate) target: String,
    pub(crate) name: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) draft: bool,
    pub(crate) prerelease: bool,
    /// `true`, `false` or `legacy`.
    pub(crate) make_latest: String,
    pub(crate) author: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) published_at: Option<DateTime<Utc>>,
    pub(crate) assets: Vec<Asset>,
}

#[derive(Debug, Clone)]
pub(crate) struct Asset {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) label: Option<String>,
    pub(crate) content_type: String,
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) sha256: String,
    pub(crate) uploader: String,
    pub(crate) created_at: DateTime<Utc>,
}

/// Branch protection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    pub(crate) lock_branch: bool,
    pub(crate) enforce_admins: bool,
    pub(crate) allow_force_pushes: bool,
    pub(crate) allow_deletions: bool,
    pub(crate) linear_history: bool,
    pub(crate) conversation_resolution: bool,
    pub(crate) block_creations: bool,
    pub(crate) allow_fork_syncing: bool,
    pub(crate) checks: Option<RequiredChecks>,
    pub(crate) reviews: Option<RequiredReviews>,
    /// Logins that may push; none lets everybody with write access.
    pub(crate) restrictions: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct RequiredChecks {
    pub(crate) strict: bool,
    pub(crate) contexts: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct RequiredReviews {
    pub(crate) count: u64,
    pub(crate) dismiss_stale: bool,
    pub(crate) code_owners: bool,
    pub(crate) last_push: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Status {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) state: String,
    pub(crate) context: String,
    pub(crate) description: Option<String>,
    pub(crate) target_url: Option<String>,
    pub(crate) creator: String,
    pub(crate) at: DateTime<Utc>,
}

#[derive(Debug, Clone)]
pub(crate) struct CheckRun {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) conclusion: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) details_url: Option<String>,
    /// Title, summary and text.
    pub(crate) output: [Option<String>; 3],
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) completed_at: Option<DateTime<Utc>>,
}

/// A workflow run.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) workflow: String,
    pub(crate) event: String,
    pub(crate) branch: String,
    pub(crate) sha: String,
    pub(crate) status: String,
    pub(crate) conclusion: Option<String>,
    pub(crate) inputs: Value,
    pub(crate) actor: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl Account {
    /// The account of somebody whom the world does not name.
    pub(crate) fn made_up(id: u64, login: &str, kind: AccountKind) -> Self {
        Self {
            id,
            login: login.to_owned(),
            kind: if login.ends_with("[bot]") { AccountKind::Bot } else { kind },
            name: login.to_owned(),
            email: format!("{login}@users.noreply.github.com"),
            token: None,
            permissions: BTreeMap::new(),
            site_admin: false,
        }
    }
}

impl State {
    /// The present, or the moment the happening thing was due.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.acting_at.unwrap_or_else(|| self.clock.now())
    }

    pub(crate) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(crate) fn account(&self, login: &str) -> Option<&Account> {
        self.accounts.get(&login.to_lowercase())
    }

    /// The account of that login, made up when the world did not name it (authors of old pull requests).
    pub(crate) fn ensure_account(&mut self, login: &str, kind: AccountKind) -> Account {
        let key = login.to_lowercase();
        if let Some(account) = self.accounts.get(&key) {
            return account.clone();
        }
        let account = Account::made_up(self.fresh_id(), login, kind);
        self.accounts.insert(key, account.clone());
        account
    }

    pub(crate) fn user_of_token(&self, token: &str) -> Option<&Account> {
        self.accounts.values().find(|account| account.token.as_deref() == Some(token))
    }

    pub(crate) fn repo(&self, key: &str) -> Result<&Repo, Reply> {
        self.repos.get(key).ok_or_else(Reply::not_found)
    }

    pub(crate) fn repo_mut(&mut self, key: &str) -> Result<&mut Repo, Reply> {
        self.repos.get_mut(key).ok_or_else(Reply::not_found)
    }

    /// What `login` may do in the repository.
    pub(crate) fn permission(&self, login: Option<&str>, repo: &Repo) -> Permission {
        let open = if repo.private { Permission::None } else { Permission::Read };
        let Some(account) = login.and_then(|login| self.account(login)) else { return open };
        if account.site_admin || account.login.eq_ignore_ascii_case(&repo.owner) {
            return Permission::Admin;
        }
        let name = format!("{}/{}", repo.owner, repo.name);
        account
            .permissions
            .iter()
            .filter(|(pattern, _)| glob(pattern, &name))
            .max_by_key(|(pattern, _)| pattern.len())
            .map_or(open, |(_, permission)| *permission)
    }

    /// Directory of a repository's bare git repository.
    pub(crate) fn repo_dir(&self, key: &str) -> PathBuf {
        self.dir.join(format!("{key}.git"))
    }

    /// The folder of git's hooks; no owner is named like it.
    pub(crate) fn hooks(&self) -> PathBuf {
        self.dir.join(".hooks")
    }
}

impl Repo {
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// A repository without anything in it, made now.
    pub(crate) fn empty(
        id: u64,
        owner: String,
        name: &str,
        handles: Arc<Handles>,
        default_branch: &str,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            key: format!("{owner}/{name}").to_lowercase(),
            id,
            owner,
            name: name.to_owned(),
            dir: handles.path().to_owned(),
            handles,
            default_branch: default_branch.to_owned(),
            description: None,
            private: false,
            fork_of: None,
            created_at: now,
            pushed_at: now,
            next_number: 0,
            labels: Vec::new(),
            milestones: Vec::new(),
            issues: BTreeMap::new(),
            comments: BTreeMap::new(),
            releases: BTreeMap::new(),
            protections: BTreeMap::new(),
            immutable_tags: None,
            statuses: Vec::new(),
            check_runs: Vec::new(),
            runs: Vec::new(),
            dispatches: Vec::new(),
            known: BTreeMap::new(),
            seeded: BTreeMap::new(),
        }
    }

    /// A fork of this repository as its description alone, empty of issues and everything else.
    pub(crate) fn fork_without_content(&self, key: &str, owner: &str) -> Self {
        let handles = Arc::clone(&self.handles);
        Self {
            key: key.to_owned(),
            description: self.description.clone(),
            private: self.private,
            fork_of: Some(self.key.clone()),
            pushed_at: self.pushed_at,
            ..Self::empty(
                self.id,
                owner.to_owned(),
                &self.name,
                handles,
                &self.default_branch,
                self.created_at,
            )
        }
    }

    pub(crate) fn git(&self) -> Result<Handle, git2::Error> {
        self.handles.open()
    }

    pub(crate) fn issue(&self, number: u64) -> Result<&Issue, Reply> {
        self.issues.get(&number).ok_or_else(Reply::not_found)
    }

    pub(crate) fn issue_mut(&mut self, number: u64) -> Result<&mut Issue, Reply> {
        self.issues.get_mut(&number).ok_or_else(Reply::not_found)
    }

    /// The pull request of that number, with its issue half.
    pub(crate) fn pull(&self, number: u64) -> Result<(&Issue, &Pull), Reply> {
        let issue = self.issue(number)?;
        issue.pull.as_ref().map(|pull| (issue, pull)).ok_or_else(Reply::not_found)
    }

    /// The protection of a branch: its own, else that of a pattern it matches.
    pub(crate) fn guard(&self, branch: &str) -> Option<&Guard> {
        self.protections.get(branch).or_else(|| {
            let patterns = self.protections.iter().filter(|(name, _)| name.contains('*'));
            patterns.filter(|(pattern, _)| glob(pattern, branch)).map(|(_, guard)| guard).next()
        })
    }

    pub(crate) fn label(&self, name: &str) -> Option<&Label> {
        self.labels.iter().find(|label| label.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}
