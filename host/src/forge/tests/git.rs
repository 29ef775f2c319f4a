//! The real `git` against the forge.

use serde_json::{Value, json};

use url::Url;

use super::{Stage, text};
use crate::capability::git::{Credential, Git as _, GitBackend, GitConfig};
use crate::capability::{Secret, Slug};

#[test]
fn clones_match_and_pushes_are_seen() {
    let stage = Stage::new("");
    let clone =
        stage.git("", &["clone", "--quiet", "--filter=blob:none", &stage.remote("", "acme/tool"), "w"]);
    assert!(clone.status.success(), "{}", text(&clone));
    let head = text(&stage.git("w", &["rev-parse", "HEAD"])).trim().to_owned();
    assert_eq!(Some(head), stage.forge.seeded("acme/tool", "merge"));
    let subject = text(&stage.git("w", &["log", "-1", "--format=%B"]));
    assert_eq!(subject.trim_end(), "Merge pull request #7 from ann/docs\n\nAdd docs");
    assert!(std::fs::symlink_metadata(stage.place("w/link")).expect("a link").is_symlink());
    stage.git("w", &["checkout", "--quiet", "-b", "topic"]);
    stage.write("w/new.txt", "new\n");
    stage.git("w", &["add", "."]);
    stage.git("w", &["commit", "--quiet", "-m", "new"]);
    let topic = text(&stage.git("w", &["rev-parse", "HEAD"])).trim().to_owned();
    let anonymous = stage.git("w", &["push", "--quiet", "origin", "topic"]);
    assert!(!anonymous.status.success(), "nobody pushes anonymously");
    for (who, allowed) in [("reader", false), ("wrong", false), ("bot", true)] {
        let remote = stage.remote(who, "acme/tool");
        let push =
            stage.git("w", &["push", "--quiet", "--atomic", &remote, "topic", "HEAD:refs/tags/v1.1.0"]);
        assert_eq!(push.status.success(), allowed, "{who}: {}", text(&push));
    }
    for name in ["refs/heads/topic", "refs/tags/v1.1.0"] {
        assert_eq!(stage.forge.reference("acme/tool", name).as_deref(), Some(topic.as_str()));
    }
    let pull = stage.ask(
        "bot",
        "POST",
        "/repos/acme/tool/pulls",
        json!({"title": "T", "head": "topic", "base": "main"}),
    );
    assert_eq!(pull.status, 201);
    let seen = text(&stage.git("w", &["ls-remote", "origin", "refs/pull/8/*"]));
    assert!(
        seen.contains(&format!("{topic}\trefs/pull/8/head")) && seen.contains("refs/pull/8/merge"),
        "{seen}"
    );
    // A push to the head moves the pull request, a push of its commits to the base merges it.
    stage.write("w/new.txt", "newer\n");
    stage.git("w", &["commit", "--quiet", "-am", "newer"]);
    stage.git("w", &["push", "--quiet", &stage.remote("bot", "acme/tool"), "topic"]);
    let newer = text(&stage.git("w", &["rev-parse", "HEAD"])).trim().to_owned();
    assert_eq!(stage.get("", "/repos/acme/tool/pulls/8").json()["head"]["sha"], json!(newer));
    stage.git("w", &["push", "--quiet", &stage.remote("bot", "acme/tool"), "topic:main"]);
    assert_eq!(stage.get("", "/repos/acme/tool/pulls/8").json()["merged"], json!(true));
}

#[test]
fn protected_branches_refuse_pushes_and_atomic_pushes_fail_whole() {
    let stage = Stage::new(
        r#"
        [[repository]]
        name = "acme/locked"
        files = { "a" = "a" }
        [[repository.protection]]
        branch = "main"
        lock_branch = true
        [[repository]]
        name = "acme/guarded"
        files = { "a" = "a" }
        [[repository.protection]]
        branch = "main"
        [[repository]]
        name = "acme/reviewed"
        files = { "a" = "a" }
        [[repository.protection]]
        branch = "main"
        required_reviews = 1
        [[repository]]
        name = "acme/checked"
        files = { "a" = "a" }
        [[repository.protection]]
        branch = "ma*"
        required_checks = ["unit"]
        "#,
    );
    // Repository, who, whether an ordinary push and a rewriting push go through.
    let cases = [
        ("acme/locked", "boss", false, false),
        ("acme/guarded", "bot", true, false),
        ("acme/reviewed", "bot", false, false),
        ("acme/reviewed", "boss", true, false),
        ("acme/checked", "bot", false, false),
    ];
    for (index, (name, who, ordinary, rewriting)) in cases.into_iter().enumerate() {
        let folder = format!("w{index}");
        let remote = stage.remote(who, name);
        stage.git("", &["clone", "--quiet", &remote, &folder]);
        stage.write(&format!("{folder}/b"), "b");
        stage.git(&folder, &["add", "."]);
        stage.git(&folder, &["commit", "--quiet", "-m", "b"]);
        let before = stage.forge.reference(name, "refs/heads/main");
        let both = stage.git(
            &folder,
            &["push", "--atomic", &remote, "HEAD:main", &format!("HEAD:refs/heads/side{index}")],
        );
        assert_eq!(both.status.success(), ordinary, "{name} {who}: {}", text(&both));
        let side = stage.forge.reference(name, &format!("refs/heads/side{index}"));
        assert_eq!(side.is_some(), ordinary, "{name}: an atomic push is all or nothing");
        assert_eq!(stage.forge.reference(name, "refs/heads/main") == before, !ordinary);
        stage.git(&folder, &["commit", "--quiet", "--amend", "-m", "rewritten", "--allow-empty"]);
        if ordinary {
            let forced = stage.git(&folder, &["push", "--force", &remote, "HEAD:main"]);
            assert_eq!(forced.status.success(), rewriting, "{name} {who}: {}", text(&forced));
        }
    }
    // A commit that is green already may be pushed.
    let remote = stage.remote("bot", "acme/checked");
    stage.git("", &["clone", "--quiet", &remote, "green"]);
    stage.git("green", &["commit", "--quiet", "--allow-empty", "-m", "next"]);
    assert!(stage.git("green", &["push", "--quiet", &remote, "HEAD:refs/heads/side"]).status.success());
    let head = text(&stage.git("green", &["rev-parse", "HEAD"])).trim().to_owned();
    let status = json!({"state": "success", "context": "unit"});
    assert!(!stage.git("green", &["push", "--quiet", &remote, "HEAD:main"]).status.success());
    assert_eq!(stage.ask("bot", "POST", &format!("/repos/acme/checked/statuses/{head}"), status).status, 201);
    let push = stage.git("green", &["push", "--quiet", &remote, "HEAD:main"]);
    assert!(push.status.success(), "{}", text(&push));
    let answer = stage.ask("boss", "GET", "/repos/acme/locked/branches/main/protection", Value::Null).json();
    assert_eq!(answer["lock_branch"]["enabled"], json!(true));
}

#[test]
fn repositories_may_be_copies() {
    let origin = Stage::new("");
    origin.git("", &["clone", "--quiet", "--bare", &origin.remote("", "acme/tool"), "copy.git"]);
    let source = origin.place("copy.git");
    let world = format!(
        "[[repository]]\nname = \"o/n\"\nsource = {source:?}\n\
         [[repository.history]]\nmessage = \"more\"\n[[repository.branch]]\nname = \"old\"\nat = \"v1.0.0\"\n"
    );
    let stage = Stage::of(crate::forge::World::from_toml(&world).expect("a world"));
    let seeded = |label: &str| origin.forge.seeded("acme/tool", label).expect("seeded");
    assert_eq!(stage.forge.reference("o/n", "refs/heads/old"), Some(seeded("first")));
    let head = stage.get("", "/repos/o/n/commits/main").json();
    assert_eq!(
        (&head["commit"]["message"], &head["parents"][0]["sha"]),
        (&json!("more"), &json!(seeded("merge")))
    );
}

#[test]
fn immutable_tags_stay_where_they_are() {
    let stage = Stage::new(
        r#"
        [[repository]]
        name = "acme/kept"
        files = { "a" = "a" }
        immutable_tags = "v*"
        "#,
    );
    let remote = stage.remote("boss", "acme/kept");
    stage.git("", &["clone", "--quiet", &remote, "w"]);
    stage.git("w", &["tag", "v1"]);
    stage.git("w", &["tag", "other"]);
    let first = stage.git("w", &["push", "--quiet", &remote, "v1", "other"]);
    assert!(first.status.success(), "a new tag may be made: {}", text(&first));
    stage.git("w", &["commit", "--quiet", "--allow-empty", "-m", "next"]);
    // Refspec and whether it goes through.
    for (spec, allowed) in [
        ("+HEAD:refs/tags/v1", false),
        (":refs/tags/v1", false),
        ("+HEAD:refs/tags/other", true),
        (":refs/tags/other", true),
    ] {
        let push = stage.git("w", &["push", "--quiet", &remote, spec]);
        assert_eq!(push.status.success(), allowed, "{spec}: {}", text(&push));
    }
    let base = "/repos/acme/kept/git/refs/tags/v1";
    let head = stage.forge.reference("acme/kept", "refs/heads/main");
    assert_eq!(stage.ask("boss", "DELETE", base, Value::Null).status, 422);
    assert_eq!(
        stage.ask("boss", "PATCH", base, json!({"sha": head, "force": true})).status,
        200,
        "the same target is no move"
    );
}

#[test]
fn seeded_graphs_have_the_ids_git_would_give() {
    use crate::forge::world::{Branch, Person, Repository, SeedCommit, SeedPull};
    let who = Person { name: "A U Thor".into(), email: "a@example.test".into() };
    let commit = |id: &str, parents: &[&str], date: &str| SeedCommit {
        id: id.into(),
        parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
        message: format!("{id}\n"),
        author: Some(who.clone()),
        date: chrono::DateTime::parse_from_rfc3339(date).ok(),
        ..SeedCommit::default()
    };
    let mut first = commit("root", &[], "2024-05-27T03:45:03-07:00");
    first.files.insert("f".into(), "x\n".into());
    let mut merge = commit("merge", &["root", "side"], "2024-05-29T03:45:03Z");
    merge.message = "Merge pull request #5 from a/side\n\nSide\n".into();
    let repository = Repository {
        name: "o/n".into(),
        commits: vec![first, commit("side", &["root"], "2024-05-28T03:45:03+05:30"), merge],
        branches: vec![Branch { name: "main".into(), at: "merge".into() }],
        pulls: vec![SeedPull {
            number: 5,
            title: "Side".into(),
            head: "side".into(),
            head_owner: Some("a".into()),
            merge_commit: Some("merge".into()),
            ..SeedPull::default()
        }],
        ..Repository::default()
    };
    let world = crate::forge::World { repositories: vec![repository], ..crate::forge::World::default() };
    let stage = Stage::of(world);
    let clone = stage.git("", &["clone", "--quiet", &stage.remote("", "o/n"), "w"]);
    assert!(clone.status.success(), "{}", text(&clone));
    let log = text(&stage.git("w", &["log", "--format=%H %aI %s", "--topo-order"]));
    let id = |label: &str| stage.forge.seeded("o/n", label).expect("seeded");
    for line in [
        format!("{} 2024-05-27T03:45:03-07:00 root", id("root")),
        format!("{} 2024-05-28T03:45:03+05:30 side", id("side")),
        format!("{} 2024-05-29T03:45:03+00:00 Merge pull request #5 from a/side", id("merge")),
    ] {
        assert!(log.contains(&line), "{line} in {log}");
    }
    let pull = stage.get("", "/repos/o/n/pulls/5").json();
    assert_eq!((&pull["merged"], &pull["merge_commit_sha"]), (&json!(true), &json!(id("merge"))));
    assert_eq!(pull["head"]["sha"], json!(id("side")));
}

#[test]
fn listings_are_those_of_git_itself() {
    let stage = Stage::new(
        r#"
        [[repository]]
        name = "acme/empty"
        "#,
    );
    stage.git("", &["clone", "--quiet", &stage.remote("bot", "acme/tool"), "w"]);
    stage.git("w", &["tag", "-a", "-m", "two", "v2.0.0"]);
    stage.git("w", &["push", "--quiet", "origin", "v2.0.0"]);
    for repository in ["acme/tool", "acme/empty"] {
        let ways: [&[&str]; 6] = [
            &[],
            &["--symref"],
            &["--heads"],
            &["--tags"],
            &["--heads", "--tags", "--refs"],
            &["--symref", "HEAD", "refs/heads/le*", "v1.0.0"],
        ];
        for way in ways {
            let (flags, patterns): (Vec<&str>, Vec<&str>) =
                way.iter().partition(|word| word.starts_with('-'));
            let remote = stage.remote("bot", repository);
            let listed = |protocol: &str| {
                let config = format!("protocol.version={protocol}");
                let args =
                    [&["-c", &config, "ls-remote"], flags.as_slice(), &["--", &remote], &patterns].concat();
                let output = stage.git("", &args);
                assert!(output.status.success(), "{}", text(&output));
                String::from_utf8(output.stdout).expect("ids and names")
            };
            // With version 0, git's own program answers.
            assert_eq!(listed("2"), listed("0"), "{repository} {way:?}");
        }
    }
    let listing = |flags: &[&str], repository: &str| {
        let remote = stage.remote("bot", repository);
        text(&stage.git("", &[&["ls-remote"], flags, &["--", &remote]].concat()))
    };
    assert!(listing(&["--tags"], "acme/tool").contains("refs/tags/v2.0.0^{}"));
    // What the host asks without the program.
    let place = tempfile::tempdir().unwrap();
    let backend = GitBackend::new(GitConfig {
        credential: Some(Credential { login: "bot".into(), token: Secret::new("t-bot") }),
        ..GitConfig::new(place.path(), Url::parse(stage.forge.url()).unwrap())
    });
    let (backend, runtime) = (backend.unwrap(), &stage.runtime);
    for repository in ["acme/tool", "acme/empty"] {
        let slug = Slug::parse(repository).unwrap();
        let listed = listing(&["--heads", "--tags", "--refs"], repository);
        let names: Vec<String> =
            listed.lines().filter_map(|line| Some(line.split_once('\t')?.1.into())).collect();
        let found = runtime.block_on(backend.remote_references(&slug, &names)).unwrap();
        let found: Vec<String> =
            found.iter().map(|found| format!("{}\t{}", found.object, found.name)).collect();
        assert_eq!(found, listed.lines().collect::<Vec<_>>(), "{repository}");
        let head = runtime.block_on(backend.default_branch(&slug)).ok();
        let told = listing(&["--symref"], repository);
        let told =
            told.lines().find_map(|line| line.strip_prefix("ref: refs/heads/")?.strip_suffix("\tHEAD"));
        assert_eq!(head.as_deref(), told, "{repository}");
    }
}
