//! A snapshot without what only the hour decides: commits and tags are named by what they hold, not by when they were
//! made, and so are files that speak of commits and days. Two releases of the same things on two days have equal portraits.

use std::collections::BTreeMap;

use git2::{Blob, ObjectType, Oid, Repository, Sort, Tree};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::git;
use super::snapshot;
use super::state::State;

/// New names by old ids.
type Names = BTreeMap<String, String>;

/// Paints the portrait.
pub(crate) fn take(state: &State) -> Result<Value, git2::Error> {
    let picture = serde_json::to_value(snapshot::take(state)?)
        .map_err(|error| git2::Error::from_str(&format!("the snapshot is no JSON: {error}")))?;
    let mut names = Names::new();
    // Twice: a commit may speak of one of a repository that is named after its own, or of an image made from one.
    for _ in 0..2 {
        for repo in state.repos.values() {
            name_objects(&*repo.git()?, &mut names)?;
        }
        name_images(&picture, &mut names);
    }
    Ok(renamed_value(picture, &names))
}

/// Names the digests of images by the first of their places: an image is made from a commit, and is another one when that was
/// made at another moment.
fn name_images(picture: &Value, names: &mut Names) {
    let images = picture.get("images").and_then(Value::as_object);
    let mut named = Names::new();
    for (image, tags) in images.into_iter().flatten() {
        for (tag, digest_of) in tags.as_object().into_iter().flatten() {
            let Some(id) = digest_of.as_str().and_then(|text| text.strip_prefix("sha256:")) else { continue };
            let place = digest(&[image.clone(), renamed(tag, names)]);
            let name: String = place.chars().cycle().take(id.len()).collect();
            // Of several tags the least name, whatever order the commits' ids have.
            let known = named.entry(id.to_owned()).or_insert_with(|| name.clone());
            if name < *known {
                *known = name;
            }
        }
    }
    names.extend(named);
}

/// Names every commit and every annotated tag that a ref leads to.
fn name_objects(repository: &Repository, names: &mut Names) -> Result<(), git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    let mut tags = Vec::new();
    for target in git::refs(repository)?.values() {
        let id = Oid::from_str(target)?;
        let object = repository.find_object(id, None)?;
        if object.kind() == Some(ObjectType::Tag) {
            tags.push(id);
        }
        if let Ok(commit) = object.peel_to_commit() {
            walk.push(commit.id())?;
        }
    }
    let mut held = BTreeMap::new();
    for id in walk {
        let id = id?;
        let commit = repository.find_commit(id)?;
        let mut parts =
            vec![tree_name(&commit.tree()?, repository, names, &mut held)?, signer(&commit.author())];
        parts.push(renamed(&String::from_utf8_lossy(commit.message_bytes()), names));
        parts.extend(commit.parent_ids().map(|parent| renamed(&parent.to_string(), names)));
        names.insert(id.to_string(), digest(&parts));
    }
    for id in tags {
        let tag = repository.find_tag(id)?;
        let target = renamed(&tag.target_id().to_string(), names);
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let parts = [text(Some(tag.name_bytes())), text(tag.message_bytes()), target];
        names.insert(id.to_string(), digest(&parts));
    }
    Ok(())
}

/// Names a tree by what its files say; `held` are the names of what was named before.
fn tree_name(
    tree: &Tree<'_>,
    repository: &Repository,
    names: &Names,
    held: &mut BTreeMap<Oid, String>,
) -> Result<String, git2::Error> {
    if let Some(name) = held.get(&tree.id()) {
        return Ok(name.clone());
    }
    let mut parts = Vec::new();
    for entry in tree {
        let id = entry.id();
        let name = match entry.kind() {
            Some(ObjectType::Tree) => tree_name(&repository.find_tree(id)?, repository, names, held)?,
            Some(ObjectType::Blob) => match held.get(&id) {
                Some(name) => name.clone(),
                None => file_name(&repository.find_blob(id)?, names),
            },
            _ => id.to_string(),
        };
        held.insert(id, name.clone());
        parts.push(format!("{:o} {}", entry.filemode(), String::from_utf8_lossy(entry.name_bytes())));
        parts.push(name);
    }
    let name = digest(&parts);
    held.insert(tree.id(), name.clone());
    Ok(name)
}

fn file_name(file: &Blob<'_>, names: &Names) -> String {
    match std::str::from_utf8(file.content()) {
        Ok(text) => digest(&[renamed(&without_moments(text), names)]),
        Err(_) => file.id().to_string(),
    }
}

/// The text with every day (`YYYY-MM-DD`) replaced, together with the time after it (`THH:MM:SS`).
fn without_moments(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(next) = rest.chars().next() {
        if has_shape(rest, "0000-00-00") {
            out += "DAY";
            rest = rest.get(10..).unwrap_or_default();
            if has_shape(rest, "T00:00:00") {
                rest = rest.get(9..).unwrap_or_default();
            }
        } else {
            out.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// Whether the text begins like the shape, a digit wherever that has a zero.
fn has_shape(text: &str, shape: &str) -> bool {
    let begin = text.as_bytes().get(..shape.len());
    begin.is_some_and(|begin| {
        begin.iter().zip(shape.as_bytes()).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        })
    })
}

fn signer(signature: &git2::Signature<'_>) -> String {
    String::from_utf8_lossy(signature.email_bytes()).into_owned()
}

/// As long as an object id, so that it stands where one stood.
fn digest(parts: &[String]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let mut name = hex::encode(hash.finalize());
    name.truncate(40);
    name
}

fn renamed_value(value: Value, names: &Names) -> Value {
    match value {
        Value::String(text) => Value::String(renamed(&text, names)),
        Value::Array(list) => list.into_iter().map(|value| renamed_value(value, names)).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (renamed(&key, names), renamed_value(value, names)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}

/// The text with every id replaced by its name, and every abbreviation of one by as much of its name.
fn renamed(text: &str, names: &Names) -> String {
    let delimits = |c: char| !c.is_ascii_hexdigit();
    let pieces = text.split_inclusive(delimits).map(|piece| {
        let word = piece.trim_end_matches(delimits);
        name_of(word, names).map_or_else(|| piece.to_owned(), |name| piece.replacen(word, name, 1))
    });
    pieces.collect()
}

/// Fewest digits that count as an abbreviation.
const ABBREVIATION: usize = 7;

fn name_of<'a>(word: &str, names: &'a Names) -> Option<&'a str> {
    if word.len() < ABBREVIATION {
        return None;
    }
    let mut begin = names.range(word.to_owned()..).take_while(|(id, _)| id.starts_with(word));
    let (_, name) = begin.next().filter(|_| begin.next().is_none())?;
    name.get(..word.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_in_files_do_not_count() {
        for (text, wanted) in [
            ("date-released: 2024-07-29\n", "date-released: DAY\n"),
            ("buildDate = \"2024-11-01T00:00:00Z\"", "buildDate = \"DAYZ\""),
            ("v1.2024-1-1 é 12-34", "v1.2024-1-1 é 12-34"),
        ] {
            assert_eq!(without_moments(text), wanted);
        }
    }

    /// A repository with one commit of `text`, tagged, made at `seconds`.
    fn made(text: &str, seconds: i64) -> (tempfile::TempDir, Names) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let repository = Repository::init_bare(folder.path()).expect("a repository");
        let time = git2::Time::new(seconds, 0);
        let who = git2::Signature::new("a", "a@example.org", &time).expect("a signature");
        let blob = repository.blob(text.as_bytes()).expect("a blob");
        let mut tree = repository.treebuilder(None).expect("a tree");
        tree.insert("file", blob, 0o100_644).expect("an entry");
        let tree = repository.find_tree(tree.write().expect("a tree")).expect("a tree");
        let first = repository.commit(None, &who, &who, "one", &tree, &[]).expect("a commit");
        let first = repository.find_commit(first).expect("a commit");
        let message = format!("two after {}", first.id());
        let second = repository.commit(Some("refs/heads/main"), &who, &who, &message, &tree, &[&first]);
        let second = repository.find_object(second.expect("a commit"), None).expect("a commit");
        repository.tag("v1", &second, &who, "version 1", false).expect("a tag");
        let mut names = Names::new();
        name_objects(&repository, &mut names).expect("names");
        (folder, names)
    }

    fn values(names: &Names) -> Vec<String> {
        let mut values: Vec<String> = names.values().cloned().collect();
        values.sort();
        values
    }

    #[test]
    fn only_what_is_held_counts() {
        let (_one, names) = made("text", 1000);
        let (_two, later) = made("text", 2000);
        let (_three, other) = made("another", 1000);
        assert_eq!(names.len(), 3);
        assert!(names.keys().all(|id| !later.contains_key(id)), "the hour is part of every id");
        assert_eq!(values(&names), values(&later));
        assert!(values(&names).iter().all(|name| !values(&other).contains(name)));
    }

    #[test]
    fn ids_are_replaced_where_they_stand() {
        let (id, name) = ("a".repeat(40), "b".repeat(40));
        let names = Names::from([(id.clone(), name.clone())]);
        for (text, expected) in [
            (format!("at {id}, and on"), format!("at {name}, and on")),
            (id.clone(), name),
            (format!("{id}a"), format!("{id}a")),
            ("topic-aaaaaaaa".to_owned(), "topic-bbbbbbbb".to_owned()),
            ("aaaaaa".to_owned(), "aaaaaa".to_owned()),
            ("aä".to_owned(), "aä".to_owned()),
            (String::new(), String::new()),
        ] {
            assert_eq!(renamed(&text, &names), expected, "{text}");
        }
    }
}
