//! `GET /search/issues`: the qualifiers release work uses.

use serde_json::{Value, json};

use super::page::{self, Page};
use super::shape;
use crate::forge::reply::{Call, Outcome, Reply};
use crate::forge::state::{Issue, Repo, State};
use crate::forge::world::Permission;

/// A search: qualifiers (`name:value`, negated by a leading `-`) and words that have to occur.
#[derive(Debug, Default)]
pub(crate) struct Query {
    qualifiers: Vec<(bool, String, String)>,
    words: Vec<String>,
}

impl Query {
    /// Splits a query; quotes keep blanks together.
    pub(crate) fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let mut part = String::new();
        let mut quoted = false;
        for c in text.chars().chain([' ']) {
            match c {
                '"' => quoted = !quoted,
                c if c.is_whitespace() && !quoted => query.add(&std::mem::take(&mut part)),
                c => part.push(c),
            }
        }
        query
    }

    fn add(&mut self, part: &str) {
        if part.is_empty() {
            return;
        }
        let (negated, plain) = part.strip_prefix('-').map_or((false, part), |rest| (true, rest));
        match plain.split_once(':') {
            Some((name, value))
                if name.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !value.is_empty() =>
            {
                self.qualifiers.push((negated, name.to_owned(), value.to_owned()));
            }
            _ => self.words.push(part.to_lowercase()),
        }
    }

    fn is_empty(&self) -> bool {
        self.qualifiers.is_empty() && self.words.is_empty()
    }

    /// Whether an issue of a repository is found.
    pub(crate) fn fits(&self, repo: &Repo, issue: &Issue) -> bool {
        let only_title = self.qualifiers.iter().any(|(_, name, value)| name == "in" && value == "title");
        let body = issue.body.as_deref().filter(|_| !only_title).unwrap_or_default();
        let text = format!("{}\n{body}", issue.title).to_lowercase();
        self.words.iter().all(|word| text.contains(word.as_str()))
            && self
                .qualifiers
                .iter()
                .all(|(negated, name, value)| qualifies(repo, issue, name, value) != *negated)
    }
}

fn qualifies(repo: &Repo, issue: &Issue, name: &str, value: &str) -> bool {
    let pull = issue.pull.as_ref();
    let same = |own: &str| own.eq_ignore_ascii_case(value);
    match name {
        "repo" => same(&repo.full_name()),
        "org" | "user" => same(&repo.owner),
        "author" => same(&issue.user),
        "assignee" => issue.assignees.iter().any(|login| same(login)),
        "label" => issue.labels.iter().any(|label| same(label)),
        "state" => (value == "open") == issue.open,
        "base" => pull.is_some_and(|pull| pull.base == value),
        "head" => pull.is_some_and(|pull| pull.head == value),
        "milestone" => {
            repo.milestones.iter().any(|stone| Some(stone.number) == issue.milestone && same(&stone.title))
        }
        "type" | "is" => match value {
            "pr" | "pull-request" => pull.is_some(),
            "issue" => pull.is_none(),
            "open" => issue.open,
            "closed" => !issue.open,
            "merged" => pull.is_some_and(|pull| pull.merged_at.is_some()),
            "unmerged" => pull.is_some_and(|pull| pull.merged_at.is_none()),
            "draft" => pull.is_some_and(|pull| pull.draft),
            "public" => !repo.private,
            "private" => repo.private,
            _ => false,
        },
        "sha" => pull.is_some_and(|pull| {
            pull.head_sha.starts_with(value)
                || pull
                    .merge_commit
                    .as_deref()
                    .is_some_and(|sha| pull.merged_at.is_some() && sha.starts_with(value))
        }),
        "in" | "sort" | "archived" => true,
        "created" => compare(&shape::time(issue.created_at), value),
        "updated" => compare(&shape::time(issue.updated_at), value),
        "closed" => issue.closed_at.is_some_and(|at| compare(&shape::time(at), value)),
        "merged" => pull.and_then(|pull| pull.merged_at).is_some_and(|at| compare(&shape::time(at), value)),
        _ => false,
    }
}

/// Dates compare as texts; `a..b` is a range, a bare date is that day.
fn compare(own: &str, wanted: &str) -> bool {
    let cut = |to: &str| own.get(..to.len().min(own.len())).unwrap_or(own).to_owned();
    if let Some((from, to)) = wanted.split_once("..") {
        return (from == "*" || cut(from).as_str() >= from) && (to == "*" || cut(to).as_str() <= to);
    }
    for (sign, test) in [(">=", 0), ("<=", 1), (">", 2), ("<", 3)] {
        if let Some(date) = wanted.strip_prefix(sign) {
            let own = cut(date);
            return match test {
                0 => own.as_str() >= date,
                1 => own.as_str() <= date,
                2 => own.as_str() > date,
                _ => own.as_str() < date,
            };
        }
    }
    cut(wanted) == wanted
}

/// `GET /search/issues`.
pub(crate) fn issues(state: &State, call: &Call) -> Outcome {
    let text = call.param("q").unwrap_or_default();
    let query = Query::parse(&text);
    if query.is_empty() {
        return Err(Reply::invalid("Search", "q", "missing", None));
    }
    let mut found: Vec<(&Repo, &Issue)> = Vec::new();
    for repo in state.repos.values() {
        if state.permission(call.user.as_deref(), repo) < Permission::Read {
            continue;
        }
        found.extend(repo.issues.values().filter(|issue| query.fits(repo, issue)).map(|issue| (repo, issue)));
    }
    super::issue::sort(&mut found, call, |(_, issue)| *issue);
    let page = Page::of(call);
    let items: Vec<Value> = page
        .slice(&found)
        .iter()
        .map(|(repo, issue)| {
            let mut value = shape::issue(state, repo, issue);
            let body = issue.body.clone().unwrap_or_default();
            shape::merge(&mut value, json!({"score": 1.0, "body": body}));
            value
        })
        .collect();
    let body = json!({
        "total_count": found.len(), "incomplete_results": false, "items": items, "search_type": "lexical",
    });
    Ok(page::linked(Reply::json(200, &body), page, &state.url, call, found.len()))
}
