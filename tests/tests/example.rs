//! The example releases, played to their end.

use std::path::Path;

use castoff::engine::Limits;
use castoff::forge::World;
use castoff::journal::{RunState, Status, Verdict};
use castoff_tests::openapi::judge_all;
use castoff_tests::theatre::{Theatre, engine};

/// Plays the livenessprobe example to its end, for a version.
async fn play(version: &str) -> (Theatre, RunState) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/csi-sidecar/examples/livenessprobe");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("the example is there");
    let world = World::from_toml(&read("world.toml")).expect("it is right");
    let theatre = Theatre::open(world, engine(Limits::default())).await.approving();
    theatre.stage.forge().record();
    // The example's policy names its version; every other version has powers of its own.
    let (release, policy) = (read("release.toml"), read("policy.toml"));
    let (release, policy) = (release.replace("v2.17.0", version), policy.replace("v2.17.0", version));
    let files: [(&str, &[u8]); 2] =
        [("release.toml", release.as_bytes()), ("policy.toml", policy.as_bytes())];
    let prepared = theatre.prepare(&theatre.write(&files)).await;
    let (stored, journal) = theatre.create(&prepared, "livenessprobe");
    let runner = theatre.runner(&prepared, &stored, journal);
    let stop = theatre.stage.play(&runner).await.expect("the host goes on");
    let state = runner.state();
    let open: Vec<_> = state
        .steps()
        .filter(|step| !matches!(step.status, Status::Done { .. }))
        .map(|step| format!("{}: {:?}", step.node.id, step.status))
        .collect();
    assert!(open.is_empty(), "{open:#?}");
    assert_eq!(stop.verdict, Verdict::Finished);
    judge_all(theatre.stage.forge()).assert_clean();
    (theatre, state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_is_released_from_triage_to_docs() {
    let (theatre, state) = play("v2.17.0").await;
    let snapshot = theatre.stage.forge().snapshot().expect("a picture of the world");
    let repository = |name: &str| &snapshot.repositories[name];
    let sidecar = repository("kubernetes-csi/livenessprobe");
    let tag = sidecar.refs.get("refs/tags/v2.17.0").expect("the tag is there");
    assert_eq!(
        sidecar.refs.get("refs/heads/release-2.17"),
        Some(tag),
        "a new minor gets its branch at the tag"
    );
    assert!(sidecar.releases.iter().any(|release| release.tag == "v2.17.0" && !release.draft));
    let digest = state.outputs_of("images").map(ToString::to_string).unwrap_or_default();
    assert!(digest.contains("sha256:"), "{digest}");
    for (name, pulls) in
        [("kubernetes-csi/livenessprobe", 2), ("kubernetes/k8s.io", 1), ("kubernetes-csi/docs", 1)]
    {
        // Number 300 was merged before the rehearsal began.
        let own = repository(name).pulls.iter().filter(|(number, _)| **number != 300);
        let own = own.filter(|(_, pull)| pull.issue.user == "release-manager" && pull.merged.is_some());
        assert_eq!(own.count(), pulls, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_tagged_and_built_and_no_more() {
    let (theatre, state) = play("v2.17.0-rc1").await;
    let forge = theatre.stage.forge();
    assert!(forge.reference("kubernetes-csi/livenessprobe", "refs/tags/v2.17.0-rc1").is_some());
    assert!(forge.reference("kubernetes-csi/livenessprobe", "refs/heads/release-2.17").is_none());
    assert!(state.step("promote").is_none(), "candidates are not promoted");
}
