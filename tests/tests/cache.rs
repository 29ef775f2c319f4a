//! The cache of compiled components: used when it is whole, never trusted when it is not.

use std::path::{Path, PathBuf};

use castoff::engine::{Engine, EngineConfig, Limits};
use castoff_tests::theatre::EXERCISER;

fn engine(cache: &Path) -> Engine {
    Engine::new(EngineConfig { cache: Some(cache.to_owned()), limits: Limits::default() }).expect("an engine")
}

fn compiled(cache: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(cache).expect("the cache is there").map(|entry| entry.expect("a file").path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_file_is_compiled_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(folder.path());
    engine.load(EXERCISER).expect("it loads");
    let files = compiled(folder.path());
    let [file] = files.as_slice() else { panic!("one compiled component, found {files:?}") };
    let whole = std::fs::read(file).expect("it can be read");
    // The keyed hash, the beginning, the middle and the end; and files that are cut or empty.
    let mut damaged: Vec<Vec<u8>> = [0, 31, 32, whole.len() / 2, whole.len() - 1]
        .map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        })
        .to_vec();
    damaged.push(whole[..whole.len() / 2].to_vec());
    damaged.push(Vec::new());
    for bytes in damaged {
        std::fs::write(file, &bytes).expect("it can be written");
        let plugin = engine.load(EXERCISER).expect("it loads all the same");
        assert_eq!(plugin.describe().await.expect("it answers").name, "exerciser");
        let again = std::fs::read(file).expect("it was written again");
        assert_ne!(again, bytes, "the damaged file was replaced");
    }
}

#[test]
fn another_component_under_a_known_name_is_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(folder.path());
    engine.load(EXERCISER).expect("it loads");
    let other = castoff::embedded::plugin("csi-sidecar").expect("it is embedded");
    engine.load(other).expect("it loads");
    let files = compiled(folder.path());
    let [one, two] = files.as_slice() else { panic!("two compiled components, found {files:?}") };
    std::fs::copy(one, two).expect("a copy");
    assert_eq!(engine.load(other).expect("it loads").manifest().name, "csi-sidecar");
    assert_eq!(engine.load(EXERCISER).expect("it loads").manifest().name, "exerciser");
}

#[test]
fn what_is_no_plugin_is_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(folder.path());
    let truncated = &EXERCISER[..EXERCISER.len() / 2];
    let module = b"\0asm\x01\0\0\0";
    for (bytes, words) in [
        (&b"#!/bin/sh\n"[..], "not WebAssembly"),
        (&module[..], "core module"),
        (truncated, "truncated"),
        (&b""[..], "not WebAssembly"),
    ] {
        let error = engine.load(bytes).err().expect("it is refused").to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}
