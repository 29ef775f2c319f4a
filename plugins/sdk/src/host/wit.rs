//! The real host: every call is the import of the same name.

use super::{Files, Forge, Git, Http, Log, Outbox, Programs, Repository};
use crate::command::{self, Command, Finished};
use crate::git::{self, BranchRule, Commit, CommitSpec, RefSpec, Reference, TreeEntry};
use crate::github::{self, Check, Issue, IssueSpec, PullFilter, PullRequest, PullSpec, Release, ReleaseSpec};
use crate::http::{self, Probe, Request, Response};
use crate::logging::{self, Level};
use crate::mail::{self, Letter, Message};
use crate::{Error, scratch};

/// The imports of the component. In a native program every call of it panics: there is no host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wit;

impl Git for Wit {
    type Repository = git::Repository;

    fn open(&self, repository: &str) -> Result<git::Repository, Error> {
        git::open(repository)
    }
}

// The methods of the resource have the same names and win over those of the trait.
impl Repository for git::Repository {
    fn default_branch(&self) -> Result<String, Error> {
        self.default_branch()
    }

    fn references(&self, glob: &str) -> Result<Vec<Reference>, Error> {
        self.references(glob)
    }

    fn resolve(&self, revision: &str) -> Result<Option<Commit>, Error> {
        self.resolve(revision)
    }

    fn first_parents(&self, since: Option<&str>, to: &str, limit: u32) -> Result<Vec<Commit>, Error> {
        self.first_parents(since, to, limit)
    }

    fn is_ancestor(&self, ancestor: &str, descendant: &str) -> Result<bool, Error> {
        self.is_ancestor(ancestor, descendant)
    }

    fn read(&self, commit: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
        self.read(commit, path)
    }

    fn entries(&self, commit: &str, path: &str, recursive: bool) -> Result<Vec<TreeEntry>, Error> {
        self.entries(commit, path, recursive)
    }

    fn build_commit(&self, spec: &CommitSpec) -> Result<Commit, Error> {
        self.build_commit(spec)
    }

    fn ensure_branch(&self, name: &str, commit: &str, rule: &BranchRule) -> Result<(), Error> {
        self.ensure_branch(name, commit, rule)
    }

    fn ensure_tag(&self, name: &str, commit: &str, annotation: Option<&str>) -> Result<(), Error> {
        self.ensure_tag(name, commit, annotation)
    }

    fn ensure_refs(&self, refs: &[RefSpec]) -> Result<(), Error> {
        self.ensure_refs(refs)
    }
}

impl Forge for Wit {
    fn viewer(&self) -> Result<String, Error> {
        github::viewer()
    }

    fn pull_requests(&self, wanted: &[(String, u64)]) -> Result<Vec<(String, PullRequest)>, Error> {
        github::pull_requests(wanted)
    }

    fn find_pull_requests(
        &self,
        repository: &str,
        filter: &PullFilter,
        limit: u32,
    ) -> Result<Vec<PullRequest>, Error> {
        github::find_pull_requests(repository, filter, limit)
    }

    fn ensure_pull_request(&self, repository: &str, spec: &PullSpec) -> Result<PullRequest, Error> {
        github::ensure_pull_request(repository, spec)
    }

    fn merge_pull_request(
        &self,
        repository: &str,
        number: u64,
        head_commit: &str,
        method: &str,
    ) -> Result<String, Error> {
        github::merge_pull_request(repository, number, head_commit, method)
    }

    fn ensure_comment(&self, repository: &str, number: u64, key: &str, body: &str) -> Result<String, Error> {
        github::ensure_comment(repository, number, key, body)
    }

    fn ensure_issue(&self, repository: &str, spec: &IssueSpec) -> Result<Issue, Error> {
        github::ensure_issue(repository, spec)
    }

    fn release_of_tag(&self, repository: &str, tag: &str) -> Result<Option<Release>, Error> {
        github::release_of_tag(repository, tag)
    }

    fn ensure_release(&self, repository: &str, spec: &ReleaseSpec) -> Result<Release, Error> {
        github::ensure_release(repository, spec)
    }

    fn checks(&self, repository: &str, commit: &str) -> Result<Vec<Check>, Error> {
        github::checks(repository, commit)
    }
}

impl Http for Wit {
    fn fetch(&self, request: &Request) -> Result<Response, Error> {
        http::fetch(request)
    }

    fn send(&self, key: &str, request: &Request) -> Result<Response, Error> {
        http::send(key, request)
    }

    fn ensure(&self, key: &str, request: &Request, probe: &Probe) -> Result<Response, Error> {
        http::ensure(key, request, probe)
    }
}

impl Files for Wit {
    fn read_scratch(&self, path: &str) -> Result<Vec<u8>, Error> {
        scratch::read(path)
    }

    fn write_scratch(&self, path: &str, content: &[u8]) -> Result<(), Error> {
        scratch::write(path, content)
    }

    fn scratch_files(&self, path: &str) -> Result<Vec<String>, Error> {
        scratch::files(path)
    }

    fn publish(&self, name: &str, media_type: &str, content: &[u8]) -> Result<(), Error> {
        scratch::publish(name, media_type, content)
    }
}

impl Programs for Wit {
    fn run_program(&self, command: &Command) -> Result<Finished, Error> {
        command::run(command)
    }

    fn fetch_program(&self, command: &Command) -> Result<Finished, Error> {
        command::fetch(command)
    }

    fn send_program(&self, key: &str, command: &Command) -> Result<Finished, Error> {
        command::send(key, command)
    }
}

impl Outbox for Wit {
    fn draft_mail(&self, key: &str, message: &Message) -> Result<Letter, Error> {
        mail::draft(key, message)
    }

    fn send_mail(&self, key: &str, message: &Message) -> Result<Letter, Error> {
        mail::send(key, message)
    }
}

impl Log for Wit {
    fn log(&self, level: Level, message: &str) {
        logging::emit(level, message);
    }

    fn progress(&self, done: u32, total: u32, what: &str) {
        logging::progress(done, total, what);
    }
}
