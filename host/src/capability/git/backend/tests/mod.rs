//! Contract tests of the back end against real repositories, with the `git` program as the judge.

#![allow(clippy::unwrap_used)]

mod build;
mod merge;
mod push;
mod read;
mod rebase;
mod remote;

use std::fmt::Debug;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use url::Url;

use super::super::{Change, CommitSpec, EntryKind, Git, Identity};
use super::{GitBackend, GitConfig};
use crate::capability::{CapabilityError, Outcome, Result, Slug};

/// A time in the past; every commit of a history is one minute after its elder.
const START: i64 = 1_700_000_000;

/// A remote with one repository, and a back end that mirrors it.
struct World {
    place: TempDir,
    git: GitBackend,
    slug: Slug,
}

impl World {
    /// An empty remote repository.
    fn new() -> Self {
        Self::with(|config| config)
    }

    fn with(configure: impl FnOnce(GitConfig) -> GitConfig) -> Self {
        let place = TempDir::new().unwrap();
        let slug = Slug::parse("Owner/Name").unwrap();
        let remote = place.path().join("remote/Owner/Name.git");
        std::fs::create_dir_all(&remote).unwrap();
        git(&remote, &["init", "--quiet", "--bare", "--initial-branch=main", "."], b"");
        let base = Url::from_directory_path(place.path().join("remote")).unwrap();
        let config = configure(GitConfig::new(place.path().join("cache"), base));
        Self { git: GitBackend::new(config).unwrap(), place, slug }
    }

    fn remote(&self) -> PathBuf {
        self.place.path().join("remote/Owner/Name.git")
    }

    /// Runs git in the remote repository.
    fn at_remote(&self, arguments: &[&str]) -> String {
        git(&self.remote(), arguments, b"")
    }

    /// Runs git in the mirror.
    fn at_mirror(&self, arguments: &[&str], input: &[u8]) -> String {
        git(&self.git.mirror(&self.slug), arguments, input)
    }

    /// Feeds the remote a history in fast-import's language, and opens it.
    async fn seed(&self, stream: &str) {
        git(&self.remote(), &["fast-import", "--quiet", "--force"], stream.as_bytes());
        self.git.open(&self.slug).await.unwrap();
    }

    /// A history of two commits on `main`, opened: its ids, oldest first.
    async fn simple() -> (Self, [String; 2]) {
        let world = Self::new();
        world
            .seed(
                &(commit("main", 0, "first", &[], &put("a.txt", "one\n"))
                    + &commit("main", 1, "second", &[], &put("d/b.txt", "two\n"))),
            )
            .await;
        let ids = [world.at_remote(&["rev-parse", "main~1"]), world.at_remote(&["rev-parse", "main"])];
        (world, ids)
    }

    async fn build(&self, spec: &CommitSpec) -> String {
        self.git.build_commit(&self.slug, spec).await.unwrap().id
    }

    fn remote_refs(&self) -> String {
        self.at_remote(&["for-each-ref", "--format=%(objectname) %(refname)"])
    }

    /// A program of its own in a file.
    fn script(place: &Path, text: &str) -> PathBuf {
        let path = place.join("program.sh");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

/// Runs git and returns its output without the last line end.
fn git(directory: &Path, arguments: &[&str], input: &[u8]) -> String {
    git_with(directory, arguments, input, &[])
}

fn git_with(directory: &Path, arguments: &[&str], input: &[u8], environment: &[(&str, &str)]) -> String {
    use std::io::Write;
    let mut child = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.strip_suffix('\n').map(str::to_owned).unwrap_or(text)
}

/// A commit in fast-import's language; `merges` are other branches, `changes` from [`put`] and the like.
fn commit(branch: &str, minute: i64, message: &str, merges: &[&str], changes: &str) -> String {
    let who = format!("A U Thor <a@example.org> {} +0000", START + 60 * minute);
    let merges: String = merges.iter().map(|branch| format!("merge refs/heads/{branch}\n")).collect();
    let length = message.len();
    format!(
        "commit refs/heads/{branch}\nauthor {who}\ncommitter {who}\ndata {length}\n{message}\n{merges}{changes}\n"
    )
}

fn put(path: &str, content: &str) -> String {
    put_mode(path, "100644", content)
}

fn put_mode(path: &str, mode: &str, content: &str) -> String {
    format!("M {mode} inline {path}\ndata {}\n{content}\n", content.len())
}

/// Starts `branch` at another.
fn reset(branch: &str, from: &str) -> String {
    format!("reset refs/heads/{branch}\nfrom refs/heads/{from}\n\n")
}

fn file(path: &str, content: &str) -> Change {
    Change::Put { path: path.into(), kind: EntryKind::File, content: content.into() }
}

fn identity() -> Identity {
    Identity { name: "Rel Ease".into(), email: "rel@example.org".into() }
}

fn spec(parents: &[&str], changes: Vec<Change>) -> CommitSpec {
    CommitSpec {
        parents: parents.iter().map(|&id| id.to_owned()).collect(),
        changes,
        message: "release\n".into(),
        identity: identity(),
        time: START + 10_000,
        author_of: None,
    }
}

/// Kind of a failure, as it is serialised, with its outcome when that is unknown.
fn kind<T: Debug>(result: Result<T>) -> String {
    let error = result.expect_err("a failure");
    let unknown = if error.outcome() == Outcome::Unknown { " unknown" } else { "" };
    let kind = serde_json::to_value(&error).unwrap()["kind"].as_str().unwrap().to_owned();
    kind + unknown
}

fn words(error: &CapabilityError) -> String {
    error.to_string()
}
