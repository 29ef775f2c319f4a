//! What a hostile or broken guest can and cannot do: one case for every rule, each against a counting forge.

use std::time::Duration;

use castoff::engine::Limits;
use castoff::forge::World;
use castoff::journal::{RunState, Status, Verdict};
use castoff_tests::theatre::{EXERCISER, Theatre, engine};

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
]

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
