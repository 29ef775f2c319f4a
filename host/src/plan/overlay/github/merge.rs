//! Merges of pull requests in the world of a plan: real merges in the local copy, as far as GitHub's are known.

use super::PlannedGitHub;
use crate::capability::git::{Change, Commit, CommitSpec, Git, Identity};
use crate::capability::github::{MergeMethod, PullRequest, PullState};
use crate::capability::{CapabilityError, Result, Slug};
use crate::plan::overlay::Symbol;

/// Longest pull request that can be squashed or rebased here.
const MOST_COMMITS: usize = 1000;

/// Who GitHub's own commits are by.
fn web_flow() -> Identity {
    Identity { name: "GitHub".into(), email: "noreply@github.com".into() }
}

impl PlannedGitHub {
    pub(super) async fn merge_pull(
        &self,
        repository: &Slug,
        number: u64,
        head_commit: &str,
        method: MergeMethod,
    ) -> Result<String> {
        let what = format!("merging {repository}#{number}");
        let pull = self.pull(repository, number).await?;
        let pull = pull.ok_or_else(|| CapabilityError::not_found(format!("{what}: Not Found")))?;
        let draft = self.shared.state().pull(repository, number).is_some_and(|planned| planned.draft);
        let refused = match pull.state {
            PullState::Open if draft => Some("Pull Request is still a draft"),
            PullState::Open if pull.head_commit.as_deref() != Some(head_commit) => {
                Some("Head branch was modified. Review and try the merge again.")
            }
            PullState::Open => None,
            PullState::Closed | PullState::Merged => Some("Pull Request is not mergeable"),
        };
        match refused {
            Some(why) => Err(CapabilityError::conflict(format!("{what}: {why}"))),
            None => self.land(repository, &pull, method).await,
        }
    }

    /// Merges an open pull request and moves its base branch; returns the merge commit.
    pub(in crate::plan::overlay) async fn land(
        &self,
        repository: &Slug,
        pull: &PullRequest,
        method: MergeMethod,
    ) -> Result<String> {
        let number = pull.number;
        self.keep(repository, pull)?;
        let planned = self.shared.state().pull(repository, number);
        let source = planned.map_or_else(|| repository.clone(), |planned| planned.head_repository);
        let gone = || CapabilityError::unavailable(format!("the head of {repository}#{number} is not known"));
        let head = pull.head_commit.clone().ok_or_else(gone)?;
        let git = self.git();
        git.bring(&source, repository, &head).await?;
        let base = git.tip(repository, &pull.base).await?;
        let base = base.ok_or_else(|| {
            CapabilityError::conflict(format!("merging {repository}#{number}: Base branch was deleted"))
        })?;
        let landing = Landing { repository, pull, base: &base, head: &head };
        let commit = match method {
            MergeMethod::Merge => self.merged(&landing).await,
            MergeMethod::Squash => self.squashed(&landing).await,
            MergeMethod::Rebase => self.rebased(&landing).await,
        };
        let commit = commit
            .map_err(|error| error.map_text(|what| format!("merging {repository}#{number}: {what}")))?;
        let merged = PullRequest {
            state: PullState::Merged,
            head_commit: Some(head.clone()),
            merge_commit: Some(commit.clone()),
            ..pull.clone()
        };
        self.keep(repository, &merged)?;
        let mut state = self.shared.state();
        state.made.insert(commit.clone());
        state.set(repository, &format!("refs/heads/{}", pull.base), &commit, &commit);
        state.symbols.push(Symbol::MergeCommit {
            repository: repository.clone(),
            number,
            commit: commit.clone(),
        });
        Ok(commit)
    }

    fn local(&self) -> &dyn Git {
        self.shared.live.git.as_ref()
    }

    fn time(&self) -> i64 {
        self.shared.settings.pinned.timestamp()
    }

    async fn merged(&self, landing: &Landing<'_>) -> Result<String> {
        let Landing { repository, pull, base, head } = *landing;
        let message = format!(
            "Merge pull request #{} from {}/{}\n\n{}",
            pull.number, pull.head_owner, pull.head, pull.title
        );
        let merged = self.local().merge(repository, (base, head), &message, &web_flow(), self.time()).await?;
        Ok(merged.id)
    }

    /// GitHub's defaults: one commit lends its message, several are listed.
    async fn squashed(&self, landing: &Landing<'_>) -> Result<String> {
        let Landing { repository, pull, base, head } = *landing;
        let tree = self.local().merge_trees(repository, None, base, head).await?;
        let commits = self.commits(landing).await?;
        let message = match commits.as_slice() {
            [one] => {
                let (subject, rest) = one.message.trim().split_once('\n').unwrap_or((one.message.trim(), ""));
                joined(&format!("{subject} (#{})", pull.number), rest.trim())
            }
            many => {
                let list: Vec<String> = many.iter().map(|one| format!("* {}", one.message.trim())).collect();
                joined(&format!("{} (#{})", pull.title, pull.number), &list.join("\n\n"))
            }
        };
        self.build(repository, base, tree, message).await
    }

    /// Every commit of the pull request again on top of the base, merges left out. Authors are GitHub's here.
    async fn rebased(&self, landing: &Landing<'_>) -> Result<String> {
        let mut onto = landing.base.to_owned();
        for commit in self.commits(landing).await? {
            let [parent] = commit.parents.as_slice() else { continue };
            let picked = self.local().merge_trees(landing.repository, Some(parent), &onto, &commit.id);
            let tree = picked.await?;
            onto = self.build(landing.repository, &onto, tree, commit.message.clone()).await?;
        }
        Ok(onto)
    }

    /// Commits of the pull request, oldest first.
    async fn commits(&self, landing: &Landing<'_>) -> Result<Vec<Commit>> {
        let Landing { repository, base, head, .. } = *landing;
        let mut commits = self.local().log(repository, Some(base), head, MOST_COMMITS).await?;
        commits.reverse();
        Ok(commits)
    }

    async fn build(&self, repository: &Slug, parent: &str, tree: String, message: String) -> Result<String> {
        let spec = CommitSpec {
            parents: vec![parent.to_owned()],
            changes: vec![Change::Graft { path: String::new(), tree }],
            message,
            identity: web_flow(),
            time: self.time(),
            author_of: None,
        };
        Ok(self.local().build_commit(repository, &spec).await?.id)
    }
}

/// A merge about to happen.
#[derive(Clone, Copy)]
struct Landing<'a> {
    repository: &'a Slug,
    pull: &'a PullRequest,
    base: &'a str,
    head: &'a str,
}

fn joined(subject: &str, body: &str) -> String {
    if body.is_empty() { subject.to_owned() } else { format!("{subject}\n\n{body}") }
}
