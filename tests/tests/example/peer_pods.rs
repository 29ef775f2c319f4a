//! Peer pods: a release from its pre-release to its reverts, the audit of a long history, and what is refused.

use std::collections::BTreeMap;

use castoff::engine::Limits;
use castoff::journal::Verdict;
use castoff_tests::history::{self, Size};
use castoff_tests::theatre::{Theatre, engine};

use super::{alone, content, play_of, stuck};

const ADAPTOR: &str = "confidential-containers/cloud-api-adaptor";

#[tokio::test(flavor = "multi_thread")]
async fn peer_pods_are_released_from_pre_release_to_citation() {
    let (theatre, state) = play_of("peer-pods", "release", str::to_owned, "").await;
    let snapshot = theatre.stage.forge().snapshot().expect("a picture of the world");
    let adaptor = &snapshot.repositories[ADAPTOR];
    for version in ["v0.9.0-alpha.1", "v0.9.0"] {
        let root = adaptor.refs.get(&format!("refs/tags/{version}")).expect("the root tag is there");
        for module in ["cloud-providers", "peerpod-ctrl", "cloud-api-adaptor"] {
            let tag = adaptor.refs.get(&format!("refs/tags/src/{module}/{version}"));
            assert_eq!(tag, Some(root), "{module} {version}");
        }
        let release = adaptor.releases.iter().find(|release| release.tag == version).expect("a release");
        assert_eq!((release.draft, release.prerelease), (false, version.contains('-')), "{version}");
    }
    let outputs = |step: &str| state.outputs_of(step).cloned().unwrap_or_default();
    let first = &outputs("cut-tags")["created"][0];
    assert_eq!(first, "src/cloud-providers/v0.9.0", "what is required comes first");
    let commits = |step: &str| outputs(step)["commits"].as_array().map_or(0, Vec::len);
    assert_eq!([commits("pre-propose"), commits("cut-propose"), commits("cut-prepare")], [4, 2, 3]);
    let read = |path: &str| content(&theatre, ADAPTOR, "main", path);
    let citation = read("CITATION.cff");
    let root = &adaptor.refs["refs/tags/v0.9.0"];
    let cited = citation.contains("version: 0.9.0\n") && citation.contains(&format!("commit: {root}"));
    assert!(cited, "{citation}");
    for provider in ["aws", "libvirt"] {
        let text = read(&format!("src/cloud-api-adaptor/install/overlays/{provider}/kustomization.yaml"));
        assert!(text.contains("newTag: latest\n") && text.contains("# change image if needed"), "{text}");
    }
    let operator = &snapshot.repositories["confidential-containers/operator"];
    let own =
        operator.releases.iter().find(|release| release.tag == "v0.9.0").expect("the operator's release");
    assert!(!own.draft && operator.refs.contains_key("refs/tags/v0.9.0"));
    let sample = "config/samples/ccruntime/peer-pods/kustomization.yaml";
    let payload = |at: &str| content(&theatre, "confidential-containers/operator", at, sample);
    assert!(
        payload("v0.9.0").contains("newTag: 3.8.0\n")
            && payload("main").contains("newTag: kata-containers-4fd4b02f")
    );
    assert!(outputs("post-consumers")["behind"].to_string().contains("peerpod-ctrl v0.8.2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_of_a_long_history_names_every_fault_and_no_other() {
    let world = history::world(Size { commits: 1, files: 30 });
    let theatre = Theatre::open(world, engine(Limits::default())).await;
    let release = format!(
        "version = 1\nplugin = \"peer-pods\"\nprocess = \"audit\"\n[inputs]\nrepository = \"{}\"\n",
        history::NAME
    );
    let prepared = theatre.prepare(&theatre.write(&[("release.toml", release.as_bytes())])).await;
    let (stored, journal) = theatre.create(&prepared, "audit");
    let runner = theatre.runner(&prepared, &stored, journal);
    let stop = theatre.stage.play(&runner).await.expect("the host goes on");
    assert_eq!(stop.verdict, Verdict::Finished);
    let state = runner.state();
    let outputs = state.outputs_of("audit").expect("outputs");
    let versions = outputs["versions"].as_array().expect("versions");
    let codes = |version: &serde_json::Value| -> Vec<String> {
        let findings = version["findings"].as_array().into_iter().flatten();
        findings.filter_map(|finding| finding["code"].as_str().map(str::to_owned)).collect()
    };
    let name = |version: &serde_json::Value| version["version"].as_str().unwrap_or_default().to_owned();
    let found: BTreeMap<String, Vec<String>> = versions
        .iter()
        .map(|version| (name(version), codes(version)))
        .filter(|(_, codes)| !codes.is_empty())
        .collect();
    assert_eq!(found, history::faults());
    assert_eq!(versions.len(), 27, "every version is looked at");
}

const PROVIDERS: &str = "replace github.com/confidential-containers/cloud-api-adaptor/src/cloud-providers => ../cloud-providers\n";

/// The world with a tag of the pre-release at an old commit.
fn tagged_before(world: &str) -> String {
    let known = "[[repository.tag]]\nname = \"src/peerpod-ctrl/v0.8.2\"";
    assert!(world.contains(known));
    let early = "[[repository.tag]]\nname = \"src/cloud-providers/v0.9.0-alpha.1\"\nat = \"v0.8.2\"\n\n";
    world.replace(known, &format!("{early}{known}"))
}

/// The world with guest-components from a registry that does not have the pinned commit.
fn unpublished(world: &str) -> String {
    let kbs = "oci:\n  kbs:\n";
    assert!(world.contains(kbs));
    let pinned = "oci:\n  guest-components:\n    registry: ghcr.io/confidential-containers/guest-components\n    reference: 0123456789abcdef0123456789abcdef01234567\n  kbs:\n";
    world.replace(kbs, pinned)
}

/// The world with modules that require each other.
fn in_a_circle(world: &str) -> String {
    let alone = "src/cloud-providers\\n\\ngo 1.21\\n\"";
    assert!(world.contains(alone));
    let module = "github.com/confidential-containers/cloud-api-adaptor/src/peerpod-ctrl";
    let circle = format!(
        "src/cloud-providers\\n\\ngo 1.21\\n\\nrequire {module} v0.8.2\\n\\nreplace {module} => ../peerpod-ctrl\\n\""
    );
    world.replace(alone, &circle)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_with_what_was_found() {
    type Change = fn(&str) -> String;
    let same: Change = |world| world.to_owned();
    let bare: Change = |world| world.replace(PROVIDERS, "");
    let cases: [(Change, &str, &str, &[&str]); 8] = [
        (
            same,
            "pre-release",
            "version = \"v0.9.0-alpha.1\"\nkata = \"3.8.0\"\nset = { \"git.kbs.tag\" = \"x\" }",
            &["versions.yaml has no git.kbs.tag", "there is url, reference"],
        ),
        (
            same,
            "pre-release",
            "version = \"v0.9.0-alpha1\"",
            &["\"v0.9.0-alpha1\" is not", "did you mean v0.9.0-alpha.1?"],
        ),
        (
            bare,
            "pre-release",
            "version = \"v0.9.0-alpha.1\"",
            &["cloud-providers without `replace", "publish that module first"],
        ),
        (
            in_a_circle,
            "pre-release",
            "version = \"v0.9.0-alpha.1\"",
            &["cloud-providers, peerpod-ctrl require each other in a circle"],
        ),
        (
            tagged_before,
            "pre-release",
            "version = \"v0.9.0-alpha.1\"\noperator = \"main\"",
            &["src/cloud-providers/v0.9.0-alpha.1 is there at", "the next free version is v0.9.0-alpha.2"],
        ),
        (
            unpublished,
            "pre-release",
            "version = \"v0.9.0-alpha.1\"\noperator = \"main\"",
            &[
                "guest-components of which",
                "api-server-rest:0123456789abcdef0123456789abcdef01234567-x86_64",
                "was never published",
            ],
        ),
        (
            same,
            "release",
            "version = \"v0.9.0\"\nimage-tag = \"1111111111111111111111111111111111111111\"",
            &[
                "cloud-api-adaptor:1111111111111111111111111111111111111111",
                "do not exist, so nothing can be pinned",
            ],
        ),
        (
            same,
            "release",
            "version = \"v0.9.0\"\nfrozen = \"{refs/tags/v0.8.2}\"",
            &["was frozen at", "providers: know another cloud", "test what is there as v0.9.0-alpha.1"],
        ),
    ];
    for (change, process, inputs, wanted) in cases {
        let said = stuck(&alone(("peer-pods", "release", ADAPTOR), change, (process, inputs)).await.1);
        for part in wanted {
            assert!(said.contains(part), "{inputs}: {part:?} is not in {said:?}");
        }
    }
}
