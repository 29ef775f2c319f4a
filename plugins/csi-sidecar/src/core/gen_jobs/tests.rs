#![allow(clippy::unwrap_used)]
//! A small generator in the manner of the published one writes worlds; what is learned from one world must write the others.

use super::*;

/// From this minor on the jobs use other settings.
struct Era {
    tool_until: u64,
    snapshots: &'static str,
    suffixes: &'static [&'static str],
    heavy_experimental: bool,
}

const ERAS: [Era; 3] = [
    Era { tool_until: 4, snapshots: "v1.0.0", suffixes: &["", "-test"], heavy_experimental: true },
    Era { tool_until: 0, snapshots: "v2.0.0", suffixes: &["", "-test"], heavy_experimental: false },
    Era { tool_until: 6, snapshots: "v3.0.0", suffixes: &[""], heavy_experimental: true },
];

fn variables(versions: &[u64], experimental: Option<u64>, latest: u64, driver: &str) -> Variables {
    let versions: Vec<String> = versions.iter().map(|minor| format!("1.{minor}")).collect();
    Variables {
        k8s_versions: versions.clone(),
        deployment_versions: versions,
        experimental_k8s_version: experimental.map(|minor| format!("1.{minor}")),
        latest_stable_k8s_version: format!("1.{latest}"),
        hostpath_driver_version: driver.to_owned(),
        ..Variables::default()
    }
}

fn tool(era: &Era, kubernetes: &str) -> bool {
    job::number(kubernetes).is_some_and(|(_, minor)| minor <= era.tool_until)
}

fn resources_of(heavy: bool) -> &'static str {
    if heavy { "      resources:\n        memory: 9\n" } else { "        resources:\n          cpu: 2\n" }
}

fn pull(
    era: &Era,
    variables: &Variables,
    alpha: bool,
    deployment: &str,
    suffix: &str,
    kubernetes: &str,
) -> String {
    let tests = if alpha { "alpha-" } else { "" };
    let master = kubernetes == "master";
    let dash = |text: &str| text.replace('.', "-");
    let experimental = variables.experimental_k8s_version.as_deref() == Some(kubernetes);
    let optional = if alpha || experimental || !suffix.is_empty() || master { "true" } else { "false" };
    let actual = if master { "latest".to_owned() } else { format!("{kubernetes}.0") };
    format!(
        "  - name: pull-kubernetes-csi-box-{tests}{}{suffix}-on-kubernetes-{}\n    optional: {optional}\n    \
         description: {tests}deployment {deployment}{suffix} on Kubernetes {kubernetes}\n    - image: r.io/kube:v1-1\n        env:\n        \
         # a version\n        - name: K\n          value: \"{actual}\"\n        - name: TOOL\n          value: \"{}\"\n        \
         - name: CSI_PROW_DRIVER_VERSION\n          value: \"{}\"\n        - name: SNAP\n          value: \"{}\"\n        \
         - name: TESTS\n          value: \"{tests}x\"\n        # privileged\n{}",
        dash(deployment),
        dash(kubernetes),
        tool(era, kubernetes),
        variables.hostpath_driver_version,
        if master { "master" } else { era.snapshots },
        resources_of(master || (experimental && era.heavy_experimental)),
    )
}

fn periodic(era: &Era, place: &str, suffix: &str, kubernetes: &str) -> String {
    let dash = |text: &str| text.replace('.', "-");
    format!(
        "- interval: 6h\n  name: ci-kubernetes-csi-{}{suffix}-on-kubernetes-{}\n  env:\n  - name: K\n    value: \"release-{kubernetes}\"\n  \
         - name: TOOL\n    value: \"{}\"\n  - name: D\n    value: \"kubernetes-{place}\"\n  end: x\n",
        dash(place),
        dash(kubernetes),
        tool(era, kubernetes)
    )
}

/// The whole tree for the variables.
fn world(era: &Era, variables: &Variables) -> Tree {
    let mut text = format!("# {MARK}, do not edit\n\npresubmits:\n  o/box:\n");
    let versions = &variables.k8s_versions;
    for suffix in era.suffixes {
        for alpha in [false, true] {
            for version in versions.iter().filter(|v| !alpha || **v == variables.latest_stable_k8s_version) {
                text += &pull(era, variables, alpha, version, suffix, version);
                if !alpha {
                    text += &pull(era, variables, alpha, version, suffix, "master");
                }
            }
        }
    }
    text += "  - name: pull-kubernetes-csi-box-unit\n    optional: false\n\nperiodics:\n";
    for suffix in era.suffixes {
        for deployment in versions {
            for kubernetes in versions.iter().filter(|k| job::number(k) >= job::number(deployment)) {
                text += &periodic(era, deployment, suffix, kubernetes);
            }
            text += &periodic(era, deployment, suffix, "master");
        }
    }
    for suffix in era.suffixes {
        for kubernetes in versions.iter().map(String::as_str).chain(["master"]) {
            text += &periodic(era, "canary", suffix, kubernetes);
        }
    }
    let latest = &variables.latest_stable_k8s_version;
    let shared = format!(
        "# {MARK}\n\npresubmits:\n  o/tools:\n  - name: pull-kubernetes-csi-release-tools-box\n    description: for box, using \
         deployment {latest} on Kubernetes {latest}\n    env:\n    - name: K\n      value: \"{latest}.0\"\n    - name: TOOL\n      \
         value: \"{}\"\n",
        tool(era, latest)
    );
    // The indentation of an entry differs from the pull jobs' on purpose: only equal entries may follow them.
    let shared = shared.replace("    - name: TOOL\n      value", "        - name: TOOL\n          value");
    let by_hand = "presubmits:\n  o/box:\n  - name: by-hand\n    env:\n    - name: CSI_PROW_KUBERNETES_VERSION\n      value: \"1.2.0\"\n";
    [("box.yaml", text.as_str()), ("hand.yaml", by_hand), ("tools.yaml", shared.as_str()), ("OWNERS", "x")]
        .into_iter()
        .map(|(path, text)| (path.to_owned(), FileEntry::file(text)))
        .collect()
}

#[test]
fn variables_follow_a_new_version() {
    let before = variables(&[3, 4, 5], None, 5, "v1.0.0");
    assert_eq!(before.with_kubernetes("1.6"), Ok(variables(&[4, 5, 6], Some(6), 5, "v1.0.0")));
    assert_eq!(before.with_kubernetes("1.7"), Ok(variables(&[5, 6, 7], Some(7), 6, "v1.0.0")));
    assert_eq!(before.with_kubernetes("1.6").unwrap().verified(), variables(&[4, 5, 6], None, 6, "v1.0.0"));
    assert!(before.with_kubernetes("1.5").is_err());
    assert!(before.with_kubernetes("v1.6").is_err());
}

#[test]
fn worlds_come_out_of_each_other() {
    let before = variables(&[3, 4, 5], Some(5), 4, "v1.0.0");
    let wanted = [
        variables(&[4, 5, 6], Some(6), 5, "v1.0.0"),
        variables(&[4, 5, 6], Some(6), 4, "v1.0.0"),
        variables(&[5, 6, 7], Some(7), 6, "v1.1.0"),
        variables(&[3, 4, 5, 6], Some(6), 5, "v1.0.0"),
        variables(&[3, 4, 5], None, 5, "v1.0.0"),
        variables(&[4, 5], None, 5, "v1.0.0"),
        before.clone(),
    ];
    for (number, era) in ERAS.iter().enumerate() {
        for after in &wanted {
            // What happens at a version nobody has generated yet cannot be learned.
            if after.k8s_versions.iter().any(|v| job::number(v) > Some((1, 5))) && era.tool_until > 5 {
                continue;
            }
            let tree = world(era, &before);
            let result = regenerate(&tree, &before, after).unwrap();
            let made = result.changes.apply(&tree);
            for (path, entry) in &world(era, after) {
                assert_eq!(made[path].text(), entry.text(), "era {number}, {path}, {after:?}");
            }
            let again = regenerate(&made, &before, after).unwrap();
            assert!(again.changes.is_empty(), "a second run finds nothing to do: {}", again.summary());
        }
    }
}

#[test]
fn experimental_is_set_where_there_was_none() {
    let era = &ERAS[0];
    let before = variables(&[3, 4, 5], None, 4, "v1.0.0");
    let after = variables(&[4, 5, 6], Some(6), 5, "v1.0.0");
    let tree = world(era, &before);
    let made = regenerate(&tree, &before, &after).unwrap().changes.apply(&tree);
    assert_eq!(made["box.yaml"].text(), world(era, &after)["box.yaml"].text());
}

#[test]
fn tells_what_changed_and_what_to_look_at() {
    let before = variables(&[3, 4, 5], Some(5), 4, "v1.0.0");
    let after = variables(&[4, 5, 6], Some(6), 5, "v1.0.0");
    let mut tree = world(&ERAS[1], &before);
    let copy = "presubmits:\n  o/box:\n  - name: pull-kubernetes-csi-box-1-6-on-kubernetes-1-6\n";
    tree.insert("temporary.yaml".to_owned(), FileEntry::file(copy));
    let result = regenerate(&tree, &before, &after).unwrap();
    assert!(result.jobs_added.contains("pull-kubernetes-csi-box-1-6-on-kubernetes-1-6"));
    assert!(result.jobs_removed.contains("ci-kubernetes-csi-1-3-on-kubernetes-1-3"));
    let expected = [
        JobRemark::OldVersion { path: "hand.yaml".into(), version: "1.2".into(), lines: vec![6] },
        JobRemark::Duplicate {
            path: "temporary.yaml".into(),
            job: "pull-kubernetes-csi-box-1-6-on-kubernetes-1-6".into(),
        },
    ];
    assert_eq!(result.remarks, expected);
    assert!(!result.changes.writes.contains_key("hand.yaml"));
}

#[test]
fn brings_a_forgotten_file_up_to_date_and_says_so() {
    let older = variables(&[2, 3, 4], Some(4), 3, "v1.0.0");
    let before = variables(&[3, 4, 5], Some(5), 4, "v1.0.0");
    let after = variables(&[4, 5, 6], Some(6), 5, "v1.0.0");
    let era = &ERAS[1];
    let mut tree = world(era, &before);
    tree.insert("stale.yaml".to_owned(), world(era, &older)["box.yaml"].clone());
    let result = regenerate(&tree, &before, &after).unwrap();
    let made = result.changes.apply(&tree);
    assert_eq!(made["stale.yaml"].text(), world(era, &after)["box.yaml"].text());
    let versions = vec!["1.2".to_owned(), "1.3".to_owned(), "1.4".to_owned()];
    assert!(result.remarks.contains(&JobRemark::Stale { path: "stale.yaml".into(), versions }));
}

#[test]
fn exchanges_the_image_only_when_asked() {
    let before = variables(&[3, 4, 5], Some(5), 4, "v1.0.0");
    let after = Variables { dind_image: Some("n.io/kube:v2-2".into()), ..before.clone() };
    let tree = world(&ERAS[0], &before);
    let result = regenerate(&tree, &before, &after).unwrap();
    let text = result.changes.writes["box.yaml"].text().unwrap();
    assert_eq!(text, tree["box.yaml"].text().unwrap().replace("r.io/kube:v1-1", "n.io/kube:v2-2"));
}

#[test]
fn refuses_what_it_cannot_know() {
    let before = variables(&[3, 4, 5], Some(5), 4, "v1.0.0");
    let after = variables(&[4, 5, 6], Some(6), 5, "v1.0.0");
    let mut edited = world(&ERAS[0], &before);
    let text = edited["box.yaml"].text().unwrap();
    let at = text.find("  - name: pull-kubernetes-csi-box-1-4-on-kubernetes-1-4").unwrap();
    let end = at + text[at..].find("  - name: pull-kubernetes-csi-box-1-4-on-kubernetes-master").unwrap();
    let without = format!("{}{}", &text[..at], &text[end..]);
    edited.insert("box.yaml".to_owned(), FileEntry::file(without));
    let bad = |edit: &dyn Fn(&mut Variables)| {
        let mut after = after.clone();
        edit(&mut after);
        regenerate(&world(&ERAS[0], &before), &before, &after).unwrap_err().to_string()
    };
    let cases = [
        (
            regenerate(&edited, &before, &after).unwrap_err().to_string(),
            "does not come out of its own variables",
        ),
        (
            regenerate(&Tree::new(), &before, &after).unwrap_err().to_string(),
            "expected the tree of config/jobs",
        ),
        (bad(&|v| v.k8s_versions = vec!["1.4.0".into()]), "minor versions such as 1.30"),
        (bad(&|v| v.latest_stable_k8s_version = "stable".into()), "a minor version such as 1.30"),
        (bad(&|v| v.hostpath_driver_version = "1.0".into()), "a tag such as v1.17.0"),
    ];
    for (message, expected) in cases {
        assert!(message.contains(expected), "{message}");
    }
}
