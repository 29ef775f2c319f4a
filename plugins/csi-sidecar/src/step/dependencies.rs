//! The dependency report of a release: exact by the module graph where the module proxy can be asked.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::dependency::{DependencyChanges, Modules, Precision, ReportStyle};
use castoff_sdk::git::Repository;
use castoff_sdk::go_mod::GoMod;
use castoff_sdk::http::{self, Request};
use castoff_sdk::logging;
use castoff_sdk::module_graph::{ModuleGraph, ModuleVersion, Selection};
use castoff_sdk::step::{invalid, words};

use super::world::text;

/// Most files fetched for one release: a graph that needs more is reported approximately.
const MOST_FILES: usize = 4_000;

/// The report and what to say about it.
pub(super) struct Report {
    /// `## Dependencies` and what follows; empty where the repository is no Go module.
    pub(super) text: String,
    /// Why it may be incomplete.
    pub(super) doubt: Option<String>,
}

/// Compares the modules of two commits. `proxy` is the address of the module proxy, empty for none.
pub(super) fn report(
    repository: &Repository,
    before: &str,
    after: &str,
    day: &str,
    proxy: &str,
) -> Result<Report, Error> {
    let (Some(old), Some(new)) = (Revision::read(repository, before)?, Revision::read(repository, after)?)
    else {
        return Ok(Report { text: String::new(), doubt: None });
    };
    let style = ReportStyle::on(day);
    let plain = DependencyChanges::between(&old.modules(), &new.modules());
    if plain.precision == Precision::Exact {
        return Ok(Report { text: plain.render(style), doubt: None });
    }
    match exact(&old, &new, proxy) {
        Ok(changes) => Ok(Report { text: changes.render(style), doubt: None }),
        Err(error) => Ok(Report {
            text: plain.render(style),
            doubt: Some(format!(
                "the dependency report is approximate, made from go.sum alone; modules that are not built may be missing \
                 ({})",
                words(&error)
            )),
        }),
    }
}

/// The module files of one commit.
struct Revision<'a> {
    repository: &'a Repository,
    commit: &'a str,
    go_mod: String,
    go_sum: String,
}

impl<'a> Revision<'a> {
    fn read(repository: &'a Repository, commit: &'a str) -> Result<Option<Revision<'a>>, Error> {
        let Some(go_mod) = text(repository, commit, "go.mod")? else { return Ok(None) };
        let go_sum = text(repository, commit, "go.sum")?.unwrap_or_default();
        Ok(Some(Revision { repository, commit, go_mod, go_sum }))
    }

    fn modules(&self) -> Modules {
        Modules::select(&self.go_mod, &self.go_sum)
    }
}

fn exact(old: &Revision<'_>, new: &Revision<'_>, proxy: &str) -> Result<DependencyChanges, Error> {
    if proxy.is_empty() {
        return Err(invalid("no module proxy is used"));
    }
    let mut fetched = BTreeMap::new();
    let before = select(old, proxy, &mut fetched)?;
    let after = select(new, proxy, &mut fetched)?;
    Ok(DependencyChanges::between(&before, &after))
}

fn select(
    revision: &Revision<'_>,
    proxy: &str,
    fetched: &mut BTreeMap<ModuleVersion, String>,
) -> Result<Modules, Error> {
    let root = GoMod::parse(&revision.go_mod);
    let mut graph = ModuleGraph::default();
    fetched.iter().for_each(|(module, file)| graph.add(module.clone(), file));
    loop {
        let needed = match graph.select(&root) {
            Selection::Complete(modules) => return Ok(modules),
            Selection::Needs(needed) => needed,
        };
        let total = u32::try_from(fetched.len() + needed.len()).unwrap_or(u32::MAX);
        for module in needed {
            if fetched.len() >= MOST_FILES {
                return Err(invalid(format!("the module graph has more than {MOST_FILES} modules")));
            }
            let Some(path) = module.proxy_path() else {
                graph.add(module.clone(), &folder(revision, &module.path)?);
                continue;
            };
            let file = fetch(&format!("{}/{path}", proxy.trim_end_matches('/')))?;
            graph.add(module.clone(), &file);
            fetched.insert(module, file);
            let done = u32::try_from(fetched.len()).unwrap_or(u32::MAX);
            logging::progress(done, total, "module files");
        }
    }
}

/// `go.mod` of a folder that replaces a module.
fn folder(revision: &Revision<'_>, path: &str) -> Result<String, Error> {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    let inside = !path.starts_with("..") && !path.starts_with('/');
    let found = match inside {
        true => text(revision.repository, revision.commit, &format!("{path}/go.mod"))?,
        false => None,
    };
    Ok(found.unwrap_or_default())
}

fn fetch(url: &str) -> Result<String, Error> {
    let request = Request { method: "GET".to_owned(), url: url.to_owned(), headers: Vec::new(), body: None };
    let response = http::fetch(&request)?;
    match response.status {
        200 => Ok(String::from_utf8_lossy(&response.body).into_owned()),
        status => Err(Error::Unavailable(format!("the module proxy answers {status} for {url}"))),
    }
}
