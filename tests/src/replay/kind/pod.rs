//! Peer pods: pins, reverts, versions, modules and citations (processes `pre-release`, `release`, `post-release`).

use std::collections::{BTreeMap, BTreeSet};

use castoff::forge::World;
use castoff::forge::world::{Branch, Image, Repository, SeedCommit, SeedRelease, Tag};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{Base, Kind, Setup, never};
use crate::replay::case::{Case, Entry, Judge, Result, Tree, texts};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::{self, Faults};
use crate::replay::seed;

/// Every kind that proposes a change.
pub(super) const KIND: Kind = Kind {
    names: &[
        "gomod-bump",
        "overlay-pin",
        "overlay-revert",
        "operator-pin",
        "operator-revert",
        "operator-release",
        "citation",
        "versions-sync",
        "kata-gomod",
        "old-gomod-bump",
        "full-cut",
        "full-post",
        "full-prerelease",
        "chart-pin",
        "chart-revert",
        "chart-version",
        "image-gate",
    ],
    process: "release",
    set,
    check,
    rerun: |case| case.data.judge != Judge::MustRefuse,
    taken: never,
};

const KATA: &str = "kata-containers/kata-containers";
const IMAGES: &str = "quay.io/confidential-containers";

/// The process of a kind and the parts of its pull request that the case is about.
fn process(case: &Case) -> (&'static str, &'static [&'static str]) {
    match case.data.kind.as_str() {
        "gomod-bump" if is_pre_release(case) => ("pre-release", &["modules"]),
        "gomod-bump" => ("release", &["modules"]),
        "overlay-pin" | "chart-pin" => ("release", &["images"]),
        "chart-version" => ("release", &["charts"]),
        "full-cut" | "image-gate" => ("release", &["images", "components", "operator", "modules"]),
        "full-prerelease" => ("pre-release", &["components", "operator", "modules"]),
        "operator-pin" => ("pre-release", &["operator"]),
        "versions-sync" => ("pre-release", &["components"]),
        "kata-gomod" | "old-gomod-bump" => ("pre-release", &["kata-module"]),
        "overlay-revert" | "chart-revert" => ("post-release", &["images"]),
        "operator-revert" => ("post-release", &["operator"]),
        "citation" => ("post-release", &["citation"]),
        "operator-release" => ("post-release", &["operator-release"]),
        _ => ("post-release", &["operator", "images", "citation"]),
    }
}

fn is_pre_release(case: &Case) -> bool {
    case.input("release").unwrap_or_default().contains('-')
}

/// What is released: as told, else the version of the case; a process that only computes needs any.
fn version(case: &Case) -> String {
    let kind = case.data.kind.as_str();
    if matches!(kind, "kata-gomod" | "old-gomod-bump" | "versions-sync" | "operator-pin") {
        return "v0.1.0-alpha.1".to_owned();
    }
    if let Some(cited) = case.input("version").filter(|_| matches!(kind, "citation" | "full-post")) {
        return format!("v{cited}");
    }
    let told = case.input("release").or_else(|| case.input("newTag")).or_else(|| case.input("app_version"));
    if let Some(told) = told.filter(|told| told.starts_with('v')) {
        return told.to_owned();
    }
    let core = case.data.version.split('-').next().filter(|core| core.starts_with('v'));
    core.unwrap_or("v0.1.0").to_owned()
}

/// A version that was cited once, whether or not it should have been released.
fn is_odd(version: &str) -> bool {
    version.split_once('-').is_some_and(|(_, suffix)| !suffix.starts_with("alpha.") || suffix.contains('-'))
}

fn set(case: &Case, base: Base) -> Result<Setup> {
    let tree = super::files(case, base)?;
    let (process, parts) = process(case);
    let mut world = idle(case)?;
    let cites = parts.contains(&"citation");
    world.repositories.push(repository(case, &tree, cites && base == Base::Before)?);
    world.images = images(case);
    if matches!(case.data.kind.as_str(), "versions-sync" | "kata-gomod") {
        world.repositories.push(kata(case)?);
    }
    let mut inputs = told(case);
    inputs.insert("parts".into(), json!(parts));
    if cites && base == Base::After {
        inputs.insert("commit".into(), json!(case.need("commit")?));
        inputs.insert("date-released".into(), json!(case.need("date_released")?));
    }
    let step = if case.data.kind == "operator-release" { "operator" } else { "propose" };
    let profile = if case.data.kind.starts_with("chart") { Some("charts-2026".to_owned()) } else { None };
    let task = Task { process: process.into(), profile, inputs, only: vec![step.to_owned()] };
    Ok(Setup::new(world, task, case))
}

fn now(case: &Case) -> Result<DateTime<Utc>> {
    let day = case.input("date_released").unwrap_or("2026-06-01");
    let text = format!("{day}T12:00:00Z");
    DateTime::parse_from_rfc3339(&text)
        .map(|at| at.with_timezone(&Utc))
        .map_err(|error| format!("{text}: {error}"))
}

/// The repository, with the release that is to be cited at a commit of its own.
fn repository(case: &Case, tree: &Tree, released: bool) -> Result<Repository> {
    if !released {
        return seed::plain(&case.data.repo, "main", tree);
    }
    let commit = case.need("commit")?;
    let tag = version(case);
    let before = SeedCommit {
        id: commit.into(),
        message: "Release\n".into(),
        files: seed::specs(tree)?,
        whole_tree: true,
        ..SeedCommit::default()
    };
    Ok(Repository {
        name: case.data.repo.clone(),
        default_branch: Some("main".into()),
        commits: vec![before],
        branches: vec![Branch { name: "main".into(), at: commit.into() }],
        tags: vec![Tag { name: tag.clone(), at: commit.into(), ..Tag::default() }],
        releases: vec![SeedRelease { tag, created_at: Some(now(case)?), ..SeedRelease::default() }],
        ..Repository::default()
    })
}

/// Images of the pinned tag: all of them, or as the case has them.
fn images(case: &Case) -> Vec<Image> {
    let tag = case.input("image_tag").unwrap_or("latest");
    let all = [tag.to_owned(), format!("dev-{tag}"), format!("{tag}-dev")];
    let listed = case.data.inputs.get("images").and_then(Value::as_object);
    let absent = |name: &str, tag: &str| {
        let state = listed.and_then(|images| images.get(&format!("{name}:{tag}"))).and_then(Value::as_str);
        listed.is_some() && state != Some("present")
    };
    let names =
        ["cloud-api-adaptor", "peerpod-ctrl", "peer-pods-webhook"].map(|name| format!("{IMAGES}/{name}"));
    let image = |name: String| Image {
        tags: all.iter().filter(|tag| !absent(&name, tag)).cloned().chain(["latest".to_owned()]).collect(),
        name,
        ..Image::default()
    };
    names.into_iter().map(image).collect()
}

/// kata-containers at the release, as far as the case knows it.
fn kata(case: &Case) -> Result<Repository> {
    let mut files = Tree::new();
    let known = case.tree("world")?;
    for (from, to) in [("kata-versions.yaml", "versions.yaml"), ("kata-go.mod.new", "src/runtime/go.mod")] {
        files.extend(known.get(from).map(|entry| (to.to_owned(), entry.clone())));
    }
    files.insert("README.md".into(), Entry::File(b"# Kata Containers\n".to_vec()));
    let mut repository = seed::plain(KATA, "main", &files)?;
    let tag = case.input("kata").or_else(|| case.input("kata_ref"));
    repository.tags.extend(tag.map(|tag| Tag { name: tag.into(), at: "main".into(), ..Tag::default() }));
    Ok(repository)
}

/// The inputs of the case in the words of the process.
fn told(case: &Case) -> Map<String, Value> {
    let mut inputs = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        inputs.extend(value.map(|value| (name.to_owned(), value)));
    };
    let given = |name: &str| case.data.inputs.get(name).cloned();
    put("version", Some(json!(version(case))));
    put("nonstandard-version", given("allow_nonstandard_version"));
    if case.data.kind == "citation" && is_odd(&version(case)) {
        put("nonstandard-version", Some(json!(true)));
    }
    if case.data.kind == "operator-release" {
        put("operator-repository", Some(json!(case.data.repo)));
        put("nonstandard-version", Some(json!(true)));
        return inputs;
    }
    put("repository", Some(json!(case.data.repo)));
    put("image-tag", given("image_tag").filter(|tag| tag != "latest"));
    put("dev-providers", given("dev"));
    put("dev-style", given("dev_tag_style"));
    put("skip-providers", Some(json!(skipped(case))));
    put("chart-version", given("chart_version"));
    put("lock-generated", given("lock_generated"));
    match case.data.kind.as_str() {
        "versions-sync" => {
            put("kata", given("kata"));
            put("set", given("manual_overrides"));
        }
        "kata-gomod" => {
            put("kata", given("kata_ref"));
            put("kata-module", Some(module(case, None)));
        }
        "old-gomod-bump" => put("kata-module", Some(module(case, given("release")))),
        "operator-revert" | "full-post" => {}
        _ => put("set", given("set")),
    }
    inputs
}

/// Providers left alone on purpose. Those that were forgotten are not among them.
fn skipped(case: &Case) -> Vec<String> {
    let forgotten = texts(case.data.rest.get("not_in_target_but_complete"));
    let is_forgotten = |name: &String| forgotten.iter().any(|path| path.contains(&format!("/{name}/")));
    case.texts("skip").into_iter().filter(|name| !is_forgotten(name)).collect()
}

fn module(case: &Case, version: Option<Value>) -> Value {
    let hashes = case.data.inputs.get("module_hashes");
    let hash = |name: &str| hashes.and_then(|hashes| hashes.get(name)).cloned();
    let mut module = Map::new();
    let mut put =
        |name: &str, value: Option<Value>| module.extend(value.map(|value| (name.to_owned(), value)));
    put("module", case.input("module").map(|module| json!(module)));
    put("version", version);
    put("commit", case.input("kata_commit").map(|commit| json!(commit)));
    let time = case.input("commit_time").and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    put("time", time.map(|time| json!(time.timestamp())));
    put("h1", hash("h1"));
    put("go-mod-h1", hash("gomod_h1"));
    Value::Object(module)
}

fn check(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    if case.data.judge == Judge::MustRefuse {
        return refused(case, outcome);
    }
    let mut changes = outcome.changes(&setup.repository)?;
    cited(case, setup, outcome, &mut changes.written);
    let base = case.tree("base")?;
    let made = judge::applied(&base, &changes);
    let wanted = super::wanted(case)?;
    if let Some(lines) = case.data.rest.get("must_lines").and_then(Value::as_object) {
        return Ok(subset(case, &base, &made, &wanted, lines));
    }
    let skip: BTreeSet<String> = texts(case.data.rest.get("not_judged")).into_iter().collect();
    let mut faults = judge::trees(&made, &wanted, &skip);
    if case.data.judge == Judge::MustDiffer {
        let wrong = case.tree("target")?;
        let same = wrong.iter().all(|(path, entry)| made.get(path) == Some(entry));
        let corrected = case.tree("expected")?.iter().any(|(path, entry)| wrong.get(path) != Some(entry));
        if same && corrected {
            faults.push("the published error was repeated".into());
        }
    }
    Ok(faults)
}

/// The citation names the commit of this world; the published one is its label.
fn cited(case: &Case, setup: &Setup, outcome: &Outcome, written: &mut Tree) {
    let published = case.input("commit");
    let own = published.and_then(|label| outcome.seeded(&setup.repository, label));
    let Some((published, own)) = published.zip(own) else { return };
    if let Some(entry) = written.get_mut("CITATION.cff") {
        *entry = Entry::File(entry.text().replace(&own, published).into_bytes());
    }
}

/// Named lines are there, nothing of the version before is left, and no other line is invented.
fn subset(case: &Case, base: &Tree, made: &Tree, wanted: &Tree, lines: &Map<String, Value>) -> Faults {
    let mut faults = Faults::new();
    let text = |tree: &Tree, path: &str| tree.get(path).map(Entry::text).unwrap_or_default();
    for (path, lines) in lines {
        let now = text(made, path);
        let have: BTreeSet<&str> = now.lines().collect();
        let missing = texts(Some(lines)).into_iter().filter(|line| !have.contains(line.as_str()));
        faults.extend(missing.map(|line| format!("{path} lacks {line:?}")));
    }
    for path in &case.data.files {
        let (old, now, published) = (text(base, path), text(made, path), text(wanted, path));
        let known: BTreeSet<&str> = old.lines().chain(published.lines()).collect();
        let invented = now.lines().filter(|line| !known.contains(line));
        faults.extend(invented.map(|line| format!("{path}: the line {line:?} is in no published file")));
    }
    let untouched = base.iter().filter(|(path, _)| !case.data.files.contains(path));
    faults.extend(
        untouched
            .filter(|(path, entry)| made.get(*path) != Some(entry))
            .map(|(path, _)| format!("{path} was changed")),
    );
    faults
}

/// A refusal names the images that are missing.
fn refused(case: &Case, outcome: &Outcome) -> Result<Faults> {
    let why = outcome.refusal().ok_or("nothing was refused")?;
    let images = case.data.inputs.get("images").and_then(Value::as_object);
    let absent = images.into_iter().flatten().filter(|(_, state)| *state == "absent");
    let unsaid = absent.filter(|(name, _)| !why.contains(name.as_str()));
    Ok(unsaid.map(|(name, _)| format!("it does not name {name}: {why:?}")).collect())
}

/// Commits and files by their labels, for kinds with a history.
pub(super) type Labelled = BTreeMap<String, Tree>;

/// A world with nobody but who releases, on the day of the case or on none in particular.
pub(super) fn idle(case: &Case) -> Result<World> {
    Ok(seed::staffed(now(case)?))
}
