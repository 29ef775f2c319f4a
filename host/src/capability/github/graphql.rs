//! Pull requests by the hundred: one GraphQL query with an alias for each, across repositories.
//!
//! None is lost silently: an alias without an answer is an error that names its pull request, unless GitHub says that
//! the number is no pull request. A query that is too much for GitHub is asked in halves.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::backend::{GitHubBackend, repository_path};
use super::limits::Verdict;
use super::models::{Label, Pull, Repository, User, author};
use super::transport::{Answer, Call};
use super::{PullRequest, PullState};
use crate::capability::wire::{Kind, Patience};
use crate::capability::{CapabilityError, Result, Slug};

/// Pull requests of one query.
const BATCH: usize = 100;
/// What is read of each.
const FIELDS: &str = "number url title body state author { __typename login } \
    labels(first: 100) { nodes { name } pageInfo { hasNextPage } } \
    baseRefName headRefName headRefOid headRepositoryOwner { login } mergeCommit { oid }";
/// Types of errors that a smaller query may not meet.
const TOO_MUCH_TYPES: &[&str] = &[
    "RESOURCE_LIMITS_EXCEEDED",
    "MAX_NODE_LIMIT_EXCEEDED",
    "QUERY_TOO_COMPLEX",
    "TIMEOUT",
    "SERVICE_UNAVAILABLE",
];
/// Words of such errors, in lower case; most of them come without a type.
const TOO_MUCH_WORDS: &[&str] = &[
    "complexity",
    "timeout",
    "timed out",
    "resource limits",
    "something went wrong",
    "node limit",
    "too large",
];

type Wanted = (Slug, u64);

/// Pull requests of one repository, by alias.
type Nodes = HashMap<String, Option<Node>>;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reply {
    data: Option<HashMap<String, Option<Nodes>>>,
    errors: Option<Vec<Complaint>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Complaint {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Option<String>,
    path: Option<Vec<Value>>,
}

impl Complaint {
    fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    fn is_limit(&self) -> bool {
        self.is("RATE_LIMITED") || self.is("RATE_LIMIT")
    }

    fn is_too_much(&self) -> bool {
        let words = self.message.as_deref().unwrap_or_default().to_ascii_lowercase();
        self.kind.as_deref().is_some_and(|kind| TOO_MUCH_TYPES.contains(&kind))
            || (self.kind.is_none() && TOO_MUCH_WORDS.iter().any(|word| words.contains(word)))
    }

    fn words(&self) -> String {
        super::fault::tidy(
            self.message.as_deref().or(self.kind.as_deref()).unwrap_or("an error without words"),
        )
    }

    fn place(&self, depth: usize) -> Option<&str> {
        self.path.as_ref()?.get(depth)?.as_str()
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    number: u64,
    url: Option<String>,
    title: Option<String>,
    body: Option<String>,
    state: Option<String>,
    author: Option<User>,
    labels: Option<Labels>,
    base_ref_name: Option<String>,
    head_ref_name: Option<String>,
    head_ref_oid: Option<String>,
    head_repository_owner: Option<User>,
    merge_commit: Option<Oid>,
}

#[derive(Debug, Clone, Deserialize)]
struct Oid {
    oid: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Labels {
    nodes: Option<Vec<Option<Label>>>,
    page_info: Option<PageInfo>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
}

impl Node {
    fn has_more_labels(&self) -> bool {
        let info = self.labels.as_ref().and_then(|labels| labels.page_info.as_ref());
        info.is_some_and(|info| info.has_next_page)
    }
}

impl From<Node> for PullRequest {
    fn from(node: Node) -> Self {
        let labels = node.labels.and_then(|labels| labels.nodes).unwrap_or_default();
        let state = match node.state.as_deref() {
            Some("MERGED") => PullState::Merged,
            Some("CLOSED") => PullState::Closed,
            _ => PullState::Open,
        };
        Self {
            number: node.number,
            url: node.url.unwrap_or_default(),
            title: node.title.unwrap_or_default(),
            body: node.body.unwrap_or_default(),
            state,
            author: author(node.author.as_ref()),
            labels: labels.into_iter().flatten().map(|label| label.name).collect(),
            base: node.base_ref_name.unwrap_or_default(),
            head: node.head_ref_name.unwrap_or_default(),
            head_owner: node.head_repository_owner.map(|owner| owner.login).unwrap_or_default(),
            head_commit: node.head_ref_oid,
            merge_commit: node.merge_commit.map(|commit| commit.oid).filter(|_| state == PullState::Merged),
        }
    }
}

/// Why a batch failed.
enum Fault {
    /// A smaller one may succeed.
    TooMuch(String),
    /// No smaller one would.
    Final(CapabilityError),
}

/// A batch with its aliases: `rN` for repositories, `pNUMBER` within.
struct Batch<'a> {
    repositories: Vec<(&'a Slug, Vec<u64>)>,
}

impl<'a> Batch<'a> {
    fn new(wanted: &'a [Wanted]) -> Self {
        let mut repositories: Vec<(&Slug, Vec<u64>)> = Vec::new();
        for (slug, number) in wanted {
            match repositories.iter_mut().find(|(known, _)| *known == slug) {
                Some((_, numbers)) => numbers.push(*number),
                None => repositories.push((slug, vec![*number])),
            }
        }
        Self { repositories }
    }

    fn text(&self) -> String {
        let mut text = String::from("query {");
        for (index, (slug, numbers)) in self.repositories.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                " r{index}: repository(owner: \"{}\", name: \"{}\") {{",
                slug.owner(),
                slug.name()
            );
            for number in numbers {
                let _ = write!(text, " p{number}: pullRequest(number: {number}) {{ {FIELDS} }}");
            }
            text.push_str(" }");
        }
        text.push_str(" }");
        text
    }

    /// What an alias stands for.
    fn repository(&self, alias: &str) -> Option<&'a Slug> {
        let index: usize = alias.strip_prefix('r')?.parse().ok()?;
        self.repositories.get(index).map(|(slug, _)| *slug)
    }
}

/// Names a batch: its first pull request, and how many more.
fn label(batch: &[Wanted]) -> String {
    let Some((slug, number)) = batch.first() else { return "no pull request".into() };
    match batch.len() - 1 {
        0 => format!("{slug}#{number}"),
        more => format!("{slug}#{number} and {more} more"),
    }
}

impl GitHubBackend {
    pub(super) async fn batch_pulls(&self, wanted: &[Wanted]) -> Result<Vec<(Slug, PullRequest)>> {
        let mut seen = HashSet::new();
        // A number beyond GraphQL's integers is no pull request.
        let fits = |number: u64| i32::try_from(number).is_ok();
        let unique: Vec<Wanted> =
            wanted.iter().filter(|(_, number)| fits(*number)).filter(|w| seen.insert(*w)).cloned().collect();
        let mut found = Vec::with_capacity(unique.len());
        let (mut rest, mut size) = (unique.as_slice(), BATCH);
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(size.min(rest.len()));
            match self.batch(batch).await {
                Ok(pulls) => {
                    found.extend(pulls);
                    rest = after;
                }
                Err(Fault::TooMuch(_)) if batch.len() > 1 => size = batch.len().div_ceil(2),
                Err(Fault::TooMuch(why)) => {
                    return Err(CapabilityError::unavailable(why));
                }
                Err(Fault::Final(CapabilityError::Forbidden { .. })) if self.wire.is_anonymous() => {
                    found.extend(self.single_pulls(batch).await?);
                    rest = after;
                }
                Err(Fault::Final(error)) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn batch(&self, wanted: &[Wanted]) -> std::result::Result<Vec<(Slug, PullRequest)>, Fault> {
        let batch = Batch::new(wanted);
        let what = format!("reading {}", label(wanted));
        // A big query that GitHub gives up on comes back as a 502: asked again once, then in halves.
        let most = self.wire.patience();
        let attempts = if wanted.len() > 1 { most.attempts.min(2) } else { most.attempts };
        let answer = self.query_with(&batch.text(), &what, Patience { attempts, ..most }).await;
        let answer = answer.map_err(|error| match error {
            CapabilityError::Unavailable { what, .. } => Fault::TooMuch(what),
            error => Fault::Final(error),
        })?;
        let reply: Reply = serde_json::from_slice(&answer.body)
            .map_err(|error| Fault::Final(CapabilityError::unavailable(format!("{what}: {error}"))))?;
        let absent = self.absent(&batch, wanted, reply.errors.unwrap_or_default())?;
        let mut nodes: HashMap<(&Slug, u64), Node> = HashMap::new();
        for (alias, pulls) in reply.data.unwrap_or_default() {
            let Some(slug) = batch.repository(&alias) else { continue };
            nodes.extend(
                pulls.unwrap_or_default().into_values().flatten().map(|node| ((slug, node.number), node)),
            );
        }
        let mut found = Vec::with_capacity(wanted.len());
        for (slug, number) in wanted.iter().filter(|(slug, number)| !absent.contains(&(slug, *number))) {
            let missing =
                || CapabilityError::unavailable(format!("reading {slug}#{number}: GitHub left it out"));
            let node = nodes.remove(&(slug, *number)).ok_or_else(|| Fault::Final(missing()))?;
            found.push((slug.clone(), self.with_all_labels(slug, node).await.map_err(Fault::Final)?));
        }
        Ok(found)
    }

    async fn with_all_labels(&self, slug: &Slug, node: Node) -> Result<PullRequest> {
        let more = node.has_more_labels();
        let mut pull = PullRequest::from(node);
        if more {
            pull.labels = self.all_labels(slug, pull.number).await?;
        }
        Ok(pull)
    }

    /// Sorts the errors of a reply: the numbers that are no pull request, or the fault of the whole batch.
    fn absent<'b>(
        &self,
        batch: &Batch<'b>,
        wanted: &[Wanted],
        errors: Vec<Complaint>,
    ) -> std::result::Result<HashSet<(&'b Slug, u64)>, Fault> {
        if let Some(error) = errors.iter().find(|error| error.is_too_much()) {
            return Err(Fault::TooMuch(format!("reading {}: {}", label(wanted), error.words())));
        }
        let mut absent = HashSet::new();
        for error in errors {
            let slug = error.place(0).and_then(|alias| batch.repository(alias));
            let number = error.place(1).and_then(|alias| alias.strip_prefix('p')?.parse::<u64>().ok());
            match (slug, number, error.place(2)) {
                (Some(slug), Some(number), None) if error.is("NOT_FOUND") => {
                    absent.insert((slug, number));
                }
                // The fork is gone or hidden: its owner is the one field that may be empty.
                (Some(_), Some(_), Some("headRepositoryOwner")) => {}
                _ => return Err(Fault::Final(complain(&error, slug, number, wanted))),
            }
        }
        Ok(absent)
    }

    /// Asks GraphQL; its rate limit, which comes as a success, is waited for like the others.
    pub(super) async fn query(&self, text: &str, what: &str) -> Result<Answer> {
        self.query_with(text, what, self.wire.patience()).await
    }

    async fn query_with(&self, text: &str, what: &str, patience: Patience) -> Result<Answer> {
        let call = Call::json(Method::POST, self.wire.graphql(), &json!({ "query": text }), what);
        let mut tries = self.wire.tries(patience);
        loop {
            let answer = self.wire.whole(&call, None, Kind::Graphql, &mut tries).await?;
            if answer.status != 200 {
                return Err(self.wire.refusal(&call, &answer));
            }
            let errors = serde_json::from_slice::<Errors>(&answer.body).unwrap_or_default().errors;
            if !errors.unwrap_or_default().iter().any(Complaint::is_limit) {
                return Ok(answer);
            }
            let Verdict::Limited { wait, told } = self.wire.limit_of(&answer) else { return Ok(answer) };
            if !tries.after(wait).await {
                return Err(self.wire.limited(&call, &answer, wait, told));
            }
        }
    }

    /// GraphQL needs an account; without one, each is read by itself.
    async fn single_pulls(&self, wanted: &[Wanted]) -> Result<Vec<(Slug, PullRequest)>> {
        let mut found = Vec::with_capacity(wanted.len());
        let mut visible: HashSet<&Slug> = HashSet::new();
        for (slug, number) in wanted {
            match self.wire.read_optional::<Pull>(&Self::pull_call(slug, *number)).await? {
                Some(pull) => found.push((slug.clone(), pull.into())),
                // Either the number is no pull request, or there is no such repository: the latter is an error.
                None if visible.contains(slug) => {}
                None => {
                    let call = Call::get(repository_path(slug, ""), format!("reading {slug}#{number}"));
                    self.wire.read::<Repository>(&call).await?;
                    visible.insert(slug);
                }
            }
        }
        Ok(found)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Errors {
    errors: Option<Vec<Complaint>>,
}

fn complain(
    error: &Complaint,
    slug: Option<&Slug>,
    number: Option<u64>,
    wanted: &[Wanted],
) -> CapabilityError {
    let first = |slug: &Slug| wanted.iter().find(|(of, _)| of == slug).map(|(_, number)| *number);
    let about = match (slug, number.or_else(|| first(slug?))) {
        (Some(slug), Some(number)) => format!("{slug}#{number}"),
        _ => label(wanted),
    };
    let what = format!("reading {about}: {}", error.words());
    match error.kind.as_deref() {
        Some("NOT_FOUND") => CapabilityError::NotFound { what },
        Some("FORBIDDEN" | "INSUFFICIENT_SCOPES" | "UNAUTHORIZED") => CapabilityError::Forbidden { what },
        _ => CapabilityError::unavailable(what),
    }
}
