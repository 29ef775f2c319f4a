//! Faults at the requests of a release: which requests there are, which faults are worth trying, and how a release
//! weathers them.

use std::collections::{BTreeMap, BTreeSet};

use castoff::forge::{Fault, FaultKind, Forge, Served, Snapshot};
use castoff::journal::{EffectResult, Event, Record, RunState, Status, Verdict};

use crate::example::{Example, Played, Rehearsal, Result, difference};

/// Every way a request can fail.
pub const KINDS: [FaultKind; 12] = [
    FaultKind::ErrorBefore(503),
    FaultKind::ErrorAfter(502),
    FaultKind::Silence,
    FaultKind::Reset,
    FaultKind::LostReply,
    FaultKind::TruncatedBody,
    FaultKind::TooMany(Some(7)),
    FaultKind::TooMany(None),
    FaultKind::SecondaryLimit(Some(30)),
    FaultKind::SecondaryLimit(None),
    FaultKind::PrimaryLimit,
    FaultKind::Unauthorized,
];

/// How often a lasting fault strikes: more often than any read is repeated.
pub const LASTING: u64 = 7;

/// The most that a release may be taken up again.
const MOST: u64 = 60;

/// A request of the undisturbed release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method, service and route: what it is, whatever it is about.
    pub operation: String,
    /// Whether it can change something.
    pub writes: bool,
    method: String,
    host: String,
    path: String,
    /// Requests before it with the same method, host and path.
    earlier: u64,
}

impl Request {
    /// A fault of this request, and of as many after it with the same address as `times` says.
    #[must_use]
    pub fn fault(&self, kind: FaultKind, times: u64) -> Fault {
        let fault = Fault::on(&self.method, &self.path, kind).after(self.earlier).times(times);
        Fault { host: Some(self.host.clone()), ..fault }
    }

    fn address(&self) -> (&str, &str, &str) {
        (&self.method, &self.host, &self.path)
    }
}

/// The requests of a release, in order.
#[must_use]
pub fn requests(served: &[Served]) -> Vec<Request> {
    let mut seen: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    let request = |served: &Served| {
        let (method, host, path) = (served.method.clone(), served.host.clone(), served.path.clone());
        let count = seen.entry((method.clone(), host.clone(), path.clone())).or_default();
        let earlier = *count;
        *count += 1;
        let asks = ["/graphql", "/git-upload-pack"].iter().any(|end| path.ends_with(end));
        let writes = !matches!(method.as_str(), "GET" | "HEAD") && !asks;
        Request { operation: operation(served), writes, method, host, path, earlier }
    };
    served.iter().map(request).collect()
}

/// What a request is, without what it is about: names of repositories, images and tags, numbers, ids.
fn operation(served: &Served) -> String {
    let segments: Vec<&str> = served.path.split('/').filter(|part| !part.is_empty()).collect();
    let git = ["refs", "git-upload-pack", "git-receive-pack"];
    let is_git = segments.len() >= 3 && segments.last().is_some_and(|last| git.contains(last));
    let named = match segments.first() {
        Some(&"repos") => 1..3,
        Some(&"v2") => 1..segments.len().saturating_sub(2),
        _ if is_git => 0..2,
        _ => 0..0,
    };
    let mut route = String::new();
    for (at, segment) in segments.iter().enumerate() {
        if named.contains(&at) && (at == named.start || segments.first() == Some(&"repos")) {
            route += "/*";
        } else if !named.contains(&at) {
            route += "/";
            route += plain(segment);
        }
    }
    let service = served.query.strip_prefix("service=").unwrap_or_default();
    format!("{} {}{route} {service}", served.method, served.host).trim_end().to_owned()
}

fn plain(segment: &str) -> &str {
    let version =
        segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let id = segment.len() == 40 && segment.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = segment.bytes().all(|byte| byte.is_ascii_digit());
    if version && segment != "v2" || id || number || segment.starts_with("sha256:") { "*" } else { segment }
}

/// What is to hold at the end, and which requests lead there.
pub struct Calm {
    snapshot: Snapshot,
    portrait: serde_json::Value,
    /// The requests.
    pub requests: Vec<Request>,
}

impl Calm {
    /// The release without any fault.
    ///
    /// # Errors
    /// When it does not finish.
    pub async fn of(example: &Example) -> Result<Self> {
        let mut run = example.begin_hasty().await?;
        let powers = run.powers();
        let Played::Through(state) = run.play(powers, None).await? else { return Err("it crashed".into()) };
        if state.verdict() != Verdict::Finished {
            return Err(format!("undisturbed, it ends {:?}: {:?}", state.verdict(), open(&state)));
        }
        let forge = run.stage().forge();
        let portrait = forge.portrait().map_err(|error| error.to_string())?;
        Ok(Self { snapshot: run.snapshot()?, portrait, requests: requests(&forge.requests()) })
    }

    /// The first request of every operation that is not in `seen` yet; now it is.
    pub fn sample(&self, seen: &mut BTreeSet<String>) -> Vec<&Request> {
        self.requests.iter().filter(|request| seen.insert(request.operation.clone())).collect()
    }

    /// How many different operations there are.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.requests.iter().map(|request| &request.operation).collect::<BTreeSet<_>>().len()
    }
}

/// Puts requests into groups of at most `most`, none with two requests of one address: the faults of a group do not
/// get into each other's way.
#[must_use]
pub fn groups<'a>(requests: &[&'a Request], most: usize) -> Vec<Vec<&'a Request>> {
    let mut groups: Vec<Vec<&Request>> = Vec::new();
    for request in requests {
        let fits = |group: &&mut Vec<&Request>| {
            group.len() < most && group.iter().all(|other| other.address() != request.address())
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(request),
            None => groups.push(vec![request]),
        }
    }
    groups
}

/// How a release came through.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weathered {
    /// Times it stopped and was taken up again.
    pub stops: u64,
    /// Effects that were found to be there although no answer had come.
    pub adopted: u64,
    /// Whether the world is the same but for moments, and for words about what could not be read.
    pub shifted: bool,
}

/// Plays a release under faults, taking it up again whenever it stops, and compares the world afterwards.
///
/// # Errors
/// What is wrong: a stop that is not clear, an effect performed twice, another world, a fault that did not strike.
pub async fn weather(example: &Example, faults: &[Fault], calm: &Calm) -> Result<Weathered> {
    let mut run = example.begin_hasty().await?;
    for fault in faults {
        run.stage().forge().inject(fault.clone());
    }
    let powers = run.powers();
    let mut weathered = Weathered::default();
    loop {
        let Played::Through(state) = run.play(powers.clone(), None).await? else {
            return Err("it crashed".into());
        };
        run.verify()?;
        match state.verdict() {
            Verdict::Finished => break,
            Verdict::Failed if weathered.stops < MOST => clear(&state, faults)?,
            verdict => return Err(format!("it ends {verdict:?}: {:?}", open(&state))),
        }
        weathered.stops += 1;
        run.retry_failed()?;
    }
    struck(run.stage().forge(), faults)?;
    let events = run.events()?;
    once(&events)?;
    weathered.adopted = events.iter().filter(|record| adopted(record)).count() as u64;
    weathered.shifted = same(&run, calm)?;
    Ok(weathered)
}

fn open(state: &RunState) -> Vec<String> {
    let open = state.steps().filter(|step| !step.status.is_over());
    open.map(|step| format!("{}: {:?}", step.node.id, step.status)).collect()
}

/// A stop is clear when every failed step says that a remote was not to be had, and that trying again may help. An effect
/// that nobody knows the outcome of is left open only where the answer to it was lost.
fn clear(state: &RunState, faults: &[Fault]) -> Result<()> {
    // A server error does not say whether it came before the effect or after it; these say that nothing happened.
    let refuses = |fault: &Fault| {
        use FaultKind::{PrimaryLimit, SecondaryLimit, TooMany, Unauthorized};
        matches!(fault.kind, TooMany(_) | SecondaryLimit(_) | PrimaryLimit | Unauthorized)
    };
    let lost = !faults.iter().all(refuses);
    for step in state.steps() {
        let id = &step.node.id;
        if let Status::Failed { error, message, retryable } = &step.status {
            if !matches!(error.as_str(), "unavailable" | "rate-limited") {
                return Err(format!("{id} stopped for another reason than the fault: {error}: {message}"));
            }
            if !retryable || message.trim().is_empty() {
                return Err(format!("{id} does not say what to do: {error}: {message:?}"));
            }
        }
        if let Some(effect) = step.unsettled().next().filter(|_| !lost) {
            return Err(format!("{id} left open what certainly did not happen: {}", effect.summary));
        }
    }
    Ok(())
}

/// A fault has struck: otherwise nothing was tried. Of several, a lasting one may keep the release from the request that
/// another waits for.
fn struck(forge: &Forge, faults: &[Fault]) -> Result<()> {
    let left = forge.faults();
    let missed = |fault: &Fault| {
        left.iter().any(|left| {
            (&left.method, &left.host, &left.path) == (&fault.method, &fault.host, &fault.path)
                && left.times == fault.times
        })
    };
    if faults.iter().all(missed) { Err(format!("no fault struck: {faults:?}")) } else { Ok(()) }
}

/// No effect was performed twice by one step.
fn once(events: &[Record]) -> Result<()> {
    let mut intents = BTreeMap::new();
    let mut done = BTreeSet::new();
    for record in events {
        match &record.event {
            Event::Intent { step, digest, summary, .. } => {
                intents.insert(record.seq, (step, digest, summary));
            }
            Event::Outcome { intent, result: EffectResult::Done { .. }, .. } => {
                let Some((step, digest, summary)) = intents.get(intent) else { continue };
                if !done.insert((*step, *digest)) {
                    return Err(format!("{step} performed twice: {summary}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn adopted(record: &Record) -> bool {
    matches!(&record.event, Event::Outcome { result: EffectResult::Adopted { .. }, .. })
}

/// Whether the world differs from the calm one, but in nothing that matters: in the moments at which things were made, and
/// in pull requests that say more, because a process may tell people what it could not read. An error when it differs in
/// more.
fn same(run: &Rehearsal, calm: &Calm) -> Result<bool> {
    if difference(&calm.snapshot, &run.snapshot()?).is_empty() {
        return Ok(false);
    }
    let mut portrait = run.stage().forge().portrait().map_err(|error| error.to_string())?;
    forgive_words(&calm.portrait, &mut portrait);
    let differences = difference(&calm.portrait, &portrait);
    if differences.is_empty() { Ok(true) } else { Err(differences.join("; ")) }
}

/// Takes the words out of the descriptions of pull requests that were added to those of the calm world.
fn forgive_words(calm: &serde_json::Value, found: &mut serde_json::Value) {
    use serde_json::Value;
    let (Value::Object(calm), Value::Object(found)) = (calm, found) else { return };
    for (key, found) in found {
        let Some(calm) = calm.get(key) else { continue };
        match (calm, &mut *found) {
            (Value::String(wanted), Value::String(said)) if key == "body" && says_all(wanted, said) => {
                said.clone_from(wanted);
            }
            _ => forgive_words(calm, found),
        }
    }
}

/// Whether every line of `wanted` stands in `said`, in that order.
fn says_all(wanted: &str, said: &str) -> bool {
    let mut said = said.lines();
    wanted.lines().all(|wanted| said.any(|line| line == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(method: &str, host: &str, path: &str, query: &str) -> Served {
        Served {
            method: method.into(),
            host: host.into(),
            path: path.into(),
            query: query.into(),
            user: None,
            status: 200,
        }
    }

    #[test]
    fn operations_without_what_they_are_about() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        for (method, path, query, expected) in [
            ("GET", "/repos/o/n/pulls/17", "", "GET h/repos/*/*/pulls/*"),
            (
                "GET",
                &format!("/repos/o/n/commits/{id}/status"),
                "per_page=1",
                "GET h/repos/*/*/commits/*/status",
            ),
            ("GET", "/repos/o/n/releases/tags/v1.2.3", "", "GET h/repos/*/*/releases/tags/*"),
            ("POST", "/o/n.git/git-upload-pack", "", "POST h/*/git-upload-pack"),
            ("GET", "/o/n.git/info/refs", "service=git-receive-pack", "GET h/*/info/refs git-receive-pack"),
            ("GET", "/v2/a/b/c/manifests/v1.0.0", "", "GET h/v2/*/manifests/*"),
            ("POST", "/graphql", "", "POST h/graphql"),
        ] {
            assert_eq!(operation(&served(method, "h", path, query)), expected);
        }
    }

    #[test]
    fn more_words_are_forgiven_and_nothing_else() {
        for (said, forgiven) in [
            ("one\nPlease look at:\ntwo", true),
            ("one\ntwo\n", true),
            ("one", false),
            ("two\none", false),
            ("one\ntwoo", false),
        ] {
            let calm = serde_json::json!({"pulls": {"1": {"issue": {"body": "one\ntwo", "title": "t"}}}});
            let mut found = serde_json::json!({"pulls": {"1": {"issue": {"body": said, "title": "t"}}}});
            forgive_words(&calm, &mut found);
            assert_eq!(found == calm, forgiven, "{said}");
        }
    }

    #[test]
    fn the_same_address_is_told_apart_by_its_count() {
        let one = served("GET", "h", "/user", "");
        let other = served("GET", "other", "/user", "");
        let all = requests(&[one.clone(), other, one]);
        assert_eq!(all.iter().map(|request| request.earlier).collect::<Vec<_>>(), [0, 0, 1]);
        let sizes: Vec<usize> = groups(&all.iter().collect::<Vec<_>>(), 3).iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1]);
    }
}
