//! Trains at the command line: one screen, exit codes of the member that needs somebody most, and its releases by name.

use castoff::journal::{Event, Journal};
use castoff::train::Member;
use insta::assert_snapshot;

use super::{Place, at, header, settings, started, until_asked, until_waiting};

fn member(name: &str, needs: &[&str]) -> Member {
    let needs = needs.iter().map(|need| (*need).to_owned()).collect();
    Member { name: name.into(), needs, header: header(&format!("{name}-1")) }
}

impl Place {
    /// A train of three, written through the library.
    fn train(&self, events: impl IntoIterator<Item = Event>) {
        let members =
            [member("attacher", &[]), member("probe", &[]), member("driver", &["attacher", "probe"])];
        let header = Member::train("train-1", "CSI sidecars", &members).expect("it has members");
        let folder = self.home.path().join(".local/state/castoff/runs/train-1");
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        std::fs::write(folder.join("release.toml"), "").expect("a file can be written");
        let journal = Journal::create(folder.join("journal.sqlite"), header, at(0)).expect("a journal");
        for (number, event) in (1..).zip(events) {
            journal.append(event, at(number)).expect("the event is legal");
        }
    }

    /// The same, one release waiting for an image and another asking.
    fn train_that_asks(&self) {
        self.train([started("attacher", 1), started("probe", 1)]);
        drop(self.run("attacher-1", until_waiting()));
        drop(self.run("probe-1", until_asked()));
    }
}

#[test]
fn one_screen() {
    let place = Place::new();
    place.train_that_asks();
    check!(place.castoff(&["status", "train-1", "--exit-code"]), @r#"
    exit 11
    --- stdout
    CSI sidecars  train-1
    train of 3 releases, in the world, begun 2024-10-04 00:00:00 UTC by jane

      … attacher  livenessprobe v2.17.0  3 of 4 steps  attacher-1
          image waits since 2024-10-04 00:00:13 UTC ([SPAN]) for the image to be promoted by its owners https://github.com/kubernetes/k8s.io/pull/7
      ? probe     livenessprobe v2.17.0  1 of 4 steps  probe-1
          approve-notes asks since 2024-10-04 00:00:04 UTC ([SPAN]): Are the notes right?
            answers: approve, reject
            castoff approve probe-1 approve-notes
      · driver    livenessprobe v2.17.0
          waits for attacher, probe

    0 of 3 releases out, 1 effects in the world: a person has to answer (probe)
    --- stderr
    castoff approve probe-1 approve-notes
    "#);
}

#[test]
fn exit_codes_are_those_of_the_member_that_needs_somebody_most() {
    let failed = || Event::Failed {
        step: "attacher".into(),
        error: "aborted".into(),
        message: "aborted by ann: embargo".into(),
        retryable: false,
    };
    let done = |step: &str| Event::Succeeded { step: step.into(), outputs: serde_json::json!({}) };
    let both = || vec![started("attacher", 1), started("probe", 1)];
    let aborted = || Event::Aborted { reason: "embargo".into(), by: "ann".into() };
    let ended = || until_waiting().into_iter().chain([aborted()]).collect::<Vec<_>>();
    // Events of the train, of its first two members, exit code, the command to type.
    let cases = [
        (vec![], None, None, 10, "castoff resume train-1"),
        (both(), Some(until_waiting()), Some(until_asked()), 11, "castoff approve probe-1 approve-notes"),
        (both(), Some(until_waiting()), Some(until_waiting()), 10, "castoff resume train-1 --watch"),
        (
            [both(), vec![failed()]].concat(),
            Some(ended()),
            Some(until_waiting()),
            1,
            "castoff skip train-1 attacher --reason …",
        ),
        (
            [both(), vec![done("attacher"), done("probe")]].concat(),
            Some(until_waiting()),
            Some(until_waiting()),
            10,
            "castoff resume train-1",
        ),
        ([both(), vec![aborted()]].concat(), Some(ended()), Some(ended()), 1, "castoff log train-1"),
    ];
    for (events, first, second, code, next) in cases {
        let place = Place::new();
        place.train(events);
        for (name, events) in [("attacher-1", first), ("probe-1", second)] {
            if let Some(events) = events {
                drop(place.run(name, events));
            }
        }
        let shown = place.castoff(&["status", "train-1", "--exit-code"]);
        assert!(shown.starts_with(&format!("exit {code}\n")) && shown.ends_with(next), "{shown}");
        let json = place.castoff(&["status", "train-1", "--json"]);
        assert!(json.contains(&format!("\"exit-code\":{code}")), "{json}");
    }
}

#[test]
fn releases_have_names() {
    let place = Place::new();
    place.train_that_asks();
    let alone = place.castoff(&["status", "train-1/probe"]);
    assert_eq!(alone, place.castoff(&["status", "probe-1"]));
    check!(place.castoff(&["status", "train-1/driver"]), @r#"
    exit 2
    --- stderr
    error[usage]: driver of train-1 has not begun

    hint: castoff status train-1 shows what it waits for
    "#);
    check!(place.castoff(&["status", "train-1/resizer"]), @r#"
    exit 2
    --- stderr
    error[usage]: the train train-1 has no release "resizer"

    hint: it has: attacher, probe, driver
    "#);
    check!(place.castoff(&["plan", "train-1"]), @r#"
    exit 2
    --- stderr
    error[usage]: train-1 is a train: plan is for one of its releases

    hint: castoff plan train-1/attacher
    "#);
    // Of the whole train, only one release asks.
    let asked = place.castoff(&["approve", "train-1", "--choice", "approve"]);
    assert!(asked.starts_with("exit 0") && asked.contains("castoff resume probe-1"), "{asked}");
    let again = place.castoff(&["approve", "train-1"]);
    assert!(again.starts_with("exit 2") && again.contains("no release of this train asks"), "{again}");
}

#[test]
fn log_and_abort_are_of_all() {
    let place = Place::new();
    place.train_that_asks();
    let log = place.castoff(&["log", "train-1", "--json"]);
    for run in ["train-1", "attacher-1", "probe-1"] {
        assert!(log.contains(&format!("\"run\":\"{run}\"")), "{log}");
    }
    check!(place.castoff(&["abort", "train-1", "--reason", "embargo"]), @r#"
    exit 0
    --- stdout
    attacher: + tag: tag v2.17.0 of kubernetes-csi/livenessprobe at 33ea6c0
    --- stderr
    the train is aborted; it leaves this in the world, to be undone by hand where that is wanted:
    castoff log train-1
    "#);
    for run in ["train-1", "attacher-1", "probe-1"] {
        let shown = place.castoff(&["status", run, "--exit-code"]);
        assert!(shown.starts_with("exit 1\n") && shown.contains("aborted"), "{shown}");
    }
}

#[test]
fn train_files_with_mistakes() {
    let place = Place::new();
    let release = |name: &str, more: &str| {
        format!("[[release]]\nname = \"{name}\"\nplugin = \"csi-sidecar\"\nprocess = \"release\"\n{more}\n")
    };
    let inputs = "inputs = { repository = \"o/r\", version = \"v1.0.0\" }";
    place.write("needs.toml", &format!("version = 1\n{}", release("a", "needs = [\"b\"]")));
    check!(place.castoff(&["run", "needs.toml"]), @r#"
    exit 2
    --- stderr
    error[usage]: a needs "b", which does not come before it
       ╭─[needs.toml:3:8]
     2 │ [[release]]
     3 │ name = "a"
       ·        ─┬─
       ·         ╰── here
     4 │ plugin = "csi-sidecar"
       ╰────

    hint: no release comes before it
    "#);
    place
        .write("inputs.toml", &format!("version = 1\n{}", release("a", "inputs = { version = \"v1.0.0\" }")));
    let missing = place.castoff(&["rehearse", "inputs.toml"]);
    assert!(
        missing.starts_with("exit 2") && missing.contains("the input \"repository\" is missing"),
        "{missing}"
    );
    place.write("world.toml", &format!("version = 1\n{}", release("a", inputs)));
    let homeless = place.castoff(&["rehearse", "world.toml"]);
    assert!(
        homeless.starts_with("exit 2") && homeless.contains("needs a world, and the train file"),
        "{homeless}"
    );
    let refused = place.castoff(&["run", "world.toml"]);
    assert!(refused.starts_with("exit 20") && refused.contains("needs a policy"), "{refused}");
}
