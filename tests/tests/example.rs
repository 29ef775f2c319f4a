//! The example releases, played to their end.

use std::path::Path;

use castoff::engine::Limits;
use castoff::forge::World;
use castoff::journal::{Status, Verdict};
use castoff_tests::openapi::judge_all;
use castoff_tests::theatre::{Theatre, engine};

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_is_released_from_triage_to_docs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/csi-sidecar/examples/livenessprobe");
    let world = std::fs::read_to_string(folder.join("world.toml")).expect("the world is there");
    let theatre = Theatre::open(World::from_toml(&world).expect("it is right"), engine(Limits::default())).await;
    theatre.stage.forge().record();
    let prepared = theatre.prepare(&folder.join("release.toml")).await;
    let (stored, journal) = theatre.create(&prepared, "livenessprobe");
    let runner = theatre.runner(&prepared, &stored, journal);
    let stop = theatre.stage.play(&runner).await.expect("the host goes on");
    let state = runner.state();
    for step in state.steps() {
        if !matches!(step.status, Status::Done { .. }) {
            println!("{}: {:?}", step.node.id, step.status);
        }
    }
    assert_eq!(stop.verdict, Verdict::Finished);
    let forge = theatre.stage.forge();
    let tag = forge.reference("kubernetes-csi/livenessprobe", "refs/tags/v2.17.0").expect("the tag is there");
    let branch = forge.reference("kubernetes-csi/livenessprobe", "refs/heads/release-2.17");
    assert_eq!(branch, Some(tag), "a new minor gets its branch at the tag");
    judge_all(forge).assert_clean();
}
