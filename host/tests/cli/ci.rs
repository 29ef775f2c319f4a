//! Jobs at the command line: one step and nothing else, states that are refused, and what a runner reads.

use castoff::journal::Event;
use castoff::parcel::{Packer, Shelf};
use insta::assert_snapshot;

use super::{Place, settings, until_asked, until_tagging, until_waiting};

#[test]
fn a_step_that_does_not_start() {
    let place = Place::new();
    drop(place.run("demo-1", until_asked()));
    check!(place.castoff(&["step", "demo-1", "notes"]), @r#"
    exit 0
    --- stderr
    notes is done already
    castoff approve demo-1 approve-notes
    "#);
    check!(place.castoff(&["step", "demo-1", "tag"]), @r#"
    exit 11
    --- stderr
    error[asks]: tag is not ready: approve-notes asks a person

    hint: castoff status demo-1 shows whose move it is
    castoff explain asks
    "#);
    check!(place.castoff(&["step", "demo-1", "image"]), @r#"
    exit 11
    --- stderr
    error[asks]: image is not ready: approve-notes asks a person

    hint: castoff status demo-1 shows whose move it is
    castoff explain asks
    "#);
    check!(place.castoff(&["step", "demo-1", "nonsense"]), @r#"
    exit 2
    --- stderr
    error[usage]: there is no step "nonsense"

    hint: the steps: notes, approve-notes, tag, image
    "#);
}

#[test]
fn a_step_that_stopped() {
    let failed = |error: &str, retryable| Event::Failed {
        step: "tag".into(),
        error: error.into(),
        message: "refs/tags/v2.17.0 is elsewhere\n::error::x".into(),
        retryable,
    };
    let place = Place::new();
    drop(place.run("demo-1", until_tagging().into_iter().chain([failed("conflict", false)])));
    check!(place.castoff(&["step", "demo-1", "tag"]), @r#"
    exit 21
    --- stderr
    error[conflict]: tag failed (conflict): refs/tags/v2.17.0 is elsewhere ::error::x

    hint: castoff retry demo-1 tag
    castoff explain conflict
    "#);
    let aborted = Event::Aborted { reason: "embargo".into(), by: "ann".into() };
    drop(place.run("demo-2", until_asked().into_iter().chain([aborted])));
    check!(place.castoff(&["step", "demo-2", "tag"]), @r#"
    exit 1
    --- stderr
    error[failed]: the run has ended
    castoff explain failed
    "#);
}

/// Files that a runner gives to a step.
fn as_job(place: &Place, args: &[&str]) -> (String, String, String) {
    let mut command = place.command(args);
    command.env("GITHUB_ACTIONS", "true");
    for (name, file) in [("GITHUB_STEP_SUMMARY", "summary"), ("GITHUB_OUTPUT", "output")] {
        command.env(name, place.write(file, ""));
    }
    let shown = place.shown(&mut command);
    let read = |file: &str| std::fs::read_to_string(place.home.path().join(file)).expect("a file");
    (shown, read("summary"), read("output"))
}

#[test]
fn what_a_runner_reads() {
    let hostile = Event::Failed {
        step: "tag".into(),
        error: "conflict".into(),
        message: "a | b </pre>\n::error::x\n  ::add-mask::y\n##[set-env name=z]1".into(),
        retryable: false,
    };
    let place = Place::new();
    drop(place.run("demo-1", until_tagging().into_iter().chain([hostile])));
    let junit = ["step", "demo-1", "tag", "--junit", "junit.xml"];
    let (shown, summary, output) = as_job(&place, &junit);
    let mut settings = settings();
    settings.add_filter(r"[0-9a-f]{64}", "[HEAD]");
    settings.add_filter(r"<code>[0-9a-f]{12}</code>", "<code>[HEAD]</code>");
    settings.bind(|| assert_snapshot!(shown, @r#"
    exit 21
    --- stderr
    ::error title=tag failed (conflict)::failed (conflict): a | b </pre>%0A: :error::x%0A  : :add-mask::y%0A# #[set-env name=z]1%0Acastoff retry demo-1 tag, or castoff explain conflict
    ::error title=castoff%3A conflict::tag failed (conflict): a | b </pre> ::error::x ::add-mask::y # #[set-env name=z]1%0Acastoff retry demo-1 tag
    error[conflict]: tag failed (conflict): a | b </pre> ::error::x ::add-mask::y # #[set-env name=z]1

    hint: castoff retry demo-1 tag
    castoff explain conflict
    "#));
    settings.bind(|| {
        assert_snapshot!(summary, @r#"
    ## livenessprobe v2&#46;17&#46;0

    **2 of 4 steps done, 0 effects in the world&#58; stopped&#58; a step failed** (exit code 21, conflict)

    Run <code>demo-1</code>, 10 events, head <code>[HEAD]</code>

    | | step | | took |
    |---|---|---|---|
    | ✓ | notes | Draft the notes | 1.0 s |
    | ✓ | approve-notes | Agree to the notes | 1.0 s |
    | ✗ | tag | Tag v2&#46;17&#46;0 |  |
    | · | image | Wait for the image |  |

    ### tag

    <pre>
    failed (conflict): a | b &lt;/pre&gt;
    ::error::x
      ::add-mask::y
    ##[set-env name=z]1
    castoff retry demo-1 tag, or castoff explain conflict
    </pre>

    Next: <code>castoff retry demo-1 tag</code>
    "#)
    });
    settings.bind(|| {
        assert_snapshot!(output, @r#"
    exit=21
    word=conflict
    state=failed
    run=demo-1
    waiting-on=
    next=castoff retry demo-1 tag
    plan=
    events=10
    head=[HEAD]
    "#)
    });
    let report = std::fs::read_to_string(place.home.path().join("junit.xml")).expect("a report");
    settings.bind(|| assert_snapshot!(report, @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="livenessprobe v2.17.0" tests="4" skipped="1" failures="1" errors="0">
        <testsuite name="demo-1" tests="4" skipped="1" errors="0" failures="1" timestamp="2024-10-04T00:00:00.000+00:00">
            <testcase name="notes" classname="demo-1" timestamp="2024-10-04T00:00:02.000+00:00" time="1.000"/>
            <testcase name="approve-notes" classname="demo-1" timestamp="2024-10-04T00:00:07.000+00:00" time="1.000"/>
            <testcase name="tag" classname="demo-1" timestamp="2024-10-04T00:00:09.000+00:00" time="1.000">
                <failure message="a | b &lt;/pre&gt; ::error::x ::add-mask::y ##[set-env name=z]1" type="conflict">a | b &lt;/pre&gt;
    ::error::x
      ::add-mask::y
    ##[set-env name=z]1</failure>
            </testcase>
            <testcase name="image" classname="demo-1">
                <skipped message="not begun"/>
            </testcase>
        </testsuite>
    </testsuites>
    "#));

    // Whatever is asked for: nothing that came from a plugin begins a command.
    for args in [&["log", "demo-1"] as &[_], &["log", "demo-1", "--json"], &["status", "demo-1"]] {
        let (shown, ..) = as_job(&place, args);
        let command = |line: &str| line.trim_start().starts_with("::") || line.contains("##[");
        assert!(!shown.lines().any(command), "{args:?}: {shown}");
        let json: Vec<&str> = shown.lines().filter(|line| line.starts_with('{')).collect();
        for line in json {
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let message = value["event"]["message"].as_str().unwrap_or("##[set-env");
            assert!(message.contains("##[set-env"), "the value is the same: {line}");
        }
    }
}

impl Place {
    /// The state of a run, as another machine left it.
    fn state(&self, run: &str, file: &str) {
        let state = self.home.path().join(".local/state/castoff");
        let plugins = state.join("plugins");
        std::fs::create_dir_all(&plugins).expect("a folder");
        std::fs::write(plugins.join("00.wasm"), "").expect("a file");
        let parcel = Packer::new(&state, run).pack(1).expect("it can be packed");
        let path = self.home.path().join(file);
        Shelf::file(&path).and_then(|mut shelf| shelf.keep(&parcel)).expect("it can be kept");
    }
}

#[test]
fn states_that_are_refused() {
    let place = Place::new();
    drop(place.run("demo-1", until_waiting()));
    place.state("demo-1", "state");
    let text = std::fs::read_to_string(place.home.path().join("state")).expect("a state");
    place.write("cut", &text[..text.len() / 2]);
    let step = |file: &str| place.castoff(&["step", "@latest", "notes", "--state-file", file]);
    check!(step("cut"), @r#"
    exit 31
    --- stderr
    error[damaged]: cut: this is no whole state of a run: it is cut off: its last line is no seal
    castoff explain damaged
    "#);
    let held = Shelf::file(&place.home.path().join("state")).expect("nobody holds it");
    check!(step("state"), @r#"
    exit 30
    --- stderr
    error[held]: state is in use by another process
    castoff explain held
    "#);
    drop(held);
    let lost = place
        .shown(place.command(&["ci", "nothing.toml", "--state-file", "/proc/nowhere/state"]).env("X", "1"));
    assert!(lost.starts_with("exit 1\n--- stderr\nerror[failed]: /proc/nowhere/state"), "{lost}");
}
