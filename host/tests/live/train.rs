//! A train in the world, to its end: the real binary, process after process, some of them killed, on two machines.

use std::path::Path;

use castoff::journal::Journal;
use castoff::parcel::{Shelf, unpack};
use chrono::TimeDelta;
use serde_json::Value;

use super::place::{MOST, Place, named};

/// Two releases; the second begins when the first one is out.
const TRAIN: &str = r#"
version = 1
name = "Two sidecars"
policy = "policy.toml"

[[release]]
name = "attacher"
plugin = "csi-sidecar"
process = "release"
inputs = { repository = "kubernetes-csi/external-attacher", version = "v4.10.0" }

[[release]]
name = "probe"
needs = ["attacher"]
plugin = "csi-sidecar"
process = "release"
inputs = { repository = "kubernetes-csi/livenessprobe", version = "v2.17.0" }
"#;

const CONFIRM: [&str; 4] = ["--confirm", "attacher=v4.10.0", "--confirm", "probe=v2.17.0"];

fn place() -> Place {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/csi-sidecar/examples/train");
    let place = Place::with(&example.join("train.toml"), &example.join("world.toml"));
    std::fs::write(place.home.path().join("train.toml"), TRAIN).expect("a train");
    place
}

impl Place {
    /// Agrees to whatever the releases of a train ask.
    fn approve_train(&self, train: &str) {
        let status = self.status(train);
        let members = status["members"].as_array().expect("members");
        for member in members.iter().filter(|member| member["begun"] == true && member["verdict"] == "asks") {
            let name = member["name"].as_str().expect("a name");
            self.approve_all(&format!("{train}/{name}"), || None);
        }
    }

    fn verdicts(&self, train: &str) -> Vec<Value> {
        let members = self.status(train)["members"].clone();
        members.as_array().expect("members").iter().map(|member| member["verdict"].clone()).collect()
    }
}

#[test]
fn a_train_from_its_departure_to_the_end() {
    let place = place();
    let (train, mut ended) = named(place.castoff(&place.beginning(&[])));
    assert_eq!(ended.code, Some(11), "{}", ended.shown());
    let early = place.castoff(&["approve", &format!("{train}/probe")]);
    assert!(early.code == Some(2) && early.err.contains("has not begun"), "{}", early.shown());
    let step = place.castoff(&["step", &format!("{train}/attacher"), "scope"]);
    assert_eq!(step.code, Some(11), "{}", step.shown());

    let resume = [&["resume", &train], &CONFIRM as &[_]].concat();
    let job = place.beginning(&[]);
    let job = [&["ci"], &job[1..], &CONFIRM, &["--state-file", "castoff.state"]].concat();
    let (mut deaths, mut count) = (0, 0);
    while ended.code != Some(0) {
        count += 1;
        assert!(count < MOST, "{}", ended.shown());
        match ended.code {
            Some(10) => place.pass(TimeDelta::hours(3)),
            Some(11) => place.approve_train(&train),
            None => deaths += 1,
            Some(_) => panic!("{}", ended.shown()),
        }
        let args = if count % 2 == 0 { &resume } else { &job };
        // Now and then a process dies, at another moment each time.
        ended = match count % 5 {
            3 => place.killed(args, 2 + count as u64 % 11),
            _ => place.castoff(args),
        };
    }
    assert!(deaths > 1, "{deaths} deaths");
    assert_eq!(place.verdicts(&train), ["finished", "finished"]);
    for (repository, tag) in [("external-attacher", "v4.10.0"), ("livenessprobe", "v2.17.0")] {
        let name = format!("kubernetes-csi/{repository}");
        assert!(place.forge.reference(&name, &format!("refs/tags/{tag}")).is_some(), "{name} {tag}");
    }
    for member in ["attacher", "probe"] {
        place.verify(&format!("{train}/{member}"));
    }
    once(&place);
    kept(&place, &train, &job);
}

/// Nothing was made twice.
fn once(place: &Place) {
    let snapshot = place.forge.snapshot().expect("a picture");
    for (name, repository) in &snapshot.repositories {
        let mut heads: Vec<&str> = repository.pulls.values().map(|pull| pull.head.as_str()).collect();
        let before = heads.len();
        heads.sort_unstable();
        heads.dedup();
        assert_eq!(heads.len(), before, "{name} has two pull requests of one branch");
        let mut releases: Vec<&str> =
            repository.releases.iter().map(|release| release.tag.as_str()).collect();
        let before = releases.len();
        releases.sort_unstable();
        releases.dedup();
        assert_eq!(releases.len(), before, "{name} has two releases of one tag");
    }
}

/// The state that was kept is all of the train, and enough for another machine.
fn kept(place: &Place, train: &str, job: &[&str]) {
    let last = place.castoff(job);
    assert_eq!(last.code, Some(0), "{}", last.shown());
    let path = place.home.path().join("castoff.state");
    let state = place.home.path().join("elsewhere");
    let parcel =
        Shelf::file(&path).and_then(|mut shelf| shelf.newest()).expect("a whole state").expect("a state");
    assert_eq!((parcel.root.as_str(), parcel.journals.len()), (train, 3));
    unpack(&state, &parcel, &path).expect("it can be taken over");
    for run in parcel.journals.keys() {
        let there = Journal::open_read_only(state.join("runs").join(run).join("journal.sqlite"));
        let here = Journal::open_read_only(place.journal(run));
        let [there, here] = [there, here].map(|journal| journal.and_then(|journal| journal.verify()));
        assert_eq!(there.expect("a whole journal"), here.expect("a whole journal"), "{run}");
    }
    let status = place.castoff(&["--state", "elsewhere", "status", train, "--exit-code"]);
    assert_eq!(status.code, Some(0), "{}", status.shown());
}
