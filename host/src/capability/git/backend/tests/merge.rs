//! Merges in the mirror, and commits shared between mirrors.

use super::*;

/// A branch `side` from the first commit and `main` with two, on one file of five lines.
async fn diverged(side: &str) -> (World, [String; 3]) {
    let world = World::new();
    world
        .seed(
            &[
                commit("side", 0, "first", &[], &put("list", "a\nb\nc\nd\ne\n")),
                "reset refs/heads/main\nfrom refs/heads/side\n\n".to_owned(),
                commit("main", 1, "second", &[], &put("list", "a\nb\nc\nd\nMAIN\n")),
                commit("side", 2, "side", &[], &put("list", side)),
            ]
            .concat(),
        )
        .await;
    let ids = ["main~1", "main", "side"].map(|name| world.at_remote(&["rev-parse", name]));
    (world, ids)
}

#[tokio::test]
async fn sides_are_merged_or_the_paths_are_named() {
    let (world, [first, main, side]) = diverged("SIDE\nb\nc\nd\ne\n").await;
    let merged = world.git.merge(&world.slug, (&main, &side), "merge\n", &identity(), START).await.unwrap();
    assert_eq!(merged.parents, [main.clone(), side.clone()]);
    let list = world.git.read(&world.slug, &merged.id, "list", 99).await.unwrap().unwrap();
    assert_eq!(list, b"SIDE\nb\nc\nd\nMAIN\n");
    let git = world.at_mirror(&["merge-tree", "--write-tree", &main, &side], b"");
    assert_eq!(git, merged.tree, "as the git program merges");
    // What lies between two commits goes on top of a third.
    let picked = world.git.merge_trees(&world.slug, Some(&first), &main, &side).await.unwrap();
    assert_eq!(picked, merged.tree);
    let (world, [_, main, side]) = diverged("a\nb\nc\nd\nSIDE\n").await;
    let error = world.git.merge_trees(&world.slug, None, &main, &side).await.unwrap_err();
    assert_eq!(kind::<()>(Err(error.clone())), "conflict");
    assert!(error.to_string().ends_with("both change list"), "{error}");
    assert_eq!(kind(world.git.merge_trees(&world.slug, None, &main, &"1".repeat(40)).await), "not-found");
}

#[tokio::test]
async fn commits_are_shared_between_mirrors() {
    let (world, [_, second]) = World::simple().await;
    let other = Slug::parse("other/name").unwrap();
    let remote = world.place.path().join("remote/other/name.git");
    std::fs::create_dir_all(&remote).unwrap();
    git(&remote, &["init", "--quiet", "--bare", "--initial-branch=main", "."], b"");
    let known = commit("main", 0, "first", &[], &put("a.txt", "one\n"));
    git(&remote, &["fast-import", "--quiet"], known.as_bytes());
    world.git.open(&other).await.unwrap();
    let next = world.build(&spec(&[&second], vec![file("v", "1")])).await;
    assert_eq!(world.git.resolve(&other, &next).await.unwrap(), None);
    for _ in 0..2 {
        world.git.share(&world.slug, &other, &next).await.unwrap();
    }
    let path = world.git.mirror(&other);
    git(&path, &["fsck", "--full", "--strict", &next], b"");
    assert_eq!(git(&path, &["rev-list", "--count", &next], b""), "3");
    assert_eq!(git(&path, &["cat-file", "-p", &format!("{next}:d/b.txt")], b""), "two");
    // Two commits, three trees and two blobs: what was there already is not in the pack.
    assert_eq!(
        git(&path, &["count-objects", "-v"], b"").lines().find(|line| line.starts_with("in-pack")).unwrap(),
        "in-pack: 7"
    );
    assert_eq!(kind(world.git.share(&world.slug, &other, &"1".repeat(40)).await), "not-found");
    assert_eq!(git(&remote, &["for-each-ref"], b"").lines().count(), 1, "no remote was touched");
}
