//! The bodies of the fuzz targets on bytes from nowhere and on changed seeds, a little of it every time.

use castoff_tests::fuzz::{TARGETS, Target};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// A change of a text: where, how much goes, and what comes.
type Edit = (prop::sample::Index, usize, Vec<u8>);

fn edited(seed: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for (at, gone, come) in edits {
        let at = at.index(bytes.len() + 1);
        let end = (at + gone).min(bytes.len());
        bytes.splice(at..end, come.iter().copied());
    }
    bytes
}

/// Pieces that mean something to one of the readers.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "*", "**", "***", "...", "/", "//", "..", "%2e", "%2f", "@", ":", "-", "\"", "\\", "\n", "\u{1}",
        "\u{1b}", "\u{202e}", "[", "]", "=", ".lock", "é", "\u{0}", "refs/", "https://", "http:", "#", "?",
        "secret:", "scratch:", "1e999", "'''",
    ]);
    prop_oneof![words.prop_map(|word| word.as_bytes().to_vec()), prop::collection::vec(any::<u8>(), 0..6),]
}

fn run(target: &Target, cases: u32) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let seeds: Vec<&[u8]> = target.seeds.iter().map(|seed| seed.as_bytes()).collect();
    seeds.iter().for_each(|seed| (target.body)(seed));
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..8_usize, piece()), 0..4);
    let bytes = prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..200),
        4 => (prop::sample::select(seeds), edits).prop_map(|(seed, edits)| edited(seed, &edits)),
    ];
    let ran = TestRunner::new(config).run(&bytes, |bytes| {
        (target.body)(&bytes);
        Ok(())
    });
    if let Err(why) = ran {
        panic!("{}: {why}", target.name);
    }
}

#[test]
fn no_bytes_break_a_rule() {
    for target in TARGETS {
        // Those that write files or speak over a socket take longer.
        let cases = if matches!(target.name, "journal" | "redirect") { 150 } else { 1500 };
        run(target, cases);
    }
}
