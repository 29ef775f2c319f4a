//! What a run shows at the command line: `status`, `runs`, `log`, and what a person says of an unknown outcome.

use castoff::function::Class;
use castoff::journal::Event;
use insta::assert_snapshot;

use super::{Place, intent, settings, until_asked, until_tagging, until_waiting};

#[test]
fn status_of_a_run_that_asks() {
    let place = Place::new();
    drop(place.run("demo-1", until_asked()));
    check!(place.castoff(&["status"]), @r#"
    exit 0
    --- stdout
    livenessprobe v2.17.0  demo-1
    demo 0.1.0, process release, profile 2026, in the world, begun 2024-10-04 00:00:00 UTC by jane

      ✓ notes          Draft the notes  1.0 s
      ? approve-notes  Agree to the notes
          asks since 2024-10-04 00:00:04 UTC ([SPAN]): Are the notes right?
          answers: approve, reject
          castoff approve demo-1 approve-notes
      · tag            Tag v2.17.0  (cannot be undone)
      · image          Wait for the image

    1 of 4 steps done, 0 effects in the world: a person has to answer
    --- stderr
    castoff approve demo-1 approve-notes
    "#);
}

#[test]
fn status_of_a_run_that_waits() {
    let place = Place::new();
    drop(place.run("demo-1", until_waiting()));
    check!(place.castoff(&["status", "demo", "--exit-code"]), @r#"
    exit 10
    --- stdout
    livenessprobe v2.17.0  demo-1
    demo 0.1.0, process release, profile 2026, in the world, begun 2024-10-04 00:00:00 UTC by jane

      ✓ notes          Draft the notes  1.0 s
      ✓ approve-notes  Agree to the notes  1.0 s
      ✓ tag            Tag v2.17.0  3.0 s
      … image          Wait for the image
          waits since 2024-10-04 00:00:13 UTC ([SPAN]) for the image to be promoted by its owners https://github.com/kubernetes/k8s.io/pull/7

    3 of 4 steps done, 1 effects in the world: waits for something outside
    --- stderr
    castoff resume demo-1 --watch
    "#);
}

#[test]
fn status_of_a_run_that_failed() {
    let place = Place::new();
    let failed = Event::Failed {
        step: "tag".into(),
        error: "conflict".into(),
        message: "the tag v2.17.0 points at 1111111, not at 33ea6c0".into(),
        retryable: false,
    };
    drop(place.run("demo-1", until_tagging().into_iter().chain([failed])));
    check!(place.castoff(&["status", "--exit-code"]), @r#"
    exit 21
    --- stdout
    livenessprobe v2.17.0  demo-1
    demo 0.1.0, process release, profile 2026, in the world, begun 2024-10-04 00:00:00 UTC by jane

      ✓ notes          Draft the notes  1.0 s
      ✓ approve-notes  Agree to the notes  1.0 s
      ✗ tag            Tag v2.17.0  (cannot be undone)
          failed (conflict): the tag v2.17.0 points at 1111111, not at 33ea6c0
          castoff retry demo-1 tag, or castoff explain conflict
      · image          Wait for the image

    2 of 4 steps done, 0 effects in the world: stopped: a step failed
    --- stderr
    castoff retry demo-1 tag
    "#);
}

#[test]
fn status_of_a_run_with_an_unknown_outcome() {
    let place = Place::new();
    let lost = [intent(Class::Once), Event::Unknown { step: "tag".into(), intent: 10 }];
    drop(place.run("demo-1", until_tagging().into_iter().chain(lost)));
    check!(place.castoff(&["status", "--exit-code"]), @r#"
    exit 22
    --- stdout
    livenessprobe v2.17.0  demo-1
    demo 0.1.0, process release, profile 2026, in the world, begun 2024-10-04 00:00:00 UTC by jane

      ✓ notes          Draft the notes  1.0 s
      ✓ approve-notes  Agree to the notes  1.0 s
      ! tag            Tag v2.17.0  (cannot be undone)
          nobody knows whether this happened: tag v2.17.0 of kubernetes-csi/livenessprobe at 33ea6c0
          castoff resume demo-1 --assume done|not-done
      · image          Wait for the image

    2 of 4 steps done, 0 effects in the world: stopped: the outcome of an effect is not known
    --- stderr
    castoff resume demo-1 --assume done|not-done
    "#);
}

#[test]
fn what_a_person_says_of_an_unknown_outcome_is_kept() {
    let lost = [intent(Class::Once), Event::Unknown { step: "tag".into(), intent: 10 }];
    for (word, kept) in [("done", "done"), ("not-done", "not done")] {
        let place = Place::new();
        drop(place.run("demo-1", until_tagging().into_iter().chain(lost.clone())));
        // The demo has no component to go on with; what was said is in the journal before anything else is done.
        let shown = place.castoff(&["resume", "demo-1", "--assume", word, "--as", "ann"]);
        let said = format!("tag: tag v2.17.0 of kubernetes-csi/livenessprobe at 33ea6c0: {kept}, says ann");
        assert!(shown.starts_with("exit 2") && shown.contains(&said), "{shown}");
        let status = place.castoff(&["status", "--exit-code"]);
        assert!(status.starts_with("exit 10") && status.contains("can go on"), "{status}");
        let again = place.castoff(&["resume", "demo-1", "--assume", word]);
        assert!(again.contains("of every effect it is known what became of it"), "{again}");
    }
}

#[test]
fn status_as_json_is_one_line() {
    let place = Place::new();
    drop(place.run("demo-1", until_waiting()));
    let output = place.command(&["status", "--json"]).output().expect("the binary can be started");
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    assert_eq!(text.lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(value["verdict"], "waiting");
    assert_eq!(value["exit-code"], 10);
    assert_eq!(value["times"]["notes"]["milliseconds"], 1000);
    assert!(output.stderr.is_empty());
}

#[test]
fn several_runs() {
    let place = Place::new();
    drop(place.run("demo-1", until_asked()));
    drop(place.run("demo-2", until_waiting()));
    let shown = place.castoff(&["status", "--all"]);
    let lines = ["asks       demo-1  livenessprobe v2.17.0", "waiting    demo-2  livenessprobe v2.17.0"];
    assert!(lines.iter().all(|line| shown.contains(line)), "{shown}");
    check!(place.castoff(&["status", "demo"]), @r#"
    exit 2
    --- stderr
    error[usage]: there is no run "demo"

    hint: the newest runs: demo-2, demo-1
    "#);
}

#[test]
fn log_for_people_and_for_programs() {
    let place = Place::new();
    let journal = place.run("demo-1", until_waiting());
    check!(place.castoff(&["log"]), @r#"
    exit 0
    --- stdout
       1  2024-10-04 00:00:00 UTC  run-created                      livenessprobe v2.17.0 with demo 0.1.0, process release, profile 2026
       2  2024-10-04 00:00:01 UTC  started     notes                attempt 1
       3  2024-10-04 00:00:02 UTC  succeeded   notes
       4  2024-10-04 00:00:03 UTC  started     approve-notes        attempt 1
       5  2024-10-04 00:00:04 UTC  asked       approve-notes        Are the notes right?
       6  2024-10-04 00:00:05 UTC  answered    approve-notes        approve by jane
       7  2024-10-04 00:00:06 UTC  started     approve-notes        attempt 2
       8  2024-10-04 00:00:07 UTC  succeeded   approve-notes
       9  2024-10-04 00:00:08 UTC  started     tag                  attempt 1
      10  2024-10-04 00:00:09 UTC  intent      tag                  tag v2.17.0 of kubernetes-csi/livenessprobe at 33ea6c0 (git.ensure-tag)
      11  2024-10-04 00:00:10 UTC  outcome     tag                  of 10: done
      12  2024-10-04 00:00:11 UTC  succeeded   tag
      13  2024-10-04 00:00:12 UTC  started     image                attempt 1
      14  2024-10-04 00:00:13 UTC  waiting     image                the image to be promoted by its owners https://github.com/kubernetes/k8s.io/pull/7
    --- stderr
    castoff resume demo-1 --watch
    "#);
    let output = place.command(&["log", "--json"]).output().expect("the binary can be started");
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let events: Vec<castoff::journal::Record> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line is an event")).collect();
    assert_eq!(events, journal.events().expect("the journal can be read"));
}
