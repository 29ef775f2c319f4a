//! Approvals at the command line: who may answer, how many must, what is kept of a person's edits, and answers that come
//! back signed.

use std::path::PathBuf;
use std::process::Command;

use castoff::journal::{
    Answer, Document, Event, FORMAT, Header, Identity, Journal, PluginIdentity, Question, Record, Rule,
    StepKind, StepNode, Via, World,
};
use castoff::signature::SigningKey;
use chrono::{DateTime, TimeDelta, Utc};
use insta::assert_snapshot;
use tempfile::TempDir;

/// A place without any other environment than its own.
struct Place {
    home: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { home: TempDir::new().expect("a temporary folder") }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join(".local/state/castoff/runs/demo-1")
    }

    /// Exit code and standard error, with everything that differs between two runs replaced.
    fn castoff(&self, args: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_castoff"));
        command.args(args).env_clear().env("HOME", self.home.path()).current_dir(self.home.path());
        let output = command.output().expect("the binary can be started");
        let code = output.status.code().map_or("killed".to_owned(), |code| code.to_string());
        let text = String::from_utf8_lossy(&output.stderr);
        let shown = format!("exit {code}\n{}", text.trim_end());
        shown.replace(&self.home.path().display().to_string(), "[HOME]")
    }

    /// A run that asks, written through the library. `policy`: the policy that it keeps.
    fn run(&self, policy: &str, events: impl IntoIterator<Item = Event>) -> Journal {
        let folder = self.folder();
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        std::fs::write(folder.join("release.toml"), "").expect("a file can be written");
        std::fs::write(folder.join("policy.toml"), format!("version = 1\n{policy}")).expect("and another");
        let journal = Journal::create(folder.join("journal.sqlite"), header(), at(0));
        let journal = journal.expect("a journal can be made");
        for (number, event) in (1..).zip(events) {
            journal.append(event, at(number)).expect("the event is legal");
        }
        journal
    }

    fn log(&self) -> Vec<Record> {
        let journal = Journal::open_read_only(self.folder().join("journal.sqlite")).expect("a journal");
        journal.verify().expect("a whole chain");
        journal.events().expect("readable events")
    }

    fn answers(&self) -> Vec<Answer> {
        let answers = self.log().into_iter().filter_map(|record| match record.event {
            Event::Answered { answer, .. } => Some(answer),
            _ => None,
        });
        answers.collect()
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

fn header() -> Header {
    let step = StepNode {
        id: "gate".into(),
        title: "Agree to the tag".into(),
        kind: StepKind::Gate,
        needs: Vec::new(),
        irreversible: false,
        source: String::new(),
    };
    Header {
        format: FORMAT,
        run: "demo-1".into(),
        release: "livenessprobe v2.17.0".into(),
        title: "livenessprobe v2.17.0".into(),
        plugin: PluginIdentity { name: "demo".into(), version: "0.1.0".into(), digest: "sha256:00".into() },
        policy: None,
        plan: None,
        process: "release".into(),
        profile: "2026".into(),
        inputs: serde_json::json!({}),
        graph: vec![step],
        pinned: at(0),
        identity: Identity {
            name: "Jane Doe".into(),
            email: "jane@example.org".into(),
            login: Some("jane".into()),
        },
        world: World::Live,
        forge: None,
        confirm: false,
        started_by: "jane".into(),
    }
}

fn started(attempt: u32) -> Event {
    Event::Started { step: "gate".into(), attempt }
}

fn rule() -> Rule {
    let approvers = ["ann", "ben", "jane"].map(str::to_owned).to_vec();
    let channel = Some("example/project#7".to_owned());
    Rule { required: 2, approvers, excluded: vec!["jane".into(), "Jane Doe".into()], proof: false, channel }
}

fn asked(rule: Option<Rule>, document: Option<&str>) -> Event {
    let document =
        document.map(|text| Document { name: "notes.md".into(), text: text.into(), editable: true });
    let choices = vec!["approve".into(), "decline".into()];
    let prompt = "Create v2.17.0?".into();
    let question = Question { id: "tag".into(), prompt, document, choices, approvals: 1, rule };
    Event::Asked { step: "gate".into(), question }
}

fn answered(text: &str) -> Event {
    let answer = Answer {
        question: "tag".into(),
        choice: "approve".into(),
        document: Some(text.into()),
        comment: None,
        by: "ann".into(),
        at: at(3),
        via: Some(Via::Cli),
    };
    Event::Answered { step: "gate".into(), answer }
}

const APPROVE: [&str; 5] = ["approve", "demo-1", "--choice", "approve", "--as"];

fn approve<'a>(more: &[&'a str]) -> Vec<&'a str> {
    APPROVE.iter().copied().chain(more.iter().copied()).collect()
}

#[test]
fn two_of_three_and_never_the_author() {
    let place = Place::new();
    drop(place.run("", [started(1), asked(Some(rule()), None)]));
    assert_snapshot!(place.castoff(&["status", "--exit-code"]), @r"
    exit 11
    castoff approve demo-1 gate
    ");
    for author in ["jane", "JANE", "Jane Doe"] {
        let shown = place.castoff(&approve(&[author]));
        let expected = format!("{author} began this run: its author's answer does not count here");
        assert!(shown.starts_with("exit 20\n") && shown.contains(&expected), "{shown}");
    }
    assert_snapshot!(place.castoff(&["approve", "demo-1", "--choice", "approve"]), @r"
    exit 20
    error[denied]: jane began this run: its author's answer does not count here

    hint: who may answer: ann, ben
    castoff explain denied
    ");
    assert_snapshot!(place.castoff(&approve(&["eve"])), @r"
    exit 20
    error[denied]: eve is not among those who may answer: ann, ben, jane

    hint: who may answer: ann, ben
    castoff explain denied
    ");
    assert_snapshot!(place.castoff(&approve(&["ann", "--comment", "read it twice"])), @r"
    exit 0
    gate  Agree to the tag
    Create v2.17.0?
    gate: approve by ann
    1 of 2 agreed (ann): 1 more of ben, not jane, who began the run
    castoff approve demo-1 gate
    ");
    assert_snapshot!(place.castoff(&approve(&["Ann"])), @r"
    exit 2
    error[usage]: Ann has answered this question already

    hint: who may answer: ann, ben
    ");
    assert_snapshot!(place.castoff(&approve(&["ben"])), @r"
    exit 0
    gate  Agree to the tag
    Create v2.17.0?
    gate: approve by ben
    castoff resume demo-1
    ");
    let answers = place.answers();
    let told: Vec<_> = answers.iter().map(|answer| (answer.by.as_str(), answer.comment.as_deref())).collect();
    assert_eq!(told, [("ann", Some("read it twice")), ("ben", None)], "what is refused leaves nothing");
    assert!(answers.iter().all(|answer| answer.via == Some(Via::Cli) && answer.at >= at(2)));
}

#[test]
fn anybody_who_may_can_end_it() {
    let place = Place::new();
    drop(place.run("", [started(1), asked(Some(rule()), None)]));
    assert!(place.castoff(&approve(&["ann"])).starts_with("exit 0"));
    let declined = place.castoff(&["approve", "demo-1", "--choice", "decline", "--as", "ben"]);
    assert!(declined.ends_with("gate: decline by ben\ncastoff resume demo-1"), "{declined}");
    let late = place.castoff(&["approve", "demo-1", "gate", "--choice", "approve", "--as", "ann"]);
    assert!(late.contains("ann has answered this question already"), "{late}");
}

#[test]
fn a_name_is_no_proof() {
    let place = Place::new();
    drop(place.run("", [started(1), asked(Some(Rule { proof: true, ..rule() }), None)]));
    assert_snapshot!(place.castoff(&approve(&["ann"])), @r"
    exit 20
    error[denied]: the policy wants proof of who answers: a review or comment on GitHub, or a signed answer

    hint: on example/project#7: a comment `/castoff approve gate`
    hint: --write-request FILE, for an answer that is signed
    castoff explain denied
    ");
    assert!(place.answers().is_empty());
}

#[test]
fn a_rule_that_cannot_be_met_is_said() {
    let place = Place::new();
    drop(place.run("", [started(1), asked(Some(Rule { required: 3, ..rule() }), None)]));
    let shown = place.castoff(&approve(&["ann"]));
    let expected = "2 more are needed and only 1 may answer (ben): the policy cannot be met";
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn an_older_journal_is_answered_as_ever() {
    let place = Place::new();
    drop(place.run("[approval]\nrequired = 2", [started(1), asked(None, None)]));
    let shown = place.castoff(&approve(&["jane"]));
    assert!(shown.starts_with("exit 0") && shown.ends_with("castoff resume demo-1"), "{shown}");
}

const GENERATED: &str = "# Changes\n\n- one\n- two\n\n# Bugs\n\n- three\n";

#[test]
fn edits_survive_a_new_text() {
    let place = Place::new();
    let edited = GENERATED.replace("- one", "- One, in better words");
    let anew = GENERATED.replace("- three\n", "- three\n- four\n");
    let open =
        Some(Rule { required: 1, approvers: Vec::new(), excluded: Vec::new(), proof: false, channel: None });
    let story = [
        started(1),
        asked(open.clone(), Some(GENERATED)),
        answered(&edited),
        started(2),
        asked(open, Some(&anew)),
    ];
    drop(place.run("", story));
    let shown = place.castoff(&approve(&["ben"]));
    assert!(
        shown
            .contains("warning: the text was generated anew since ann edited it; the edits are put in again"),
        "{shown}"
    );
    let merged = anew.replace("- one", "- One, in better words");
    assert_eq!(place.answers().last().and_then(|answer| answer.document.as_deref()), Some(merged.as_str()));
}

#[test]
fn conflicts_are_never_answered_with() {
    let place = Place::new();
    let edited = GENERATED.replace("- one", "- One, in better words");
    let anew = GENERATED.replace("- one", "- one, and more");
    let open =
        Some(Rule { required: 1, approvers: Vec::new(), excluded: Vec::new(), proof: false, channel: None });
    let story = [
        started(1),
        asked(open.clone(), Some(GENERATED)),
        answered(&edited),
        started(2),
        asked(open, Some(&anew)),
    ];
    drop(place.run("", story));
    let before = place.answers();
    let shown = place.castoff(&approve(&["ben"]));
    for part in ["exit 2", "1 places changed on both sides", "still holds conflict markers", "--file FILE"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    place.write("half.md", "<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n");
    let shown = place.castoff(&approve(&["ben", "--file", "half.md"]));
    assert!(shown.starts_with("exit 2") && shown.contains("still holds conflict markers"), "{shown}");
    let kept = place.folder().join("unsent-gate");
    assert!(kept.is_file(), "what a person wrote is kept: {shown}");
    assert_eq!(place.answers(), before);
    place.write("whole.md", "settled\n");
    assert!(place.castoff(&approve(&["ben", "--file", "whole.md"])).starts_with("exit 0"));
    assert_eq!(place.answers().last().and_then(|answer| answer.document.as_deref()), Some("settled\n"));
}

#[test]
fn a_clock_that_went_backwards_is_said() {
    let place = Place::new();
    let far = at(0) + TimeDelta::days(20_000);
    let journal = place.run("", [started(1)]);
    let open =
        Some(Rule { required: 1, approvers: Vec::new(), excluded: Vec::new(), proof: false, channel: None });
    journal.append(asked(open, None), far).expect("the clock was wrong");
    drop(journal);
    assert!(place.castoff(&approve(&["ben"])).starts_with("exit 0"));
    let log = place.log();
    let [.., remark, answer] = log.as_slice() else { panic!("{log:?}") };
    let said = matches!(&remark.event, Event::Remark { text, .. } if text.starts_with("the clock shows"));
    assert!(said && remark.time == far && answer.time == far, "{remark:?} {answer:?}");
}

/// A key pair of these tests alone.
const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n\
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n\
QyNTUxOQAAACDGZqNt0GkJFXTQp8O28OsaXUNyM12jmVWDSDh8RXFpTgAAAJick8mXnJPJ\n\
lwAAAAtzc2gtZWQyNTUxOQAAACDGZqNt0GkJFXTQp8O28OsaXUNyM12jmVWDSDh8RXFpTg\n\
AAAEB6k1R74PJDzgxyqHAENkZbYuSoPL5R2ICB3O9bErgiXcZmo23QaQkVdNCnw7bw6xpd\n\
Q3IzXaOZVYNIOHxFcWlOAAAAD2FubkBleGFtcGxlLm9yZwECAwQFBg==\n\
-----END OPENSSH PRIVATE KEY-----";
const PUBLIC: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMZmo23QaQkVdNCnw7bw6xpdQ3IzXaOZVYNIOHxFcWlO ann@example.org";

#[test]
fn an_answer_comes_back_signed() {
    let place = Place::new();
    let policy = format!("[approval.keys]\nann = {PUBLIC:?}\nben = [{PUBLIC:?}]\njane = {PUBLIC:?}");
    drop(place.run(&policy, [started(1), asked(Some(Rule { proof: true, ..rule() }), Some(GENERATED))]));
    assert_snapshot!(place.castoff(&["approve", "demo-1", "--write-request", "ask.json"]), @r"
    exit 0
    gate: whoever answers fills in `answer` in ask.json, then
    ssh-keygen -Y sign -n castoff -f KEY ask.json
    castoff approve demo-1 gate --answer ask.json --signature ask.json.sig
    ");
    let asked = std::fs::read_to_string(place.home.path().join("ask.json")).expect("the question");
    let ballot: serde_json::Value = serde_json::from_str(&asked).expect("JSON");
    let key = SigningKey::parse(KEY).expect("a key");
    let answer = |fill: &dyn Fn(&mut serde_json::Value)| {
        let mut filled = ballot.clone();
        fill(&mut filled);
        let text = filled.to_string();
        place.write("answer.json", &text);
        place.write("answer.json.sig", &key.sign(text.as_bytes(), "").expect("a signature"));
        let args = ["approve", "demo-1", "--answer", "answer.json", "--signature", "answer.json.sig"];
        place.castoff(&args)
    };
    let by = |who: &str, choice: &str| serde_json::json!({ "by": who, "choice": choice, "comment": "read" });
    // What is filled in, exit code, what is said.
    type Fill<'a> = &'a dyn Fn(&mut serde_json::Value);
    let table: [(Fill<'_>, u8, &str); 7] = [
        (&|_| (), 2, "not filled in"),
        (&|it| it["answer"] = by("jane", "approve"), 20, "jane began this run"),
        (&|it| it["answer"] = by("eve", "approve"), 20, "the policy names no key of eve"),
        (&|it| it["answer"] = by("ann", "perhaps"), 2, "\"perhaps\" is not offered"),
        (
            &|it| {
                it["answer"] = by("ann", "approve");
                it["run"] = "demo-2".into();
            },
            2,
            "for another run",
        ),
        (
            &|it| {
                it["answer"] = by("ann", "approve");
                it["prompt"] = "Harmless?".into();
            },
            2,
            "for another text",
        ),
        (&|it| it["answer"] = by("ann", "approve"), 0, "gate: approve by ann"),
    ];
    for (fill, code, part) in table {
        let shown = answer(fill);
        assert!(shown.starts_with(&format!("exit {code}\n")) && shown.contains(part), "{part}: {shown}");
    }
    place.write("answer.json", &ballot.to_string());
    let args = ["approve", "demo-1", "--answer", "answer.json", "--signature", "answer.json.sig"];
    assert!(place.castoff(&args).starts_with("exit 2"), "an empty answer with the signature of another");
    let answers = place.answers();
    let [one] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!((one.by.as_str(), one.comment.as_deref()), ("ann", Some("read")));
    assert_eq!(one.document.as_deref(), Some(GENERATED));
    let fingerprint = key.public().expect("its public half").id();
    assert_eq!(one.via, Some(Via::Signature { fingerprint }));
}
