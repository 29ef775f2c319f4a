//! The workflow examples, run: job after job on machines that know nothing of each other, against a forge in this test.
//! What a job leaves is what the workflow keeps; people answer on the forge between two jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use castoff::journal::{EffectResult, Event, Journal, Record};
use chrono::TimeDelta;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::place::{Ended, MOST, Place};
use super::{changes, whole_release, yaml};

const REPOSITORY: &str = "kubernetes-csi/livenessprobe";

fn example(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("action").join(name);
    yaml::parse(&std::fs::read_to_string(path).expect("the example is there"))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Values of the names that a workflow writes in `${{ }}`.
type Names = BTreeMap<String, String>;

/// A text with the names in it replaced. What a name stands for is not looked at again.
fn filled(text: &str, names: &Names) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let (name, after) = after.split_once("}}").expect("an expression has an end");
        let value = names.get(name.trim()).map(String::as_str);
        out += before;
        out += value.unwrap_or_else(|| panic!("{name} is not known"));
        rest = after;
    }
    out + rest
}

impl Place {
    /// The example release with an issue where its questions are answered.
    fn with_channel() -> (Self, u64) {
        let place = Self::new();
        let issue = place.post("approver", "issues", &json!({ "title": "Release v2.17.0" }));
        let number = issue["number"].as_u64().expect("an issue has a number");
        let more = format!(
            "\n[approval]\napprovers = [\"approver\"]\nproof = true\nchannel = \"{REPOSITORY}#{number}\"\n"
        );
        let path = place.home.path().join("policy.toml");
        let policy = std::fs::read_to_string(&path).expect("the policy") + &more;
        std::fs::write(&path, policy).expect("a policy");
        (place, number)
    }

    /// Somebody posts to the repository.
    fn post(&self, who: &str, path: &str, body: &Value) -> Value {
        let host = self.forge.url().trim_start_matches("http://").trim_end_matches('/').to_owned();
        let token = self.forge.token(Some(who)).expect("a token");
        let body = body.to_string();
        let request = format!(
            "POST /api/v3/repos/{REPOSITORY}/{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             authorization: token {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(&host).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (_, answer) = answer.split_once("\r\n\r\n").expect("an answer has a body");
        serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// A person agrees on the issue, after the question was asked.
    fn agree(&self, issue: u64, steps: &str, asked: chrono::DateTime<chrono::Utc>) {
        self.clock.advance_to(asked + TimeDelta::seconds(5));
        for step in steps.split_whitespace() {
            let body = json!({ "body": format!("/castoff approve {step}") });
            self.post("approver", &format!("issues/{issue}/comments"), &body);
        }
    }
}

/// A machine that runs one job and is gone.
struct Machine<'a> {
    place: &'a Place,
    home: TempDir,
    /// What is put before the names of programs.
    path: String,
    crash: Option<u64>,
}

/// How a step of a job went.
struct Step {
    ended: Ended,
    outputs: Names,
    summary: String,
}

impl<'a> Machine<'a> {
    fn new(place: &'a Place) -> Self {
        let home = TempDir::new().expect("a temporary folder");
        std::fs::create_dir_all(home.path().join("bin")).expect("a folder");
        // The program as the examples call it, here always told of the forge of this test.
        let program = home.path().join("bin/castoff");
        let script = format!(
            "#!/bin/sh\nexec '{}' \"$@\" --forge '{}'\n",
            env!("CARGO_BIN_EXE_castoff"),
            place.forge.url()
        );
        std::fs::write(&program, script).expect("a script");
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("a script can be run");
        let cache = home.path().join(".local/state/castoff/cache");
        std::fs::create_dir_all(&cache).expect("a folder");
        let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("components");
        std::os::unix::fs::symlink(shared, cache.join("components")).expect("a link");
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", home.path().join("bin").display());
        let machine = Self { place, home, path, crash: None };
        std::fs::create_dir_all(machine.work()).expect("a folder");
        machine
    }

    fn work(&self) -> PathBuf {
        self.home.path().join("work")
    }

    fn check_out(&self) {
        for name in ["release.toml", "policy.toml"] {
            std::fs::copy(self.place.home.path().join(name), self.work().join(name)).expect("a copy");
        }
    }

    /// Runs a script as the runner does.
    fn script(&self, shell: &[&str], script: &str, environment: &Names) -> Step {
        let file = |name: &str| self.home.path().join(name);
        std::fs::write(file("script"), script).expect("a script");
        for name in ["output", "summary"] {
            std::fs::write(file(name), "").expect("a file");
        }
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg(file("script")).env_clear().current_dir(self.work());
        command.env("PATH", &self.path).env("HOME", self.home.path());
        command.env("GITHUB_OUTPUT", file("output")).env("GITHUB_STEP_SUMMARY", file("summary"));
        command.envs(environment);
        if let Some(events) = self.crash {
            command.env("CASTOFF_CRASH_AFTER_EVENT", events.to_string());
        }
        let ended = Ended::of(&mut command);
        let read = |name: &str| std::fs::read_to_string(file(name)).expect("a file");
        let outputs = read("output");
        let outputs = outputs.lines().filter_map(|line| line.split_once('='));
        let outputs = outputs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Step { ended, outputs, summary: read("summary") }
    }
}

/// What the forge keeps between jobs.
struct Workflow {
    file: Value,
    action: Value,
    /// Cache entries: key and content, oldest first.
    cache: Vec<(String, Vec<u8>)>,
    jobs: u32,
}

/// How a job went.
struct Job {
    failed: bool,
    outputs: Names,
    shown: String,
    summary: String,
}

impl Workflow {
    fn new() -> Self {
        let (file, action) = (example("examples/github-actions.yml"), example("action.yml"));
        assert_eq!(file["permissions"], json!({}), "nothing is allowed that a job does not ask for");
        Self { file, action, cache: Vec::new(), jobs: 0 }
    }

    /// Runs the job of the workflow on a machine of its own.
    fn job(&mut self, place: &Place, crash: Option<u64>) -> Job {
        self.jobs += 1;
        let mut machine = Machine::new(place);
        machine.crash = crash;
        let jobs = self.file["jobs"].as_object().expect("jobs").clone();
        let [job] = jobs.values().collect::<Vec<_>>()[..] else { panic!("one job") };
        let mut names = Names::from([
            ("github.run_id".into(), format!("{:05}", self.jobs)),
            ("github.run_attempt".into(), "1".into()),
            ("secrets.RELEASE_TOKEN".into(), place.forge.token(None).expect("a token")),
        ]);
        let mut done =
            Job { failed: false, outputs: Names::new(), shown: String::new(), summary: String::new() };
        for step in job["steps"].as_array().expect("steps") {
            let runs = match step["if"].as_str() {
                None => !done.failed,
                Some("${{ always() }}") => true,
                Some("${{ steps.castoff.outputs.word == 'asks' }}") => {
                    !done.failed && done.outputs.get("word").is_some_and(|word| word == "asks")
                }
                Some(other) => panic!("{other} is not understood"),
            };
            if runs {
                self.step(&machine, step, &mut names, &mut done);
            }
        }
        done
    }

    fn step(&mut self, machine: &Machine<'_>, step: &Value, names: &mut Names, job: &mut Job) {
        let with = |name: &str| filled(&text(&step["with"][name]), names);
        let state = || machine.work().join(with("path"));
        let Some(uses) = step["uses"].as_str() else {
            let ran = run(machine, step, names);
            job.failed |= ran.ended.code != Some(0);
            job.shown += &ran.ended.shown();
            return;
        };
        let (action, commit) = uses.split_once('@').expect("an action has a version");
        assert!(commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()), "{uses} is not pinned");
        match action {
            "actions/checkout" => machine.check_out(),
            "actions/cache/restore" => {
                let known = self.cache.iter().rev().find(|(key, _)| key.starts_with(&with("restore-keys")));
                if let Some((_, content)) = known {
                    std::fs::write(state(), content).expect("a file");
                }
            }
            "actions/cache/save" => {
                if let Ok(content) = std::fs::read(state()) {
                    self.cache.push((with("key"), content));
                }
            }
            "OWNER/castoff/host/action" => {
                self.composite(machine, step, names, job);
                for (name, value) in job.outputs.clone() {
                    names.insert(format!("steps.castoff.outputs.{name}"), value);
                }
            }
            other => panic!("{other} is not known here"),
        }
    }

    /// Runs the steps of our own action.
    fn composite(&self, machine: &Machine<'_>, step: &Value, names: &Names, job: &mut Job) {
        let mut own = Names::from([("github.action_path".into(), "/nowhere".into())]);
        let inputs = self.action["inputs"].as_object().expect("inputs");
        for given in step["with"].as_object().expect("inputs").keys() {
            assert!(inputs.contains_key(given), "{given} is no input");
        }
        for (name, input) in inputs {
            let given = step["with"].get(name).map(text).or_else(|| {
                // The token of the job: here one is always given.
                Some(text(&input["default"])).filter(|default| !default.contains("github.token"))
            });
            let given = filled(&given.unwrap_or_else(|| panic!("{name} is not given")), names);
            own.insert(format!("inputs.{name}"), given);
        }
        own.insert("inputs.program".into(), env!("CARGO_BIN_EXE_castoff").into());
        for inner in self.action["runs"]["steps"].as_array().expect("steps") {
            let ran = run(machine, inner, &own);
            let id = text(&inner["id"]);
            own.extend(
                ran.outputs.iter().map(|(name, value)| (format!("steps.{id}.outputs.{name}"), value.clone())),
            );
            job.shown += &ran.ended.shown();
            job.summary += &ran.summary;
            if ran.ended.code != Some(0) {
                job.failed = true;
                break;
            }
        }
        for (name, output) in self.action["outputs"].as_object().expect("outputs") {
            let value = text(&output["value"]);
            let value = value.trim_start_matches("${{").trim_end_matches("}}").trim();
            job.outputs.insert(name.clone(), own.get(value).cloned().unwrap_or_default());
        }
    }

    /// Whether the newest state knows of effects that the one before it does not know of.
    fn has_done_something(&self) -> bool {
        let [.., before, newest] = self.cache.as_slice() else { return false };
        performed(before) < performed(newest)
    }

    /// The events of the newest state.
    fn events(&self) -> Vec<Record> {
        self.cache.last().map(Self::events_of).expect("a state was kept")
    }

    fn events_of((_, content): &(String, Vec<u8>)) -> Vec<Record> {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().join("castoff.state");
        std::fs::write(&path, content).expect("a file");
        events_in(castoff::parcel::Shelf::file(&path).expect("nobody holds it"))
    }
}

/// How many effects a state says were performed outside: documents are kept with the state itself.
fn performed(kept: &(String, Vec<u8>)) -> usize {
    let (mut outside, mut count) = (BTreeSet::new(), 0);
    for record in Workflow::events_of(kept) {
        match record.event {
            Event::Intent { function, .. } if !function.starts_with("files.") => {
                outside.insert(record.seq);
            }
            Event::Outcome { intent, result: EffectResult::Done { .. }, .. } => {
                count += usize::from(outside.contains(&intent));
            }
            _ => {}
        }
    }
    count
}

fn events_in(mut shelf: castoff::parcel::Shelf) -> Vec<Record> {
    let parcel = shelf.newest().expect("a whole state").expect("a state");
    let folder = TempDir::new().expect("a temporary folder");
    castoff::parcel::unpack(folder.path(), &parcel, Path::new("state")).expect("it can be taken over");
    let journal = folder.path().join("runs").join(&parcel.root).join("journal.sqlite");
    Journal::open_read_only(journal).and_then(|journal| journal.events()).expect("a whole journal")
}

/// Runs a step that is a script.
fn run(machine: &Machine<'_>, step: &Value, names: &Names) -> Step {
    let script = step["run"].as_str().expect("a script");
    assert!(!script.contains("${{"), "what comes from outside travels in variables: {script}");
    assert_eq!(step["shell"], "bash");
    let own = step["env"].as_object().into_iter().flatten();
    let own = own.map(|(name, value)| (name.clone(), filled(&text(value), names)));
    let mut environment: Names = own.collect();
    environment.insert("GITHUB_ACTIONS".into(), "true".into());
    environment.insert("GITHUB_SERVER_URL".into(), machine.place.forge.url().into());
    machine.script(&["bash", "--noprofile", "--norc", "-eo", "pipefail"], script, &environment)
}

/// Plays the release to its end. `crash`: after how many events the program of a job dies. `lose`: how many times a job
/// finds only the state before the one that tells of effects.
fn play(place: &Place, issue: u64, crash: impl Fn(u32) -> Option<u64>, mut lose: usize) -> (Workflow, Job) {
    let mut workflow = Workflow::new();
    for _ in 0..MOST {
        if lose > 0 && workflow.has_done_something() {
            workflow.cache.pop();
            lose -= 1;
        }
        let crash = crash(workflow.jobs + 1);
        let job = workflow.job(place, crash);
        match job.outputs.get("word").map(String::as_str) {
            Some("done") => {
                assert_eq!(lose, 0, "so many states were to be lost");
                return (workflow, job);
            }
            Some("waiting") => place.pass(TimeDelta::hours(3)),
            Some("asks") => {
                let last = workflow.events().last().expect("events").time;
                assert!(job.shown.contains("An answer is wanted"), "{}", job.shown);
                place.agree(issue, &job.outputs["waiting-on"], last);
            }
            _ if crash.is_some() && job.failed => {}
            _ => panic!("{}", job.shown),
        }
    }
    panic!("no end: {:?}", workflow.events().last())
}

#[test]
fn ci_a_workflow_releases_from_job_to_job() {
    let (place, issue) = Place::with_channel();
    let (workflow, last) = play(&place, issue, |_| None, 0);
    assert_eq!(changes(&place.forge.snapshot().expect("a picture")), whole_release());
    assert!(workflow.jobs > 3, "{} jobs", workflow.jobs);
    assert_eq!((last.outputs["exit"].as_str(), last.outputs["state"].as_str()), ("0", "finished"));
    assert!(
        last.summary.contains("| ✓ | docs&#45;merged") || last.summary.contains("| ✓ | docs-merged"),
        "{}",
        last.summary
    );
    let events = workflow.events();
    assert!(matches!(events.last().map(|record| &record.event), Some(Event::Finished)));
    let answers = events.iter().filter(|record| matches!(record.event, Event::Answered { .. })).count();
    assert!(answers > 1, "{answers} answers");
    // Another job of a release that is out does nothing.
    let mut workflow = workflow;
    let asked = place.forge.requests().len();
    let again = workflow.job(&place, None);
    assert!(again.outputs["word"] == "done" && again.shown.contains("--again"), "{}", again.shown);
    assert_eq!(place.forge.requests().len(), asked);
}

#[test]
fn ci_jobs_that_die_and_a_state_that_is_lost() {
    /// Events until each death.
    const LIVES: [Option<u64>; 6] = [Some(2), Some(9), None, Some(5), None, Some(17)];
    let (place, issue) = Place::with_channel();
    let crash = |job: u32| LIVES.get(job as usize - 1).copied().flatten();
    let (workflow, _) = play(&place, issue, crash, 3);
    assert_eq!(changes(&place.forge.snapshot().expect("a picture")), whole_release());
    // What an older state does not know of was found: each thing was asked for once, and made.
    let made = |path: &str| {
        let served = place.forge.requests();
        served
            .iter()
            .filter(|one| one.method == "POST" && one.path.ends_with(path) && one.status == 201)
            .count()
    };
    assert_eq!((made("/pulls"), made("/releases")), (4, 1));
    assert!(matches!(workflow.events().last().map(|record| &record.event), Some(Event::Finished)));
}

#[test]
fn ci_one_step_and_nothing_else() {
    let place = Place::new();
    let (run, begun) = place.begin(&["--only", "preflight"]);
    assert_eq!((begun.code, place.over(&run)), (Some(10), 1), "{}", begun.shown());
    let step = |step: &str| place.castoff(&["step", &run, step, "--state-bucket", "bucket"]);
    let early = step("scope");
    assert_eq!(early.code, Some(10), "{}", early.shown());
    assert!(early.err.contains("scope is not ready: triage has not begun"), "{}", early.shown());
    // What is asked for, exit code, how many steps are over then.
    for (id, code, over) in [("triage", 0, 2), ("triage", 0, 2), ("scope", 11, 2), ("scope", 11, 2)] {
        let ended = step(id);
        assert_eq!((ended.code, place.over(&run)), (Some(code), over), "{id}: {}", ended.shown());
    }
    place.approve_all(&run, || None);
    let answered = step("scope");
    assert_eq!((answered.code, place.over(&run)), (Some(0), 3), "{}", answered.shown());
    let begun = place.log(&run).into_iter().filter_map(|record| match record.event {
        Event::Started { step, .. } => Some(step),
        _ => None,
    });
    let begun: BTreeSet<String> = begun.collect();
    assert_eq!(begun.into_iter().collect::<Vec<_>>(), ["preflight", "scope", "triage"]);
}

#[test]
fn ci_the_scripts_of_other_forges() {
    let gitlab = example("examples/gitlab-ci.yml");
    let container = |file: &str| example(file)["periodics"][0]["spec"]["containers"][0].clone();
    let prow = container("examples/prow.yaml");
    let tekton = example("examples/tekton.yaml")["spec"]["steps"][0].clone();
    let lines: Vec<String> =
        gitlab["release"]["script"].as_array().expect("lines").iter().map(text).collect();
    let allowed = gitlab["release"]["allow_failure"]["exit_codes"].as_array().expect("codes");
    assert_eq!(prow["command"], json!(["/bin/sh", "-c"]));
    // Script, exit code of a run that asks.
    let scripts = [(lines.join("\n"), 11), (text(&prow["args"][0]), 0), (text(&tekton["script"]), 0)];
    assert!(allowed.contains(&json!(11)));
    for (number, (script, code)) in scripts.iter().enumerate() {
        let (place, issue) = Place::with_channel();
        let machine = Machine::new(&place);
        machine.check_out();
        let home = |name: &str| machine.home.path().join(name).display().to_string();
        let environment = Names::from([
            ("GITHUB_TOKEN".into(), place.forge.token(None).expect("a token")),
            ("ARTIFACTS".into(), machine.work().display().to_string()),
            ("STATE".into(), home("bucket")),
            ("FILE".into(), "release.toml".into()),
            ("VERSION".into(), "v2.17.0".into()),
            ("EXIT".into(), home("exit")),
            ("WORD".into(), home("word")),
        ]);
        let first = machine.script(&["sh", "-e"], script, &environment);
        assert_eq!(first.ended.code, Some(*code), "{number}: {}", first.ended.shown());
        let kept = match number {
            0 => castoff::parcel::Shelf::file(&machine.work().join("castoff.state")),
            _ => castoff::parcel::Shelf::bucket(Path::new(&home("bucket"))),
        };
        let events = events_in(kept.expect("it can be opened"));
        let asked = |record: &&Record| matches!(record.event, Event::Asked { .. });
        let last = events.iter().rfind(asked).expect("it asks").clone();
        place.agree(issue, last.event.step().expect("a step"), last.time);
        // Another machine goes on: what is kept is all that it has.
        let second = Machine::new(&place);
        second.check_out();
        if number == 0 {
            let name = "castoff.state";
            std::fs::copy(machine.work().join(name), second.work().join(name)).expect("a copy");
        }
        let next = second.script(&["sh", "-e"], script, &environment);
        let parked = [Some(*code), Some(10).filter(|_| *code != 0)];
        assert!(parked.contains(&next.ended.code), "{number}: {}", next.ended.shown());
        assert!(next.ended.err.contains("scope"), "{number}: {}", next.ended.shown());
        if number < 2 {
            let junit = std::fs::read_to_string(second.work().join("junit.xml"))
                .or_else(|_| std::fs::read_to_string(machine.work().join("junit.xml")))
                .expect("a report");
            assert!(junit.contains("<testcase name=\"scope\""), "{junit}");
        } else {
            assert!(
                ["asks", "waiting"]
                    .contains(&std::fs::read_to_string(home("word")).expect("a word").as_str())
            );
        }
    }
}
