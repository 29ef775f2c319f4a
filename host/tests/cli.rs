//! The command line as a person or a script meets it: exit code, standard output and standard error of the real binary,
//! in an environment of its own.

use std::path::PathBuf;
use std::process::Command;

use castoff::function::Class;
use castoff::journal::{
    Answer, Condition, Document, EffectResult, Event, FORMAT, Header, Identity, Journal, PluginIdentity,
    Question, StepKind, StepNode, Wait, World,
};
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

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_castoff"));
        command.args(args).env_clear().env("HOME", self.home.path()).current_dir(self.home.path());
        command
    }

    /// Exit code, standard output and standard error, with everything that differs between two runs replaced.
    fn castoff(&self, args: &[&str]) -> String {
        self.shown(&mut self.command(args))
    }

    fn shown(&self, command: &mut Command) -> String {
        let output = command.output().expect("the binary can be started");
        let code = output.status.code().map_or("killed".to_owned(), |code| code.to_string());
        let mut shown = format!("exit {code}");
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            if !text.is_empty() {
                shown += &format!("\n--- {name}\n{}", text.trim_end());
            }
        }
        shown.replace(&self.home.path().display().to_string(), "[HOME]")
    }

    /// A run in the middle of things, written through the library.
    fn run(&self, name: &str, events: impl IntoIterator<Item = Event>) -> Journal {
        let folder = self.home.path().join(".local/state/castoff/runs").join(name);
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        std::fs::write(folder.join("release.toml"), "").expect("a file can be written");
        let journal = Journal::create(folder.join("journal.sqlite"), header(name), at(0));
        let journal = journal.expect("a journal can be made");
        for (number, event) in (1..).zip(events) {
            journal.append(event, at(number)).expect("the event is legal");
        }
        journal
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

fn header(name: &str) -> Header {
    let step = |id: &str, title: &str, kind, needs: &[&str]| StepNode {
        id: id.into(),
        title: title.into(),
        kind,
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        irreversible: id == "tag",
        source: String::new(),
    };
    Header {
        format: FORMAT,
        run: name.into(),
        release: "livenessprobe v2.17.0".into(),
        title: "livenessprobe v2.17.0".into(),
        plugin: PluginIdentity { name: "demo".into(), version: "0.1.0".into(), digest: "sha256:00".into() },
        policy: None,
        plan: None,
        process: "release".into(),
        profile: "2026".into(),
        inputs: serde_json::json!({}),
        graph: vec![
            step("notes", "Draft the notes", StepKind::Work, &[]),
            step("approve-notes", "Agree to the notes", StepKind::Gate, &["notes"]),
            step("tag", "Tag v2.17.0", StepKind::Work, &["approve-notes"]),
            step("image", "Wait for the image", StepKind::Wait, &["tag"]),
        ],
        pinned: at(0),
        identity: Identity { name: "Jane Doe".into(), email: "jane@example.org".into(), login: None },
        world: World::Live,
        forge: None,
        started_by: "jane".into(),
        confirm: false,
    }
}

fn started(step: &str, attempt: u32) -> Event {
    Event::Started { step: step.into(), attempt }
}

fn succeeded(step: &str) -> Event {
    Event::Succeeded { step: step.into(), outputs: serde_json::json!({}) }
}

fn asked() -> Event {
    let question = Question {
        id: "fine".into(),
        prompt: "Are the notes \u{1b}[31mright\u{1b}[0m?".into(),
        document: Some(Document { name: "notes.md".into(), text: "# Changes\n".into(), editable: true }),
        choices: vec!["approve".into(), "reject".into()],
        approvals: 1,
        rule: None,
    };
    Event::Asked { step: "approve-notes".into(), question }
}

fn answered() -> Event {
    let answer = Answer {
        question: "fine".into(),
        choice: "approve".into(),
        document: None,
        comment: None,
        by: "jane".into(),
        at: at(5),
        via: None,
    };
    Event::Answered { step: "approve-notes".into(), answer }
}

fn intent(class: Class) -> Event {
    Event::Intent {
        step: "tag".into(),
        ordinal: 0,
        function: "git.ensure-tag".into(),
        class,
        digest: "d".into(),
        request: serde_json::json!({}),
        summary: "tag v2.17.0 of kubernetes-csi/livenessprobe at 33ea6c0".into(),
    }
}

fn until_asked() -> Vec<Event> {
    vec![started("notes", 1), succeeded("notes"), started("approve-notes", 1), asked()]
}

fn until_tagging() -> Vec<Event> {
    let more = [answered(), started("approve-notes", 2), succeeded("approve-notes"), started("tag", 1)];
    until_asked().into_iter().chain(more).collect()
}

fn until_waiting() -> Vec<Event> {
    let done = EffectResult::Done { value: serde_json::json!(null) };
    let wait = Wait {
        condition: Condition::ImagePresent { reference: "registry.example.org/livenessprobe:v2.17.0".into() },
        summary: "the image to be promoted by its owners".into(),
        url: Some("https://github.com/kubernetes/k8s.io/pull/7".into()),
        poll_seconds: 300,
        timeout_seconds: 0,
        since: at(13),
    };
    let more = [
        intent(Class::Ensure),
        Event::Outcome { step: "tag".into(), intent: 10, result: done },
        succeeded("tag"),
        started("image", 1),
        Event::Waiting { step: "image".into(), wait },
    ];
    until_tagging().into_iter().chain(more).collect()
}

/// Replaces spans of time since the past of the tests.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\(\d+ d \d+ h\)", "([SPAN])");
    settings.add_filter(r"sha256:[0-9a-f]{64}", "[DIGEST]");
    settings.add_filter(r"\d+ KiB", "[SIZE]");
    settings.add_filter(r"process \d+ on \S+", "[PROCESS]");
    settings
}

macro_rules! check {
    ($shown:expr, @$expected:literal) => {{
        let shown = $shown;
        settings().bind(|| assert_snapshot!(shown, @$expected));
    }};
}

#[path = "cli/author.rs"]
mod author;
#[path = "cli/ci.rs"]
mod ci;
#[path = "cli/decide.rs"]
mod decide;
#[path = "cli/status.rs"]
mod status;
#[path = "cli/supply.rs"]
mod supply;
#[path = "cli/train.rs"]
mod train;

#[test]
fn no_command() {
    let shown = Place::new().castoff(&[]);
    assert!(shown.starts_with("exit 2\n--- stderr\nCasts off releases"), "{shown}");
}

#[test]
fn unknown_command() {
    check!(Place::new().castoff(&["relase"]), @r#"
    exit 2
    --- stderr
    error: unrecognized subcommand 'relase'

      tip: some similar subcommands exist: 'rehearse', 'resume'

    Usage: castoff [OPTIONS] <COMMAND>

    For more information, try '--help'.
    "#);
}

#[test]
fn missing_argument() {
    check!(Place::new().castoff(&["skip", "@latest", "tag"]), @r#"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      --reason <REASON>

    Usage: castoff skip --reason <REASON> <RUN> <STEP>

    For more information, try '--help'.
    "#);
}

#[test]
fn no_runs() {
    check!(Place::new().castoff(&["status"]), @r#"
    exit 2
    --- stderr
    error[usage]: there is no run "@latest"

    hint: nothing has been run yet: castoff run FILE
    "#);
}

#[test]
fn no_runs_to_list() {
    check!(Place::new().castoff(&["status", "--all"]), @r#"
    exit 0
    --- stderr
    nothing has been run yet
    castoff run FILE
    "#);
}

#[test]
fn unknown_run() {
    let place = Place::new();
    drop(place.run("demo-1", []));
    check!(place.castoff(&["status", "other"]), @r#"
    exit 2
    --- stderr
    error[usage]: there is no run "other"

    hint: the newest runs: demo-1
    "#);
}

#[test]
fn nowhere_to_keep_runs() {
    let place = Place::new();
    check!(place.shown(place.command(&["status"]).env_remove("HOME")), @r#"
    exit 2
    --- stderr
    error[usage]: there is no place to keep runs

    hint: give one with --state DIR, or set CASTOFF_STATE or HOME
    "#);
}

#[test]
fn explain_a_number() {
    check!(Place::new().castoff(&["explain", "22"]), @r#"
    exit 0
    --- stdout
    exit code 22 (unknown)
      An effect was sent and no answer came, and there is no way to look it up. It is not sent again.
      What to do: Look yourself whether it happened, then `castoff resume RUN --assume done` or `--assume not-done`.
    --- stderr
    castoff status
    "#);
}

#[test]
fn explain_a_word_of_several_meanings() {
    check!(Place::new().castoff(&["explain", "denied"]), @r#"
    exit 0
    --- stdout
    exit code 20 (denied)
      The policy does not allow what a step wanted, or there is no policy. The call was not made.
      What to do: The message names the line that would allow it. A run keeps the policy it began with: abort it and begin again with the new one, or skip the step.

    error denied
      A step wanted something that the policy does not grant, or that its plugin does not ask for. The call was not made.
      What to do: `castoff log RUN` names the missing power and the policy line. Grant it and begin a new run, or skip the step.

    event denied
      The policy refused a call; it was not made.
      What to do: Grant the power the event names, or skip the step.
    --- stderr
    castoff status
    "#);
}

#[test]
fn explain_nonsense() {
    check!(Place::new().castoff(&["explain", "nonsense"]), @r#"
    exit 2
    --- stderr
    error[usage]: there is no such exit code, kind of error or kind of event

    hint: castoff explain lists them all
    "#);
}

#[test]
fn explain_knows_every_event() {
    let place = Place::new();
    let events = [
        "run-created",
        "started",
        "denied",
        "intent",
        "outcome",
        "remark",
        "artefact",
        "succeeded",
        "waiting",
        "asked",
        "answered",
        "failed",
        "fault",
        "unknown",
        "skipped",
        "retried",
        "aborted",
        "finished",
    ];
    for event in events {
        let shown = place.castoff(&["explain", event]);
        assert!(shown.starts_with("exit 0") && shown.contains(&format!("event {event}")), "{shown}");
    }
}

#[test]
fn release_file_with_a_mistake() {
    let place = Place::new();
    place.write("release.toml", "version = 1\nplugin = \"csi-sidecar\"\nproces = \"release\"\n");
    check!(place.castoff(&["run", "release.toml"]), @r#"
    exit 2
    --- stderr
    error[usage]: unknown field `proces`, expected one of `version`, `plugin`, `process`, `profile`, `name`, `policy`, `inputs`, `rehearsal`
       ╭─[release.toml:3:1]
     2 │ plugin = "csi-sidecar"
     3 │ proces = "release"
       · ───┬──
       ·    ╰── here
       ╰────
    "#);
}

#[test]
fn release_file_of_another_version() {
    let place = Place::new();
    place.write("release.toml", "version = 9\nplugin = \"csi-sidecar\"\nprocess = \"release\"\n");
    check!(place.castoff(&["run", "release.toml"]), @r#"
    exit 2
    --- stderr
    error[usage]: version 9 of release files is not known here
       ╭─[release.toml:1:1]
     1 │ version = 9
       · ───┬───
       ·    ╰── here
     2 │ plugin = "csi-sidecar"
       ╰────

    hint: this host reads version = 1
    "#);
}

#[test]
fn release_file_that_is_not_there() {
    check!(Place::new().castoff(&["run", "release.toml"]), @r#"
    exit 2
    --- stderr
    error[usage]: release.toml: No such file or directory (os error 2)
    "#);
}

#[test]
fn release_file_without_a_plugin_of_that_name() {
    let place = Place::new();
    place.write("release.toml", "version = 1\nplugin = \"nothing\"\nprocess = \"release\"\n");
    let shown = place.castoff(&["run", "release.toml"]);
    assert!(shown.starts_with("exit 2\n--- stderr\nerror[usage]: there is no plugin \"nothing\""), "{shown}");
}

#[test]
fn policy_with_a_mistake() {
    let place = Place::new();
    place.write("release.toml", "version = 1\nplugin = \"csi-sidecar\"\nprocess = \"release\"\n");
    let grant = "version = 1\n\n[[grant]]\nplugin = \"csi-sidecar\"\ndigest = \"any\"\npowers = [\"git.write a/b\"]\n";
    place.write("policy.toml", grant);
    let shown = place.castoff(&["run", "release.toml", "--policy", "policy.toml"]);
    assert!(shown.starts_with("exit 2\n--- stderr\nerror[usage]: "), "{shown}");
    assert!(shown.contains("[policy.toml:6:") && shown.contains("git.write"), "{shown}");
}

#[test]
fn world_with_a_mistake() {
    let place = Place::new();
    place.write("world.toml", "user = \"jane\"\nacount = []\n");
    let shown = place.castoff(&["forge", "serve", "world.toml"]);
    assert!(shown.starts_with("exit 2\n--- stderr\nerror[usage]: unknown field `acount`"), "{shown}");
    assert!(shown.contains("[world.toml:2:1]"), "{shown}");
}

#[test]
fn a_run_that_another_process_drives() {
    let place = Place::new();
    let _journal = place.run("demo-1", until_asked());
    check!(place.castoff(&["skip", "demo-1", "tag", "--reason", "made by hand"]), @r#"
    exit 30
    --- stderr
    error[held]: the journal [HOME]/.local/state/castoff/runs/demo-1/journal.sqlite is in use by [PROCESS]
    castoff explain held
    "#);
    assert!(place.castoff(&["status"]).starts_with("exit 0"));
}

#[test]
fn a_damaged_journal() {
    let place = Place::new();
    let path = place.run("demo-1", until_asked()).path().to_owned();
    std::fs::write(path, "not a database, not a database, not a database").expect("a file can be written");
    let shown = place.castoff(&["status"]);
    assert!(shown.starts_with("exit 31\n--- stderr\nerror[damaged]: the journal [HOME]"), "{shown}");
}

#[test]
fn the_injected_crash_leaves_the_event() {
    let place = Place::new();
    drop(place.run("demo-1", until_asked()));
    let mut command = place.command(&["skip", "demo-1", "tag", "--reason", "made by hand"]);
    let status = command.env("CASTOFF_CRASH_AFTER_EVENT", "1").output().expect("it starts").status;
    assert_eq!(status.code(), None);
    assert!(place.castoff(&["log"]).contains("made by hand (by Jane Doe)"));
}

#[test]
fn no_escape_reaches_the_terminal() {
    let place = Place::new();
    drop(place.run("demo-1", until_asked()));
    for args in [["status", "demo-1"], ["log", "demo-1"], ["approve", "demo-1"]] {
        let shown = place.castoff(&args);
        assert!(!shown.contains('\u{1b}') && shown.contains("Are the notes right?"), "{shown}");
    }
}

#[test]
fn colour_on_demand_only() {
    let place = Place::new();
    drop(place.run("demo-1", until_asked()));
    assert!(place.castoff(&["status", "--color", "always"]).contains("\u{1b}[32m✓\u{1b}[0m"));
    assert!(!place.castoff(&["status", "--color", "never"]).contains('\u{1b}'));
}

#[test]
fn completions_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let shown = place.castoff(&["completions", shell]);
        assert!(shown.starts_with("exit 0\n--- stdout") && shown.contains("approve"), "{shell}: {shown}");
    }
}

#[test]
fn a_plugin_that_is_none() {
    let place = Place::new();
    place.write("plugin.wasm", "not WebAssembly");
    check!(place.castoff(&["plugin", "inspect", "plugin.wasm"]), @r#"
    exit 2
    --- stderr
    error[usage]: plugin.wasm: this is not WebAssembly: it does not begin with `\0asm`
    "#);
}

#[test]
fn every_embedded_plugin_can_be_inspected() {
    let place = Place::new();
    for (name, _) in castoff::embedded::PLUGINS {
        let shown = place.castoff(&["plugin", "inspect", name]);
        assert!(shown.starts_with(&format!("exit 0\n--- stdout\n{name} ")), "{shown}");
        assert!(shown.ends_with(&format!("castoff plugin policy {name}")), "{shown}");
    }
}
