#![allow(clippy::unwrap_used)]
use super::*;

fn tree(entries: &[(&str, FileEntry)]) -> Tree {
    entries.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())).collect()
}

fn world() -> Tree {
    tree(&[
        ("deploy/kubernetes-1.5/README.md", FileEntry::file("The deployment for Kubernetes 1.5 uses x\n")),
        (
            "deploy/kubernetes-1.5/hostpath/p.yaml",
            FileEntry::file("image: r/one:v1.0.0\nimage: r/two:v3.0.0\n"),
        ),
        ("deploy/kubernetes-1.5/run.sh", FileEntry::symlink("../util/run.sh")),
        (
            "deploy/kubernetes-1.5-test/README.md",
            FileEntry::file("The deployment for Kubernetes 1.2 uses x\n"),
        ),
        ("deploy/kubernetes-1.5-test/hostpath/p.yaml", FileEntry::file("image: r/one:v1.0.0\n")),
        ("deploy/kubernetes-1.6", FileEntry::symlink("kubernetes-1.5")),
        ("deploy/kubernetes-1.6-test", FileEntry::symlink("kubernetes-1.5-test")),
        ("deploy/kubernetes-latest", FileEntry::symlink("kubernetes-1.6")),
        ("deploy/kubernetes-latest-test", FileEntry::symlink("kubernetes-1.6-test")),
        ("deploy/kubernetes-distributed/hostpath/p.yaml", FileEntry::file("image: r/one:v1.0.0\n")),
    ])
}

fn wanted() -> NewDeployment {
    NewDeployment {
        root: "deploy".to_owned(),
        rename: Some(("1.5".to_owned(), "1.8".to_owned())),
        links: [("1.9".to_owned(), "1.8".to_owned()), ("1.10".to_owned(), "1.8".to_owned())].into(),
        tags: TagPlan { images: [("one".to_owned(), "v1.1.0".to_owned())].into(), ..TagPlan::default() },
        ..NewDeployment::default()
    }
}

#[test]
fn makes_a_deployment_with_links_that_resolve() {
    let plan = new_deployment(&world(), &wanted()).unwrap();
    let after = plan.changes.apply(&world());
    let expected: BTreeMap<&str, &str> = [
        ("deploy/kubernetes-1.8/run.sh", "../util/run.sh"),
        ("deploy/kubernetes-1.9", "kubernetes-1.8"),
        ("deploy/kubernetes-1.9-test", "kubernetes-1.8-test"),
        ("deploy/kubernetes-1.10", "kubernetes-1.8"),
        ("deploy/kubernetes-1.10-test", "kubernetes-1.8-test"),
        ("deploy/kubernetes-latest", "kubernetes-1.10"),
        ("deploy/kubernetes-latest-test", "kubernetes-1.10-test"),
    ]
    .into();
    assert_eq!(links(&after), expected);
    assert!(after.keys().all(|path| !path.contains("1.5") && !path.contains("1.6")));
    assert_eq!(
        after["deploy/kubernetes-1.8/README.md"].text(),
        Some("The deployment for Kubernetes 1.8 uses x\n")
    );
    let stale: BTreeMap<String, String> =
        [("deploy/kubernetes-1.8-test/README.md".to_owned(), "1.2".to_owned())].into();
    assert_eq!(plan.stale_readmes, stale);
    assert_eq!(after["deploy/kubernetes-distributed/hostpath/p.yaml"].text(), Some("image: r/one:v1.1.0\n"));
    assert!(
        new_deployment(&after, &wanted()).unwrap().changes.is_empty(),
        "a second run finds nothing to do"
    );
    let faults = audit(&after, "deploy", &|path| path == "deploy/util/run.sh");
    assert_eq!(faults, []);
}

#[test]
fn makes_only_a_link_when_no_deployment_is_needed() {
    let only_link = NewDeployment {
        root: "deploy".to_owned(),
        links: [("1.7".to_owned(), "1.5".to_owned())].into(),
        ..NewDeployment::default()
    };
    let plan = new_deployment(&world(), &only_link).unwrap();
    let paths: Vec<&str> = plan.changes.writes.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "deploy/kubernetes-1.7",
            "deploy/kubernetes-1.7-test",
            "deploy/kubernetes-latest",
            "deploy/kubernetes-latest-test"
        ]
    );
    assert!(plan.changes.deletes.is_empty());
}

#[test]
fn copies_when_the_old_deployment_stays() {
    let copy = NewDeployment { keep_old: true, links: BTreeMap::new(), ..wanted() };
    let plan = new_deployment(&world(), &copy).unwrap();
    let after = plan.changes.apply(&world());
    assert!(plan.changes.deletes.is_empty());
    assert_eq!(after["deploy/kubernetes-1.8/run.sh"].link_target(), Some("../util/run.sh"));
    assert_eq!(after["deploy/kubernetes-1.6"].link_target(), Some("kubernetes-1.5"));
    assert_eq!(after["deploy/kubernetes-latest"].link_target(), Some("kubernetes-1.8"));
    assert!(new_deployment(&after, &copy).unwrap().changes.is_empty());
}

#[test]
fn refuses_with_what_to_do() {
    let with = |edit: &dyn Fn(&mut NewDeployment)| {
        let mut wanted = wanted();
        edit(&mut wanted);
        new_deployment(&world(), &wanted).unwrap_err().to_string()
    };
    let cases = [
        (with(&|w| w.rename = Some(("one".into(), "1.8".into()))), "expected the form 1.34"),
        (
            with(&|w| w.rename = Some(("1.1".into(), "1.2".into()))),
            "the deployments there are: kubernetes-1.5",
        ),
        (
            with(&|w| w.links = [("1.9".into(), "1.3".into())].into()),
            "make that deployment or name another one",
        ),
        (with(&|w| w.links = [("1.8".into(), "1.8".into())].into()), "exists already"),
    ];
    for (message, expected) in cases {
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn audit_finds_nested_and_broken_links_and_drift() {
    let mut tree = world();
    tree.insert("deploy/kubernetes-1.5/kubernetes-1.6".into(), FileEntry::symlink("kubernetes-1.6"));
    tree.insert("deploy/kubernetes-1.4".into(), FileEntry::symlink("kubernetes-1.3"));
    tree.insert(
        "deploy/kubernetes-distributed/hostpath/p.yaml".into(),
        FileEntry::file("image: r/one:v0.9.0\n"),
    );
    let faults = audit(&tree, "deploy", &|path| path == "deploy/util/run.sh");
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(
        matches!(&faults[0], DeploymentFault::BrokenLink { path, .. } if path == "deploy/kubernetes-1.4")
    );
    assert!(
        matches!(&faults[1], DeploymentFault::NestedLink { path } if path == "deploy/kubernetes-1.5/kubernetes-1.6")
    );
    assert!(
        matches!(&faults[2], DeploymentFault::Drift { image, tags } if image == "one" && tags.len() == 2)
    );
}

#[test]
fn nested_links_are_removed_and_nothing_else() {
    let mut tree = world();
    tree.insert("deploy/kubernetes-1.5/kubernetes-1.6".into(), FileEntry::symlink("kubernetes-1.6"));
    let repaired = repair_links(&tree, "deploy").apply(&tree);
    assert_eq!(repaired, world());
    assert!(repair_links(&repaired, "deploy").is_empty());
}

#[test]
fn one_kind_of_deployment_may_go_alone() {
    let alone = NewDeployment { only_suffixes: vec![String::new()], ..wanted() };
    let after = new_deployment(&world(), &alone).unwrap().changes.apply(&world());
    assert!(after.contains_key("deploy/kubernetes-1.8/hostpath/p.yaml"));
    assert!(after.contains_key("deploy/kubernetes-1.5-test/hostpath/p.yaml"));
    assert_eq!(after["deploy/kubernetes-latest-test"].link_target(), Some("kubernetes-1.6-test"));
}
