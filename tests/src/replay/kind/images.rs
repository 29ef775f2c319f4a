//! Images of Kubernetes releases into the promotion list: process `promote-images`.

use std::collections::{BTreeMap, BTreeSet};

use castoff::forge::World;
use castoff::forge::world::Document;
use castoff_kubernetes_patch::core::images::Images;
use serde_json::{Map, Value, json};

use super::{Base, Kind, Setup, files, never, wanted, whole};
use crate::replay::case::{Case, Entry, Judge, Result, Tree, texts};
use crate::replay::drive::{Outcome, Task};
use crate::replay::judge::{self, Faults};
use crate::replay::seed;

/// The kind.
pub(super) const KIND: Kind = Kind {
    names: &["image-promotion", "image-promotion-trap"],
    process: "promote-images",
    set,
    check,
    rerun,
    taken: never,
};

/// The registry of builds.
const STAGING: &str = "gcr.io";
const PROJECT: &str = "k8s-staging-kubernetes";

fn set(case: &Case, base: Base) -> Result<Setup> {
    let mut world = seed::empty(case)?;
    world.repositories.push(seed::plain(&case.data.repo, "main", &files(case, base)?)?);
    staging(case, &mut world)?;
    let mut inputs = Map::new();
    inputs.insert("repository".into(), json!(case.data.repo));
    inputs.insert("file".into(), json!(case.need("file")?));
    inputs.insert("tags".into(), json!(case.texts("tags")));
    inputs.insert("order".into(), json!(writer(case)));
    let only = vec!["promote".to_owned()];
    let task = Task { process: KIND.process.into(), inputs, only, ..Task::default() };
    Ok(Setup::new(world, task, case))
}

/// The order in which the tools of the time wrote digests.
fn writer(case: &Case) -> &str {
    let era = case.data.inputs.get("era").and_then(|era| era.get("writer"));
    era.and_then(Value::as_str).unwrap_or("tag-sort")
}

/// The staging registry: digests by tag and image, and the names it has.
fn staging(case: &Case, world: &mut World) -> Result<()> {
    let path = case.folder.join("registry.json");
    let mut names = BTreeSet::new();
    let text = if path.is_file() {
        std::fs::read_to_string(&path).map_err(|error| error.to_string())?
    } else {
        "{}".into()
    };
    let tags: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(&text).map_err(|error| format!("registry.json: {error}"))?;
    for (tag, images) in &tags {
        for (name, digest) in images {
            names.extend(name.split('/').next());
            world.documents.push(Document {
                host: STAGING.into(),
                path: format!("/v2/{PROJECT}/{name}/manifests/{tag}"),
                headers: BTreeMap::from([("Docker-Content-Digest".into(), digest.clone())]),
                body: "{}".into(),
                ..Document::default()
            });
        }
    }
    // What the list has besides is in staging, too.
    let list = case.tree("base")?.get(case.need("file")?).map(Entry::text).unwrap_or_default();
    let list = Images::parse(&list).map_err(|error| error.to_string())?;
    names.extend(list.names());
    world.documents.push(Document {
        host: STAGING.into(),
        path: format!("/v2/{PROJECT}/tags/list"),
        body: json!({ "name": PROJECT, "child": names, "tags": [], "manifest": {} }).to_string(),
        ..Document::default()
    });
    Ok(())
}

fn check(case: &Case, setup: &Setup, outcome: &Outcome) -> Result<Faults> {
    if case.data.judge == Judge::MustRefuse {
        return Ok(refused(case, outcome));
    }
    let ordered = case.data.rest.get("bytes_under_writer").and_then(Value::as_str) == Some(writer(case));
    if case.data.judge == Judge::Bytes || ordered {
        let mut faults = whole(case, setup, outcome, &BTreeSet::new())?;
        faults.extend(words(case, setup, outcome));
        return Ok(faults);
    }
    let file = case.need("file")?;
    let made = judge::applied(&case.tree("base")?, &outcome.changes(&setup.repository)?);
    let mut faults = Faults::new();
    if case.data.judge == Judge::MustDiffer && case.tree("expected")?.is_empty() {
        // The published change should not have been made at all.
        if made != case.tree("base")? {
            faults.push(format!("{file} should have been left alone"));
        }
        return Ok(faults);
    }
    let wanted = wanted(case)?;
    let text = |tree: &Tree| tree.get(file).map(Entry::text).unwrap_or_default();
    let (made, wanted) = (text(&made), text(&wanted));
    let parsed = |text: &str| {
        Images::parse(text).map(|images| format!("{images:?}")).map_err(|error| error.to_string())
    };
    if parsed(&made)? != parsed(&wanted)? {
        faults.push(format!("{file}: {}", judge::lines(&made, &wanted)));
    }
    if case.data.judge != Judge::MustDiffer {
        faults.extend(words(case, setup, outcome));
    }
    Ok(faults)
}

/// The refusal names what the case expects to be named.
fn refused(case: &Case, outcome: &Outcome) -> Faults {
    let said = outcome.refusal().unwrap_or_default();
    let mut names = texts(case.data.expect.get("missing"));
    names.extend(case.data.expect.get("compared_with").and_then(Value::as_str).map(str::to_owned));
    names.retain(|name| !said.contains(name.as_str()));
    names.into_iter().map(|name| format!("the refusal does not name {name}: {said}")).collect()
}

/// Title and branch, where their wording was a rule already.
fn words(case: &Case, setup: &Setup, outcome: &Outcome) -> Faults {
    if case.data.expect.contains_key("title_rule") {
        return Faults::new();
    }
    let expected = |name: &str| case.data.expect.get(name).and_then(Value::as_str);
    let Some(repository) = outcome.after.repositories.get(&setup.repository) else { return Faults::new() };
    let Some(pull) = repository.pulls.values().next_back() else {
        return vec!["there is no pull request".into()];
    };
    let branch = pull.head.rsplit(':').next().unwrap_or_default();
    let pairs = [(expected("commit_subject"), pull.issue.title.as_str()), (expected("head_branch"), branch)];
    pairs
        .into_iter()
        .filter_map(|(wanted, found)| wanted.filter(|wanted| *wanted != found).map(|wanted| (wanted, found)))
        .map(|(wanted, found)| format!("the pull request says {found:?}, expected {wanted:?}"))
        .collect()
}

/// Again on the published list, unless that is wrong and no right one is told.
fn rerun(case: &Case) -> bool {
    case.data.judge != Judge::MustDiffer || case.folder.join("expected").is_dir()
}
