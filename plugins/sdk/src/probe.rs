//! Looking whether something is there already, with the wait for it when it is not: merged? tagged? released? built?
//!
//! Every probe answers [`Seen`]: there, or not yet, with the typed wait that ends the step. What can never come by waiting
//! (a tag elsewhere, a closed pull request, a failed check) is an error.
//!
//! ```
//! use castoff_sdk::host::fake::World;
//! use castoff_sdk::inputs::json;
//! use castoff_sdk::process::Outcome;
//! use castoff_sdk::{probe, step};
//!
//! let world = World::new();
//! world.server("https://r.io/");
//! let step = || probe::image(&world, "r.io/app:v1")?.or_wait(|image| step::done(&json!({ "digest": image.digest })));
//! assert!(matches!(step()?, Outcome::Waiting(_)));
//! world.image("r.io/app:v1", "sha256:00");
//! assert_eq!(step()?, Outcome::Done(r#"{"digest":"sha256:00"}"#.to_owned()));
//! # Ok::<(), castoff_sdk::Error>(())
//! ```

use crate::Error;
use crate::git::Commit;
use crate::github::{CheckState, PullRequest, PullState, Release};
use crate::host::{Forge, Git, Http, Repository};
use crate::http::Request;
use crate::module_graph::ModuleVersion;
use crate::oci::{self, Manifest};
use crate::process::{Condition, Context, Outcome, Wait};
use crate::step::{conflict, invalid, not_found};

/// Seconds between two looks where a probe does not know better.
pub const POLL: u32 = 300;

/// What a probe saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen<T> {
    /// It is there.
    There(T),
    /// It is not there and may come; the step ends with this wait.
    NotYet(Wait),
}

impl<T> Seen<T> {
    /// Goes on when it is there; waits otherwise.
    ///
    /// # Errors
    /// Those of `then`.
    pub fn or_wait(self, then: impl FnOnce(T) -> Result<Outcome, Error>) -> Result<Outcome, Error> {
        match self {
            Self::There(found) => then(found),
            Self::NotYet(wait) => Ok(Outcome::Waiting(wait)),
        }
    }

    /// What is there, if it is.
    #[must_use]
    pub fn there(self) -> Option<T> {
        match self {
            Self::There(found) => Some(found),
            Self::NotYet(_) => None,
        }
    }

    /// The same with something else of what is there.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::There(found) => Seen::There(change(found)),
            Self::NotYet(wait) => Seen::NotYet(wait),
        }
    }

    /// Both are there; the wait for the first that is not.
    #[must_use]
    pub fn and<U>(self, other: Seen<U>) -> Seen<(T, U)> {
        match (self, other) {
            (Self::There(one), Seen::There(two)) => Seen::There((one, two)),
            (Self::NotYet(wait), _) | (_, Seen::NotYet(wait)) => Seen::NotYet(wait),
        }
    }

    /// The same with other words for the status page: what is waited for, and whose move it is.
    #[must_use]
    pub fn because(self, summary: impl Into<String>) -> Self {
        self.waiting(|wait| wait.summary = summary.into())
    }

    /// The same with a page for people.
    #[must_use]
    pub fn page(self, url: impl Into<String>) -> Self {
        self.waiting(|wait| wait.url = Some(url.into()))
    }

    /// The same with other times in seconds: between two looks, and after which the step fails (0: never).
    #[must_use]
    pub fn every(self, poll: u32, timeout: u32) -> Self {
        self.waiting(|wait| (wait.poll, wait.timeout) = (poll, timeout))
    }

    fn waiting(mut self, change: impl FnOnce(&mut Wait)) -> Self {
        if let Self::NotYet(wait) = &mut self {
            change(wait);
        }
        self
    }

    fn not_yet(on: Condition, summary: String) -> Self {
        Self::NotYet(Wait { on, summary, url: None, poll: POLL, timeout: 0 })
    }
}

/// Whether a pull request is merged.
///
/// # Errors
/// Those of the host; `not-found` when it is gone, `conflict` when it was closed without a merge.
pub fn merged(host: &impl Forge, repository: &str, number: u64) -> Result<Seen<PullRequest>, Error> {
    let found = host.pull_requests(&[(repository.to_owned(), number)])?;
    let Some((_, pull)) = found.into_iter().next() else {
        return Err(not_found(format!("there is no pull request {number} of {repository}")));
    };
    match pull.state {
        PullState::Merged => Ok(Seen::There(pull)),
        PullState::Closed => {
            Err(conflict(format!("{} was closed without a merge; reopen it and resume", pull.url)))
        }
        PullState::Open => {
            let on = Condition::PullRequestMerged((repository.to_owned(), number));
            let summary =
                format!("{} needs its reviews and its merge by the approvers of {repository}", pull.title);
            Ok(Seen::not_yet(on, summary).page(pull.url))
        }
    }
}

/// Whether a tag is there; at `commit`, where one is expected.
///
/// # Errors
/// Those of the host; `conflict` when the tag is at another commit, which no waiting mends.
pub fn tagged(
    host: &impl Git,
    repository: &str,
    tag: &str,
    commit: Option<&str>,
) -> Result<Seen<Commit>, Error> {
    let found = host.open(repository)?.resolve(&format!("refs/tags/{tag}"))?;
    match (found, commit) {
        (Some(found), Some(commit)) if found.id != commit => {
            Err(conflict(format!("the tag {tag} of {repository} is at {}, expected {commit}", found.id)))
        }
        (Some(found), _) => Ok(Seen::There(found)),
        (None, _) => {
            let on = Condition::Other(format!("the tag {tag} of {repository}"));
            Ok(Seen::not_yet(on, format!("{repository} has no tag {tag} yet")))
        }
    }
}

/// Whether the release of a tag is published.
///
/// # Errors
/// Those of the host.
pub fn released(host: &impl Forge, repository: &str, tag: &str) -> Result<Seen<Release>, Error> {
    let found = host.release_of_tag(repository, tag)?;
    let on = Condition::Other(format!("the release {tag} of {repository}"));
    Ok(match found {
        Some(release) if !release.draft => Seen::There(release),
        Some(draft) => {
            Seen::not_yet(on, format!("the release {tag} of {repository} is a draft")).page(draft.url)
        }
        None => Seen::not_yet(on, format!("{repository} has not released {tag} yet")),
    })
}

/// Whether an image is in its registry, `host/name:tag`.
///
/// # Errors
/// Those of [`oci::look`].
pub fn image(host: &impl Http, reference: &str) -> Result<Seen<Manifest>, Error> {
    let on = || Condition::ImagePresent(reference.to_owned());
    let found = oci::look(host, reference)?;
    Ok(found.map_or_else(|| Seen::not_yet(on(), format!("{reference} is not there yet")), Seen::There))
}

/// Whether an image is in its registry with exactly this digest, `sha256:…`.
///
/// # Errors
/// Those of [`oci::look`]; `conflict` for another digest: what users pull is then something else.
pub fn image_with(host: &impl Http, reference: &str, digest: &str) -> Result<Seen<Manifest>, Error> {
    match image(host, reference)? {
        Seen::There(found) if found.digest != digest => {
            Err(conflict(format!("{reference} is {}, expected {digest}", found.digest)))
        }
        seen => Ok(seen),
    }
}

/// Whether the named checks of a commit pass; all that have reported, and at least one, when none is named.
///
/// # Errors
/// Those of the host; `conflict` when one failed.
pub fn checks(
    host: &impl Forge,
    repository: &str,
    commit: &str,
    wanted: &[&str],
) -> Result<Seen<usize>, Error> {
    let found = host.checks(repository, commit)?;
    let counted: Vec<_> =
        found.iter().filter(|check| wanted.is_empty() || wanted.contains(&check.name.as_str())).collect();
    if let Some(failed) = counted.iter().find(|check| check.state == CheckState::Failure) {
        let page = failed.url.as_deref().map(|url| format!(", see {url}")).unwrap_or_default();
        return Err(conflict(format!("the check {} of {repository} at {commit} failed{page}", failed.name)));
    }
    let missing: Vec<&str> =
        wanted.iter().copied().filter(|name| !counted.iter().any(|check| check.name == *name)).collect();
    let pending = counted.iter().filter(|check| check.state == CheckState::Pending);
    let open: Vec<&str> = pending.map(|check| check.name.as_str()).chain(missing).collect();
    if open.is_empty() && !counted.is_empty() {
        return Ok(Seen::There(counted.len()));
    }
    let on = Condition::ChecksGreen((repository.to_owned(), commit.to_owned()));
    let names = if open.is_empty() { "any".to_owned() } else { open.join(", ") };
    Ok(Seen::not_yet(on, format!("checks of {repository} at {commit} have not passed yet: {names}")))
}

/// Whether a Go module proxy (`https://proxy.golang.org`) has a version of a module.
///
/// # Errors
/// Those of the request; `unavailable` for an answer that is neither yes nor no, `invalid` without a version.
pub fn module(host: &impl Http, proxy: &str, module: &str, version: &str) -> Result<Seen<()>, Error> {
    let wanted = ModuleVersion { path: module.to_owned(), version: version.to_owned() };
    let Some(path) = wanted.proxy_path() else { return Err(invalid(format!("{module} has no version"))) };
    let url = format!("{}/{path}", proxy.trim_end_matches('/'));
    match host.fetch(&Request::get(&url))?.status {
        200..300 => Ok(Seen::There(())),
        404 | 410 => {
            let on = Condition::ModuleVisible((module.to_owned(), version.to_owned()));
            Ok(Seen::not_yet(on, format!("{proxy} does not have {module} {version} yet")))
        }
        status => Err(Error::Unavailable(format!("{proxy} answers {status} for {module} {version}"))),
    }
}

/// Whether a time has come, seconds since 1970-01-01 UTC.
#[must_use]
pub fn time(context: &Context, at: i64) -> Seen<()> {
    if context.now >= at {
        return Seen::There(());
    }
    let left = u32::try_from(at - context.now).unwrap_or(u32::MAX);
    let day = crate::step::day(at);
    Seen::not_yet(Condition::Time(at), format!("waits until {day}")).every(left.min(86_400), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::{World, context};
    use crate::http::Response;

    fn world() -> (World, String) {
        let world = World::new();
        let head = world.commit("o/r", "main", "Begin", &[("a", "a")]);
        (world, head)
    }

    #[test]
    fn tags_are_where_they_should_be() {
        let (world, head) = world();
        let Ok(Seen::NotYet(wait)) = tagged(&world, "o/r", "v1.0.0", None) else { panic!("there") };
        assert_eq!(wait.on, Condition::Other("the tag v1.0.0 of o/r".to_owned()));
        world.tag("o/r", "v1.0.0", &head);
        assert!(matches!(tagged(&world, "o/r", "v1.0.0", Some(&head)), Ok(Seen::There(_))));
        assert!(matches!(tagged(&world, "o/r", "v1.0.0", Some("other")), Err(Error::Conflict(_))));
        assert!(matches!(tagged(&world, "o/none", "v1.0.0", None), Err(Error::NotFound(_))));
    }

    #[test]
    fn images_are_what_they_should_be() {
        let (world, _) = world();
        assert!(matches!(image(&world, "r.io/app:v1"), Err(Error::Unavailable(_))));
        world.server("https://r.io/");
        let Ok(Seen::NotYet(wait)) = image_with(&world, "r.io/app:v1", "sha256:00") else { panic!("there") };
        assert_eq!(wait.on, Condition::ImagePresent("r.io/app:v1".to_owned()));
        world.image("r.io/app:v1", "sha256:00");
        assert!(image_with(&world, "r.io/app:v1", "sha256:00").is_ok_and(|seen| seen.there().is_some()));
        assert!(matches!(image_with(&world, "r.io/app:v1", "sha256:11"), Err(Error::Conflict(_))));
    }

    #[test]
    fn checks_pass_fail_or_are_waited_for() {
        let (world, head) = world();
        let look = |wanted: &[&str]| checks(&world, "o/r", &head, wanted);
        assert!(matches!(look(&[]), Ok(Seen::NotYet(_))), "none has reported");
        world.report("o/r", &head, "unit", CheckState::Success);
        assert_eq!(look(&[]), Ok(Seen::There(1)));
        assert!(matches!(look(&["unit", "e2e"]), Ok(Seen::NotYet(wait)) if wait.summary.ends_with(": e2e")));
        world.report("o/r", &head, "e2e", CheckState::Pending);
        assert!(matches!(look(&[]), Ok(Seen::NotYet(_))));
        world.report("o/r", &head, "e2e", CheckState::Failure);
        assert!(matches!(look(&["unit"]), Ok(Seen::There(1))));
        assert!(matches!(look(&[]), Err(Error::Conflict(_))));
    }

    #[test]
    fn releases_modules_and_times() {
        let (world, head) = world();
        assert!(matches!(released(&world, "o/r", "v1.0.0"), Ok(Seen::NotYet(_))));
        for draft in [true, false] {
            let spec = crate::github::ReleaseSpec {
                tag: "v1.0.0".to_owned(),
                commit: head.clone(),
                name: "v1.0.0".to_owned(),
                body: String::new(),
                prerelease: false,
                draft,
                assets: Vec::new(),
            };
            world.ensure_release("o/r", &spec).expect("a release");
            assert_eq!(released(&world, "o/r", "v1.0.0").expect("a look").there().is_none(), draft);
        }
        let url = "https://proxy.golang.org/example.org/!a/@v/v1.0.0.mod";
        world.answer("GET", url, Response::new(404, ""));
        let look = || module(&world, "https://proxy.golang.org/", "example.org/A", "v1.0.0");
        assert!(matches!(look(), Ok(Seen::NotYet(_))));
        world.answer("GET", url, Response::new(200, "module example.org/A\n"));
        assert_eq!(look(), Ok(Seen::There(())));
        let now = context("p", "s", &());
        assert_eq!(time(&now, now.now), Seen::There(()));
        assert!(matches!(time(&now, now.now + 60), Seen::NotYet(wait) if wait.poll == 60));
    }

    #[test]
    fn merges_are_seen_and_closings_refused() {
        let (world, _) = world();
        for (branch, number) in [("a", 1), ("b", 2)] {
            world.commit("o/r", branch, branch, &[(branch, "x")]);
            let spec = crate::github::PullSpec {
                head: branch.to_owned(),
                base: "main".to_owned(),
                title: branch.to_owned(),
                body: String::new(),
                labels: Vec::new(),
                draft: false,
            };
            assert_eq!(world.ensure_pull_request("o/r", &spec).map(|pull| pull.number), Ok(number));
        }
        assert!(matches!(merged(&world, "o/r", 1), Ok(Seen::NotYet(wait)) if wait.url.is_some()));
        world.merge("o/r", 1);
        world.close("o/r", 2);
        let both = merged(&world, "o/r", 1).expect("merged").and(Seen::There(7)).there();
        assert_eq!(both.map(|(pull, seven)| (pull.number, seven)), Some((1, 7)));
        assert!(matches!(merged(&world, "o/r", 2), Err(Error::Conflict(_))));
        assert!(matches!(merged(&world, "o/r", 3), Err(Error::NotFound(_))));
    }
}
