//! Values that only the forge can invent: how a plan writes them, how people read them, and what they stand for once
//! the forge has invented them.
//!
//! The planned values are distinctive texts (numbers from 9 000 000 001 upwards, ids of commits that exist nowhere), so
//! that they can be found wherever a process has put them: in a title, in a link, in a file.

use indexmap::IndexMap;
use serde_json::Value;

use super::overlay::{INVENTED, Symbol};
use crate::capability::github::{GitHub, PullFilter, PullRequest};
use crate::capability::{Probe, Result, Slug};

/// Fewest digits that people and programs abbreviate a commit to.
const ABBREVIATION: usize = 7;

/// What values of a plan stand for.
pub(super) type Bindings = IndexMap<String, String>;

/// The texts under which a symbol appears in a plan; the longest first.
pub(super) fn planned_values(symbol: &Symbol) -> Vec<String> {
    match symbol {
        Symbol::PullRequest { number, url, .. }
        | Symbol::Issue { number, url, .. }
        | Symbol::Release { id: number, url, .. } => vec![url.clone(), number.to_string()],
        Symbol::MergeCommit { commit, .. } => {
            let short = commit.get(..ABBREVIATION).map(str::to_owned);
            std::iter::once(commit.clone()).chain(short).collect()
        }
        Symbol::Comment { url, .. } | Symbol::Publication { url, .. } => vec![url.clone()],
    }
}

impl Symbol {
    /// The texts under which it appears, each with what people should read instead.
    #[must_use]
    pub fn shown(&self) -> Vec<(String, String)> {
        let ordinal = |number: &u64| format!("‹{}›", number.saturating_sub(INVENTED));
        match self {
            Self::PullRequest { number, .. } | Self::Issue { number, .. } => {
                vec![(number.to_string(), ordinal(number))]
            }
            Self::Release { id, .. } => vec![(id.to_string(), ordinal(id))],
            Self::MergeCommit { number, commit, .. } => {
                let shown = format!("‹merge of #{}›", shown_number(*number));
                let short = commit.get(..7).map(|short| (short.to_owned(), shown.clone()));
                std::iter::once((commit.clone(), shown.clone())).chain(short).collect()
            }
            Self::Comment { .. } | Self::Publication { .. } => Vec::new(),
        }
    }
}

fn shown_number(number: u64) -> String {
    match number.checked_sub(INVENTED) {
        Some(ordinal) => format!("‹{ordinal}›"),
        None => number.to_string(),
    }
}

/// The value with everything replaced that is bound.
pub(super) fn bound(value: &Value, bindings: &Bindings) -> Value {
    match value {
        Value::String(text) => Value::String(bound_text(text, bindings)),
        Value::Number(number) => match bindings.get(&number.to_string()) {
            Some(live) => live.parse::<u64>().map_or_else(|_| Value::String(live.clone()), Value::from),
            None => value.clone(),
        },
        Value::Array(list) => Value::Array(list.iter().map(|value| bound(value, bindings)).collect()),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), bound(value, bindings))).collect())
        }
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

/// The text with everything replaced that is bound; longer values first, because one may hold another.
pub(super) fn bound_text(text: &str, bindings: &Bindings) -> String {
    let mut known: Vec<(&String, &String)> = bindings.iter().collect();
    known.sort_by_key(|(planned, _)| std::cmp::Reverse(planned.len()));
    known.into_iter().fold(text.to_owned(), |text, (planned, live)| {
        if is_commit(planned) && is_commit(live) {
            with_commit(&text, planned, live)
        } else {
            text.replace(planned.as_str(), live)
        }
    })
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The text with a commit replaced by another, and every abbreviation of it by as many digits of the other.
fn with_commit(text: &str, planned: &str, live: &str) -> String {
    let delimits = |c: char| !c.is_ascii_hexdigit();
    let pieces = text.split_inclusive(delimits).map(|piece| {
        let word = piece.trim_end_matches(delimits);
        let stands = word.len() >= ABBREVIATION && planned.starts_with(word);
        match live.get(..word.len()).filter(|_| stands) {
            Some(live) => piece.replacen(word, live, 1),
            None => piece.to_owned(),
        }
    });
    pieces.collect()
}

/// Asks the world what a symbol stands for. Empty: nothing yet.
///
/// # Errors
/// What the back end says.
pub(super) async fn resolve(
    symbol: &Symbol,
    github: &dyn GitHub,
    known: &Bindings,
) -> Result<Vec<(String, String)>> {
    match symbol {
        Symbol::PullRequest { repository, head, base, number, url, .. } => {
            // A branch may be named after a commit that the forge makes.
            let (head, base) = (bound_text(head, known), bound_text(base, known));
            let found = pull_request(github, repository, &head, &base).await?;
            Ok(found.map(|found| pairs(number, url, &found.number, &found.url)).unwrap_or_default())
        }
        Symbol::MergeCommit { repository, number, commit } => {
            let live = known.get(&number.to_string()).and_then(|live| live.parse().ok()).unwrap_or(*number);
            match github.probe_merge(repository, live).await? {
                Probe::Present(merged) => Ok(vec![(commit.clone(), merged)]),
                Probe::Absent => Ok(Vec::new()),
            }
        }
        Symbol::Release { repository, tag, id, url } => {
            let found = github.release_of_tag(repository, tag).await?;
            Ok(found.map(|found| pairs(id, url, &found.id, &found.url)).unwrap_or_default())
        }
        Symbol::Issue { repository, marker, number, url } => {
            let found = github.find_issues(repository, None, &[], 100).await?;
            let found = found.into_iter().find(|issue| issue.body.contains(marker));
            Ok(found.map(|found| pairs(number, url, &found.number, &found.url)).unwrap_or_default())
        }
        Symbol::Publication { repository, tag, url, .. } => {
            let found = github.release_of_tag(repository, tag).await?.filter(|found| !found.draft);
            Ok(found.map(|found| vec![(url.clone(), found.url)]).unwrap_or_default())
        }
        // Where a comment is, no later effect needs to know but through what the run itself recorded.
        Symbol::Comment { .. } => Ok(Vec::new()),
    }
}

fn pairs(number: &u64, url: &str, live: &u64, live_url: &str) -> Vec<(String, String)> {
    vec![(url.to_owned(), live_url.to_owned()), (number.to_string(), live.to_string())]
}

/// The newest pull request of a head into a base.
async fn pull_request(
    github: &dyn GitHub,
    repository: &Slug,
    head: &str,
    base: &str,
) -> Result<Option<PullRequest>> {
    let head = if head.contains(':') { head.to_owned() } else { format!("{}:{head}", repository.owner()) };
    let filter = PullFilter { state: None, base: Some(base.to_owned()), head: Some(head) };
    let found = github.find_pull_requests(repository, &filter, 1).await?;
    Ok(found.into_iter().next())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_found_wherever_they_stand() {
        let (merge, live_merge) = ("ab".repeat(20), "cd".repeat(20));
        let bindings: Bindings = [
            ("9000000001", "17"),
            ("https://github.com/a/b/pull/9000000001", "http://127.0.0.1:1/a/b/pull/17"),
            (merge.as_str(), live_merge.as_str()),
        ]
        .map(|(planned, live)| (planned.to_owned(), live.to_owned()))
        .into();
        let planned = json!({
            "number": 9_000_000_001_u64,
            "other": 9,
            "body": format!("see #9000000001 at https://github.com/a/b/pull/9000000001, merged as {merge}"),
            "list": ["9000000001", true, null],
            "branch": "update-abababab",
        });
        let live = json!({
            "number": 17,
            "other": 9,
            "body": format!("see #17 at http://127.0.0.1:1/a/b/pull/17, merged as {live_merge}"),
            "list": ["17", true, null],
            "branch": "update-cdcdcdcd",
        });
        assert_eq!(bound(&planned, &bindings), live);
    }
}
