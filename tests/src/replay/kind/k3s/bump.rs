//! Kubernetes bumps of k3s: process `update-k3s`.

use std::collections::{BTreeMap, BTreeSet};

use castoff::forge::world::{Repository, Tag};
use serde_json::{Map, Value, json};

use super::super::{Base, Kind, Setup, files, never, wanted, whole};
use super::{BRANCH, world};
use crate::replay::case::{Case, Entry, Judge, Result, Tree, texts};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::{self, Faults};
use crate::replay::seed;

const PROCESS: &str = "update-k3s";
const FORK: &str = "k3s-io/kubernetes";
const GO_MOD: &str = "go.mod";

/// Closed form, every file.
pub(in super::super) const EXACT: Kind =
    kind(&["k3s-bump-exact"], |case, setup, outcome| whole(case, setup, outcome, &BTreeSet::new()));
/// Closed form, `go.mod` alone.
pub(in super::super) const GO_MOD_EXACT: Kind = kind(&["k3s-bump-gomod-exact"], check_go_mod);
/// Equal in meaning.
pub(in super::super) const SEMANTIC: Kind = kind(&["k3s-bump-semantic"], check_meaning);
/// The replaced set; the rest is for `go mod tidy`.
pub(in super::super) const TIDY: Kind = kind(&["k3s-bump-needs-tidy"], check_tidy);
/// Foreign modules stay where they are.
pub(in super::super) const TRAP: Kind = kind(&["trap-client-sed"], check_trap);

const fn kind(names: &'static [&'static str], check: fn(&Case, &Setup, &Outcome) -> Result<Faults>) -> Kind {
    Kind { names, process: PROCESS, set, check, rerun: |case| case.data.judge == Judge::Bytes, taken: never }
}

fn set(case: &Case, base: Base) -> Result<Setup> {
    let new = case.need("new_k3s")?;
    let (kubernetes, round) = new.split_once("-k3s").ok_or_else(|| format!("{new} is no tag of the fork"))?;
    let tree = files(case, base)?;
    let mut world = world(case)?;
    world.repositories.push(seed::plain(&case.data.repo, BRANCH, &tree)?);
    world.repositories.push(fork(case, new)?);
    let go = texts(case.data.inputs.get("new_go")).pop().unwrap_or_else(|| "keep".into());
    // What moved the `go` directive in history was `go mod tidy`, or a person.
    let raised = case.data.rest.get("exact_under").and_then(Value::as_array).is_some_and(|sets| {
        !sets.is_empty() && sets.iter().all(|set| set.get("go_directive") == Some(&json!(true)))
    });
    let mut inputs = Map::new();
    inputs.insert("version".into(), json!(kubernetes));
    inputs.insert("round".into(), json!(round.parse::<u64>().map_err(|error| error.to_string())?));
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("base".into(), json!(BRANCH));
    inputs.insert("go".into(), json!(go));
    inputs.insert("go-directive".into(), json!(if raised { "set" } else { "keep" }));
    let task = Task { process: PROCESS.into(), inputs, only: vec!["propose".into()], ..Task::default() };
    Ok(Setup::new(world, task, case))
}

/// The fork with the tags that were there: those of the modules that the published file names at the new version.
fn fork(case: &Case, new: &str) -> Result<Repository> {
    let lines = texts(case.data.rest.get("replace_lines"));
    let lines = if lines.is_empty() {
        let text = text(&case.tree("base")?, GO_MOD);
        fork_lines(&text).into_iter().map(|line| line.replace(last(&line), new)).collect()
    } else {
        lines
    };
    let named = lines.iter().filter(|line| last(line) == new).filter_map(|line| {
        let target = line.split("=> github.com/").nth(1)?.split_whitespace().next()?;
        let module = target.strip_prefix(FORK)?.trim_start_matches('/');
        Some(if module.is_empty() { new.to_owned() } else { format!("{module}/{new}") })
    });
    let tags = named.map(|name| Tag { name, at: BRANCH.into(), ..Tag::default() }).collect();
    let files = Tree::from([("README.md".to_owned(), Entry::File(b"The fork.\n".to_vec()))]);
    Ok(Repository { tags, ..seed::plain(FORK, BRANCH, &files)? })
}

fn last(line: &str) -> &str {
    line.split_whitespace().last().unwrap_or_default()
}

fn text(tree: &Tree, path: &str) -> String {
    tree.get(path).map(Entry::text).unwrap_or_default()
}

/// Lines that replace by the fork, without their indent.
fn fork_lines(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| line.contains("=> github.com/k3s-io/kubernetes"));
    lines.map(|line| line.trim().trim_start_matches("replace ").to_owned()).collect()
}

fn made(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Tree> {
    Ok(judge::applied(&case.tree("base")?, &outcome.changes(&setup.repository)?))
}

fn check_go_mod(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    let (made, wanted) = (text(&made(case, setup, outcome)?, GO_MOD), text(&wanted(case)?, GO_MOD));
    Ok(if made == wanted { Faults::new() } else { vec![judge::lines(&made, &wanted)] })
}

/// Files besides `go.mod`: those judged byte for byte, those left alone, and those that may be either.
fn other_files(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    let mut skip: BTreeSet<String> = texts(case.data.rest.get("not_judged")).into_iter().collect();
    skip.extend(texts(case.data.rest.get("left_by_maintainers")));
    skip.insert(GO_MOD.to_owned());
    whole(case, setup, outcome, &skip)
}

fn check_meaning(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    let mut faults = other_files(case, setup, outcome)?;
    let (made, wanted) = (text(&made(case, setup, outcome)?, GO_MOD), text(&wanted(case)?, GO_MOD));
    let (ours, theirs) = (Meaning::read(&made), Meaning::read(&wanted));
    if ours.replaced != theirs.replaced {
        faults.push("go.mod: the replacements differ".into());
    }
    for (module, version) in &theirs.required {
        if ours.required.get(module) != Some(version) {
            faults.push(format!("go.mod: {module} is {:?}, expected {version}", ours.required.get(module)));
        }
    }
    if ours.required.len() != theirs.required.len() {
        faults.push("go.mod: other modules are required".into());
    }
    Ok(faults)
}

/// What decides a build.
struct Meaning {
    /// Replacements: module and what takes its place.
    replaced: BTreeMap<String, String>,
    /// Versions of modules that are not replaced.
    required: BTreeMap<String, String>,
}

impl Meaning {
    fn read(text: &str) -> Self {
        let line = |line: &str| line.split("//").next().unwrap_or_default().trim().to_owned();
        let lines: Vec<String> = text.lines().map(line).collect();
        let replaced: BTreeMap<String, String> = lines
            .iter()
            .filter_map(|line| line.split_once(" => "))
            .map(|(old, new)| {
                let old = old.trim_start_matches("replace ").split_whitespace().next().unwrap_or_default();
                (old.to_owned(), new.to_owned())
            })
            .collect();
        let required = lines.iter().filter(|line| !line.contains("=>")).filter_map(|line| {
            let (module, version) = line.trim_start_matches("require ").split_once(' ')?;
            let is_version = version.starts_with('v') && module.contains('.');
            (is_version && !replaced.contains_key(module) && module != "k8s.io/cri-client")
                .then(|| (module.to_owned(), version.to_owned()))
        });
        Self { required: required.collect(), replaced }
    }
}

/// The replaced set is right, the step says that tidy is pending, and other lines changed only where tidy changed them, or
/// where they say nothing: the version required of a replaced module.
fn check_tidy(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    let mut faults = other_files(case, setup, outcome)?;
    let (base, target) = (text(&case.tree("base")?, GO_MOD), text(&wanted(case)?, GO_MOD));
    let made = text(&made(case, setup, outcome)?, GO_MOD);
    let lines: BTreeSet<String> = texts(case.data.rest.get("replace_lines")).into_iter().collect();
    let found = fork_lines(&made);
    faults.extend(found.symmetric_difference(&lines).map(|line| format!("go.mod: {line}")));
    let tidied = texts(case.data.rest.get("tidy_modules"));
    let kept: BTreeSet<&str> = target.lines().collect();
    let meaning = Meaning::read(&made);
    for (before, after) in base.lines().zip(made.lines()).filter(|(before, after)| before != after) {
        let module = before.split_whitespace().next().unwrap_or_default().to_owned();
        let allowed =
            !kept.contains(before) || tidied.contains(&module) || meaning.replaced.contains_key(&module);
        if !allowed {
            faults.push(format!("go.mod: {before:?} became {after:?}"));
        }
    }
    let told = outcome.outputs("propose").and_then(|outputs| outputs.get("tidy")).and_then(Value::as_str);
    if told != Some("pending") {
        faults.push(format!("the step says of go mod tidy {told:?}"));
    }
    Ok(faults)
}

fn check_trap(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    let made = text(&made(case, setup, outcome)?, GO_MOD);
    let lines: BTreeSet<&str> = made.lines().map(str::trim).collect();
    let guards = case.data.rest.get("guard_lines").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut faults = Faults::new();
    for guard in &guards {
        let line = |key: &str| guard.get(key).and_then(Value::as_str).unwrap_or_default();
        if !lines.contains(line("keep")) {
            faults.push(format!("{:?} is gone", line("keep")));
        }
        if lines.contains(line("wrong")) {
            faults.push(format!("{:?} is there", line("wrong")));
        }
    }
    if guards.is_empty() {
        faults.push("the case guards no line".into());
    }
    Ok(faults)
}
