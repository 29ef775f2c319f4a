//! Plugins in every language, from an empty folder to a release: `plugin new`, `build`, `check`, `test`, by the real binary; and
//! what is said of files that are no plugin.

#![allow(clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use castoff::embedded;
use serde_json::Value;

use super::Place;

/// Scenarios with the digest of the world that the first language left; all others have to leave the same.
static WORLDS: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// A project in the build directory: what compilers keep beside it serves the next run of the tests.
struct Workshop {
    folder: PathBuf,
    lang: &'static str,
}

impl Workshop {
    fn open(lang: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("author").join(lang);
        // It may not be there.
        let _ = std::fs::remove_dir_all(folder.join("bump"));
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        Self { folder, lang }
    }

    /// Runs castoff in the environment of this machine: compilers have their own ideas of where things are.
    fn castoff(&self, folder: &Path, args: &[&str]) -> Output {
        // Beside what the host's own plugins were built with: most of it is the same.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("plugins");
        Command::new(env!("CARGO_BIN_EXE_castoff"))
            .args(args)
            .current_dir(folder)
            .env("CASTOFF_STATE", self.folder.join("state"))
            .env("CARGO_TARGET_DIR", target)
            .output()
            .expect("the binary can be started")
    }

    /// From nothing to a release that went as its scenarios expect.
    fn through(&self, flags: &[&str]) {
        let lang = self.lang;
        done(&self.castoff(&self.folder, &["plugin", "new", "bump", "--lang", lang]));
        let project = self.folder.join("bump");
        let built = self.castoff(&project, &[&["plugin", "build"], flags].concat());
        if let Some(why) = unbuildable(&built) {
            eprintln!("skipped: a plugin in {lang} cannot be built here: {why}");
            return;
        }
        done(&built);
        let checked = done(&self.castoff(&project, &["plugin", "check"]));
        assert!(
            checked.lines().count() >= 4 && checked.lines().all(|line| line.starts_with('✓')),
            "{checked}"
        );
        let tested = done(&self.castoff(&project, &["plugin", "test", "--json"]));
        let worlds: Vec<(String, String)> = tested.lines().map(world).collect();
        assert!(worlds.len() >= 2, "{tested}");
        let mut known = WORLDS.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            *known = worlds;
        } else {
            assert_eq!(worlds, *known, "the same process in {lang} leaves another world");
        }
        drop(known);
        let same = done(&self.castoff(&project, &["plugin", "diff", "build/bump.wasm", "build/bump.wasm"]));
        assert!(same.contains("It asks for the same powers."), "{same}");
    }
}

/// Standard output of a command that did what it should.
fn done(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}

/// Why this machine cannot build it, when that is for lack of a compiler or of a network.
fn unbuildable(built: &Output) -> Option<String> {
    let said = String::from_utf8_lossy(&built.stderr);
    let lacks = [
        "is needed to build a plugin written in",
        "proxy.golang.org",
        "no matching package",
        "failed to download",
    ];
    (!built.status.success())
        .then(|| said.lines().find(|line| lacks.iter().any(|lack| line.contains(lack))).map(str::to_owned))?
}

fn world(line: &str) -> (String, String) {
    let said: Value = serde_json::from_str(line).expect("a line of JSON");
    assert_eq!(said["passed"], true, "{line}");
    let text = |key: &str| said[key].as_str().expect("a text").to_owned();
    (text("scenario"), text("world"))
}

#[test]
fn a_plugin_in_c() {
    Workshop::open("c").through(&[]);
}

#[test]
fn a_plugin_in_go() {
    Workshop::open("go").through(&[]);
}

#[test]
fn a_plugin_in_rust() {
    Workshop::open("rust").through(&["--offline"]);
}

#[test]
fn a_missing_compiler_is_named_with_the_way_to_get_it() {
    let place = Place::new();
    for (lang, program, way) in [
        ("rust", "cargo", "https://rustup.rs"),
        ("go", "go is needed", "https://go.dev/dl"),
        ("c", "clang is needed", "apt-get install clang lld wasi-libc libclang-rt-dev-wasm32"),
    ] {
        place.castoff(&["plugin", "new", lang, "--lang", lang]);
        let mut command = place.command(&["plugin", "build", lang]);
        let shown = place.shown(command.env("PATH", "/nowhere"));
        assert!(shown.starts_with("exit 2") && shown.contains(program) && shown.contains(way), "{shown}");
    }
}

#[test]
fn files_that_are_no_plugin() {
    let place = Place::new();
    let plugin = embedded::plugin("peer-pods").expect("an official plugin");
    let instead = |from: &str, to: &str| -> Vec<u8> {
        assert_eq!(from.len(), to.len());
        let mut bytes = plugin.to_vec();
        while let Some(at) = bytes.windows(from.len()).position(|window| window == from.as_bytes()) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
        bytes
    };
    let table: [(&str, Vec<u8>, &str); 7] = [
        ("an empty file", Vec::new(), "this is not WebAssembly"),
        ("a core module", b"\0asm\x01\0\0\0".to_vec(), "`castoff plugin build` makes one of it"),
        ("a truncated file", plugin[..plugin.len() / 2].to_vec(), "the component is truncated or damaged"),
        ("an empty component", b"\0asm\x0d\0\x01\0".to_vec(), "it exports nothing"),
        (
            "another world",
            instead("castoff:process/processes@", "somebody:else/processesxx@"),
            "it does not export castoff:process/processes@0.1.x; it exports somebody:else/processesxx@0.1.0",
        ),
        (
            "a newer track",
            instead("castoff:process/processes@0.1.0", "castoff:process/processes@0.2.0"),
            "built for castoff:process@0.2.0, this castoff speaks castoff:process@0.1.x: a newer castoff is needed",
        ),
        (
            "a newer import",
            instead("castoff:git/repositories@0.1.0", "castoff:git/repositories@0.3.0"),
            "needs castoff:git/repositories@0.3.0, which this host does not offer; it was built for another version of castoff",
        ),
    ];
    for (what, bytes, sentence) in table {
        std::fs::write(place.home.path().join("plugin.wasm"), bytes).expect("a file can be written");
        for command in ["inspect", "check"] {
            let shown = place.castoff(&["plugin", command, "plugin.wasm"]);
            assert!(shown.starts_with("exit 2") && shown.contains(sentence), "{what}: {shown}");
        }
    }
}

#[test]
fn projects_that_are_none() {
    let place = Place::new();
    let said = |args: &[&str], sentence: &str| {
        let shown = place.castoff(args);
        assert!(shown.starts_with("exit 2") && shown.contains(sentence), "{shown}");
    };
    said(&["plugin", "new", "Bump", "--lang", "c"], "\"Bump\" is no name for a plugin");
    said(&["plugin", "build"], "there is no castoff-plugin.toml");
    place.castoff(&["plugin", "new", "bump", "--lang", "c"]);
    said(&["plugin", "new", "bump", "--lang", "c"], "bump is there already, and not empty");
    said(&["plugin", "check", "bump"], "castoff plugin build bump");
    place.write("bump/castoff-plugin.toml", "version = 1\nname = \"bump\"\nlang = \"cobol\"\n");
    said(&["plugin", "build", "bump"], "unknown variant `cobol`");
    place.write("bump/castoff-plugin.toml", "version = 1\nname = \"bump\"\nlang = \"c\"\n");
    place.write("bump/manifest.toml", "version = 1\nname = \"bump\"\nplugin-version = \"1\"\n[[ask]]\npower = \"git.eat x\"\nreason = \"\"\n");
    said(&["plugin", "build", "bump"], "manifest.toml: the manifest is wrong");
}
