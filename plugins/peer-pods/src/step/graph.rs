//! Minimal version selection over the `go.mod` files that a module proxy has: what a new version of one module raises among the
//! requirements that a `go.mod` lists, transitively. P3, where the hash of the module's own `go.mod` changed.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::dependency::Modules;
use castoff_sdk::go_mod::GoMod;
use castoff_sdk::http::{self, Request};
use castoff_sdk::logging;
use castoff_sdk::module_graph::{ModuleGraph, ModuleVersion, Selection};
use castoff_sdk::step::{invalid, not_found};

use super::checkout::Checkout;
use crate::core::kata::beside;

/// Most files that are fetched.
const MOST_FILES: usize = 4000;

/// Selects the versions of a module's graph. `known` are files that need no proxy; what was fetched is added to them.
///
/// # Errors
/// `not-found` and `invalid` keep the graph from being complete, and a caller leaves it to the real `go`.
pub(crate) fn select(
    checkout: &Checkout,
    (path, text): (&str, &str),
    proxy: &str,
    known: &mut BTreeMap<ModuleVersion, String>,
) -> Result<Modules, Error> {
    if proxy.is_empty() {
        return Err(invalid("no module proxy is used"));
    }
    let root = GoMod::parse(text);
    let mut graph = ModuleGraph::default();
    known.iter().for_each(|(module, file)| graph.add(module.clone(), file));
    loop {
        let needed = match graph.select(&root) {
            Selection::Complete(modules) => return Ok(modules),
            Selection::Needs(needed) => needed,
        };
        let total = u32::try_from(known.len() + needed.len()).unwrap_or(u32::MAX);
        for module in needed {
            if known.len() >= MOST_FILES {
                return Err(invalid(format!("the module graph has more than {MOST_FILES} modules")));
            }
            let Some(place) = module.proxy_path() else {
                // The folder of a sibling: what lies outside of the repository has no requirements that count.
                let file = match beside(path, &module.path) {
                    Some(file) => checkout.text(&file)?.unwrap_or_default(),
                    None => String::new(),
                };
                graph.add(module, &file);
                continue;
            };
            let file = fetch(&format!("{proxy}/{place}"))?;
            graph.add(module.clone(), &file);
            known.insert(module, file);
            logging::progress(u32::try_from(known.len()).unwrap_or(u32::MAX), total, "module files");
        }
    }
}

fn fetch(url: &str) -> Result<String, Error> {
    let request = Request { method: "GET".to_owned(), url: url.to_owned(), headers: Vec::new(), body: None };
    let response = http::fetch(&request)?;
    match response.status {
        200 => Ok(String::from_utf8_lossy(&response.body).into_owned()),
        // What the module proxy protocol says of versions that it does not have.
        404 | 410 => Err(not_found(url)),
        status => Err(Error::Unavailable(format!("the module proxy answers {status} for {url}"))),
    }
}
