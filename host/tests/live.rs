//! Live runs: the real binary, process after process, against a forge in this test. Nothing of the run is left in memory
//! between two commands; time passes at the forge when the test says so.

#[path = "live/ci.rs"]
mod ci;
#[path = "live/kill.rs"]
mod kill;
#[path = "live/lease.rs"]
mod lease;
#[path = "live/place.rs"]
mod place;
#[path = "live/plan.rs"]
mod plan;
#[path = "live/train.rs"]
mod train;
#[path = "live/yaml.rs"]
mod yaml;

use castoff::forge::{Fault, FaultKind, Snapshot};
use castoff::journal::{EffectResult, Event, Journal};
use castoff::policy::Policy;
use serde_json::Value;

use place::{Ended, Place, named};

impl Place {
    /// Everything that the run says it did is there.
    fn verify(&self, run: &str) {
        let verified = self.castoff(&["verify", run]);
        let whole = verified.out.trim_end().ends_with(" effects there, 0 differ, 0 cannot be looked for");
        assert!(verified.code == Some(0) && whole, "{}", verified.shown());
    }

    fn changes(&self) -> Vec<String> {
        changes(&self.forge.snapshot().expect("a picture"))
    }
}

/// What the release leaves in the world, one line a thing: doing something twice makes another line.
fn changes(snapshot: &Snapshot) -> Vec<String> {
    let mut found = Vec::new();
    for (name, repository) in &snapshot.repositories {
        let refs = repository.refs.keys().filter(|name| name.contains("2.17") && !name.contains("pull/"));
        found.extend(refs.map(|reference| format!("{name} {reference}")));
        let releases = repository.releases.iter().filter(|release| release.tag.contains("2.17"));
        found.extend(releases.map(|release| format!("{name} release {}", release.tag)));
        let pulls = repository.pulls.values().filter(|pull| pull.head.contains("2.17"));
        found.extend(pulls.map(|pull| {
            let merged = if pull.merged.is_some() { "merged" } else { "open" };
            format!("{name} pull {} {merged}, {} comments", pull.head, pull.issue.comments.len())
        }));
    }
    found.sort();
    found
}

fn whole_release() -> Vec<String> {
    let lines = [
        "kubernetes-csi/docs pull kubernetes-csi:docs-livenessprobe-v2.17.0 merged, 0 comments",
        "kubernetes-csi/docs refs/heads/docs-livenessprobe-v2.17.0",
        "kubernetes-csi/livenessprobe pull kubernetes-csi:changelog-v2.17.0 merged, 0 comments",
        "kubernetes-csi/livenessprobe pull kubernetes-csi:readme-v2.17.0 merged, 0 comments",
        "kubernetes-csi/livenessprobe refs/heads/changelog-v2.17.0",
        "kubernetes-csi/livenessprobe refs/heads/readme-v2.17.0",
        "kubernetes-csi/livenessprobe refs/heads/release-2.17",
        "kubernetes-csi/livenessprobe refs/tags/v2.17.0",
        "kubernetes-csi/livenessprobe release v2.17.0",
        "kubernetes/k8s.io pull kubernetes:promote-livenessprobe-v2.17.0 merged, 0 comments",
        "kubernetes/k8s.io refs/heads/promote-livenessprobe-v2.17.0",
    ];
    lines.map(str::to_owned).to_vec()
}

#[test]
fn a_release_from_run_to_the_end() {
    let place = Place::new();
    let (run, begun) = place.begin(&[]);
    assert_eq!(begun.code, Some(11), "{}", begun.shown());
    assert!(begun.err.contains(&format!("at {}, not at github.com", place.forge.url())), "{}", begun.shown());
    assert!(begun.err.trim_end().ends_with(&format!("castoff approve {run} scope")), "{}", begun.shown());

    let status = place.status(&run);
    assert_eq!(status["verdict"], "asks");
    assert_eq!(status["exit-code"], 11);
    assert_eq!(status["next"], format!("castoff approve {run} scope"));
    assert_eq!(status["state"]["header"]["forge"], place.forge.url());
    let question = &status["state"]["steps"]["scope"]["status"]["question"];
    assert!(question["prompt"].as_str().is_some_and(|prompt| prompt.contains("v2.17.0")), "{question}");

    let unanswered = place.castoff(&["resume", &run]);
    assert_eq!(unanswered.code, Some(11), "{}", unanswered.shown());
    for wrong in [&["--choice", "perhaps"] as &[_], &[]] {
        let refused = place.castoff(&[&["approve", &run, "scope"], wrong].concat());
        assert_eq!(refused.code, Some(2), "{}", refused.shown());
        assert!(refused.err.contains("offered are: approve"), "{}", refused.shown());
    }
    let elsewhere = place.castoff(&["approve", &run, "tag", "--choice", "approve"]);
    assert_eq!(elsewhere.code, Some(2), "{}", elsewhere.shown());
    let unchanged = place.status(&run);
    assert_eq!(unchanged["state"], status["state"], "what is refused leaves nothing");

    let codes = place.finish(&run, |_| None);
    // Every wait asks to be looked at in minutes, and this test took seconds: resuming looks at once.
    assert!(codes.contains(&Some(10)) && codes.contains(&Some(11)), "{codes:?}");
    assert_eq!(place.changes(), whole_release());
    let again = place.castoff(&["resume", &run]);
    assert_eq!((again.code, again.out.as_str()), (Some(0), ""), "{}", again.shown());
    let ended = place.castoff(&["status", &run, "--exit-code"]);
    assert_eq!(ended.code, Some(0), "{}", ended.shown());
    assert!(ended.out.contains(&format!("at {}", place.forge.url())), "{}", ended.shown());
    place.verify(&run);

    let log = place.log(&run);
    let by: Vec<&str> = log
        .iter()
        .filter_map(|record| match &record.event {
            Event::Answered { answer, .. } => Some(answer.by.as_str()),
            _ => None,
        })
        .collect();
    assert!(!by.is_empty() && by.iter().all(|by| *by == "approver"), "{by:?}");
    assert!(matches!(log.last().map(|record| &record.event), Some(Event::Finished)));
    Journal::open_read_only(place.journal(&run))
        .and_then(|journal| journal.verify())
        .expect("a whole journal");
}

#[test]
fn a_release_whose_every_process_is_killed() {
    /// Events until each death: between them, all kinds of moments.
    const LIVES: [u64; 7] = [2, 3, 8, 4, 13, 5, 21];
    let place = Place::new();
    let args = ["run", "release.toml", "--forge", place.forge.url()];
    let (run, begun) = named(place.killed(&args, 1));
    assert_eq!(begun.code, None, "{}", begun.shown());
    let codes = place.finish(&run, |count| Some(LIVES[count % LIVES.len()]));
    let deaths = codes.iter().filter(|code| code.is_none()).count();
    assert!(deaths >= 5, "{codes:?}");
    assert_eq!(place.changes(), whole_release(), "{codes:?}");
    place.verify(&run);
    Journal::open_read_only(place.journal(&run))
        .and_then(|journal| journal.verify())
        .expect("a whole journal");
    let log = place.log(&run);
    let finished = log.iter().filter(|record| matches!(record.event, Event::Finished)).count();
    assert_eq!(finished, 1);
}

#[test]
fn a_release_whose_answers_are_lost() {
    let place = Place::new();
    let lost = [
        Fault::on("POST", "*/pulls", FaultKind::LostReply).times(2),
        Fault::on("POST", "*/pulls", FaultKind::ErrorAfter(502)),
        Fault::on("POST", "*/releases", FaultKind::LostReply),
        Fault::on("POST", "*/git-receive-pack", FaultKind::LostReply).after(1).times(2),
        Fault::on("POST", "*/git-receive-pack", FaultKind::ErrorAfter(500)).after(1),
    ];
    let planned = lost.len();
    lost.into_iter().for_each(|fault| place.forge.inject(fault));
    let (run, begun) = place.begin(&[]);
    assert_eq!(begun.code, Some(11), "{}", begun.shown());
    place.finish(&run, |_| None);
    assert_eq!(place.changes(), whole_release());
    let adopted = place.log(&run).into_iter().filter(|record| {
        let found = |result: &EffectResult| matches!(result, EffectResult::Adopted { .. });
        matches!(&record.event, Event::Outcome { result, .. } if found(result))
    });
    let adopted = adopted.count();
    assert!(adopted >= planned, "{adopted} effects were found to be there although no answer came");
}

#[test]
fn decisions_of_people() {
    let place = Place::new();
    let (run, begun) = place.begin(&["--only", "triage"]);
    assert_eq!(begun.code, Some(10), "{}", begun.shown());
    let attempts = |status: &Value| status["state"]["steps"]["triage"]["attempts"].as_u64();
    assert_eq!(attempts(&place.status(&run)), Some(1));

    let again = place.castoff(&["retry", &run, "triage"]);
    assert_eq!(again.code, Some(0), "{}", again.shown());
    assert_eq!(place.status(&run)["state"]["steps"]["triage"]["status"]["kind"], "pending");
    let resumed = place.castoff(&["resume", &run, "--only", "triage"]);
    assert_eq!(resumed.code, Some(10), "{}", resumed.shown());
    assert_eq!(attempts(&place.status(&run)), Some(2));

    let held = Journal::open(place.journal(&run)).expect("nobody holds it");
    for args in [
        &["resume", &run] as &[_],
        &["retry", &run, "triage"],
        &["skip", &run, "docs", "--reason", "not now"],
        &["abort", &run, "--reason", "not now"],
    ] {
        let ended = place.castoff(args);
        assert_eq!(ended.code, Some(30), "{args:?}: {}", ended.shown());
    }
    drop(held);

    // Arguments, exit code, what is said.
    let cases = [
        (&["skip", &run, "docs", "--reason", " "] as &[_], 2, "needs a reason"),
        (&["skip", &run, "nonsense", "--reason", "x"], 2, "no step"),
        (&["skip", &run, "triage", "--reason", "x"], 2, "is done"),
        (&["retry", &run, "scope"], 2, "is pending"),
        (&["skip", &run, "docs", "--reason", "written by hand", "--as", "ann"], 0, "is skipped"),
        (&["resume", &run, "--assume", "done"], 2, "it is known what became of it"),
        (&["abort", &run, "--reason", ""], 2, "needs a reason"),
        (&["abort", &run, "--reason", "only a trial", "--as", "ann"], 0, "the run is aborted"),
        (&["resume", &run], 1, "the run has ended"),
        (&["retry", &run, "triage"], 2, "the run has ended"),
    ];
    for (args, code, said) in cases {
        let ended = place.castoff(args);
        assert_eq!(ended.code, Some(code), "{args:?}: {}", ended.shown());
        assert!(ended.err.contains(said), "{args:?}: {}", ended.shown());
    }
    let log = place.log(&run);
    let kept = |wanted: &Event| log.iter().any(|record| record.event == *wanted);
    let (reason, by) = ("written by hand".to_owned(), "ann".to_owned());
    assert!(kept(&Event::Skipped { step: "docs".into(), reason, by: by.clone() }));
    assert!(kept(&Event::Aborted { reason: "only a trial".into(), by }));
    assert_eq!(place.changes(), Vec::<String>::new(), "nothing was changed");
}

#[test]
fn runs_that_do_not_begin() {
    let place = Place::new();
    let url = place.forge.url();
    let release = std::fs::read_to_string(place.home.path().join("release.toml")).expect("the example");
    let bare = release.replace("policy = \"policy.toml\"\n", "");
    assert_ne!(bare, release);
    std::fs::write(place.home.path().join("bare.toml"), bare).expect("a file can be written");

    let denied = place.castoff(&["run", "bare.toml", "--forge", url]);
    assert_eq!(denied.code, Some(20), "{}", denied.shown());
    assert!(denied.err.contains("needs a policy"), "{}", denied.shown());
    let policy = Policy::parse("policy.toml", &denied.out).expect("what is printed is a policy");
    assert!(policy.grants().iter().any(|grant| grant.plugin == "csi-sidecar"));

    for forge in
        ["http://ghe.example.org", "ftp://127.0.0.1", "https://ann:secret@ghe.example.org", "nonsense"]
    {
        let refused = place.castoff(&["run", "release.toml", "--forge", forge]);
        assert_eq!(refused.code, Some(2), "{}", refused.shown());
    }
    let anonymous =
        Ended::of(place.command(&["run", "release.toml", "--forge", url]).env_remove("GITHUB_TOKEN"));
    assert_eq!(anonymous.code, Some(2), "{}", anonymous.shown());
    assert!(anonymous.err.contains("there is no token for GitHub"), "{}", anonymous.shown());
    assert_eq!(place.castoff(&["status"]).code, Some(2), "there is no run");
    assert!(place.forge.requests().is_empty(), "nobody was asked");

    let (run, begun) = place.begin(&["--only", "triage"]);
    assert_eq!(begun.code, Some(10), "{}", begun.shown());
    let asked = place.forge.requests().len();
    let anonymous = Ended::of(place.command(&["resume", &run]).env_remove("GITHUB_TOKEN"));
    assert_eq!(anonymous.code, Some(2), "{}", anonymous.shown());
    assert_eq!(place.forge.requests().len(), asked, "without a token nothing is begun");
}
