//! What a train costs beside one release.
//!
//! `cargo bench -p castoff-tests --bench train`

#![allow(clippy::print_stdout)]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::time::Duration;

use castoff::journal::Verdict;
use castoff_tests::train::{Driven, TrainExample, sidecars};
use criterion::{Criterion, criterion_group, criterion_main};

/// One sidecar and eight side by side, each with thirty pull requests since its last release, from an empty folder to the
/// end; and what the notes of all cost.
fn trains(c: &mut Criterion) {
    const PULLS: usize = 30;
    let runtime = castoff::run::runtime().expect("a runtime");
    let mut group = c.benchmark_group("train");
    group.sample_size(10).measurement_time(Duration::from_secs(30));
    for count in [1, 8] {
        let (_folder, file) = sidecars(count, PULLS).expect("a world");
        let train = runtime.block_on(TrainExample::load(&file)).expect("the train is whole");
        let rehearse = || async {
            let mut run = train.begin().await.expect("a train begins");
            run.stage().forge().record();
            let Ok(Driven::Through(standing)) = run.play(count, None).await else { panic!("it stopped") };
            assert_eq!(standing.verdict(), Verdict::Finished);
            run
        };
        // Folders stay until all is measured: taking them away is no part of a release, and slows what is made next.
        let mut kept = vec![runtime.block_on(rehearse())];
        let queries = kept[0].asked();
        let sizes = queries.iter().map(|query| query.matches("pullRequest(number").count());
        let notes = sizes.filter(|size| *size > count).count();
        println!(
            "{count} sidecars, {} pull requests: {notes} GraphQL requests for their notes",
            count * PULLS
        );
        group.bench_function(format!("{count} sidecars, rehearsed"), |b| {
            b.iter(|| kept.push(runtime.block_on(rehearse())));
        });
    }
    group.finish();
}

criterion_group!(benches, trains);
criterion_main!(benches);
