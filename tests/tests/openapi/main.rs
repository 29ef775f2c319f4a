//! What the client sends and the forge answers is what GitHub's own description says, operation by operation.

mod client;
mod judge;
mod stage;
mod walk;

use std::collections::BTreeSet;

use castoff_tests::openapi::{Judge, judge_all};
use stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_and_its_answers_follow_the_description() {
    let stage = Stage::new().await;
    client::drive(&stage).await;
    judge_all(&stage.forge).assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_of_the_forge_follows_the_description() {
    let stage = Stage::new().await;
    walk::walk(&stage).await;
    let report = judge_all(&stage.forge);
    report.assert_clean();
    let walked: BTreeSet<String> = report.operations.iter().cloned().collect();
    let known: BTreeSet<String> = Judge::load().operations().into_iter().collect();
    assert_eq!(walked, known, "each operation of operations.txt is walked over");
    insta::assert_snapshot!(report.warnings.join("\n"));
}
