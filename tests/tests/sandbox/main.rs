//! What a hostile or broken guest can and cannot do: every function with and without its grants (`matrix`), one move for
//! every rule (`hostile`), the moves of known incidents (`incident`), and, here, whole runs against a counting forge.

#![allow(clippy::print_stdout)]

mod fake;
mod fuzz;
mod hostile;
mod incident;
mod matrix;
mod rig;
mod server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use castoff::author::check::{Grade, Subject, examine};
use castoff::author::scenario::play;
use castoff::author::{AuthorError, Language};
use castoff::engine::Limits;
use castoff::forge::World;
use castoff::journal::{RunState, Status, Verdict};
use castoff::site::Site;
use castoff_tests::script;
use castoff_tests::theatre::{EXERCISER, Notes, TRACK_0_1, Theatre, engine};
use serde_json::json;

const WORLD: &str = r#"
    now = "2026-01-01T00:00:00Z"
    user = "ann"

    [[account]]
    login = "ann"
    token = "t0ken"
    permissions = { "acme/tool" = "admin" }

    [[repository]]
    name = "acme/tool"
    default_branch = "main"
    files = { "README.md" = "a tool\n" }

    [[repository]]
    name = "other/secret"
    default_branch = "main"
    files = { "README.md" = "not yours\n" }

    [[command]]
    program = "tool"
    arguments = ["look"]
    stdout = "seen"

    [[command]]
    program = "tool"
    arguments = ["keep", "--to=kept"]
    files = { kept = "the token is rehearsal-service-token" }

    [[command]]
    program = "tool"
    arguments = ["print"]
    stdout = "the token is rehearsal-service-token"

    [[command]]
    program = "tool"
    arguments = ["get", "*"]
    code = 3
    stderr = "no such thing"

    [[command]]
    program = "tool"
    arguments = ["publish", "lost"]
    lost = true

    [[command]]
    program = "tool"
    arguments = ["publish", "..."]
    stdout = "published"

    [[mail_rule]]
    to = "later@example.org"
    refuse = "450 come back later"
    times = 1

    [[mail_rule]]
    to = "never@example.org"
    refuse = "550 no such user"

    [[mail_rule]]
    to = "lost@example.org"
    lost = true

    [[document]]
    host = "service.example"
    path = "/**"
    body = "hello"
"#;

const POLICY: &str = r#"version = 1

[[grant]]
plugin = "exerciser"
digest = "any"
powers = [
    "git.read acme/*",
    "git.push acme/tool refs/tags/v*",
    "http.get https://service.example/**",
    "secret service-token https://service.example",
    "files.publish",
    "command.run tool *",
    "command.run tool keep --to=kept",
    "command.fetch tool get *",
    "command.send tool publish ...",
    "command.env tool TOKEN=secret:service-token",
    "mail.send *@example.org",
]

[programs.tool]
path = "/bin/true"
sha256 = "any"

[mail]
host = "mail.example.org"
encryption = "starttls"
from = "Ann <ann@example.org>"

[limits]
host-calls = 1000
log-kib = 16

[secrets]
service-token = { env = "SERVICE_TOKEN" }
"#;

/// Small limits, so that hitting one takes no time.
fn limits() -> Limits {
    Limits {
        memory: 32 << 20,
        fuel: 50_000_000,
        wall: Duration::from_secs(60),
        handles: 64,
        output: 4 << 10,
        ..Limits::default()
    }
}

struct Ended {
    theatre: Theatre,
    state: RunState,
    verdict: Verdict,
}

impl Ended {
    fn status(&self) -> &Status {
        &self.state.step("act").expect("the step is there").status
    }

    fn failure(&self) -> (String, String) {
        match self.status() {
            Status::Failed { error, message, .. } => (error.clone(), message.clone()),
            other => panic!("expected a failure, found {other:?}"),
        }
    }

    fn result(&self) -> serde_json::Value {
        match self.status() {
            Status::Done { outputs } => outputs["result"].clone(),
            other => panic!("expected an end, found {other:?}"),
        }
    }

    fn pushes(&self) -> usize {
        let served = self.theatre.stage.forge().requests();
        served.iter().filter(|request| request.path.contains("git-receive-pack")).count()
    }
}

async fn exercise(action: &str, argument: &str) -> Ended {
    let world = World::from_toml(WORLD).expect("the world is right");
    let theatre = Theatre::open(world, engine(limits())).await;
    let release = format!(
        "version = 1\nplugin = \"guest.wasm\"\nprocess = \"exercise\"\npolicy = \"policy.toml\"\n\
         [inputs]\naction = {action:?}\nargument = {argument:?}\n"
    );
    let files: [(&str, &[u8]); 3] =
        [("release.toml", release.as_bytes()), ("policy.toml", POLICY.as_bytes()), ("guest.wasm", EXERCISER)];
    let prepared = theatre.prepare(&theatre.write(&files)).await;
    let (stored, journal) = theatre.create(&prepared, "exercise");
    let runner = theatre.runner(&prepared, &stored, journal);
    let verdict = theatre.stage.play(&runner).await.expect("the host goes on").verdict;
    runner.ledger().journal().verify().expect("the journal is whole");
    let state = runner.state();
    Ended { theatre, state, verdict }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashing_guest_costs_only_its_step() {
    let cases =
        [("trap", "unreachable"), ("loop", "fuel"), ("recurse", "call stack"), ("allocate", "unreachable")];
    for (action, why) in cases {
        let ended = exercise(action, "").await;
        let (error, message) = ended.failure();
        assert_eq!(error, "fault", "{action}: {message}");
        assert!(message.contains(why), "{action}: {message}");
        assert_eq!(ended.verdict, Verdict::Failed, "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn powers_that_are_not_granted_are_denied_as_values() {
    let cases = [
        // Asked and not granted, beyond what is granted, never asked.
        ("branch", "wild", "git.push acme/tool refs/heads/wild"),
        ("tag", "wild", "git.push acme/tool refs/tags/wild"),
        ("open", "other/secret", "git.read other/secret"),
        ("post", "https://service.example/", "http.post https://service.example/"),
        ("fetch", "https://elsewhere.example/", "http.get https://elsewhere.example/"),
        ("fetch", "https://service.example.evil/", "http.get https://service.example.evil/"),
        ("fetch", "https://service.example@evil.example/", "http.get"),
        ("fetch", "http://service.example/", "http.get http://service.example/"),
        ("fetch", "http://169.254.169.254/latest/meta-data/", "http.get http://169.254.169.254/"),
        ("fetch", "http://[::ffff:169.254.169.254]/", "http.get"),
        ("fetch-with-other-secret", "https://service.example/", "secret other-token https://service.example"),
        ("run", "other", "command.run other"),
        ("run", "tool keep --to=elsewhere", "command.run tool keep --to=elsewhere"),
        ("run", "tool --to=kept", "command.run tool --to=kept"),
        ("run", "tool look around", "command.run tool look around"),
        ("run", "tool a/b", "command.run tool a/b"),
        ("fetch-program", "tool look", "command.fetch tool look"),
        ("fetch-program", "tool get -o/etc/passwd", "command.fetch tool get -o/etc/passwd"),
        ("send-program", "tool get x", "command.send tool get x"),
        ("send-program", "tool publish --force", "command.send tool publish --force"),
        ("run-with-other-secret", "tool look", "command.env tool TOKEN=secret:other-token"),
        ("run-with-variable", "tool look", "command.env tool LD_PRELOAD=evil.so"),
        ("mail", "boss@elsewhere.example", "mail.send boss@elsewhere.example"),
        ("mail-many", "a@example.org,b@example.org.evil.example", "mail.send b@example.org.evil.example"),
    ];
    for (action, argument, power) in cases {
        let ended = exercise(action, argument).await;
        let (error, message) = ended.failure();
        assert_eq!(error, "denied", "{action} {argument}: {message}");
        assert!(message.contains(power), "{action} {argument}: {message}");
        let denials = &ended.state.step("act").expect("the step").denials;
        assert_eq!(denials.len(), 1, "{action} {argument}: a denial is journalled");
        assert_eq!(ended.pushes(), 0, "{action} {argument}: nothing was pushed");
        let asked = ended.theatre.stage.forge().requests();
        assert!(asked.iter().all(|request| !request.host.contains("evil")), "{action} {argument}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_works_and_is_journalled() {
    let tagged = exercise("tag", "v1.0.0").await;
    assert_eq!(tagged.verdict, Verdict::Finished);
    let head = tagged.result().as_str().expect("a commit").to_owned();
    assert_eq!(tagged.theatre.stage.forge().reference("acme/tool", "refs/tags/v1.0.0"), Some(head));
    let effects = &tagged.state.step("act").expect("the step").effects;
    assert_eq!(effects.len(), 1);
    assert!(effects[0].happened());
    assert_eq!(exercise("fetch", "https://service.example/x").await.result()["body"], "hello");
    assert_eq!(exercise("fetch-with-secret", "https://service.example/x").await.result()["status"], 200);
    assert_eq!(exercise("publish", "note.txt").await.verdict, Verdict::Finished);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_arguments_are_refused_before_anything_happens() {
    let cases = [
        ("narrowed-tag", "v1.0.0", "narrowed"),
        ("tag", "v../../heads/main", ""),
        ("tag", "v1.0.0 --force", ""),
        ("open", "../../etc", "no repository"),
        ("open", "-u/x", "no repository"),
        ("read-scratch", "../../../etc/passwd", "relative path"),
        ("read-scratch", "/etc/passwd", "relative path"),
        ("write-scratch", "a/../../b", "relative path"),
        ("publish", "../escape", ""),
        ("fetch-with-header", "host=evil.example", ""),
        ("fetch-with-header", "x-y=a\r\nx-z: b", ""),
        ("fetch-with-header", "content-length=0", ""),
    ];
    for (action, argument, why) in cases {
        let ended = exercise(action, argument).await;
        let (error, message) = ended.failure();
        assert!(["invalid", "denied"].contains(&error.as_str()), "{action} {argument}: {error} {message}");
        assert!(message.contains(why), "{action} {argument}: {message}");
        assert_eq!(ended.pushes(), 0, "{action} {argument}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sees_nothing_of_the_machine() {
    let first = exercise("surroundings", "").await.result();
    assert_eq!(first["variables"], 0);
    assert_eq!(first["arguments"], 0);
    assert_eq!(first["files"], false);
    assert_eq!(first["network"], false);
    assert_eq!(first["time"], 1_767_225_600, "the clock is the run's");
    assert_eq!(
        first["random"],
        exercise("surroundings", "").await.result()["random"],
        "the seed is the run's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_run_as_the_world_says() {
    let cases = [
        ("run", "tool look", json!({ "code": 0, "stdout": "seen", "stderr": "", "assumed": false })),
        (
            "fetch-program",
            "tool get x",
            json!({ "code": 3, "stdout": "", "stderr": "no such thing", "assumed": false }),
        ),
        (
            "send-program",
            "tool publish a b",
            json!({ "code": 0, "stdout": "published", "stderr": "", "assumed": false }),
        ),
        (
            "run-with-secret",
            "tool print",
            json!({ "code": 0, "stdout": "the token is ***", "stderr": "", "assumed": false }),
        ),
        (
            "keep-secret-and-print",
            "tool keep --to=kept",
            json!({ "code": 0, "stdout": "the token is ***", "stderr": "", "assumed": false }),
        ),
    ];
    for (action, argument, expected) in cases {
        let ended = exercise(action, argument).await;
        assert_eq!(ended.result(), expected, "{action} {argument}");
        let intents = ended.state.step("act").expect("the step").effects.len();
        assert_eq!(
            intents,
            usize::from(action == "send-program"),
            "{action}: only what reaches the world is an effect"
        );
    }
    let (error, message) = exercise("keep-secret-and-read", "tool keep --to=kept").await.failure();
    assert_eq!(error, "invalid", "{message}");
    assert!(message.contains("holds a secret") && !message.contains("rehearsal-service-token"), "{message}");
    let (error, message) = exercise("run", "tool unheard-of").await.failure();
    assert!(error == "invalid" && message.contains("world does not say"), "{message}");
    let (error, message) = exercise("run-within", "../up").await.failure();
    assert!(error == "invalid" && message.contains("relative path"), "{message}");
    let lost = exercise("send-program", "tool publish lost").await;
    assert_eq!(lost.verdict, Verdict::Unknown, "nobody knows what it did: {:?}", lost.status());
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_sent_once_and_kept_always() {
    let sent = exercise("mail", "dev@example.org").await;
    let mailbox = sent.theatre.stage.forge().mailbox();
    let [mail] = mailbox.as_slice() else { panic!("one message, not {mailbox:?}") };
    assert_eq!(sent.result()["message-id"], mail.message_id);
    let kept: Vec<String> =
        sent.state.step("act").expect("the step").artefacts.iter().map(|kept| kept.name.clone()).collect();
    assert_eq!(kept, [sent.result()["artefact"].as_str().expect("a name")]);

    let draft = exercise("draft", "anybody@elsewhere.example").await;
    assert!(draft.theatre.stage.forge().mailbox().is_empty(), "a draft is for a person to send");
    assert!(draft.result()["artefact"].as_str().is_some_and(|name| name.ends_with(".eml")));

    // The same key with another text is the same message.
    let twice = exercise("mail-twice", "dev@example.org").await;
    assert_eq!(twice.theatre.stage.forge().mailbox().len(), 1, "{:?}", twice.status());

    for (to, expected, delivered) in [
        ("never@example.org", Verdict::Failed, 0),
        ("later@example.org", Verdict::Failed, 0),
        ("lost@example.org", Verdict::Unknown, 1),
    ] {
        let ended = exercise("mail", to).await;
        assert_eq!(ended.verdict, expected, "{to}: {:?}", ended.status());
        assert_eq!(ended.theatre.stage.forge().mailbox().len(), delivered, "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_limits_hold() {
    let (error, message) = exercise("call-often", "").await.failure();
    assert!(error == "invalid" && message.contains("1000 calls"), "{message}");
    let flood = exercise("log-flood", "").await;
    let said: usize = flood.theatre.notes.said().iter().map(|(.., text)| text.len()).sum();
    assert!((15 << 10..17 << 10).contains(&said), "{said} bytes of 100 KiB were let through");
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_are_cut_and_escapes_removed() {
    assert_eq!(exercise("flood", "").await.verdict, Verdict::Finished, "output is dropped, not a fault");
    let (error, message) = exercise("handles", "").await.failure();
    assert_eq!((error.as_str(), message.contains("handles")), ("invalid", true), "{message}");
    let spoken = exercise("escape-sequences", "").await;
    let said = spoken.theatre.notes.said();
    assert!(said.iter().any(|(.., text)| text.contains("hello")), "{said:?}");
    assert!(said.iter().all(|(.., text)| !text.contains('\u{1b}')), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn laying_out_may_not_touch_the_world() {
    let world = World::from_toml(WORLD).expect("the world is right");
    let theatre = Theatre::open(world, engine(limits())).await;
    let release = "version = 1\nplugin = \"guest.wasm\"\nprocess = \"exercise\"\n\
                   [inputs]\naction = \"import-in-steps\"\n";
    let path = theatre.write(&[("release.toml", release.as_bytes()), ("guest.wasm", EXERCISER)]);
    let error = theatre.site.prepare(&path, None).await.err().expect("it is refused").to_string();
    assert!(error.contains("may not call the host"), "{error}");
    assert!(theatre.stage.forge().requests().is_empty());
}

/// Every function of the track is imported with its types of then, and a release runs through work, wait and question.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_of_the_first_release_still_loads_and_runs() {
    let functions = include_str!("../../guests/track-0.1/src/lib.rs");
    for wit in ["command", "files", "git", "github", "http", "log", "mail"] {
        let file = format!("{}/guests/track-0.1/wit/{wit}/{wit}.wit", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(file).expect("the copy is there");
        let names = text.lines().filter_map(|line| line.trim().split_once(": func(")).map(|(name, _)| name);
        let missing: Vec<&str> =
            names.filter(|name| !functions.contains(&format!("::{},", name.replace('-', "_")))).collect();
        assert!(missing.is_empty(), "{wit}: the guest does not import {missing:?}");
    }
    let world = World::from_toml(WORLD).expect("the world is right");
    let theatre = Theatre::open(world, engine(Limits::default())).await.approving();
    let release = "version = 1\nplugin = \"guest.wasm\"\nprocess = \"track\"\npolicy = \"policy.toml\"\n\
                   [inputs]\nrepository = \"acme/tool\"\n";
    let policy = "version = 1\n[[grant]]\nplugin = \"track\"\ndigest = \"any\"\npowers = [\n\
                  \"git.read acme/tool\", \"git.push acme/tool refs/**\", \"files.publish\"]\n";
    let files: [(&str, &[u8]); 3] =
        [("release.toml", release.as_bytes()), ("policy.toml", policy.as_bytes()), ("guest.wasm", TRACK_0_1)];
    let prepared = theatre.prepare(&theatre.write(&files)).await;
    let (stored, journal) = theatre.create(&prepared, "track");
    let runner = theatre.runner(&prepared, &stored, journal);
    let verdict = theatre.stage.play(&runner).await.expect("the host goes on").verdict;
    let state = runner.state();
    assert_eq!(verdict, Verdict::Finished, "{:?}", state.step("work").map(|step| &step.status));
    let outputs = |step: &str| match &state.step(step).expect("the step is there").status {
        Status::Done { outputs } => outputs.clone(),
        other => panic!("{step}: {other:?}"),
    };
    assert_eq!(outputs("work")["denied"], json!(true), "what is not granted is denied as a value");
    assert_eq!(outputs("ask"), json!({ "choice": "approve" }));
    assert_eq!(theatre.file("acme/tool", "copy", "COPY.md").as_deref(), Some(&b"a tool\n"[..]));
}

/// A new project in a language with an interpreter: built, looked at, and its scenarios played.
#[tokio::test(flavor = "multi_thread")]
async fn projects_in_python_and_javascript_build_and_release() {
    for (language, pinned) in
        [(Language::JavaScript, "componentize-qjs@0.4.5"), (Language::Python, "componentize-py==0.25.1")]
    {
        let word = language.word();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let begun = Instant::now();
        let project = match script::project(&folder.path().join("widget"), "widget", language) {
            Ok(project) => project,
            Err(error @ AuthorError::MissingTool { .. }) => {
                let AuthorError::MissingTool { how, .. } = &error else { unreachable!() };
                assert!(how.iter().any(|line| line.contains(pinned)), "{word}: {how:?}");
                println!("{word} is skipped: {error} (tests/script/fetch gets it)");
                continue;
            }
            Err(error) => panic!("{word}: {error}"),
        };
        let built = begun.elapsed();
        let engine = engine(Limits::default());
        let component = std::fs::read(project.component()).expect("it was built");
        let plugin = engine.load(&component).expect("it loads");
        println!("{word}: built in {built:.1?}, compiled in {:.1?}", begun.elapsed() - built);
        let description = plugin.describe().await.expect("it answers");
        let (size, largest) = (component.len(), project.largest());
        let subject = Subject { plugin: &plugin, description: &description, graphs: &[], size, largest };
        let found = examine(&subject);
        assert!(found.iter().all(|finding| finding.grade != Grade::Bad), "{word}: {found:?}");
        assert!(size <= largest, "{word}: {size} of {largest} bytes");
        let site = Site::new(folder.path().join("state"), engine);
        for scenario in project.scenarios() {
            let played = play(&site, &scenario, Arc::new(Notes::default())).await.expect("it plays");
            let name = scenario.display();
            assert!(played.differences.is_empty(), "{word} {name}: {:?}", played.differences);
        }
    }
}
