//! Pages of lists: cursors, `first`/`after`, `last`/`before`.

use base64::Engine as _;
use serde_json::{Value, json};

use super::Fault;
use super::object::{Arguments, Out, Thing, data, scalar, unknown, word};

pub(super) fn cursor(index: usize) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("cursor:{index}"))
}

pub(super) fn index(arguments: &Arguments, name: &str) -> Option<usize> {
    let decoded = base64::engine::general_purpose::STANDARD.decode(word(arguments, name)?).ok()?;
    String::from_utf8(decoded).ok()?.strip_prefix("cursor:")?.parse().ok()
}

/// The page `first`/`after` or `last`/`before` ask for; at most 100 items, as on GitHub.
pub(super) fn paged(items: Vec<Thing>, arguments: &Arguments) -> Result<Out, Fault> {
    let total = items.len();
    let count =
        |name: &str| arguments.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    if let Some(too_many) = count("first").or(count("last")).filter(|count| *count > 100) {
        let why = format!(
            "Requesting {too_many} records on the connection exceeds the `first` limit of 100 records."
        );
        return Err(Fault::of("EXCESSIVE_PAGINATION", why));
    }
    let mut start = index(arguments, "after").map_or(0, |after| after + 1).min(total);
    let mut end = index(arguments, "before").unwrap_or(total).min(total).max(start);
    match (count("first"), count("last")) {
        (Some(first), _) => end = end.min(start + first),
        (None, Some(last)) => start = start.max(end.saturating_sub(last)),
        (None, None) => end = end.min(start + 100),
    }
    let items = items.into_iter().skip(start).take(end - start).collect();
    Ok(Out::Thing(Thing::Connection { items, start, total }))
}

pub(super) fn connection(items: &[Thing], start: usize, total: usize, field: &str) -> Result<Out, Fault> {
    match field {
        "nodes" => Ok(Out::List(items.to_vec())),
        "edges" => {
            let edges = items.iter().zip(start..);
            Ok(Out::List(edges.map(|(item, index)| Thing::Edge(Box::new(item.clone()), index)).collect()))
        }
        "totalCount" | "issueCount" => scalar(total),
        "pageInfo" => {
            let end = start + items.len();
            let at = |index: usize| if items.is_empty() { Value::Null } else { json!(cursor(index)) };
            data(json!({
                "__typename": "PageInfo", "hasNextPage": end < total, "hasPreviousPage": start > 0,
                "startCursor": at(start), "endCursor": at(end.saturating_sub(1)),
            }))
        }
        _ => Err(unknown("Connection", field)),
    }
}
