//! Builds the guests of the system tests to components.
#![expect(clippy::disallowed_methods, reason = "cargo tells a build script everything by its environment")]

use std::env;
use std::path::PathBuf;

#[path = "../host/guest_build.rs"]
mod guest_build;

fn main() {
    let manifest_dir = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let out_dir = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let workspace = manifest_dir.parent().unwrap_or(&manifest_dir);
    for watched in ["tests/guests", "plugins/sdk", "wit", "tests/build.rs", "host/guest_build.rs"] {
        println!("cargo::rerun-if-changed={}", workspace.join(watched).display());
    }
    let guests =
        [("castoff-guest-exerciser", "exerciser.wasm"), ("castoff-guest-track-0-1", "track-0.1.wasm")];
    let built = guest_build::components(workspace, &out_dir, &guests.map(|(package, _)| package));
    for (file, (_, name)) in built.iter().zip(guests) {
        std::fs::copy(file, out_dir.join(name)).expect("a built guest can be copied to OUT_DIR");
    }
}
