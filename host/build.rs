//! Builds the official plugins to components and lays them where `src/embedded.rs` includes them, so that one
//! `cargo run` is the whole set-up.
#![expect(clippy::disallowed_methods, reason = "cargo tells a build script everything by its environment")]

use std::env;
use std::path::{Path, PathBuf};

#[path = "guest_build.rs"]
mod guest_build;

/// Package of each official plugin and the name it is embedded under.
const PLUGINS: &[(&str, &str)] = &[
    ("castoff-csi-sidecar", "csi-sidecar"),
    ("castoff-kubernetes-patch", "kubernetes-patch"),
    ("castoff-peer-pods", "peer-pods"),
    ("castoff-k3s", "k3s"),
];

fn main() {
    let manifest_dir = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let out_dir = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let workspace = manifest_dir.parent().unwrap_or(&manifest_dir);
    for watched in ["plugins", "wit", "Cargo.toml", "Cargo.lock", "host/build.rs", "host/guest_build.rs"] {
        println!("cargo::rerun-if-changed={}", workspace.join(watched).display());
    }
    let packages: Vec<&str> = PLUGINS.iter().map(|(package, _)| *package).collect();
    let built = guest_build::components(workspace, &out_dir, &packages);
    let mut list = String::from("&[\n");
    for ((_, name), file) in PLUGINS.iter().zip(built) {
        let copy = out_dir.join(format!("{name}.wasm"));
        std::fs::copy(&file, &copy).expect("a built plugin can be copied to OUT_DIR");
        list += &format!("    ({name:?}, include_bytes!({:?}) as &[u8]),\n", copy.display().to_string());
    }
    list.push(']');
    std::fs::write(out_dir.join("embedded.rs"), list).expect("OUT_DIR can be written");
    carry_sources(workspace, &out_dir);
}

/// Lays the list of files that new plugin projects are made of where `src/author/source.rs` includes it.
fn carry_sources(workspace: &Path, out_dir: &Path) {
    let mut files = vec![workspace.join("Cargo.toml"), workspace.join("Cargo.lock")];
    for folder in ["wit", "plugins/templates"] {
        files.extend(files_below(&workspace.join(folder)));
    }
    // The SDK, and what it is built with.
    let plugins = std::fs::read_dir(workspace.join("plugins")).expect("plugins/ can be listed").flatten();
    for entry in plugins.filter(|entry| entry.file_name().to_string_lossy().starts_with("sdk")) {
        files.extend(files_below(&entry.path()));
    }
    files.sort();
    let mut list = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(workspace).unwrap_or(file).display().to_string().replace('\\', "/");
        list += &format!("    ({name:?}, include_bytes!({:?}) as &[u8]),\n", file.display().to_string());
    }
    list.push(']');
    std::fs::write(out_dir.join("author.rs"), list).expect("OUT_DIR can be written");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of the tree can be listed").flatten();
    let paths = entries.map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
