//! Reading testgrid: the tabs of a dashboard and how their jobs fare.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Error;
use crate::http::{self, Request};
use crate::step::invalid;

/// Where testgrid lives.
pub const ADDRESS: &str = "https://testgrid.k8s.io";

/// One tab of a dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tab {
    /// Its name.
    pub name: String,
    /// `PASSING`, `FLAKY`, `FAILING`, `STALE`, …
    pub overall: String,
    /// What testgrid says about it, for people.
    pub status: String,
    /// Last run, seconds since 1970-01-01 UTC; 0 where not told.
    pub last_run: i64,
    /// When testgrid last looked, in the same seconds; 0 where not told.
    pub updated: i64,
}

impl Tab {
    /// Whether nothing speaks against a release.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.overall == "PASSING"
    }
}

#[derive(Deserialize)]
struct Summary {
    #[serde(default)]
    overall_status: String,
    #[serde(default)]
    status: String,
    /// Milliseconds.
    #[serde(default)]
    last_run_timestamp: i64,
    /// Seconds.
    #[serde(default)]
    last_update_timestamp: i64,
}

/// Page of a dashboard for people.
#[must_use]
pub fn page(dashboard: &str) -> String {
    format!("{ADDRESS}/{dashboard}")
}

/// Reads a dashboard.
///
/// # Errors
/// Those of the request; `not-found` where there is no such dashboard.
pub fn dashboard(name: &str) -> Result<Vec<Tab>, Error> {
    let url = format!("{ADDRESS}/{name}/summary");
    let response = http::fetch(&Request::get(url))?;
    match response.status {
        200 => parse(name, &response.body),
        404 => Err(Error::NotFound(format!("testgrid has no dashboard {name}"))),
        status => Err(Error::Unavailable(format!("testgrid answers {status} for {name}"))),
    }
}

/// Reads the summary of a dashboard: an object keyed by tab. Tabs in order of their names.
///
/// # Errors
/// `invalid` for anything else.
pub fn parse(dashboard: &str, body: &[u8]) -> Result<Vec<Tab>, Error> {
    let tabs: BTreeMap<String, Summary> = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("the summary of dashboard {dashboard} cannot be read: {error}")))?;
    let tab = |(name, summary): (String, Summary)| Tab {
        name,
        overall: summary.overall_status,
        status: summary.status,
        last_run: summary.last_run_timestamp / 1000,
        updated: summary.last_update_timestamp,
    };
    Ok(tabs.into_iter().map(tab).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries() {
        let body =
            br#"{"b": {"overall_status": "FLAKY", "status": "9 of 10", "last_run_timestamp": 5000, "last_update_timestamp": 6, "x": 1},
                        "a": {"overall_status": "PASSING"}}"#;
        let tabs = parse("d", body).expect("a summary");
        let read: Vec<_> =
            tabs.iter().map(|tab| (tab.name.as_str(), tab.passes(), tab.last_run, tab.updated)).collect();
        assert_eq!(read, [("a", true, 0, 0), ("b", false, 5, 6)]);
        assert!(parse("d", b"[]").is_err());
    }
}
