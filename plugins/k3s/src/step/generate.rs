//! What `go generate` makes of Rancher's channel files: `data/data.json` and `regsync.yaml`.

use std::collections::BTreeSet;

use castoff_sdk::Error;
use castoff_sdk::git::{self, Change};
use castoff_sdk::step::{conflict, not_found};

use super::regsync::FILE as REGSYNC;
use super::tree::{Checkout, put, tagged, text_at};
use crate::core::channels::{scalar, versions};
use crate::core::component::IMAGE_LIST;
use crate::core::data_json;
use crate::core::regsync::{Images, Regsync, of_release, without};
use crate::core::version::Tag;

const DATA: &str = "data/data.json";
const CHANNELS: &str = "channels.yaml";
const RKE2: &str = "channels-rke2.yaml";
/// Where the generator holds the range of servers that images are mirrored for.
const RANGE: &str = "pkg/images/images.go";
/// How far back the last generation is looked for.
const DEPTH: u32 = 60;

/// The changes of the second commit, and what a person should know. `after` is `channels.yaml` after the first one.
pub(super) fn changes(
    checkout: &Checkout,
    k3s: &str,
    after: &str,
) -> Result<(Vec<Change>, Vec<String>), Error> {
    let (mut changes, mut remarks) = (Vec::new(), Vec::new());
    match checkout.text(DATA)? {
        Some(document) => {
            generator_unchanged(checkout)?;
            let rke2 = checkout.text(RKE2)?;
            let parts = [("k3s", Some(after)), ("rke2", rke2.as_deref())];
            let parts: Vec<(&str, &str)> =
                parts.into_iter().filter_map(|(key, text)| Some((key, text?))).collect();
            let new = data_json::splice(&document, &parts).map_err(conflict)?;
            changes.extend((new != document).then(|| put(DATA, &new)));
        }
        None => remarks.push(format!("there is no {DATA} on {}", checkout.base)),
    }
    let before = checkout.text(CHANNELS)?.unwrap_or_default();
    if let Some(text) = checkout.text(REGSYNC)? {
        let mut file = Regsync::read(&text).map_err(conflict)?;
        let (added, removed) = mirrored(checkout, k3s, &before, after, &mut remarks)?;
        file.apply(&added, &removed);
        let new = file.text();
        changes.extend((new != text).then(|| put(REGSYNC, &new)));
    }
    Ok((changes, remarks))
}

/// Since `data.json` was generated last, nothing but channel files may have changed: else the program has to run.
fn generator_unchanged(checkout: &Checkout) -> Result<(), Error> {
    let repository = &checkout.repository;
    let id = |commit: &str| -> Result<Option<String>, Error> {
        match repository.entries(commit, "data", false) {
            Ok(entries) => Ok(entries.into_iter().find(|entry| entry.path == DATA).map(|entry| entry.id)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(other) => Err(other),
        }
    };
    let now = id(&checkout.head.id)?;
    let mut last = checkout.head.id.clone();
    for commit in repository.first_parents(None, &checkout.head.id, DEPTH)? {
        if id(&commit.id)? != now {
            break;
        }
        last = commit.id;
    }
    if last == checkout.head.id {
        return Ok(());
    }
    let paths = ["pkg".to_owned(), "rke".to_owned()];
    let diff = repository.diff(&last, &checkout.head.id, &paths)?;
    if diff.trim().is_empty() {
        return Ok(());
    }
    Err(conflict(format!(
        "the generator of {} changed since {DATA} was generated in {last}; go generate has to be run",
        checkout.name
    )))
}

/// Tags that come to the list of mirrored images, and tags that leave it.
fn mirrored(
    checkout: &Checkout,
    k3s: &str,
    before: &str,
    after: &str,
    remarks: &mut Vec<String>,
) -> Result<(Images, Images), Error> {
    let (old, new): (BTreeSet<String>, BTreeSet<String>) =
        (versions(before).into_iter().collect(), versions(after).into_iter().collect());
    let range = checkout.text(RANGE)?.and_then(|text| allowed(&text));
    let wanted = |text: &str, version: &str| range.is_none_or(|range| meets(text, version, range));
    let (mut added, mut removed) = (Images::new(), Images::new());
    if old == new {
        return Ok((added, removed));
    }
    let repository = git::open(k3s)?;
    for version in new.difference(&old).filter(|version| wanted(after, version)) {
        let images = images(&repository, version)?.ok_or_else(|| {
            not_found(format!(
                "{k3s} has no tag {version}, or no {IMAGE_LIST} at it: the generator would break on it, too"
            ))
        })?;
        join(&mut added, images);
    }
    let gone: Vec<&String> = old.difference(&new).filter(|version| wanted(before, version)).collect();
    let mut kept = Images::new();
    for version in new.iter().filter(|version| !gone.is_empty() && wanted(after, version)) {
        match images(&repository, version)? {
            Some(images) => join(&mut kept, images),
            None => remarks.push(format!("{version}: its image list cannot be read")),
        }
    }
    for version in gone {
        match images(&repository, version)? {
            Some(images) => join(&mut removed, without(&images, &kept)),
            None => {
                let own = Tag::parse(version).map(|tag| of_release(tag, "")).unwrap_or_default();
                join(&mut removed, own);
                remarks.push(format!("{version} is gone from {k3s}: images only it listed stay mirrored"));
            }
        }
    }
    Ok((added, removed))
}

fn join(all: &mut Images, more: Images) {
    for (image, tags) in more {
        all.entry(image).or_default().extend(tags);
    }
}

fn images(repository: &git::Repository, version: &str) -> Result<Option<Images>, Error> {
    let Ok(tag) = Tag::parse(version) else { return Ok(None) };
    let Some(commit) = tagged(repository, version)? else { return Ok(None) };
    Ok(text_at(repository, &commit.id, IMAGE_LIST)?.map(|list| of_release(tag, &list)))
}

type Server = (u64, u64, u64);

/// The range in the generator's source: `minAllowedServerVersion` and `maxAllowedServerVersion`.
fn allowed(source: &str) -> Option<(Server, Server)> {
    let of = |name: &str| {
        let line = source.lines().find(|line| line.to_lowercase().contains(name) && line.contains('"'))?;
        server(line.split('"').nth(1)?)
    };
    Some((of("minallowedserverversion")?, of("maxallowedserverversion")?))
}

fn server(text: &str) -> Option<Server> {
    let plain = text.trim_start_matches('v').split('-').next()?;
    let mut parts = plain.split('.').map(|part| part.parse::<u64>().ok());
    Some((parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)))
}

fn meets(text: &str, version: &str, (low, high): (Server, Server)) -> bool {
    let of = |key: &str| scalar(text, version, key).and_then(|value| server(&value));
    let least = of("minChannelServerVersion").unwrap_or((0, 0, 0));
    let most = of("maxChannelServerVersion").unwrap_or((u64::MAX, 0, 0));
    // The patch of the upper bound is open: 2.10.0 allows the line 2.10.
    (least.0, least.1) <= (high.0, high.1) && most >= low
}
