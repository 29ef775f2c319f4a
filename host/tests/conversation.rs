//! Answers from GitHub, waits that cost nothing, and webhooks that wake: the real binary against a forge in this test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use castoff::clock::SimulatedClock;
use castoff::forge::{Forge, World};
use castoff::journal::{Event, Record, Via};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;

const REPOSITORY: &str = "kubernetes-csi/livenessprobe";

/// Two people from a list agree to the scope, one to everything else; they may say so on the issue of the release.
const APPROVAL: &str = r#"
[approval]
approvers = ["approver", "ben", "release-manager"]
channel = "kubernetes-csi/livenessprobe#NUMBER"

[[approval.step]]
steps = ["scope"]
required = 2
"#;

const PEOPLE: &str = r#"
[[account]]
login = "ben"
token = "ben"

[[account]]
login = "eve"
token = "eve"
"#;

/// A machine with a release file on it, and a forge with an issue about the release.
struct Place {
    home: TempDir,
    forge: Forge,
    clock: Arc<SimulatedClock>,
    issue: u64,
    _runtime: tokio::runtime::Runtime,
}

/// How a command ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        let home = TempDir::new().expect("a temporary folder");
        let examples =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/csi-sidecar/examples/livenessprobe");
        std::fs::copy(examples.join("release.toml"), home.path().join("release.toml")).expect("a copy");
        let read = |name: &str| std::fs::read_to_string(examples.join(name)).expect("the example is there");
        let world = World::from_toml(&(read("world.toml") + PEOPLE)).expect("the world is right");
        let clock = Arc::new(SimulatedClock::new(world.now.expect("the world has a beginning")));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let folder = home.path().join("forge");
        let forge = runtime.block_on(Forge::start(world, &folder, clock.clone())).expect("the forge starts");
        let mut place = Self { home, forge, clock, issue: 0, _runtime: runtime };
        let issue = place.post("approver", "issues", &json!({ "title": "Release v2.17.0" }));
        place.issue = issue["number"].as_u64().expect("an issue has a number");
        let policy = read("policy.toml") + &APPROVAL.replace("NUMBER", &place.issue.to_string());
        std::fs::write(place.home.path().join("policy.toml"), policy).expect("a policy");
        place.share_components();
        place
    }

    /// Compiled components are kept in the build directory: they are compiled once for all tests.
    fn share_components(&self) {
        let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("components");
        let cache = self.home.path().join(".local/state/castoff/cache");
        for folder in [&shared, &cache] {
            std::fs::create_dir_all(folder).expect("a folder can be made");
        }
        std::os::unix::fs::symlink(shared, cache.join("components")).expect("a link can be made");
    }

    /// Somebody posts to the repository.
    fn post(&self, who: &str, path: &str, body: &Value) -> Value {
        let url = format!("/api/v3/repos/{REPOSITORY}/{path}");
        let who = self.forge.token(Some(who)).expect("everybody here has a token");
        let answer =
            send(self.forge.url(), &url, &format!("authorization: token {who}\r\n"), &body.to_string());
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    fn say(&self, who: &str, words: &str) -> String {
        let comment = self.post(who, &format!("issues/{}/comments", self.issue), &json!({ "body": words }));
        let url = comment["html_url"].as_str();
        url.unwrap_or_else(|| panic!("{who}: {comment}")).to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_castoff"));
        let token = self.forge.token(None).expect("the user has a token");
        command.args(args).env_clear().env("HOME", self.home.path()).env("GITHUB_TOKEN", token);
        command.current_dir(self.home.path());
        command
    }

    fn castoff(&self, args: &[&str]) -> Ended {
        let Output { status, stdout, stderr } =
            self.command(args).output().expect("the binary can be started");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ended { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// A run that asks for the scope. The forge's time is brought up to the machine's.
    fn begin(&self) -> String {
        let begun = self.castoff(&["run", "release.toml", "--forge", self.forge.url()]);
        assert_eq!(begun.code, Some(11), "{}", begun.shown());
        let run = begun.out.lines().next().expect("the name of the run").to_owned();
        self.clock.advance_to(self.asked(&run) + TimeDelta::seconds(5));
        run
    }

    fn log(&self, run: &str) -> Vec<Record> {
        let ended = self.castoff(&["log", run, "--json"]);
        assert_eq!(ended.code, Some(0), "{}", ended.shown());
        ended.out.lines().map(|line| serde_json::from_str(line).expect("an event a line")).collect()
    }

    /// When the last question was asked.
    fn asked(&self, run: &str) -> DateTime<Utc> {
        let log = self.log(run);
        let asked = log.iter().rev().find(|record| matches!(record.event, Event::Asked { .. }));
        asked.expect("something is asked").time
    }

    /// Lets the run go on, one person agreeing to everything, until it waits for the world; which step waits.
    fn until_it_waits(&self, run: &str) -> String {
        loop {
            let ended = self.castoff(&["resume", run]);
            match ended.code {
                Some(10) => break,
                Some(11) => {
                    let next = ended.err.trim_end().rsplit(' ').next().unwrap_or_default().to_owned();
                    for step in next.split('|') {
                        let args = ["approve", run, step, "--choice", "approve", "--as", "ben"];
                        let agreed = self.castoff(&args);
                        assert_eq!(agreed.code, Some(0), "{}", agreed.shown());
                    }
                }
                _ => panic!("{}", ended.shown()),
            }
        }
        let waits = self.log(run).into_iter().rev().find_map(|record| match record.event {
            Event::Waiting { step, .. } => Some(step),
            _ => None,
        });
        waits.expect("a step waits")
    }

    fn agree_to_the_scope(&self, run: &str) {
        for who in ["approver", "ben"] {
            let ended = self.castoff(&["approve", run, "scope", "--choice", "approve", "--as", who]);
            assert_eq!(ended.code, Some(0), "{}", ended.shown());
        }
    }
}

impl Ended {
    fn shown(&self) -> String {
        format!("exit {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.out, self.err)
    }
}

/// Posts to a server on loopback and returns the body of the answer.
fn send(server: &str, path: &str, headers: &str, body: &str) -> String {
    let host = server.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).expect("it listens");
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

#[test]
fn people_answer_on_the_issue_of_the_release() {
    let place = Place::new();
    let early = place.say("approver", "/castoff approve scope");
    let run = place.begin();
    place.say("eve", "/castoff approve scope");
    place.say("release-manager", "/castoff approve scope");
    place.say("approver", "I had a look.");
    let ended = place.castoff(&["resume", &run]);
    assert_eq!(ended.code, Some(11), "{}", ended.shown());
    for part in ["by eve: eve is not among those", "by release-manager: release-manager began this run"] {
        assert!(ended.err.contains(part), "{part}: {}", ended.shown());
    }
    assert!(!ended.err.contains(&early), "what was said before the question: {}", ended.shown());

    let first = place.say("approver", "Fine.\n\n/castoff approve scope no more merges");
    let ended = place.castoff(&["resume", &run]);
    assert_eq!(ended.code, Some(11), "one of two: {}", ended.shown());
    let status = place.castoff(&["status", &run]);
    assert!(status.out.contains("1 of 2 agreed (approver): 1 more of ben"), "{}", status.shown());
    assert!(status.out.contains(&format!("or on {REPOSITORY}#{}", place.issue)), "{}", status.shown());

    let second = place.say("ben", &format!("/castoff approve {run}"));
    let ended = place.castoff(&["resume", &run]);
    assert!(ended.err.contains(&second), "{}", ended.shown());
    let log = place.log(&run);
    let answers = log.iter().filter_map(|record| match &record.event {
        Event::Answered { step, answer } if step == "scope" => Some(answer),
        _ => None,
    });
    let told: Vec<_> = answers.map(|a| (a.by.as_str(), a.comment.as_deref(), a.via.clone())).collect();
    let at = |url: &String| Some(Via::GithubComment { url: url.clone() });
    assert_eq!(told, [("approver", Some("no more merges"), at(&first)), ("ben", None, at(&second))]);
    let done = log.iter().any(|one| matches!(&one.event, Event::Succeeded { step, .. } if step == "scope"));
    assert!(done, "the run went on");
}

#[test]
fn a_wait_that_cannot_be_over_costs_nothing() {
    let place = Place::new();
    let run = place.begin();
    place.agree_to_the_scope(&run);
    let step = place.until_it_waits(&run);
    let before = place.log(&run);
    let asked = place.forge.requests().len();
    for _ in 0..2 {
        let ended = place.castoff(&["resume", &run]);
        assert_eq!(ended.code, Some(10), "{}", ended.shown());
    }
    assert_eq!(place.log(&run), before, "nothing is written while nothing has changed");
    let reads = place.forge.requests().len() - asked;
    assert!((1..=6).contains(&reads), "{reads} requests to see that nothing has changed");

    place.clock.advance(TimeDelta::hours(3));
    let ended = place.castoff(&["resume", &run]);
    let over = place
        .log(&run)
        .into_iter()
        .any(|record| matches!(&record.event, Event::Succeeded { step: done, .. } if *done == step));
    assert!(over, "{step}: {}", ended.shown());
}

#[test]
fn a_webhook_wakes_whoever_watches() {
    let place = Place::new();
    let run = place.begin();
    place.agree_to_the_scope(&run);
    let step = place.until_it_waits(&run);
    for (args, why) in [
        (&["resume", &run, "--listen", "127.0.0.1:0"] as &[_], "--watch"),
        (&["resume", &run, "--watch", "--listen", "0.0.0.0:0"], "can be reached from elsewhere"),
        (&["resume", &run, "--watch", "--listen", "127.0.0.1:0", "--secret-env", "HOOK"], "HOOK is not set"),
    ] {
        let refused = place.castoff(args);
        assert!(refused.code == Some(2) && refused.err.contains(why), "{args:?}: {}", refused.shown());
    }

    let args = ["resume", &run, "--watch", "--listen", "127.0.0.1:0"];
    let mut watcher =
        place.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(watcher.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let told = lines.by_ref().find_map(|line| Some(line.split_once("http://")?.1.to_owned()));
    let address = told.expect("it says where it listens");
    // The merge happens at the forge; without being woken the watcher would look in minutes at the earliest.
    place.clock.advance(TimeDelta::hours(3));
    send(address.trim_end_matches('/'), "/", "x-github-event: pull_request\r\n", "{}");
    let done = lines.by_ref().any(|line| line.contains(&format!("✓ {step}")));
    watcher.kill().expect("it watches still");
    watcher.wait().expect("it ends");
    assert!(done, "{step} went on");
    let status = place.castoff(&["status", &run, "--json"]);
    let status: Value = serde_json::from_str(&status.out).expect("JSON");
    assert_eq!(status["state"]["steps"][&step]["status"]["kind"], "done");
}
