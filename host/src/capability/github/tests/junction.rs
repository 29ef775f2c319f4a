//! Reads of several runs: joined where they can be, and never at each other's expense.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use super::backend;
use super::batch::{answer, size};
use crate::capability::github::{Junction, PullRequest, UnderWay};
use crate::capability::scripted::{Reply, Server};
use crate::capability::{Result, Slug};

const NAMES: [&str; 3] = ["o/a", "o/b", "o/c"];

/// A server that knows every pull request, but nothing of `gone/r`.
async fn server() -> Server {
    Server::start(|seen, _| {
        if String::from_utf8_lossy(&seen.body).contains("gone") {
            let error = json!({ "type": "NOT_FOUND", "path": ["r0"], "message": "Could not resolve to a Repository" });
            return Reply::json(200, &json!({ "data": { "r0": null }, "errors": [error] }));
        }
        answer(seen, |_, _, _| None)
    })
    .await
}

fn junction(server: &Server) -> Junction {
    Junction::new(Arc::new(backend(server).0))
}

fn wanted(repository: &str, count: u64) -> Vec<(Slug, u64)> {
    (1..=count).map(|number| (Slug::parse(repository).unwrap(), number)).collect()
}

fn sizes(server: &Server) -> Vec<usize> {
    server.seen().iter().map(size).collect()
}

/// Reads of three runs at once; what each is told.
async fn read(junction: &Junction, counts: [u64; 3]) -> Vec<Result<Vec<(Slug, PullRequest)>>> {
    let entered: Vec<UnderWay> = NAMES.iter().map(|name| junction.enter(name)).collect();
    let reads = NAMES.iter().zip(counts).map(|(name, count)| {
        let (lane, wanted) = (junction.lane(name), wanted(name, count));
        async move { lane.pull_requests(&wanted).await }
    });
    let found = join_all(reads).await;
    drop(entered);
    found
}

#[tokio::test]
async fn reads_at_one_time_are_one_request() {
    for (counts, expected) in
        [([10, 20, 30], vec![60]), ([100, 1, 1], vec![100, 2]), ([90, 90, 90], vec![100, 100, 70])]
    {
        let server = server().await;
        let found = read(&junction(&server), counts).await;
        for ((name, count), found) in NAMES.iter().zip(counts).zip(found) {
            let found: Vec<(Slug, u64)> =
                found.unwrap().iter().map(|(slug, pull)| (slug.clone(), pull.number)).collect();
            assert_eq!(found, wanted(name, count));
        }
        assert_eq!(sizes(&server), expected);
    }
}

#[tokio::test]
async fn nobody_pays_for_the_mistake_of_another() {
    let server = server().await;
    let junction = junction(&server);
    let entered = [junction.enter("a"), junction.enter("b")];
    let (good, bad) = (junction.lane("a"), junction.lane("b"));
    let (right, wrong) = (wanted("o/a", 3), wanted("gone/r", 2));
    let (found, lost) = tokio::join!(good.pull_requests(&right), bad.pull_requests(&wrong));
    assert_eq!(found.unwrap().len(), 3);
    assert!(lost.unwrap_err().to_string().contains("gone/r"));
    assert_eq!(server.seen().len(), 3, "together, then each alone");
    drop(entered);
}

#[tokio::test]
async fn nobody_waits_for_those_who_halt_or_for_long() {
    let server = server().await;
    let patient = junction(&server).lingering(Duration::from_secs(600));
    let (lane, wanted) = (patient.lane("a"), wanted("o/a", 2));
    // Alone under way: at once.
    let own = patient.enter("a");
    assert_eq!(lane.pull_requests(&wanted).await.unwrap().len(), 2);
    // Another one halts without reading anything.
    let other = patient.enter("b");
    let (found, ()) = tokio::join!(lane.pull_requests(&wanted), async { drop(other) });
    assert_eq!(found.unwrap().len(), 2);
    // Another one never reads.
    let hasty = patient.clone().lingering(Duration::from_millis(1));
    let busy = patient.enter("c");
    assert_eq!(hasty.lane("a").pull_requests(&wanted).await.unwrap().len(), 2);
    assert_eq!(sizes(&server), [2, 2, 2]);
    drop((own, busy));
}
