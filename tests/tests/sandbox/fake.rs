//! Back ends that do nothing but count who calls them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use castoff::capability::command::{Command, Finished, Programs, Reach};
use castoff::capability::git::{
    Commit, CommitSpec, Git, Identity, Pick, Picked, RefUpdate, Reference, TreeEntry,
};
use castoff::capability::github::{
    Check, GitHub, Issue, IssueSpec, MergeMethod, Permission, Protection, PullFilter, PullRequest, PullSpec,
    PullState, Release, ReleaseSpec,
};
use castoff::capability::http::{Decide, Http, Request, Response};
use castoff::capability::mail::{Composed, Mail, Sender};
use castoff::capability::{CapabilityError, Probe, Result, Secret, Slug};

/// What a program does to its scratch directory.
pub(crate) type Deed = Arc<dyn Fn(&Path) + Send + Sync>;

/// All back ends at once. Every call leaves its name.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    calls: Arc<Mutex<Vec<String>>>,
    /// What every program does.
    pub(crate) deed: Option<Deed>,
}

impl Fake {
    fn note(&self, name: impl Into<String>) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(name.into());
    }

    /// The calls so far, in order; they are forgotten.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A commit that nobody has.
pub(crate) const COMMIT: &str = "1111111111111111111111111111111111111111";

fn commit() -> Commit {
    Commit {
        id: COMMIT.into(),
        tree: COMMIT.into(),
        parents: Vec::new(),
        message: "message".into(),
        author: "author".into(),
        time: 0,
    }
}

#[async_trait]
impl Git for Fake {
    async fn open(&self, _: &Slug) -> Result<()> {
        self.note("git.open");
        Ok(())
    }
    async fn default_branch(&self, _: &Slug) -> Result<String> {
        self.note("git.default_branch");
        Ok("main".into())
    }
    async fn references(&self, _: &Slug) -> Result<Vec<Reference>> {
        self.note("git.references");
        Ok(Vec::new())
    }
    async fn resolve(&self, _: &Slug, _: &str) -> Result<Option<Commit>> {
        self.note("git.resolve");
        Ok(Some(commit()))
    }
    async fn first_parents(&self, _: &Slug, _: Option<&str>, _: &str, _: usize) -> Result<Vec<Commit>> {
        self.note("git.first_parents");
        Ok(Vec::new())
    }
    async fn log(&self, _: &Slug, _: Option<&str>, _: &str, _: usize) -> Result<Vec<Commit>> {
        self.note("git.log");
        Ok(Vec::new())
    }
    async fn merge_base(&self, _: &Slug, _: &str, _: &str) -> Result<Option<String>> {
        self.note("git.merge_base");
        Ok(None)
    }
    async fn is_ancestor(&self, _: &Slug, _: &str, _: &str) -> Result<bool> {
        self.note("git.is_ancestor");
        Ok(true)
    }
    async fn read(&self, _: &Slug, _: &str, _: &str, _: usize) -> Result<Option<Vec<u8>>> {
        self.note("git.read");
        Ok(None)
    }
    async fn entries(&self, _: &Slug, _: &str, _: &str, _: bool) -> Result<Vec<TreeEntry>> {
        self.note("git.entries");
        Ok(Vec::new())
    }
    async fn diff(&self, _: &Slug, _: &str, _: &str, _: &[String], _: usize) -> Result<String> {
        self.note("git.diff");
        Ok(String::new())
    }
    async fn build_commit(&self, _: &Slug, _: &CommitSpec) -> Result<Commit> {
        self.note("git.build_commit");
        Ok(commit())
    }
    async fn pick(&self, _: &Slug, _: &Pick) -> Result<Picked> {
        self.note("git.pick");
        Ok(Picked::Tree(COMMIT.into()))
    }
    async fn build_tag(&self, _: &Slug, _: &str, _: &str, _: &str, _: &Identity, _: i64) -> Result<String> {
        self.note("git.build_tag");
        Ok(COMMIT.into())
    }
    async fn merge_trees(&self, _: &Slug, _: Option<&str>, _: &str, _: &str) -> Result<String> {
        self.note("git.merge_trees");
        Ok(COMMIT.into())
    }
    async fn share(&self, _: &Slug, _: &Slug, _: &str) -> Result<()> {
        self.note("git.share");
        Ok(())
    }
    async fn remote_references(&self, _: &Slug, _: &[String]) -> Result<Vec<Reference>> {
        self.note("git.remote_references");
        Ok(Vec::new())
    }
    async fn check_updates(&self, _: &Slug, _: &[RefUpdate]) -> Result<()> {
        self.note("git.check_updates");
        Ok(())
    }
    async fn push(&self, _: &Slug, updates: &[RefUpdate]) -> Result<()> {
        let names: Vec<&str> = updates.iter().map(|update| update.name.as_str()).collect();
        self.note(format!("git.push {}", names.join(" ")));
        Ok(())
    }
}

fn pull() -> PullRequest {
    PullRequest {
        number: 1,
        url: String::new(),
        title: String::new(),
        body: String::new(),
        state: PullState::Open,
        author: String::new(),
        labels: Vec::new(),
        base: String::new(),
        head: String::new(),
        head_owner: String::new(),
        head_commit: None,
        merge_commit: None,
    }
}

fn release() -> Release {
    Release {
        id: 1,
        url: String::new(),
        tag: "v1.0.0".into(),
        name: String::new(),
        body: String::new(),
        draft: false,
        prerelease: false,
        published: None,
        assets: Vec::new(),
    }
}

fn issue() -> Issue {
    Issue {
        number: 1,
        url: String::new(),
        title: String::new(),
        body: String::new(),
        open: true,
        author: String::new(),
        labels: Vec::new(),
    }
}

#[async_trait]
impl GitHub for Fake {
    async fn viewer(&self) -> Result<String> {
        self.note("github.viewer");
        Ok("ann".into())
    }
    async fn viewer_permission(&self, _: &Slug) -> Result<Permission> {
        self.note("github.viewer_permission");
        Ok(Permission::Read)
    }
    async fn pull_requests(&self, _: &[(Slug, u64)]) -> Result<Vec<(Slug, PullRequest)>> {
        self.note("github.pull_requests");
        Ok(Vec::new())
    }
    async fn find_pull_requests(&self, _: &Slug, _: &PullFilter, _: usize) -> Result<Vec<PullRequest>> {
        self.note("github.find_pull_requests");
        Ok(Vec::new())
    }
    async fn probe_pull_request(&self, _: &Slug, _: &PullSpec) -> Result<Probe<PullRequest>> {
        self.note("github.probe_pull_request");
        Ok(Probe::Absent)
    }
    async fn put_pull_request(&self, _: &Slug, _: &PullSpec) -> Result<PullRequest> {
        self.note("github.put_pull_request");
        Ok(pull())
    }
    async fn probe_merge(&self, _: &Slug, _: u64) -> Result<Probe<String>> {
        self.note("github.probe_merge");
        Ok(Probe::Absent)
    }
    async fn merge(&self, _: &Slug, _: u64, _: &str, _: MergeMethod) -> Result<String> {
        self.note("github.merge");
        Ok(COMMIT.into())
    }
    async fn probe_comment(&self, _: &Slug, _: u64, _: &str, _: &str) -> Result<Probe<String>> {
        self.note("github.probe_comment");
        Ok(Probe::Absent)
    }
    async fn put_comment(&self, _: &Slug, _: u64, _: &str, _: &str) -> Result<String> {
        self.note("github.put_comment");
        Ok(String::new())
    }
    async fn find_issues(&self, _: &Slug, _: Option<bool>, _: &[String], _: usize) -> Result<Vec<Issue>> {
        self.note("github.find_issues");
        Ok(Vec::new())
    }
    async fn probe_issue(&self, _: &Slug, _: &IssueSpec) -> Result<Probe<Issue>> {
        self.note("github.probe_issue");
        Ok(Probe::Absent)
    }
    async fn put_issue(&self, _: &Slug, _: &IssueSpec) -> Result<Issue> {
        self.note("github.put_issue");
        Ok(issue())
    }
    async fn release_of_tag(&self, _: &Slug, _: &str) -> Result<Option<Release>> {
        self.note("github.release_of_tag");
        Ok(Some(release()))
    }
    async fn releases(&self, _: &Slug, _: usize) -> Result<Vec<Release>> {
        self.note("github.releases");
        Ok(Vec::new())
    }
    async fn probe_release(&self, _: &Slug, _: &ReleaseSpec) -> Result<Probe<Release>> {
        self.note("github.probe_release");
        Ok(Probe::Absent)
    }
    async fn put_release(&self, _: &Slug, _: &ReleaseSpec) -> Result<Release> {
        self.note("github.put_release");
        Ok(release())
    }
    async fn put_prerelease(&self, _: &Slug, _: &str, _: bool) -> Result<Release> {
        self.note("github.put_prerelease");
        Ok(release())
    }
    async fn checks(&self, _: &Slug, _: &str) -> Result<Vec<Check>> {
        self.note("github.checks");
        Ok(Vec::new())
    }
    async fn branch_protection(&self, _: &Slug, _: &str) -> Result<Option<Protection>> {
        self.note("github.branch_protection");
        Ok(None)
    }
    async fn dispatch(&self, _: &Slug, _: &str, _: &serde_json::Value) -> Result<()> {
        self.note("github.dispatch");
        Ok(())
    }
}

#[async_trait]
impl Http for Fake {
    async fn send(&self, request: &Request, _: &BTreeMap<String, Secret>, _: Decide<'_>) -> Result<Response> {
        self.note(format!("http.{}", request.method));
        let body = request.body.clone().unwrap_or_default();
        Ok(Response { status: 200, headers: Vec::new(), body })
    }
}

#[async_trait]
impl Programs for Fake {
    async fn run(
        &self,
        command: &Command,
        reach: Reach,
        scratch: &Path,
        _: &BTreeMap<String, Secret>,
    ) -> Result<Finished> {
        self.note(format!("command.{} {}", reach.word(), command.line()));
        if let Some(deed) = &self.deed {
            deed(scratch);
        }
        Ok(Finished { code: 0, stdout: Vec::new(), stderr: Vec::new(), cut: false, assumed: false })
    }
}

#[async_trait]
impl Mail for Fake {
    fn sender(&self) -> Option<Sender> {
        Sender::parse("Ann <ann@example.org>").ok()
    }

    async fn send(&self, message: &Composed, _: &BTreeMap<String, Secret>) -> Result<()> {
        self.note("mail.send");
        match message.recipients.is_empty() {
            true => Err(CapabilityError::invalid("nobody")),
            false => Ok(()),
        }
    }
}
