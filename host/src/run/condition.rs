//! Whether what a step waits for has happened, looked up by the host without the plugin, and how long to wait between
//! looks.
//!
//! The plugin stays the judge: only a condition that *certainly* does not hold keeps it asleep. The host reads what the
//! step itself may read, decided by the same policy, and nothing else; what it may not or cannot look at is unknown.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Duration, Utc};
use sha2::{Digest, Sha256};
use url::Url;

use crate::capability::github::{CheckState, PullState};
use crate::capability::http::{HeaderValue, Request};
use crate::capability::{Result, Slug};
use crate::gate::Capabilities;
use crate::journal::{Condition, Wait};
use crate::operation::{GitHubArea, Need};
use crate::policy::{Decision, Grants, decide};

/// The longest an interval grows to, in intervals that the plugin asked for.
const CAP: u32 = 10;

/// Media types of image manifests and indexes: a registry answers 404 to somebody who takes none of what it has.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.docker.distribution.manifest.v2+json";

/// What a look at a condition found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It holds, as far as the host can tell.
    Holds,
    /// It certainly does not.
    Not,
    /// The host may not look, could not, or what it found is for the plugin to judge.
    Unknown,
}

/// Looks at a condition with the powers of a step.
pub async fn look(
    world: &Capabilities,
    grants: &Grants,
    condition: &Condition,
    now: DateTime<Utc>,
) -> Standing {
    let found = match condition {
        Condition::PullRequestMerged { repository, number } => pull(world, grants, repository, *number).await,
        Condition::ChecksGreen { repository, commit } => checks(world, grants, repository, commit).await,
        Condition::ImagePresent { reference } => match manifest_url(reference) {
            Some(url) => there(world, grants, url, MANIFESTS, &[404]).await,
            None => Ok(Standing::Unknown),
        },
        Condition::ModuleVisible { module, version } => match module_url(module, version) {
            Some(url) => there(world, grants, url, "application/json", &[404, 410]).await,
            None => Ok(Standing::Unknown),
        },
        Condition::Time { at } if now.timestamp() < *at => Ok(Standing::Not),
        Condition::Time { .. } => Ok(Standing::Holds),
        // What these mean only the plugin knows.
        Condition::JobSucceeded { .. } | Condition::Other { .. } => Ok(Standing::Unknown),
    };
    found.unwrap_or(Standing::Unknown)
}

fn may_read(grants: &Grants, repository: &Slug) -> bool {
    let need = Need::GitHub { area: GitHubArea::Read, repository: repository.clone() };
    decide(grants, &need).is_allowed()
}

async fn pull(world: &Capabilities, grants: &Grants, repository: &str, number: u64) -> Result<Standing> {
    let repository = Slug::parse(repository)?;
    if !may_read(grants, &repository) {
        return Ok(Standing::Unknown);
    }
    let found = world.github.pull_requests(&[(repository, number)]).await?;
    Ok(match found.first().map(|(_, pull)| pull.state) {
        Some(PullState::Merged) => Standing::Holds,
        Some(PullState::Open) => Standing::Not,
        // Closed without a merge: the plugin has something to say about that.
        Some(PullState::Closed) | None => Standing::Unknown,
    })
}

async fn checks(world: &Capabilities, grants: &Grants, repository: &str, commit: &str) -> Result<Standing> {
    let repository = Slug::parse(repository)?;
    if !may_read(grants, &repository) {
        return Ok(Standing::Unknown);
    }
    let checks = world.github.checks(&repository, commit).await?;
    let count = |state: CheckState| checks.iter().filter(|check| check.state == state).count();
    let (pending, green) = (count(CheckState::Pending), count(CheckState::Success));
    Ok(match checks.len() {
        0 => Standing::Unknown,
        all if green == all => Standing::Holds,
        // One that never ends (Tide's, for example) next to green ones may not matter to the plugin.
        all if pending == all => Standing::Not,
        _ => Standing::Unknown,
    })
}

/// Whether there is something at an address; `absent` are the answers that say there is not.
async fn there(
    world: &Capabilities,
    grants: &Grants,
    url: Url,
    accept: &str,
    absent: &[u16],
) -> Result<Standing> {
    let allowed = |method: &str, url: &Url| {
        let need = Need::Http { method: method.to_owned(), url: url.clone() };
        decide(grants, &need)
    };
    let Some(method) = ["HEAD", "GET"].into_iter().find(|method| allowed(method, &url).is_allowed()) else {
        return Ok(Standing::Unknown);
    };
    let request = Request {
        method: method.into(),
        url,
        headers: vec![("accept".into(), HeaderValue::Text(accept.into()))],
        body: None,
    };
    // The same decision for the first address and for every redirect, as at the gate.
    let hop = |method: &str, url: &Url| match allowed(method, url) {
        Decision::Allowed { .. } => Ok(()),
        Decision::Denied(denial) => Err(denial.to_string()),
    };
    let response = world.http.send(&request, &BTreeMap::new(), &hop).await?;
    Ok(match response.status {
        200 => Standing::Holds,
        status if absent.contains(&status) => Standing::Not,
        _ => Standing::Unknown,
    })
}

/// Where a registry has the manifest of a reference that names its host, tag or digest.
fn manifest_url(reference: &str) -> Option<Url> {
    let (host, rest) = reference.split_once('/')?;
    let (place, port) = host.split_once(':').unwrap_or((host, "443"));
    let number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if place.is_empty() || !number || !(host.contains(['.', ':']) || host == "localhost") {
        return None;
    }
    let (name, version) = match rest.split_once('@') {
        Some((name, digest)) => (name.rsplit_once(':').map_or(name, |(name, _)| name), digest),
        None => rest.rsplit_once(':')?,
    };
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:".contains(&b))
    };
    if !plain(host) || !plain(name) || !plain(version) || version.contains('/') || name.contains("..") {
        return None;
    }
    Url::parse(&format!("https://{host}/v2/{name}/manifests/{version}")).ok()
}

/// Where the Go module proxy has a version. Capital letters are written as `!` and the small letter
/// (<https://go.dev/ref/mod#goproxy-protocol>).
fn module_url(module: &str, version: &str) -> Option<Url> {
    let escaped = |text: &str| -> Option<String> {
        let fine = |c: char| c.is_ascii_alphanumeric() || "-._~/+".contains(c);
        let good =
            !text.is_empty() && text.chars().all(fine) && !text.contains("..") && !text.starts_with('/');
        let letter = |c: char| match c.is_ascii_uppercase() {
            true => format!("!{}", c.to_ascii_lowercase()),
            false => c.to_string(),
        };
        good.then(|| text.chars().map(letter).collect())
    };
    Url::parse(&format!("https://proxy.golang.org/{}/@v/{}.info", escaped(module)?, escaped(version)?)).ok()
}

/// How long to wait after the `looks`-th look in vain: the plugin's own interval, then twice as long each time, up to ten
/// times as long, and up to a tenth more, so that runs do not all ask at once. The same `seed` gives the same times.
#[must_use]
pub fn interval(wait: &Wait, looks: u32, seed: u64) -> Duration {
    let factor =
        1_u32.checked_shl(looks.saturating_sub(1)).filter(|factor| *factor > 0).unwrap_or(CAP).min(CAP);
    let seconds = i64::from(wait.poll_seconds.max(1)) * i64::from(factor);
    let hash = Sha256::digest([seed.to_be_bytes().as_slice(), &looks.to_be_bytes()].concat());
    let tenths = i64::from(hash.first().copied().unwrap_or_default());
    Duration::milliseconds(seconds * 1000 + seconds * 100 * tenths / 255)
}

/// When it is worth looking again after a look at `last`; never after the time limit of the wait, nor after the time it
/// waits for.
#[must_use]
pub fn due(wait: &Wait, last: DateTime<Utc>, looks: u32, seed: u64) -> DateTime<Utc> {
    let next = last + interval(wait, looks, seed);
    let limit = expires(wait).filter(|limit| *limit > last);
    let appointed = match wait.condition {
        Condition::Time { at } => DateTime::from_timestamp(at, 0).filter(|at| *at > last),
        _ => None,
    };
    [limit, appointed].into_iter().flatten().fold(next, DateTime::min)
}

/// When a wait has lasted too long.
#[must_use]
pub fn expires(wait: &Wait) -> Option<DateTime<Utc>> {
    let limit = Duration::seconds(i64::from(wait.timeout_seconds));
    (wait.timeout_seconds > 0).then(|| wait.since + limit)
}

/// Looks of the host that left nothing in the journal, because nothing had changed. Lives as long as the process, and
/// is shared by the runners that follow each other in it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Patience {
    looks: Arc<Mutex<BTreeMap<String, Looks>>>,
}

#[derive(Debug, Clone, Copy)]
struct Looks {
    since: DateTime<Utc>,
    last: DateTime<Utc>,
    count: u32,
}

impl Patience {
    /// The last look at a wait that began at `since`, and how many there were.
    pub(super) fn of(&self, step: &str, since: DateTime<Utc>) -> Option<(DateTime<Utc>, u32)> {
        self.lock().get(step).filter(|looks| looks.since == since).map(|looks| (looks.last, looks.count))
    }

    /// Remembers a look in vain.
    pub(super) fn looked(&self, step: &str, since: DateTime<Utc>, now: DateTime<Utc>) {
        let count = self.of(step, since).map_or(0, |(_, count)| count).saturating_add(1);
        self.lock().insert(step.to_owned(), Looks { since, last: now, count });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Looks>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wait(poll: u32, timeout: u32, condition: Condition) -> Wait {
        Wait {
            condition,
            summary: String::new(),
            url: None,
            poll_seconds: poll,
            timeout_seconds: timeout,
            since: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn addresses_of_images() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let table = [
            ("gcr.io/p/app:v1.2.3", Some("https://gcr.io/v2/p/app/manifests/v1.2.3".to_owned())),
            ("localhost:5000/app:v1", Some("https://localhost:5000/v2/app/manifests/v1".to_owned())),
            (&format!("r.io/app:v1@{digest}"), Some(format!("https://r.io/v2/app/manifests/{digest}"))),
            ("app:v1", None),
            ("library/app:v1", None),
            ("gcr.io/app", None),
            ("gcr.io/a/../b:v1", None),
            ("gcr.io/a:v1?x=y", None),
            ("http://127.0.0.1:9/app:v1", None),
        ];
        for (reference, expected) in table {
            assert_eq!(manifest_url(reference).map(String::from), expected, "{reference}");
        }
    }

    #[test]
    fn addresses_of_modules() {
        let table = [
            ("k8s.io/api", "v0.31.0", Some("https://proxy.golang.org/k8s.io/api/@v/v0.31.0.info")),
            (
                "github.com/Azure/x",
                "v1.0.0+incompatible",
                Some("https://proxy.golang.org/github.com/!azure/x/@v/v1.0.0+incompatible.info"),
            ),
            ("../x", "v1", None),
            ("a/b", "v1 2", None),
            ("", "v1", None),
        ];
        for (module, version, expected) in table {
            assert_eq!(
                module_url(module, version).map(String::from).as_deref(),
                expected,
                "{module} {version}"
            );
        }
    }

    #[test]
    fn looks_become_rarer_and_keep_appointments() {
        let other = || Condition::Other { text: String::new() };
        let at = |seconds: i64| DateTime::UNIX_EPOCH + Duration::seconds(seconds);
        for (looks, factor) in [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (40, 10), (u32::MAX, 10)] {
            let found = interval(&wait(60, 0, other()), looks, 7).num_milliseconds();
            let least = 60_000 * factor;
            assert!((least..=least + least / 10).contains(&found), "{looks}: {found}");
            assert_eq!(found, interval(&wait(60, 0, other()), looks, 7).num_milliseconds());
        }
        let spread: std::collections::BTreeSet<i64> =
            (0..20).map(|seed| interval(&wait(600, 0, other()), 3, seed).num_milliseconds()).collect();
        assert!(spread.len() > 10, "{spread:?}");
        assert_eq!(due(&wait(60, 90, other()), at(50), 5, 7), at(90), "a time limit is kept");
        assert!(
            due(&wait(60, 90, other()), at(90), 1, 7) >= at(150),
            "a time limit that is over is no appointment"
        );
        assert_eq!(due(&wait(60, 0, Condition::Time { at: 70 }), at(50), 5, 7), at(70));
    }

    #[test]
    fn looks_are_counted_for_one_wait() {
        let patience = Patience::default();
        let at = |seconds: i64| DateTime::UNIX_EPOCH + Duration::seconds(seconds);
        patience.looked("a", at(0), at(10));
        patience.looked("a", at(0), at(20));
        assert_eq!(patience.of("a", at(0)), Some((at(20), 2)));
        assert_eq!(patience.of("a", at(5)), None, "another wait of the step");
        assert_eq!(patience.of("b", at(0)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_next_look_is_later_and_never_misses_a_limit(
            poll in 0..=u32::MAX, timeout in 0..=u32::MAX, last in 0..1_000_000_000_i64, looks: u32, seed: u64,
        ) {
            let wait = wait(poll, timeout, Condition::Other { text: String::new() });
            let last = DateTime::UNIX_EPOCH + Duration::seconds(last);
            let next = due(&wait, last, looks, seed);
            prop_assert!(next > last);
            if let Some(limit) = expires(&wait).filter(|limit| *limit > last) {
                prop_assert!(next <= limit);
            }
        }

        #[test]
        fn no_reference_makes_an_address_of_another_shape(reference in "\\PC{0,40}") {
            if let Some(url) = manifest_url(&reference) {
                prop_assert!(url.path().starts_with("/v2/") && url.query().is_none() && url.username().is_empty());
            }
        }
    }
}
