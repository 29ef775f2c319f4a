//! What a person decides at the command line: answers, skips, takes back, ends.

use insta::assert_snapshot;

use super::{Place, settings, until_asked, until_waiting};

#[test]
fn approving_needs_a_choice() {
    let place = Place::new();
    drop(place.run("demo-1", until_asked()));
    check!(place.castoff(&["approve", "@latest"]), @r#"
    exit 2
    --- stdout
    # Changes
    --- stderr
    approve-notes  Agree to the notes
    Are the notes right?
    --- notes.md
    ---
    error[usage]: an answer is needed

    hint: --choice approve
    hint: offered are: approve, reject
    "#);
    check!(place.castoff(&["approve", "@latest", "--choice", "perhaps"]), @r#"
    exit 2
    --- stdout
    # Changes
    --- stderr
    approve-notes  Agree to the notes
    Are the notes right?
    --- notes.md
    ---
    error[usage]: the choice "perhaps" is not offered

    hint: offered are: approve, reject
    "#);
}

#[test]
fn approving() {
    let place = Place::new();
    drop(place.run("demo-1", until_asked()));
    place.write("better.md", "# Better changes\n");
    let args =
        ["approve", "@latest", "approve-notes", "--choice", "approve", "--as", "joe", "--file", "better.md"];
    check!(place.castoff(&args), @r#"
    exit 0
    --- stdout
    # Changes
    --- stderr
    approve-notes  Agree to the notes
    Are the notes right?
    --- notes.md
    ---
    approve-notes: approve by joe
    castoff resume demo-1
    "#);
    let shown = place.castoff(&["log", "--json"]);
    assert!(shown.contains("# Better changes") && shown.contains(r#""by":"joe""#), "{shown}");
}

#[test]
fn approving_what_does_not_ask() {
    let place = Place::new();
    drop(place.run("demo-1", until_asked()));
    check!(place.castoff(&["approve", "demo-1", "tag"]), @r#"
    exit 2
    --- stderr
    error[usage]: tag asks nothing: it is pending

    hint: castoff approve demo-1 approve-notes
    "#);
}

#[test]
fn skipping_and_taking_it_back() {
    let place = Place::new();
    drop(place.run("demo-1", until_asked()));
    check!(place.castoff(&["skip", "demo-1", "tag", "--reason", "made by hand"]), @r#"
    exit 0
    --- stderr
    tag is skipped: steps after it see none of its outputs
    castoff resume demo-1
    "#);
    check!(place.castoff(&["retry", "demo-1", "tag", "--as", "joe"]), @r#"
    exit 0
    --- stderr
    tag starts over
    castoff approve demo-1 approve-notes
    "#);
    check!(place.castoff(&["retry", "demo-1", "tag"]), @r#"
    exit 2
    --- stderr
    error[usage]: that is not possible now: step "tag" is pending
    "#);
}

#[test]
fn aborting_says_what_is_left() {
    let place = Place::new();
    drop(place.run("demo-1", until_waiting()));
    check!(place.castoff(&["abort", "demo-1", "--reason", "security embargo"]), @r#"
    exit 0
    --- stdout
    + tag: tag v2.17.0 of kubernetes-csi/livenessprobe at 33ea6c0
    --- stderr
    the run is aborted; it leaves this in the world, to be undone by hand where that is wanted:
    castoff log demo-1
    "#);
    check!(place.castoff(&["resume", "demo-1"]), @r#"
    exit 1
    --- stderr
    the run has ended
    castoff log demo-1
    "#);
}
