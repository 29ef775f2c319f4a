//! Pushes: all or nothing, held to what was expected, tags never moved.

use super::super::super::{Probe, RefUpdate, probe_refs};
use super::*;

fn update(name: &str, object: &str, expected: Option<&str>) -> RefUpdate {
    RefUpdate { name: name.into(), object: object.into(), expected: expected.map(str::to_owned) }
}

fn hook(world: &World, name: &str, text: &str) {
    let path = world.remote().join("hooks").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn branches_and_tags_are_set_together() {
    let (world, [_, second]) = World::simple().await;
    let next = world.build(&spec(&[&second], vec![file("v", "1")])).await;
    let tag =
        world.git.build_tag(&world.slug, "v1.0.0", &next, "v1.0.0\n", &identity(), START).await.unwrap();
    let updates = [
        update("refs/heads/main", &next, Some(&second)),
        update("refs/heads/release-1.0", &next, None),
        update("refs/tags/v1.0.0", &tag, None),
        update("refs/tags/api/v0.1.0+k3s1", &next, None),
    ];
    // The probe looks at commits: an annotated tag counts as the commit behind it.
    let wanted: Vec<(String, String)> =
        updates.iter().map(|update| (update.name.clone(), next.clone())).collect();
    assert!(matches!(probe_refs(&world.git, &world.slug, &wanted[1..]).await, Ok(Probe::Absent)));
    world.git.push(&world.slug, &updates).await.unwrap();
    assert_eq!(probe_refs(&world.git, &world.slug, &wanted).await.unwrap(), Probe::Present(()));
    assert_eq!(
        world.at_remote(&["rev-parse", "main", "v1.0.0", "v1.0.0^{commit}"]),
        format!("{next}\n{tag}\n{next}")
    );
    // Again is a success and changes nothing.
    let before = world.remote_refs();
    world.git.push(&world.slug, &updates).await.unwrap();
    assert_eq!(world.remote_refs(), before);
    // The mirror follows.
    world.git.open(&world.slug).await.unwrap();
    let resolved = world.git.resolve(&world.slug, "refs/tags/v1.0.0").await.unwrap().unwrap();
    assert_eq!(resolved.id, next);
    world.git.push(&world.slug, &[]).await.unwrap();
}

#[tokio::test]
async fn thirty_one_tags_go_out_in_one_push() {
    let (world, [_, second]) = World::simple().await;
    hook(&world, "post-receive", "wc -l >> pushes");
    let staged = (0..30).map(|n| format!("refs/tags/staging/src/k8s.io/m{n:02}/v1.28.2-k3s1"));
    let names = staged.chain(["refs/tags/v1.28.2-k3s1".to_owned()]);
    let updates: Vec<RefUpdate> = names.map(|name| update(&name, &second, None)).collect();
    world.git.push(&world.slug, &updates).await.unwrap();
    let pushes = std::fs::read_to_string(world.remote().join("pushes")).unwrap();
    assert_eq!(pushes.split_whitespace().collect::<Vec<_>>(), ["31"], "one push of them all");
    assert_eq!(world.remote_refs().matches("refs/tags/").count(), 31);
}

#[tokio::test]
async fn one_refused_ref_leaves_all_untouched() {
    let (world, [first, second]) = World::simple().await;
    let next = world.build(&spec(&[&second], vec![])).await;
    let good = update("refs/heads/good", &next, None);
    let before = world.remote_refs();
    world.at_remote(&["update-ref", "refs/heads/moved", &second]);
    world.at_remote(&["update-ref", "refs/tags/v1", &first]);
    let with_more = world.remote_refs();
    assert_ne!(before, with_more);
    for (bad, expected, name) in [
        (update("refs/heads/main", &next, Some(&first)), "conflict", "refs/heads/main"),
        (update("refs/heads/main", &next, None), "conflict", "refs/heads/main"),
        (update("refs/heads/moved", &next, None), "conflict", "refs/heads/moved"),
        (update("refs/heads/absent", &next, Some(&first)), "conflict", "refs/heads/absent"),
        (update("refs/tags/v1", &next, None), "conflict", "refs/tags/v1"),
        (update("refs/tags/absent", &next, Some(&next)), "conflict", "refs/tags/absent"),
        (update("refs/heads/main/below", &next, None), "conflict", "refs/heads/main/below"),
    ] {
        for updates in [[good.clone(), bad.clone()], [bad.clone(), good.clone()]] {
            let error = world.git.push(&world.slug, &updates).await.expect_err("a refusal");
            assert!(words(&error).contains(name), "{error}");
            assert_eq!(kind::<()>(Err(error)), expected, "{bad:?}");
            assert_eq!(world.remote_refs(), with_more, "{bad:?}");
        }
    }
    hook(&world, "update", "case $1 in *protected*) echo GH006: branch is protected >&2; exit 1;; esac");
    for updates in [
        [good.clone(), update("refs/heads/protected", &next, None)],
        [update("refs/heads/protected", &next, None), good.clone()],
    ] {
        let error = world.git.push(&world.slug, &updates).await.expect_err("a refusal");
        assert!(words(&error).contains("GH006: branch is protected"), "{error}");
        assert!(words(&error).contains("refs/heads/protected"), "{error}");
        assert_eq!(kind::<()>(Err(error)), "forbidden");
        assert_eq!(world.remote_refs(), with_more);
    }
    hook(&world, "pre-receive", "exit 1");
    assert_eq!(kind(world.git.push(&world.slug, &[good]).await), "forbidden");
    assert_eq!(world.remote_refs(), with_more);
}

#[tokio::test]
async fn a_branch_is_replaced_only_from_what_was_expected() {
    let (world, [first, second]) = World::simple().await;
    let aside = world.build(&spec(&[&first], vec![file("x", "y")])).await;
    world.git.push(&world.slug, &[update("refs/heads/main", &aside, Some(&second))]).await.unwrap();
    assert_eq!(world.at_remote(&["rev-parse", "main"]), aside);
    // Somebody else was quicker.
    world.at_remote(&["update-ref", "refs/heads/main", &first]);
    assert_eq!(
        kind(world.git.push(&world.slug, &[update("refs/heads/main", &second, Some(&aside))]).await),
        "conflict"
    );
    assert_eq!(world.at_remote(&["rev-parse", "main"]), first);
}

#[tokio::test]
async fn wrong_updates_never_leave() {
    let (world, [first, second]) = World::simple().await;
    let tree = world.at_remote(&["rev-parse", "main^{tree}"]);
    let tag = world.git.build_tag(&world.slug, "t", &second, "t", &identity(), START).await.unwrap();
    world.at_remote(&["update-ref", "refs/tags/v1", &first]);
    let before = world.remote_refs();
    for name in [
        "main",
        "HEAD",
        "",
        "-x",
        "--mirror",
        "refs/heads/",
        "refs/heads/-x",
        "refs/heads/../x",
        "refs/heads/a..b",
        "refs/heads/a b",
        "refs/heads/a:b",
        "refs/heads/a\nb",
        "refs/heads/a\0b",
        "refs/heads/.a",
        "refs/heads/a.lock",
        "refs/heads/a@{1}",
        "refs/heads/*",
        "refs/heads/a^",
        "refs/heads//a",
        "refs/heads/a/",
        "+refs/heads/a",
        "refs/notes/x",
        "refs/Tags/v1",
        "refs/pull/1/head",
        ":refs/heads/main",
        "refs/heads/x/-y",
    ] {
        assert_eq!(
            kind(world.git.push(&world.slug, &[update(name, &second, None)]).await),
            "invalid",
            "{name:?}"
        );
        if !name.is_empty() {
            assert_eq!(
                kind(world.git.remote_references(&world.slug, &[name.to_owned()]).await),
                "invalid",
                "{name:?}"
            );
        }
    }
    let twice = [update("refs/heads/x", &second, None), update("refs/heads/x", &first, None)];
    assert_eq!(kind(world.git.push(&world.slug, &twice).await), "invalid");
    for (object, expected) in [
        ("0".repeat(40), "invalid"),
        (String::new(), "invalid"),
        ("main".into(), "invalid"),
        (second.to_uppercase(), "invalid"),
        ("1".repeat(40), "not-found"),
        (tree, "invalid"),
        (tag, "invalid"),
    ] {
        let pushed = world.git.push(&world.slug, &[update("refs/heads/x", &object, None)]).await;
        assert_eq!(kind(pushed), expected, "{object}");
    }
    let moved = world.git.push(&world.slug, &[update("refs/tags/v1", &second, Some(&first))]).await;
    assert_eq!(kind(moved), "invalid");
    assert_eq!(world.remote_refs(), before);
}

#[tokio::test]
async fn probes_tell_a_conflict() {
    let (world, [first, second]) = World::simple().await;
    let wanted = [("refs/heads/main".to_owned(), first.clone())];
    assert_eq!(kind(probe_refs(&world.git, &world.slug, &wanted).await), "conflict");
    let wanted = [("refs/heads/main".to_owned(), second)];
    assert!(matches!(probe_refs(&world.git, &world.slug, &wanted).await, Ok(Probe::Present(_))));
}
