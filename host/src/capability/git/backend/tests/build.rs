//! Built objects have the ids git gives them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What git makes of the same tree, message, people and dates.
fn commit_by_git(world: &World, tree: &str, spec: &CommitSpec) -> String {
    let date = format!("{} +0000", spec.time);
    let environment = [
        ("GIT_AUTHOR_NAME", spec.identity.name.as_str()),
        ("GIT_AUTHOR_EMAIL", &spec.identity.email),
        ("GIT_AUTHOR_DATE", &date),
        ("GIT_COMMITTER_NAME", &spec.identity.name),
        ("GIT_COMMITTER_EMAIL", &spec.identity.email),
        ("GIT_COMMITTER_DATE", &date),
    ];
    let mut arguments = vec!["commit-tree", tree];
    arguments.extend(spec.parents.iter().flat_map(|parent| ["-p", parent.as_str()]));
    git_with(&world.git.mirror(&world.slug), &arguments, spec.message.as_bytes(), &environment)
}

/// The tree git makes of index entries `mode path content`.
fn tree_by_git(world: &World, files: &[(&str, &str, &str)]) -> String {
    let index = world.place.path().join("index");
    let index = index.to_str().unwrap();
    let mirror = world.git.mirror(&world.slug);
    for (mode, path, content) in files {
        let blob = world.at_mirror(&["hash-object", "-w", "--stdin"], content.as_bytes());
        let entry = format!("{mode},{blob},{path}");
        let arguments = ["update-index", "--add", "--cacheinfo", entry.as_str()];
        git_with(&mirror, &arguments, b"", &[("GIT_INDEX_FILE", index)]);
    }
    git_with(&mirror, &["write-tree"], b"", &[("GIT_INDEX_FILE", index)])
}

#[tokio::test]
async fn commits_have_gits_ids() {
    let (world, [first, second]) = World::simple().await;
    let changes = vec![
        Change::Put { path: "bin/run".into(), kind: EntryKind::Executable, content: b"#!/bin/sh\n".into() },
        Change::Put { path: "link".into(), kind: EntryKind::Symlink, content: b"d/b.txt".into() },
        file("d.txt", "sorts before the directory d\n"),
        file("d/c/deep", "x"),
        Change::Remove { path: "a.txt".into() },
    ];
    let mut wanted = spec(&[&second], changes);
    let tree = tree_by_git(
        &world,
        &[
            ("100755", "bin/run", "#!/bin/sh\n"),
            ("120000", "link", "d/b.txt"),
            ("100644", "d.txt", "sorts before the directory d\n"),
            ("100644", "d/b.txt", "two\n"),
            ("100644", "d/c/deep", "x"),
        ],
    );
    for (name, message) in [
        ("Rel Ease", "release\n"),
        ("Dr. \"Quoted\" O'Neill", "no line end"),
        ("Jürgen", "subject\n\nbody é\n\nSigned-off-by: A <a@b>\n"),
    ] {
        wanted.identity.name = name.into();
        wanted.message = message.into();
        let built = world.git.build_commit(&world.slug, &wanted).await.unwrap();
        assert_eq!(built.tree, tree);
        assert_eq!(built.id, commit_by_git(&world, &tree, &wanted), "{name}");
        assert_eq!((built.parents.as_slice(), built.time), ([second.clone()].as_slice(), wanted.time));
        assert_eq!(built.message, message);
    }
    // A merge and a root.
    let merge =
        CommitSpec { parents: vec![second.clone(), first.clone()], changes: vec![], ..wanted.clone() };
    let same = world.at_remote(&["rev-parse", "main^{tree}"]);
    assert_eq!(world.build(&merge).await, commit_by_git(&world, &same, &merge));
    let root = CommitSpec { parents: vec![], changes: vec![], ..wanted };
    let empty = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    assert_eq!(world.build(&root).await, commit_by_git(&world, empty, &root));
    world.at_mirror(&["fsck", "--strict", "--no-dangling"], b"");
}

#[tokio::test]
async fn tags_have_gits_ids() {
    let (world, [_, second]) = World::simple().await;
    for (name, message) in [("v1.2.3", "release\n"), ("refs/tags/staging/k8s.io/api/v0.1.0+k3s1", "x")] {
        let tag = world.git.build_tag(&world.slug, name, &second, message, &identity(), START).await.unwrap();
        let short = name.trim_start_matches("refs/tags/");
        let text = format!(
            "object {second}\ntype commit\ntag {short}\ntagger Rel Ease <rel@example.org> {START} +0000\n\n{message}"
        );
        assert_eq!(tag, world.at_mirror(&["hash-object", "-t", "tag", "--stdin"], text.as_bytes()));
    }
    for name in ["", "-d", "a..b", "a b", "a.lock", "x/", "refs/heads/-x", "a\nb"] {
        let tag = world.git.build_tag(&world.slug, name, &second, "x", &identity(), START).await;
        assert_eq!(kind(tag), "invalid", "{name:?}");
    }
}

#[tokio::test]
async fn grafts_replace() {
    let (world, [first, second]) = World::simple().await;
    let old = world.at_remote(&["rev-parse", "main~1^{tree}"]);
    let graft = |path: &str| Change::Graft { path: path.into(), tree: old.clone() };
    let below = world.build(&spec(&[&second], vec![graft("d"), file("d/new", "n")])).await;
    assert_eq!(world.at_mirror(&["ls-tree", "-r", "--name-only", &below], b""), "a.txt\nd/a.txt\nd/new");
    let whole =
        world.git.build_commit(&world.slug, &spec(&[&second, &first], vec![graft("")])).await.unwrap();
    assert_eq!(whole.tree, old);
    let unknown = Change::Graft { path: "d".into(), tree: "1".repeat(40) };
    assert_eq!(
        kind(world.git.build_commit(&world.slug, &spec(&[&second], vec![unknown])).await),
        "not-found"
    );
}

#[tokio::test]
async fn wrong_specs_are_refused() {
    let (world, [_, second]) = World::simple().await;
    let link =
        |content: &[u8]| Change::Put { path: "l".into(), kind: EntryKind::Symlink, content: content.into() };
    let remove = |path: &str| Change::Remove { path: path.into() };
    for (changes, expected) in [
        (vec![remove("absent")], "not-found"),
        (vec![remove("d/absent")], "not-found"),
        (vec![remove("a.txt/below")], "not-found"),
        (vec![remove("d/b.txt"), remove("d")], "not-found"),
        (vec![remove("a.txt"), remove("a.txt")], "not-found"),
        (vec![file("a.txt/below", "x")], "conflict"),
        (vec![link(b"")], "invalid"),
        (vec![link(b"a\0b")], "invalid"),
        (vec![Change::Put { path: "d".into(), kind: EntryKind::Directory, content: vec![] }], "invalid"),
    ] {
        let built = world.git.build_commit(&world.slug, &spec(&[&second], changes.clone())).await;
        assert_eq!(kind(built), expected, "{changes:?}");
    }
    for path in [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/./b",
        ".git/config",
        "d/.GIT/hooks/x",
        ".git./x",
        "GIT~1/x",
        ".g\u{200c}it/x",
        "a\0b",
    ] {
        for change in [file(path, "x"), Change::Remove { path: path.into() }] {
            let built = world.git.build_commit(&world.slug, &spec(&[&second], vec![change])).await;
            assert_eq!(kind(built), "invalid", "{path:?}");
        }
    }
    let good = spec(&[&second], vec![]);
    let person = |name: &str| Identity { name: name.into(), email: "a@b".into() };
    for (bad, expected) in [
        (CommitSpec { parents: vec!["2".repeat(40)], ..good.clone() }, "not-found"),
        (CommitSpec { parents: vec!["refs/heads/main".into()], ..good.clone() }, "invalid"),
        (CommitSpec { parents: vec![second.clone(), second.clone()], ..good.clone() }, "invalid"),
        (CommitSpec { message: " \n".into(), ..good.clone() }, "invalid"),
        (CommitSpec { message: "a\0b".into(), ..good.clone() }, "invalid"),
        (CommitSpec { identity: person("A\nparent 1"), ..good.clone() }, "invalid"),
        (CommitSpec { identity: person("A <x>"), ..good.clone() }, "invalid"),
        (CommitSpec { identity: person(""), ..good.clone() }, "invalid"),
        (CommitSpec { time: -1, ..good.clone() }, "invalid"),
    ] {
        assert_eq!(kind(world.git.build_commit(&world.slug, &bad).await), expected, "{bad:?}");
    }
}

type Model = BTreeMap<String, (EntryKind, Vec<u8>)>;

/// What a change does to a plain map of files; `false` when it must be refused.
fn apply(model: &mut Model, change: &Change) -> bool {
    let is_below =
        |path: &str, above: &str| path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
    match change {
        Change::Put { path, kind, content } => {
            if model.keys().any(|other| is_below(path, other)) {
                return false;
            }
            model.retain(|other, _| !is_below(other, path));
            model.insert(path.clone(), (*kind, content.clone()));
            true
        }
        Change::Remove { path } => {
            let before = model.len();
            model.retain(|other, _| other != path && !is_below(other, path));
            model.len() < before
        }
        Change::Graft { .. } => true,
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let path =
        proptest::collection::vec(prop_oneof!["[ab]", "a\\.b", "a-"], 1..4).prop_map(|parts| parts.join("/"));
    let kind = prop_oneof![Just(EntryKind::File), Just(EntryKind::Executable), Just(EntryKind::Symlink)];
    let put = (path.clone(), kind, proptest::collection::vec(1u8..255, 1..5))
        .prop_map(|(path, kind, content)| Change::Put { path, kind, content });
    let change = prop_oneof![4 => put, 1 => path.prop_map(|path| Change::Remove { path })];
    proptest::collection::vec(change, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any changes give the tree a plain map of files gives, with the same id in every mirror.
    #[test]
    fn trees_follow_the_model(changes in changes()) {
        let place = TempDir::new().unwrap();
        let make = |name: &str| {
            let mut options = git2::RepositoryInitOptions::new();
            options.bare(true).external_template(false);
            git2::Repository::init_opts(place.path().join(name), &options).unwrap()
        };
        let (one, two) = (make("one"), make("two"));
        let mut model = Model::new();
        let kept: Vec<Change> = changes
            .into_iter()
            .filter(|change| {
                let mut trial = model.clone();
                let fine = apply(&mut trial, change);
                if fine {
                    model = trial;
                }
                fine
            })
            .collect();
        let built = super::super::build::commit(&one, &spec(&[], kept.clone())).unwrap();
        let again = super::super::build::commit(&two, &spec(&[], kept)).unwrap();
        prop_assert_eq!(&built, &again);
        let entries = super::super::object::entries(&one, &built.id, "", true).unwrap();
        let found: Model = entries
            .into_iter()
            .map(|entry| {
                let content = super::super::object::read(&one, &built.id, &entry.path, 100).unwrap().unwrap();
                (entry.path, (entry.kind, content))
            })
            .collect();
        prop_assert_eq!(&found, &model);
        // However the files came there, the tree is the same.
        let straight = model
            .into_iter()
            .map(|(path, (kind, content))| Change::Put { path, kind, content })
            .collect();
        prop_assert_eq!(super::super::build::commit(&one, &spec(&[], straight)).unwrap().id, built.id);
    }
}
