#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::function::Class;
use crate::journal::{Event, Header, Journal, Level, Restored};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

const POLICY: &str = "version = 1\n";

fn header() -> Header {
    let policy = crate::policy::Policy::parse("policy.toml", POLICY).unwrap();
    let digest = hex::encode(Sha256::digest(b"a component"));
    serde_json::from_value(json!({
        "format": crate::journal::FORMAT, "run": "demo-1", "release": "demo", "title": "Demo",
        "plugin": { "name": "demo", "version": "0.1.0", "digest": format!("sha256:{digest}") },
        "policy": policy.digest(), "process": "release", "profile": "2026", "inputs": {},
        "graph": [{ "id": "tag", "title": "Tag", "kind": "work" }],
        "pinned": at(0), "identity": { "name": "Jane", "email": "jane@example.org" },
        "world": "live", "started-by": "jane",
    }))
    .unwrap()
}

/// A state folder with a run that has just begun.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn new() -> Self {
        let home = Self::empty();
        let run = home.state().join("runs/demo-1");
        for folder in ["artefacts", "scratch"] {
            std::fs::create_dir_all(run.join(folder)).unwrap();
        }
        std::fs::create_dir_all(home.state().join("plugins")).unwrap();
        let files = [
            ("release.toml", "version = 1\n"),
            ("policy.toml", POLICY),
            ("policy-folder", "/elsewhere"),
            ("artefacts/notes.md", "# Notes\n"),
            ("scratch/rubbish", "x"),
        ];
        for (name, text) in files {
            std::fs::write(run.join(name), text).unwrap();
        }
        let plugin = home.state().join("plugins").join(format!("{}.wasm", &header().plugin.digest[7..]));
        std::fs::write(plugin, "a component").unwrap();
        drop(Journal::create(run.join("journal.sqlite"), header(), at(0)).unwrap());
        home
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn journal(&self) -> Journal {
        Journal::open(self.state().join("runs/demo-1/journal.sqlite")).unwrap()
    }

    fn say(&self, text: &str) {
        self.journal().append(remark(text), at(1)).unwrap();
    }

    fn pack(&self, serial: u64) -> Parcel {
        Packer::new(&self.state(), "demo-1").pack(serial).unwrap()
    }
}

fn remark(text: &str) -> Event {
    Event::Remark { step: None, level: Level::Info, text: text.into() }
}

fn intent(ordinal: u32) -> Event {
    Event::Intent {
        step: "tag".into(),
        ordinal,
        function: "git.ensure-tag".into(),
        class: Class::Ensure,
        digest: "d".into(),
        request: json!({}),
        summary: "tag".into(),
    }
}

fn whole(text: &str) -> Result<Parcel, String> {
    Parcel::parse(text, &|_| None)
}

#[test]
fn there_and_back() {
    let home = Home::new();
    home.say("one");
    let parcel = home.pack(7);
    let paths: Vec<&str> = parcel.files.keys().map(String::as_str).collect();
    assert_eq!(
        paths[1..],
        ["runs/demo-1/artefacts/notes.md", "runs/demo-1/policy.toml", "runs/demo-1/release.toml"]
    );
    let read = whole(&parcel.text(|_| false)).unwrap();
    assert_eq!((read.serial, &read.root, read.stands()), (7, &parcel.root, parcel.stands()));
    assert_eq!(read.files, parcel.files);

    let other = Home::empty();
    let from = Path::new("here");
    assert_eq!(unpack(&other.state(), &read, from).unwrap(), Restored::New);
    assert_eq!(other.journal().verify().unwrap(), home.journal().verify().unwrap());
    assert_eq!(unpack(&other.state(), &read, from).unwrap(), Restored::Same);
    other.say("two");
    assert_eq!(unpack(&other.state(), &read, from).unwrap(), Restored::Ahead(1));
    home.say("three");
    let parted = unpack(&other.state(), &home.pack(8), from);
    assert!(matches!(parted, Err(ParcelError::Journal(JournalError::Parted { at: 3, .. }))), "{parted:?}");
}

#[test]
fn what_is_not_a_state_is_refused() {
    let home = Home::new();
    let parcel = home.pack(1);
    let with = |path: &str, bytes: &str| {
        let mut changed = parcel.clone();
        changed.files.insert(path.into(), Content::new(bytes.into()));
        changed
    };
    let places = [
        "runs/demo-1/../../evil",
        "/etc/evil",
        "runs/other/x",
        "runs/demo-1/journal.sqlite",
        "runs/demo-1/.hidden",
        "runs/demo-1/a\\b",
        "runs/demo-1",
        "plugins/0000.wasm",
        "cache/components/x",
    ];
    for place in places {
        let refused = whole(&with(place, "x").text(|_| false)).map(drop);
        assert!(refused.as_ref().is_err_and(|why| why.contains("no place")), "{place}: {refused:?}");
    }
    let state = Home::empty();
    let policy = with("runs/demo-1/policy.toml", "version = 1\n# other\n");
    let refused = unpack(&state.state(), &policy, Path::new("p"));
    assert!(refused.unwrap_err().to_string().contains("not the policy"));
    let mut bare = parcel.clone();
    bare.files.retain(|path, _| !path.starts_with("plugins/"));
    assert!(unpack(&state.state(), &bare, Path::new("p")).unwrap_err().to_string().contains("plugin"));
    assert!(!state.state().join("runs").exists(), "what is refused leaves nothing");
    for text in ["", "\n", "{}\n{}\n", "no json"] {
        assert!(whole(text).is_err());
    }
}

#[test]
fn a_file_is_replaced_by_its_holder_alone() {
    let home = Home::new();
    let path = home.folder.path().join("kept/state.castoff");
    let mut shelf = Shelf::file(&path).unwrap();
    assert!(matches!(Shelf::file(&path), Err(ParcelError::Held { .. })));
    assert!(shelf.newest().unwrap().is_none());
    shelf.keep(&home.pack(1)).unwrap();
    let first = std::fs::read(&path).unwrap();
    shelf.keep(&home.pack(2)).unwrap();
    drop(shelf);
    let mut shelf = Shelf::file(&path).unwrap();
    assert_eq!(shelf.newest().unwrap().map(|parcel| parcel.serial), Some(2));
    // Something else was put in its place.
    std::fs::write(&path, &first).unwrap();
    assert!(matches!(shelf.keep(&home.pack(3)), Err(ParcelError::Overtaken { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), first);
    std::fs::write(&path, &first[..first.len() / 2]).unwrap();
    assert!(matches!(shelf.newest(), Err(ParcelError::Damaged { .. })));
}

#[test]
fn two_jobs_want_the_same_object() {
    let home = Home::new();
    let folder = home.folder.path().join("bucket");
    let [mut one, mut two] = [(); 2].map(|()| Shelf::bucket(&folder).unwrap());
    for shelf in [&mut one, &mut two] {
        assert!(shelf.newest().unwrap().is_none());
    }
    one.keep(&home.pack(1)).unwrap();
    assert!(matches!(two.keep(&home.pack(1)), Err(ParcelError::Overtaken { .. })));
    // A job that slept while its number was used and cleared away.
    for serial in 2..=40 {
        one.keep(&home.pack(serial)).unwrap();
    }
    one.tidy().unwrap();
    let left = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(left, 32);
    let late = two.keep(&home.pack(2));
    assert!(matches!(late, Err(ParcelError::Overtaken { .. })), "{late:?}");
    // One that was cut off does not count, and its number is used up.
    std::fs::write(folder.join("state-000000000041.castoff"), "{\"kind\":\"castoff-par").unwrap();
    let mut three = Shelf::bucket(&folder).unwrap();
    assert_eq!(three.newest().unwrap().map(|parcel| parcel.serial), Some(40));
    assert_eq!(three.serial(), 41);
    three.keep(&home.pack(42)).unwrap();
}

#[test]
fn large_contents_are_beside_the_object() {
    let home = Home::new();
    let big = "x".repeat(100_000);
    std::fs::write(home.state().join("runs/demo-1/artefacts/big"), &big).unwrap();
    let folder = home.folder.path().join("bucket");
    let mut shelf = Shelf::bucket(&folder).unwrap();
    shelf.keep(&home.pack(1)).unwrap();
    let object = std::fs::metadata(folder.join("state-000000000001.castoff")).unwrap();
    assert!(object.len() < 20_000, "{}", object.len());
    let mut other = Shelf::bucket(&folder).unwrap();
    let parcel = other.newest().unwrap().unwrap();
    assert_eq!(parcel.files["runs/demo-1/artefacts/big"].bytes(), big.as_bytes());
    let content = folder.join(format!("content-{}", parcel.files["runs/demo-1/artefacts/big"].sha256()));
    std::fs::write(content, "y").unwrap();
    assert!(matches!(other.newest(), Err(ParcelError::Damaged { .. })));
}

#[test]
fn what_is_announced_is_kept_before_it_happens() {
    let home = Home::new();
    let folder = home.folder.path().join("bucket");
    let shelf = || Shelf::bucket(&folder).unwrap();
    let newest = || shelf().newest().unwrap().unwrap().stands()[0].events;
    let (keeper, restored) = Keeper::open(&home.state(), shelf()).unwrap();
    assert!(restored.is_none());
    let keeper = Arc::new(keeper);
    let journal = keeper.attach(home.journal());
    assert_eq!((newest(), keeper.root().as_deref()), (1, Some("demo-1")));
    journal.append(Event::Started { step: "tag".into(), attempt: 1 }, at(1)).unwrap();
    assert_eq!(newest(), 1, "what merely began is not worth an object");
    journal.append(intent(0), at(2)).unwrap();
    assert_eq!(newest(), 3);

    // Another job goes on from there.
    let other = Home::empty();
    let (rival, restored) = Keeper::open(&other.state(), shelf()).unwrap();
    assert_eq!(restored, Some(Restored::New));
    let rival = Arc::new(rival).attach(other.journal());
    rival.append(intent(1), at(3)).unwrap();
    assert_eq!(newest(), 4);

    // The first one finds out before it performs anything, and writes nothing any more.
    for _ in 0..2 {
        let late = journal.append(intent(1), at(3));
        assert!(matches!(late, Err(JournalError::Held { .. })), "{late:?}");
    }
    assert_eq!(journal.verify().unwrap().events, 4);
    assert!(matches!(keeper.save(), Err(ParcelError::Overtaken { .. })));
}

/// The text of a state, made once.
static TEXT: LazyLock<String> = LazyLock::new(|| Home::new().pack(1).text(|_| false));

proptest! {
    #[test]
    fn no_edit_goes_unseen_and_none_panics(at in 0_usize..20_000, byte in 32_u8..127) {
        let text = TEXT.clone();
        let mut edited = text.clone().into_bytes();
        // All but the line end of the last line, which says nothing.
        let at = at % (edited.len() - 1);
        edited[at] = byte;
        if let Ok(edited) = String::from_utf8(edited) {
            prop_assert_eq!(whole(&edited).is_ok(), edited == text);
        }
    }
}
