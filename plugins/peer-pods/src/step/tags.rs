//! Tags of all modules: nine checks, a person, one atomic push, and the proof afterwards. P10 and P17.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::Error;
use castoff_sdk::git::RefSpec;
use castoff_sdk::http::{self, Request};
use castoff_sdk::module_graph::ModuleVersion;
use castoff_sdk::module_hash::{ModuleHashes, ZipFault};
use castoff_sdk::process::{Condition, Context, Outcome};
use castoff_sdk::scratch;
use castoff_sdk::step::{approval, conflict, done, invalid, waiting, words};
use serde::{Deserialize, Serialize};

use super::checkout::{Checkout, hash_at, list, modules_at, warn};
use super::images;
use super::input::Inputs;
use crate::core::freeze::foreign;
use crate::core::overlay::DevStyle;
use crate::core::script;
use crate::core::tag::{TagFacts, TagFault, TagPlan, decide};

/// What was checked, and what the tag step shall create.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Checked {
    /// The commit.
    pub(crate) commit: String,
    /// Tags to create, in dependency order.
    pub(crate) create: Vec<String>,
    /// The tag of the release.
    pub(crate) root: String,
    /// What the checksum database will record, by module path.
    pub(crate) proofs: BTreeMap<String, ModuleHashes>,
    /// What to know before saying yes.
    pub(crate) remarks: Vec<String>,
}

/// Gathers the facts about a commit and lets the gate decide.
pub(crate) fn examine(
    checkout: &Checkout,
    inputs: &Inputs,
    commit: &str,
    frozen: Option<&str>,
) -> Result<Checked, Error> {
    let version = inputs.version.as_str();
    let repository = &checkout.repository;
    let modules = modules_at(repository, commit)?;
    let tags = checkout.tags()?;
    let mut proofs = BTreeMap::new();
    let mut zip_faults: BTreeMap<String, Vec<ZipFault>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for name in modules.names() {
        let Some(hashed) = hash_at(repository, commit, &format!("src/{name}"), version)? else { continue };
        if !hashed.faults.is_empty() {
            zip_faults.insert(name.to_owned(), hashed.faults);
        }
        if proxy_knows(&inputs.proxy, &hashed.module, version)? {
            known.insert(name.to_owned());
        }
        proofs.insert(hashed.module, hashed.hashes);
    }
    let foreign = match frozen {
        Some(frozen) if repository.is_ancestor(frozen, commit)? => foreign(&checkout.later(frozen, commit)?),
        Some(frozen) => vec![format!("{frozen}, where the branch was frozen, is no longer before {commit}")],
        None => Vec::new(),
    };
    let pseudo_checked = missing_images(checkout, inputs, commit)?;
    let plan = decide(&TagFacts {
        version,
        nonstandard: inputs.nonstandard_version,
        commit,
        head: &checkout.head.id,
        on_main: repository.is_ancestor(commit, &checkout.head.id)?,
        foreign: &foreign,
        modules: &modules,
        wanted: &[],
        tags: &tags,
        known_to_proxy: &known,
        zip_faults: &zip_faults,
        missing_images: &pseudo_checked,
    });
    let plan = plan.map_err(|faults| refusal(&faults))?;
    keep_helper(inputs, &plan, commit)?;
    Ok(Checked {
        commit: commit.to_owned(),
        create: plan.create,
        root: plan.root,
        proofs,
        remarks: plan.remarks,
    })
}

/// Check 9, where a push builds images at all.
fn missing_images(checkout: &Checkout, inputs: &Inputs, commit: &str) -> Result<Vec<String>, Error> {
    if !checkout.layout.publishes_on_push {
        return Ok(Vec::new());
    }
    let style = inputs.dev_style.unwrap_or(DevStyle::Prefix);
    images::missing(&images::expected(checkout, inputs, commit, style))
}

fn refusal(faults: &[TagFault]) -> Error {
    let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let said = said.join("; ");
    let request = faults.iter().all(|fault| matches!(fault, TagFault::Version(_)));
    if request { invalid(said) } else { conflict(said) }
}

fn get(url: String) -> Result<http::Response, Error> {
    http::fetch(&Request { method: "GET".to_owned(), url, headers: Vec::new(), body: None })
}

/// Check 7. A proxy that has never heard of the module knows nothing.
fn proxy_knows(proxy: &str, module: &str, version: &str) -> Result<bool, Error> {
    if proxy.is_empty() {
        return Ok(false);
    }
    let response = get(format!("{proxy}/{}/@v/list", escaped(module)))?;
    match response.status {
        200 => Ok(String::from_utf8_lossy(&response.body).lines().any(|line| line.trim() == version)),
        404 | 410 => Ok(false),
        status => Err(Error::Unavailable(format!("{proxy} answers {status} for {module}"))),
    }
}

fn escaped(module: &str) -> String {
    let path = ModuleVersion { path: module.to_owned(), version: "v".to_owned() }.proxy_path();
    path.and_then(|path| path.split_once("/@v/").map(|(path, _)| path.to_owned())).unwrap_or_default()
}

/// What the script of the project would print, and the commands as they are safe.
fn keep_helper(inputs: &Inputs, plan: &TagPlan, commit: &str) -> Result<(), Error> {
    if !inputs.release_helper {
        return Ok(());
    }
    let ordered: Vec<String> =
        plan.all.iter().filter_map(|tag| tag.split('/').nth(1)).map(str::to_owned).collect();
    let mut sorted = ordered.clone();
    sorted.sort();
    let text = format!(
        "{}\n{}",
        script::seed_output(&inputs.version, &sorted),
        script::commands(&inputs.version, &ordered, commit)
    );
    scratch::publish("release-helper.txt", "text/plain; charset=utf-8", text.as_bytes())
}

/// Gate: question `tags`.
pub(crate) fn approve(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let checked: Checked = context.needed_output("check")?;
    if checked.create.is_empty() {
        return done(&serde_json::json!({ "by": null }));
    }
    if let Some(answer) = context.approved("tags")? {
        return done(&serde_json::json!({ "by": answer.by, "comment": answer.comment }));
    }
    let proofs: Vec<String> =
        checked.proofs.iter().map(|(module, hashes)| format!("{module} {}", hashes.h1)).collect();
    let tags: Vec<String> = checked.create.iter().map(|tag| format!("refs/tags/{tag}")).collect();
    let prompt = format!(
        "Create the tags of {} in {} at {}? A tag is never moved: the module proxy keeps what it sees first.\n{}{}{}",
        inputs.version,
        inputs.repository,
        checked.commit,
        list("Tags, pushed together or not at all:", &tags),
        list("The checksum database will record:", &proofs),
        list("To know:", &checked.remarks),
    );
    Ok(approval("tags", prompt, None))
}

/// Output of the step `tags`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tagged {
    /// The commit.
    pub(crate) commit: String,
    /// Tags created.
    pub(crate) created: Vec<String>,
    /// The tag of the release.
    pub(crate) root: String,
    /// What the checksum database will record.
    pub(crate) proofs: BTreeMap<String, ModuleHashes>,
}

/// Creates the tags, all or none. The facts are gathered again: what was approved must still hold.
pub(crate) fn tag(context: &Context, inputs: &Inputs, frozen: Option<&str>) -> Result<Outcome, Error> {
    let approved: Checked = context.needed_output("check")?;
    let checkout = Checkout::open(&inputs.repository, inputs.branch.as_deref())?;
    let checked = examine(&checkout, inputs, &approved.commit, frozen)?;
    if let Some(new) = checked.create.iter().find(|tag| !approved.create.contains(tag)) {
        return Err(conflict(format!(
            "{new} was there when the tags were approved and is gone; look at it by hand"
        )));
    }
    // Those that are there already are named again: the host then knows what became of an interrupted push.
    let refs: Vec<RefSpec> = approved
        .create
        .iter()
        .map(|tag| RefSpec {
            name: format!("refs/tags/{tag}"),
            commit: approved.commit.clone(),
            annotation: None,
        })
        .collect();
    if !refs.is_empty() {
        checkout.repository.ensure_refs(&refs)?;
    }
    done(&Tagged {
        commit: approved.commit,
        created: approved.create,
        root: approved.root,
        proofs: checked.proofs,
    })
}

/// Output of the step `proof`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Proven {
    /// Modules whose recorded hash is the computed one.
    pub(crate) proven: Vec<String>,
    /// Modules that the checksum database does not know yet.
    pub(crate) unknown: Vec<String>,
}

/// Compares what the checksum database recorded with what was computed, once the proxy shows the version.
pub(crate) fn prove(context: &Context, inputs: &Inputs) -> Result<Outcome, Error> {
    let tagged: Tagged = context.needed_output("tags")?;
    let mut found = Proven { proven: Vec::new(), unknown: Vec::new() };
    for (module, hashes) in &tagged.proofs {
        if !inputs.proxy.is_empty() {
            let url = format!("{}/{}/@v/{}.info", inputs.proxy, escaped(module), inputs.version);
            match get(url.clone())?.status {
                200 => {}
                // What the module proxy protocol says of versions that it does not have.
                status @ (404 | 410) => {
                    return Ok(waiting(
                        Condition::ModuleVisible((module.clone(), inputs.version.clone())),
                        format!(
                            "The module proxy does not show {module} {} yet (it answers {status})",
                            inputs.version
                        ),
                        Some(url),
                        300,
                        24 * 3600,
                    ));
                }
                other => {
                    return Err(Error::Unavailable(format!(
                        "the module proxy answers {other} for {module} {}",
                        inputs.version
                    )));
                }
            }
        }
        match recorded(inputs, module)? {
            Some(text) => {
                compare(module, &inputs.version, hashes, &text)?;
                found.proven.push(module.clone());
            }
            None => found.unknown.push(module.clone()),
        }
    }
    if !found.unknown.is_empty() {
        warn(&format!("not in the checksum database yet: {}", found.unknown.join(", ")));
    }
    done(&found)
}

fn recorded(inputs: &Inputs, module: &str) -> Result<Option<String>, Error> {
    if inputs.sum_database.is_empty() {
        return Ok(None);
    }
    match get(format!("{}/lookup/{}@{}", inputs.sum_database, escaped(module), inputs.version)) {
        Ok(response) if response.status == 200 => {
            Ok(Some(String::from_utf8_lossy(&response.body).into_owned()))
        }
        Ok(_) => Ok(None),
        Err(error @ Error::Denied(_)) => Err(error),
        Err(error) => {
            warn(&format!("the checksum database: {}", words(&error)));
            Ok(None)
        }
    }
}

fn compare(module: &str, version: &str, hashes: &ModuleHashes, text: &str) -> Result<(), Error> {
    let lines = [
        format!("{module} {version} {}", hashes.h1),
        format!("{module} {version}/go.mod {}", hashes.go_mod_h1),
    ];
    let missing = lines.iter().find(|line| !text.lines().any(|found| found.trim() == line.as_str()));
    match missing {
        None => Ok(()),
        Some(line) => Err(conflict(format!(
            "the checksum database recorded something else than {line:?}: another content was published under {version} before; it is \
             burnt, release the next patch version"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_hash_is_compared_line_by_line() {
        let hashes = ModuleHashes { h1: "h1:a=".into(), go_mod_h1: "h1:b=".into() };
        let text = "123\nx.org/m v1.0.0 h1:a=\nx.org/m v1.0.0/go.mod h1:b=\n\ngo.sum database tree\n";
        assert!(compare("x.org/m", "v1.0.0", &hashes, text).is_ok());
        let error = compare("x.org/m", "v1.0.0", &hashes, &text.replace("h1:a=", "h1:z="))
            .map_err(|error| words(&error));
        assert!(error.is_err_and(|words| words.contains("burnt")));
    }

    #[test]
    fn capitals_are_escaped() {
        assert_eq!(escaped("github.com/Azure/x"), "github.com/!azure/x");
    }
}
