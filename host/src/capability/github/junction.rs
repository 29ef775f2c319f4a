//! Where the reads of pull requests of several runs are joined: what a train asks for at one time is one request.
//!
//! Each run of a train has a back end of its own in front of the one that all share. A read of pull requests by number waits
//! until every run that is under way has one to add (or has come to a halt), but not for long: then one of them asks for
//! all. What a run is told is what it would have been told alone; when a joined request fails, each asks by itself, so that
//! nobody is answered for somebody else's mistake.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot};

use super::{
    Check, Comment, GitHub, Issue, IssueSpec, MergeMethod, Permission, Protection, PullFilter, PullRequest,
    PullSpec, Release, ReleaseSpec,
};
use crate::capability::{Probe, Result, Slug};

/// The longest that a read waits for others.
const LINGER: Duration = Duration::from_secs(3);

type Wanted = (Slug, u64);
type Found = Vec<(Slug, PullRequest)>;

/// Where reads are joined. Clones share it.
#[derive(Clone)]
pub struct Junction {
    inner: Arc<dyn GitHub>,
    shared: Arc<Shared>,
    linger: Duration,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Runs that are under way, with how many times they entered.
    under_way: BTreeMap<String, usize>,
    waiting: Vec<Waiting>,
    /// Number of the next read.
    next: u64,
}

/// A read that waits for others.
struct Waiting {
    number: u64,
    run: String,
    wanted: Vec<Wanted>,
    /// None is sent when it has to ask by itself.
    answer: oneshot::Sender<Option<Found>>,
}

impl State {
    /// Puts a read among those that wait; its number.
    fn put(&mut self, run: &str, wanted: &[Wanted], answer: oneshot::Sender<Option<Found>>) -> u64 {
        self.next += 1;
        let read = Waiting { number: self.next, run: run.to_owned(), wanted: wanted.to_vec(), answer };
        self.waiting.push(read);
        self.next
    }

    /// Whether everybody who is under way has a read to add.
    fn is_full(&self) -> bool {
        let waits = |run: &String| self.waiting.iter().any(|read| &read.run == run);
        self.under_way.keys().all(waits)
    }
}

/// A run that is under way; it is not waited for once this is dropped.
pub struct UnderWay {
    run: String,
    shared: Arc<Shared>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some(times) = state.under_way.get_mut(&self.run) {
            *times -= 1;
            if *times == 0 {
                state.under_way.remove(&self.run);
            }
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }
}

impl Shared {
    /// A thread that panicked elsewhere left whole entries: each is put in and taken out at once.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Junction {
    /// A junction in front of a back end.
    #[must_use]
    pub fn new(inner: Arc<dyn GitHub>) -> Self {
        Self { inner, shared: Arc::default(), linger: LINGER }
    }

    /// The longest that a read waits for others, instead of three seconds.
    #[must_use]
    pub fn lingering(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// Says that a run is under way, so that reads of others wait for its own.
    #[must_use]
    pub fn enter(&self, run: &str) -> UnderWay {
        *self.shared.lock().under_way.entry(run.to_owned()).or_default() += 1;
        UnderWay { run: run.to_owned(), shared: self.shared.clone() }
    }

    /// The back end of a run.
    #[must_use]
    pub fn lane(&self, run: &str) -> Arc<dyn GitHub> {
        Arc::new(Lane { run: run.to_owned(), junction: self.clone() })
    }

    async fn read(&self, run: &str, wanted: &[Wanted]) -> Result<Found> {
        let (answer, mut told) = oneshot::channel();
        let number = self.shared.lock().put(run, wanted, answer);
        self.shared.changed.notify_waiters();
        let deadline = tokio::time::sleep(self.linger);
        tokio::pin!(deadline);
        let mut late = false;
        loop {
            // Registered before the state is looked at: no change is missed.
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(reads) = self.departing(number, late) {
                self.ask(reads).await;
            }
            tokio::select! {
                biased;
                answer = &mut told => return match answer {
                    Ok(Some(found)) => Ok(found),
                    // Asked in vain together, or whoever asked is gone.
                    Ok(None) | Err(_) => self.inner.pull_requests(wanted).await,
                },
                () = &mut changed => {}
                () = &mut deadline, if !late => late = true,
            }
        }
    }

    /// All reads that wait, when it is time to ask and this one is still among them.
    fn departing(&self, number: u64, late: bool) -> Option<Vec<Waiting>> {
        let mut state = self.shared.lock();
        let waits = state.waiting.iter().any(|read| read.number == number);
        (waits && (late || state.is_full())).then(|| std::mem::take(&mut state.waiting))
    }

    /// Asks for everything that is wanted at once, and tells everybody what is theirs.
    async fn ask(&self, reads: Vec<Waiting>) {
        let mut seen = HashSet::new();
        let wanted: Vec<Wanted> =
            reads.iter().flat_map(|read| &read.wanted).filter(|one| seen.insert(*one)).cloned().collect();
        let alone = reads.len() == 1;
        let found = if alone { None } else { self.inner.pull_requests(&wanted).await.ok() };
        let found: Option<HashMap<Wanted, PullRequest>> =
            found.map(|found| found.into_iter().map(|(slug, pull)| ((slug, pull.number), pull)).collect());
        for read in reads {
            let theirs = found.as_ref().map(|found| own(found, &read.wanted));
            // Whoever no longer waits needs no answer.
            let _ = read.answer.send(theirs);
        }
    }
}

/// What of an answer a read wanted, each once, in its own order.
fn own(found: &HashMap<Wanted, PullRequest>, wanted: &[Wanted]) -> Found {
    let mut seen = HashSet::new();
    let unique = wanted.iter().filter(|one| seen.insert(*one));
    unique.filter_map(|one| Some((one.0.clone(), found.get(one)?.clone()))).collect()
}

/// The back end of one run.
struct Lane {
    run: String,
    junction: Junction,
}

impl Lane {
    fn inner(&self) -> &dyn GitHub {
        &*self.junction.inner
    }
}

#[async_trait]
impl GitHub for Lane {
    async fn pull_requests(&self, wanted: &[Wanted]) -> Result<Found> {
        if wanted.is_empty() {
            return self.inner().pull_requests(wanted).await;
        }
        self.junction.read(&self.run, wanted).await
    }

    async fn viewer(&self) -> Result<String> {
        self.inner().viewer().await
    }

    async fn viewer_permission(&self, repository: &Slug) -> Result<Permission> {
        self.inner().viewer_permission(repository).await
    }

    async fn find_pull_requests(
        &self,
        repository: &Slug,
        filter: &PullFilter,
        limit: usize,
    ) -> Result<Vec<PullRequest>> {
        self.inner().find_pull_requests(repository, filter, limit).await
    }

    async fn probe_pull_request(&self, repository: &Slug, spec: &PullSpec) -> Result<Probe<PullRequest>> {
        self.inner().probe_pull_request(repository, spec).await
    }

    async fn put_pull_request(&self, repository: &Slug, spec: &PullSpec) -> Result<PullRequest> {
        self.inner().put_pull_request(repository, spec).await
    }

    async fn probe_merge(&self, repository: &Slug, number: u64) -> Result<Probe<String>> {
        self.inner().probe_merge(repository, number).await
    }

    async fn merge(
        &self,
        repository: &Slug,
        number: u64,
        head_commit: &str,
        method: MergeMethod,
    ) -> Result<String> {
        self.inner().merge(repository, number, head_commit, method).await
    }

    async fn probe_comment(
        &self,
        repository: &Slug,
        number: u64,
        marker: &str,
        body: &str,
    ) -> Result<Probe<String>> {
        self.inner().probe_comment(repository, number, marker, body).await
    }

    async fn comment(&self, repository: &Slug, number: u64, marker: &str) -> Result<Option<Comment>> {
        self.inner().comment(repository, number, marker).await
    }

    async fn put_comment(&self, repository: &Slug, number: u64, marker: &str, body: &str) -> Result<String> {
        self.inner().put_comment(repository, number, marker, body).await
    }

    async fn find_issues(
        &self,
        repository: &Slug,
        open: Option<bool>,
        labels: &[String],
        limit: usize,
    ) -> Result<Vec<Issue>> {
        self.inner().find_issues(repository, open, labels, limit).await
    }

    async fn probe_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Probe<Issue>> {
        self.inner().probe_issue(repository, spec).await
    }

    async fn put_issue(&self, repository: &Slug, spec: &IssueSpec) -> Result<Issue> {
        self.inner().put_issue(repository, spec).await
    }

    async fn release_of_tag(&self, repository: &Slug, tag: &str) -> Result<Option<Release>> {
        self.inner().release_of_tag(repository, tag).await
    }

    async fn releases(&self, repository: &Slug, limit: usize) -> Result<Vec<Release>> {
        self.inner().releases(repository, limit).await
    }

    async fn probe_release(&self, repository: &Slug, spec: &ReleaseSpec) -> Result<Probe<Release>> {
        self.inner().probe_release(repository, spec).await
    }

    async fn put_release(&self, repository: &Slug, spec: &ReleaseSpec) -> Result<Release> {
        self.inner().put_release(repository, spec).await
    }

    async fn put_prerelease(&self, repository: &Slug, tag: &str, prerelease: bool) -> Result<Release> {
        self.inner().put_prerelease(repository, tag, prerelease).await
    }

    async fn checks(&self, repository: &Slug, commit: &str) -> Result<Vec<Check>> {
        self.inner().checks(repository, commit).await
    }

    async fn branch_protection(&self, repository: &Slug, branch: &str) -> Result<Option<Protection>> {
        self.inner().branch_protection(repository, branch).await
    }

    async fn dispatch(&self, repository: &Slug, event: &str, payload: &serde_json::Value) -> Result<()> {
        self.inner().dispatch(repository, event, payload).await
    }
}
