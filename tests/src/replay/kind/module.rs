//! Go modules of peer pods: tags held against what they should be (process `audit`), and hashes (process `module-hash`).

use std::collections::{BTreeMap, BTreeSet};

use castoff::forge::world::{Branch, Repository, SeedCommit, Tag};
use serde_json::{Map, Value, json};

use super::pod::{Labelled, idle};
use super::{Base, Kind, Setup, never};
use crate::replay::case::{Case, Entry, Result, Tree};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::Faults;
use crate::replay::seed;

/// Tags.
pub(super) const TAGS: Kind = Kind {
    names: &["tag-set"],
    process: "audit",
    set: set_tags,
    check: check_tags,
    rerun: |_| true,
    taken: never,
};

/// Hashes.
pub(super) const HASH: Kind = Kind {
    names: &["h1-vector"],
    process: "module-hash",
    set: set_hash,
    check: check_hash,
    rerun: |_| false,
    taken: never,
};

fn refs(case: &Case, place: &str) -> BTreeMap<String, String> {
    let refs = case.data.rest.get(place).and_then(|value| value.get("refs")).and_then(Value::as_object);
    let refs = refs.into_iter().flatten();
    refs.filter_map(|(name, commit)| Some((name.clone(), commit.as_str()?.to_owned()))).collect()
}

/// The files that the case has at each commit it names.
fn trees(case: &Case, commit: &str) -> Result<Labelled> {
    let mut trees = Labelled::from([(commit.to_owned(), case.tree("base")?)]);
    let facts = case.data.rest.get("commit_facts").and_then(Value::as_object).into_iter().flatten();
    for sha in facts.map(|(sha, _)| sha).filter(|sha| *sha != commit) {
        trees.insert(sha.clone(), case.tree(&format!("at/{}", sha.get(..12).unwrap_or(sha)))?);
    }
    Ok(trees)
}

/// A history in which every commit stands where the case says: before or after the right one on the branch, or beside it.
fn set_tags(case: &Case, _: Base) -> Result<Setup> {
    let commit = case.need("commit")?;
    let trees = trees(case, commit)?;
    let fact = |sha: &str, name: &str| {
        let fact = case.data.rest.get("commit_facts").and_then(|facts| facts.get(sha));
        fact.and_then(|fact| fact.get(name)).cloned().unwrap_or_default()
    };
    let plain = |id: &str, parent: &str, files: &Tree| -> Result<SeedCommit> {
        Ok(SeedCommit {
            id: id.into(),
            parents: vec![parent.into()],
            message: format!("{id}\n"),
            files: seed::specs(files)?,
            whole_tree: true,
            ..SeedCommit::default()
        })
    };
    let readme = Tree::from([("README.md".to_owned(), Entry::File(b"# It\n".to_vec()))]);
    let mut commits = vec![SeedCommit { parents: Vec::new(), ..plain("root", "", &readme)? }];
    let (mut last, mut after) = ("root".to_owned(), Vec::new());
    for (sha, tree) in trees.iter().filter(|(sha, _)| *sha != commit) {
        let count = |name: &str| fact(sha, name).as_u64().unwrap_or(0);
        if fact(sha, "on_main") == json!(false) {
            commits.push(plain(sha, "root", tree)?);
        } else if count("commits_not_in_expected") > 0 {
            after.push((sha, tree));
        } else {
            commits.push(plain(sha, &last, tree)?);
            last.clone_from(sha);
        }
    }
    commits.push(plain(commit, &last, trees.get(commit).unwrap_or(&readme))?);
    last = commit.to_owned();
    for (sha, tree) in after {
        commits.push(plain(sha, &last, tree)?);
        last.clone_from(sha);
    }
    let tag = |(name, at): (String, String)| {
        Some(Tag { name: name.strip_prefix("refs/tags/")?.to_owned(), at, ..Tag::default() })
    };
    let mut world = idle(case)?;
    world.repositories.push(Repository {
        name: case.data.repo.clone(),
        default_branch: Some("main".into()),
        commits,
        branches: vec![Branch { name: "main".into(), at: last }],
        tags: refs(case, "actual").into_iter().filter_map(tag).collect(),
        ..Repository::default()
    });
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("version".into(), json!(case.need("version")?));
    inputs.insert("commit".into(), json!(format!("seeded:{}:{commit}", case.data.repo)));
    let task = Task { process: TAGS.process.into(), inputs, ..Task::default() };
    Ok(Setup::new(world, task, case))
}

fn check_tags(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    let outputs = outcome.outputs("audit").ok_or("no outputs")?;
    let audited = outputs.get("versions").and_then(|versions| versions.get(0)).ok_or("no version")?;
    // Commits of this world under their published names.
    let mut text = audited.to_string();
    for sha in trees(case, case.need("commit")?)?.keys() {
        if let Some(own) = outcome.seeded(&setup.repository, sha) {
            text = text.replace(&own, sha);
        }
    }
    let audited: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let mut faults = Faults::new();
    let wanted = json!(refs(case, "expected"));
    let made = audited.get("refs").cloned().unwrap_or_default();
    if made != wanted {
        faults.push(format!("the refs are {made}, expected {wanted}"));
    }
    let listed = |value: Option<&Value>| -> BTreeSet<String> {
        value.and_then(Value::as_array).into_iter().flatten().map(canonical).collect()
    };
    let (made, wanted) = (listed(audited.get("findings")), listed(case.data.rest.get("findings")));
    faults.extend(wanted.difference(&made).map(|finding| format!("it does not report {finding}")));
    faults.extend(made.difference(&wanted).map(|finding| format!("it reports {finding}, which is no fault")));
    Ok(faults)
}

/// A finding whose lists are sorted: the names of commits differ between worlds, and so does their order.
fn canonical(finding: &Value) -> String {
    let sorted = |value: &Value| match value.as_array() {
        Some(list) => {
            let mut words: Vec<String> = list.iter().map(Value::to_string).collect();
            words.sort();
            json!(words)
        }
        None => value.clone(),
    };
    let fields: BTreeMap<&String, Value> =
        finding.as_object().into_iter().flatten().map(|(key, value)| (key, sorted(value))).collect();
    json!(fields).to_string()
}

fn set_hash(case: &Case, _: Base) -> Result<Setup> {
    let text = |name: &str| {
        std::fs::read_to_string(case.folder.join(name)).map_err(|error| format!("{name}: {error}"))
    };
    let mut inputs = Map::new();
    let mut put =
        |name: &str, value: Option<Value>| inputs.extend(value.map(|value| (name.to_owned(), value)));
    let told = |name: &str| case.input(name).map(|text| json!(text));
    put("module", told("module"));
    put("commit", told("commit"));
    put("license-sha256", told("root_license_sha256"));
    put("listing", Some(json!(text("module.tsv")?)));
    put("go-mod", Some(json!(text("gomod/go.mod")?)));
    let time = case.input("commit_time").and_then(|time| chrono::DateTime::parse_from_rfc3339(time).ok());
    match time {
        Some(time) => put("time", Some(json!(time.timestamp()))),
        None => put("version", told("version")),
    }
    let task = Task { process: HASH.process.into(), inputs, ..Task::default() };
    Ok(Setup::new(idle(case)?, task, case))
}

fn check_hash(case: &Case, _: &Setup, outcome: &Outcome) -> Result<Faults> {
    let made = outcome.outputs("hash").ok_or("no outputs")?;
    let wanted = case.data.rest.get("expected").and_then(Value::as_object).ok_or("nothing is expected")?;
    let names = BTreeMap::from([
        ("h1", "h1"),
        ("gomod_h1", "go_mod_h1"),
        ("pseudo_version", "pseudo_version"),
        ("zip_files", "zip_files"),
    ]);
    let differs = wanted.iter().filter_map(|(key, value)| {
        let found = made.get(*names.get(key.as_str())?)?;
        (found != value).then(|| format!("{key} is {found}, expected {value}"))
    });
    Ok(differs.collect())
}
