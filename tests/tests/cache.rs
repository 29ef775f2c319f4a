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
    // An engine remembers what it has loaded: every look at the folder is that of a new one.
    let load = || engine(folder.path()).load(EXERCISER).expect("it loads all the same");
    load();
    let files = compiled(folder.path());
    let [file] = files.as_slice() else { panic!("one compiled component, found {files:?}") };
    let whole = std::fs::read(file).expect("it can be read");
    // The beginning, the middle and the end; and files that are cut or empty.
    let mut damaged: Vec<Vec<u8>> = [0, whole.len() / 2, whole.len() - 1]
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
        let plugin = load();
        assert_eq!(plugin.describe().await.expect("it answers").name, "exerciser");
        let again = std::fs::read(file).expect("it was written again");
        assert_ne!(again, bytes, "the damaged file was replaced");
    }
    // Without its seal, or with that of nobody knows whom, machine code is nothing.
    let seal = file.with_extension("seal");
    for bytes in [Some(&b"signed, a friend"[..]), None] {
        match bytes {
            Some(bytes) => std::fs::write(&seal, bytes).expect("it can be written"),
            None => std::fs::remove_file(&seal).expect("it can be removed"),
        }
        assert_eq!(load().describe().await.expect("it answers").name, "exerciser");
        assert!(std::fs::metadata(&seal).expect("there is a seal again").len() > 100);
    }
}

#[test]
fn another_component_under_a_known_name_is_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let load = |bytes: &[u8]| engine(folder.path()).load(bytes).expect("it loads");
    load(EXERCISER);
    let other = castoff::embedded::plugin("csi-sidecar").expect("it is embedded");
    load(other);
    let files = compiled(folder.path());
    let [one, two] = files.as_slice() else { panic!("two compiled components, found {files:?}") };
    std::fs::copy(one, two).expect("a copy");
    assert_eq!(load(other).manifest().name, "csi-sidecar");
    assert_eq!(load(EXERCISER).manifest().name, "exerciser");
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read_is_no_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    engine(folder.path()).load(EXERCISER).expect("it loads");
    let entries = std::fs::read_dir(folder.path()).expect("the cache is there");
    let mut paths = entries.map(|entry| entry.expect("a file").path());
    let key = paths.find(|path| path.extension().is_none()).expect("a key");
    let (known, files) = (std::fs::read(&key).expect("it can be read"), compiled(folder.path()));
    let [file] = files.as_slice() else { panic!("one compiled component, found {files:?}") };
    let seal = file.with_extension("seal");
    let before = std::fs::read(&seal).expect("it can be read");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
    engine(folder.path()).load(EXERCISER).expect("it loads");
    assert_ne!(std::fs::read(&key).expect("it can be read"), known, "there is a new key");
    assert_ne!(std::fs::read(&seal).expect("it can be read"), before, "compiled and sealed anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_remembers_bytes_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(folder.path());
    let first = engine.load(EXERCISER).expect("it loads");
    for file in compiled(folder.path()) {
        std::fs::remove_file(file).expect("it is ours");
    }
    let again = engine.load(EXERCISER).expect("it loads");
    assert_eq!(again.digest(), first.digest());
    assert_eq!(again.describe().await.expect("it answers").name, "exerciser");
    assert!(compiled(folder.path()).is_empty(), "known bytes are not compiled again");
    // One byte more, in a custom section that says nothing: another component, whatever its length and beginning.
    let mut other = EXERCISER.to_vec();
    other.extend_from_slice(&[0, 3, 1, b'x', 7]);
    let other_plugin = engine.load(&other).expect("it loads");
    assert_ne!(other_plugin.digest(), first.digest());
    *other.last_mut().expect("it is not empty") = 8;
    assert_ne!(engine.load(&other).expect("it loads").digest(), other_plugin.digest());
    assert_eq!(compiled(folder.path()).len(), 2);
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
