//! Two hosts at once: one journal has one writer, one release has one run, and where two runs are begun all the same,
//! neither spoils what the other made.

use std::process::{Child, Stdio};

use castoff::forge::{Fault, FaultKind};
use castoff::journal::{Journal, JournalError};
use chrono::TimeDelta;

use super::place::{MOST, Place};

/// A process that waits for an answer that never comes, and holds its journal meanwhile.
fn stuck(place: &Place, args: &[&str], fault: Fault) -> Child {
    let silent = |place: &Place| place.forge.requests().iter().filter(|served| served.status == 0).count();
    let before = silent(place);
    place.forge.inject(fault);
    let mut command = place.command(args);
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary can be started");
    while silent(place) == before {
        assert!(child.try_wait().expect("a child").is_none(), "it ended before it asked");
        std::thread::yield_now();
    }
    child
}

#[test]
fn the_second_host_is_refused_and_a_dead_one_holds_nothing() {
    let place = Place::new();
    let (run, begun) = place.begin(&["--only", "preflight"]);
    assert_eq!(begun.code, Some(10), "{}", begun.shown());
    for _ in 0..3 {
        let mut first = stuck(&place, &["resume", &run], Fault::on("GET", "*/issues", FaultKind::Silence));
        let holder = format!("process {} on", first.id());
        match Journal::open(place.journal(&run)) {
            Err(JournalError::Held { by, .. }) => assert!(by.starts_with(&holder), "{by}"),
            other => panic!("{other:?}"),
        }
        let decisions: [&[&str]; 4] = [
            &["resume", &run],
            &["retry", &run, "triage"],
            &["skip", &run, "docs", "--reason", "x"],
            &["abort", &run, "--reason", "x"],
        ];
        for args in decisions {
            let second = place.castoff(args);
            assert_eq!(second.code, Some(30), "{args:?}: {}", second.shown());
            assert!(second.err.contains(&holder), "{args:?}: {}", second.shown());
        }
        let looked = place.castoff(&["status", &run]);
        assert_eq!(looked.code, Some(0), "looking is always possible: {}", looked.shown());
        first.kill().expect("it can be killed");
        first.wait().expect("it is dead");
        let journal = Journal::open(place.journal(&run)).expect("a dead process holds nothing");
        drop(journal);
    }
    assert_eq!(place.finish(&run, |_| None).last(), Some(&Some(0)));
}

#[test]
fn a_release_has_one_unfinished_run() {
    let place = Place::new();
    let (first, begun) = place.begin(&["--only", "triage"]);
    assert_eq!(begun.code, Some(10), "{}", begun.shown());
    let asked = place.forge.requests().len();
    let refused = place.castoff(&place.beginning(&[]));
    assert_eq!(refused.code, Some(30), "{}", refused.shown());
    assert!(refused.err.contains(&format!("castoff resume {first}")), "{}", refused.shown());
    assert!(refused.err.contains("--again"), "{}", refused.shown());
    assert_eq!((place.forge.requests().len(), place.runs().len()), (asked, 1), "nothing was begun");

    // Another release is another release.
    let text = std::fs::read_to_string(place.home.path().join("release.toml")).expect("the example");
    let other = text.replace("v2.17.0", "v2.16.1");
    assert_ne!(other, text);
    std::fs::write(place.home.path().join("other.toml"), other).expect("a file can be written");
    let other = place.castoff(&["run", "other.toml", "--forge", place.forge.url(), "--only", "preflight"]);
    assert_ne!(other.code, Some(30), "{}", other.shown());

    let aborted = place.castoff(&["abort", &first, "--reason", "begun by mistake"]);
    assert_eq!(aborted.code, Some(0), "{}", aborted.shown());
    let (second, begun) = place.begin(&["--only", "triage"]);
    assert_eq!(begun.code, Some(10), "after the end of the first: {}", begun.shown());
    let (third, begun) = place.begin(&["--only", "triage", "--again"]);
    assert_eq!(begun.code, Some(10), "{}", begun.shown());
    assert!(second != third && third != first);
}

/// Where each of two runs of one release stands after it was driven as far as it goes.
fn drive(place: &Place, run: &str) -> i32 {
    let ended = place.resume(run, None);
    ended.code.unwrap_or_else(|| panic!("{}", ended.shown()))
}

#[test]
fn two_runs_of_one_release_side_by_side() {
    let place = Place::new();
    let (first, _) = place.begin(&[]);
    let (second, _) = place.begin(&["--again"]);
    let tag = |place: &Place| place.forge.reference("kubernetes-csi/livenessprobe", "refs/tags/v2.17.0");
    let mut tagged = None;
    let mut ends = [None, None];
    for _ in 0..MOST {
        for (run, end) in [&first, &second].into_iter().zip(&mut ends) {
            if end.is_some() {
                continue;
            }
            match drive(&place, run) {
                10 => {}
                11 => place.approve_all(run, || None),
                code => *end = Some(code),
            }
            // Once it is there, it stays where it is.
            assert!(tagged.is_none() || tagged == tag(&place), "the tag was moved");
            tagged = tag(&place);
        }
        if ends.iter().all(Option::is_some) {
            break;
        }
        place.pass(TimeDelta::hours(3));
    }
    // One of them made the release; the other found what the first one made, or says that it stands in its way.
    let ends = ends.map(|end| end.unwrap_or(-1));
    assert!(ends.contains(&0), "{ends:?}: {} {}", place.status(&first), place.status(&second));
    assert!(ends.iter().all(|end| matches!(end, 0 | 21)), "{ends:?}: {}", place.status(&second));
    let snapshot = place.forge.snapshot().expect("a picture");
    for (name, repository) in &snapshot.repositories {
        let mut heads: Vec<&str> = repository.pulls.values().map(|pull| pull.head.as_str()).collect();
        heads.sort_unstable();
        let before = heads.len();
        heads.dedup();
        assert_eq!(heads.len(), before, "{name} has two pull requests of one branch");
        let releases = repository.releases.iter().filter(|release| release.tag == "v2.17.0").count();
        assert!(releases <= 1, "{name} has {releases} releases of one tag");
    }
}
