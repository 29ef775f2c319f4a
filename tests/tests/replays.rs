//! Historical changes, done again by the built plugins: `CASTOFF_REPLAYS=DIR cargo test -p castoff-tests replays --
//! --nocapture` runs every case below `DIR`.

#![allow(clippy::print_stdout)]

use std::path::PathBuf;

use castoff_tests::replay::report::{self, Verdict};

/// Names the folder of the cases.
const VARIABLE: &str = "CASTOFF_REPLAYS";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replays() {
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/replays");
    let strict = named.is_some();
    let folder = named.unwrap_or(beside);
    if !folder.is_dir() {
        assert!(!strict, "{VARIABLE} names {}, which is no folder", folder.display());
        println!("replays skipped: {VARIABLE} is not set, and there is no {}", folder.display());
        return;
    }
    let lines = report::all(&folder, |line| println!("{line}")).await;
    let count = |wanted: fn(&Verdict) -> bool| lines.iter().filter(|line| wanted(&line.verdict)).count();
    let passed = count(|verdict| *verdict == Verdict::Pass);
    let not_yet = count(|verdict| matches!(verdict, Verdict::NotYet(_)));
    let failed = count(|verdict| matches!(verdict, Verdict::Fail(_))) + if strict { not_yet } else { 0 };
    println!("{passed} passed, {failed} failed");
    assert!(!strict || !lines.is_empty(), "there is no case below {}", folder.display());
    assert_eq!(failed, 0, "{failed} of {} cases failed", lines.len());
}
