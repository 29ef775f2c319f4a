//! Reads agree with git.

use super::super::super::Commit;
use super::*;

/// `main` with a merged side branch, a release branch, links, modes, a rename and a file that is not text.
fn history() -> String {
    [
        commit("main", 0, "root", &[], &(put("a.txt", "1\n2\n3\n") + &put("old-name", &"line\n".repeat(30)))),
        commit(
            "main",
            1,
            "tools",
            &[],
            &(put_mode("bin/run", "100755", "x\n") + &put_mode("link", "120000", "a.txt")),
        ),
        reset("side", "main"),
        commit("side", 2, "side 1", &[], &put("side/one", "1")),
        commit("side", 3, "side 2", &[], &put("side/two", "2\n")),
        commit("main", 4, "main 3", &[], &put("a.txt", "1\n2\nthree\n")),
        commit("main", 5, "Merge side", &["side"], &put("side/one", "1")),
        reset("release-1.0", "main"),
        commit("release-1.0", 6, "release fix", &[], &put("a.txt", "fixed\n")),
        commit("main", 7, "rename\n\nwith a body\n", &[], "R old-name new-name\n"),
        commit("main", 8, "binary", &[], &(put("blob", "a\0b") + &put_mode("bin/run", "100644", "x\n"))),
        commit("main", 9, "module", &[], "M 160000 1111111111111111111111111111111111111111 vendor/sub\n"),
        "reset refs/heads/orphan\n\n".into(),
        commit("orphan", 10, "unrelated", &[], &put("z", "z")),
    ]
    .concat()
}

async fn world() -> World {
    let world = World::new();
    world.seed(&history()).await;
    world.at_remote(&[
        "-c",
        "user.name=T",
        "-c",
        "user.email=t@e",
        "tag",
        "-m",
        "annotated",
        "v1.0.0",
        "main~2",
    ]);
    world.at_remote(&["tag", "light", "side"]);
    let tree = world.at_remote(&["rev-parse", "main^{tree}"]);
    world.at_remote(&["update-ref", "refs/tags/of-a-tree", &tree]);
    world.git.open(&world.slug).await.unwrap();
    world
}

fn ids(commits: Vec<Commit>) -> Vec<String> {
    commits.into_iter().map(|commit| commit.id).collect()
}

#[tokio::test]
async fn references_and_revisions() {
    let world = world().await;
    let id = |revision: &str| world.at_remote(&["rev-parse", revision]);
    let found = world.git.references(&world.slug).await.unwrap();
    let names: Vec<&str> = found.iter().map(|reference| reference.name.as_str()).collect();
    let expected = [
        "refs/heads/main",
        "refs/heads/orphan",
        "refs/heads/release-1.0",
        "refs/heads/side",
        "refs/tags/light",
        "refs/tags/v1.0.0",
    ];
    assert_eq!(names, expected);
    for reference in &found {
        assert_eq!(reference.object, id(&reference.name));
        assert_eq!(reference.commit, id(&format!("{}^{{commit}}", reference.name)));
    }
    let live = world
        .git
        .remote_references(&world.slug, &names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>())
        .await;
    assert_eq!(live.unwrap(), found);
    let absent = ["refs/heads/absent".to_owned(), "refs/tags/v1".to_owned()];
    assert_eq!(world.git.remote_references(&world.slug, &absent).await.unwrap(), []);

    let main = id("main");
    let tag = id("v1.0.0");
    for (revision, commit) in [
        ("refs/heads/main", Some(&main)),
        (main.as_str(), Some(&main)),
        (&main[..7], Some(&main)),
        (&main[..12].to_uppercase(), Some(&main)),
        ("refs/tags/v1.0.0", Some(&id("main~2"))),
        (&tag, Some(&id("main~2"))),
        ("refs/heads/absent", None),
        ("refs/tags/of-a-tree", None),
        (&"9".repeat(40), None),
        ("9999999", None),
    ] {
        let resolved = world.git.resolve(&world.slug, revision).await.unwrap();
        assert_eq!(resolved.map(|commit| commit.id).as_ref(), commit, "{revision}");
    }
    for revision in
        ["", "main", "HEAD", "main~1", "refs/heads/../main", "-x", "@", "abc123", "refs/heads/main^{tree}"]
    {
        assert_eq!(kind(world.git.resolve(&world.slug, revision).await), "invalid", "{revision:?}");
    }
    let commit = world.git.resolve(&world.slug, &id("main~2")).await.unwrap().unwrap();
    assert_eq!((commit.subject(), commit.author.as_str()), ("rename", "A U Thor"));
    assert_eq!((commit.message.as_str(), commit.time), ("rename\n\nwith a body\n", START + 7 * 60));
}

#[tokio::test]
async fn walks_agree_with_git() {
    let world = world().await;
    let names = [
        "refs/heads/main",
        "refs/heads/side",
        "refs/heads/release-1.0",
        "refs/heads/orphan",
        "refs/tags/v1.0.0",
    ];
    let git = |arguments: &[&str]| -> Vec<String> {
        world.at_remote(arguments).lines().map(str::to_owned).collect()
    };
    for to in names {
        let all = world.git.first_parents(&world.slug, None, to, 100).await.unwrap();
        assert_eq!(ids(all), git(&["rev-list", "--first-parent", to]));
        for since in names {
            let range = format!("{since}..{to}");
            let walked = world.git.first_parents(&world.slug, Some(since), to, 100).await.unwrap();
            assert_eq!(ids(walked), git(&["rev-list", "--first-parent", &range]), "{range}");
            let log = world.git.log(&world.slug, Some(since), to, 100).await.unwrap();
            assert_eq!(ids(log), git(&["rev-list", "--date-order", &range]), "{range}");
            let base = world.git.merge_base(&world.slug, since, to).await.unwrap();
            let unrelated = (since == names[3]) != (to == names[3]);
            let expected = if unrelated { None } else { Some(world.at_remote(&["merge-base", since, to])) };
            assert_eq!(base, expected, "{range}");
            let ancestor = world.git.is_ancestor(&world.slug, since, to).await.unwrap();
            assert_eq!(ancestor, git(&["rev-list", &format!("{to}..{since}")]).is_empty(), "{range}");
        }
    }
    assert_eq!(world.git.first_parents(&world.slug, None, names[0], 2).await.unwrap().len(), 2);
    assert_eq!(world.git.log(&world.slug, None, names[0], 3).await.unwrap().len(), 3);
    assert_eq!(kind(world.git.log(&world.slug, None, "refs/heads/absent", 3).await), "not-found");
    assert_eq!(
        kind(world.git.first_parents(&world.slug, Some(&"9".repeat(40)), names[0], 3).await),
        "not-found"
    );
}

#[tokio::test]
async fn trees_agree_with_git() {
    let world = world().await;
    let main = "refs/heads/main";
    let all = world.git.entries(&world.slug, main, "", true).await.unwrap();
    let lines: Vec<String> = all.iter().map(|entry| format!("{} {}", entry.id, entry.path)).collect();
    let listing = world.at_remote(&["ls-tree", "-r", "--format=%(objecttype) %(objectname) %(path)", main]);
    let expected: Vec<&str> = listing.lines().filter_map(|line| line.strip_prefix("blob ")).collect();
    assert_eq!(lines, expected);
    let top = world.git.entries(&world.slug, main, "", false).await.unwrap();
    let kinds: Vec<(&str, EntryKind)> = top.iter().map(|entry| (entry.path.as_str(), entry.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("a.txt", EntryKind::File),
            ("bin", EntryKind::Directory),
            ("blob", EntryKind::File),
            ("link", EntryKind::Symlink),
            ("new-name", EntryKind::File),
            ("side", EntryKind::Directory),
            ("vendor", EntryKind::Directory),
        ]
    );
    let vendor = world.git.entries(&world.slug, main, "vendor/", false).await.unwrap();
    assert_eq!((vendor[0].path.as_str(), vendor[0].kind), ("vendor/sub", EntryKind::Submodule));
    let old = world.git.entries(&world.slug, "refs/heads/side", "bin", false).await.unwrap();
    assert_eq!((old[0].path.as_str(), old[0].kind), ("bin/run", EntryKind::Executable));
    for absent in ["absent", "a.txt", "a.txt/x", "link"] {
        assert_eq!(kind(world.git.entries(&world.slug, main, absent, true).await), "not-found", "{absent}");
    }
    for (path, content) in [
        ("a.txt", Some(&b"1\n2\nthree\n"[..])),
        ("link", Some(b"a.txt")),
        ("side/one", Some(b"1")),
        ("blob", Some(b"a\0b")),
        ("side", None),
        ("vendor/sub", None),
        ("absent", None),
        ("a.txt/x", None),
        ("absent/x", None),
    ] {
        assert_eq!(world.git.read(&world.slug, main, path, 10).await.unwrap().as_deref(), content, "{path}");
    }
    assert_eq!(kind(world.git.read(&world.slug, main, "a.txt", 9).await), "invalid");
    for path in ["", "..", "/a.txt", ".git/config"] {
        assert_eq!(kind(world.git.read(&world.slug, main, path, 10).await), "invalid", "{path}");
    }
}

#[tokio::test]
async fn diffs_agree_with_git() {
    let world = world().await;
    let diff = |a: &str, b: &str, paths: &[&str], limit| {
        let (world, a, b) = (&world, a.to_owned(), b.to_owned());
        let paths: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
        async move { world.git.diff(&world.slug, &a, &b, &paths, limit).await }
    };
    let (root, main) = (world.at_remote(&["rev-parse", "main~5"]), "refs/heads/main");
    for (a, b, paths) in [
        (root.as_str(), main, &[][..]),
        (main, root.as_str(), &[]),
        ("refs/heads/side", main, &["side", "a.txt"]),
        ("refs/heads/orphan", main, &["bin/"]),
        (main, main, &[]),
        (root.as_str(), main, &["sid", "a*"]),
    ] {
        let literal: Vec<String> = paths.iter().map(|path| format!(":(literal){path}")).collect();
        let mut arguments = vec!["diff", "--no-renames", "--full-index", "--no-color", a, b, "--"];
        arguments.extend(literal.iter().map(String::as_str));
        let expected = world.at_remote(&arguments);
        let found = diff(a, b, paths, 100_000).await.unwrap();
        assert_eq!(found.trim_end_matches('\n'), expected, "{a} {b} {paths:?}");
    }
    let whole = diff(&root, main, &[], 100_000).await.unwrap();
    assert_eq!(diff(&root, main, &[], whole.len()).await.unwrap(), whole);
    assert_eq!(kind(diff(&root, main, &[], whole.len() - 1).await), "invalid");
    assert_eq!(kind(diff(&root, main, &["../x"], 100).await), "invalid");
}

#[tokio::test]
async fn the_users_settings_change_nothing() {
    let (world, [first, second]) = World::simple().await;
    // What a mirror is made with outranks the settings of whoever runs the host.
    let config = world.at_mirror(&["config", "--local", "--list"], b"");
    for line in ["diff.noprefix=false", "diff.mnemonicprefix=false"] {
        assert!(config.contains(line), "{config}");
    }
    let diff = world.git.diff(&world.slug, &first, &second, &[], 10_000).await.unwrap();
    assert!(diff.starts_with("diff --git a/d/b.txt b/d/b.txt\nnew file mode 100644\n"), "{diff}");
}
