//! Builds the official plugins to components and lays them where `src/embedded.rs` includes them, so that one
//! `cargo run` is the whole set-up.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

/// Package of each official plugin and the name it is embedded under.
const PLUGINS: &[(&str, &str)] = &[("castoff-csi-sidecar", "csi-sidecar")];

fn main() {
    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let out_dir = PathBuf::from(variable("OUT_DIR"));
    let workspace = manifest_dir.parent().unwrap_or(&manifest_dir).to_owned();
    for watched in ["plugins", "wit", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(watched).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    ensure_target(&workspace);
    let target_dir = guest_target_dir(&out_dir);
    build(&workspace, &target_dir);
    let built = target_dir.join(TARGET).join("plugin");
    let mut list = String::from("&[\n");
    for (package, name) in PLUGINS {
        let file = built.join(format!("{}.wasm", package.replace('-', "_")));
        assert!(file.is_file(), "cargo built {package}, but there is no {}", file.display());
        let copy = out_dir.join(format!("{name}.wasm"));
        std::fs::copy(&file, &copy).expect("a built plugin can be copied to OUT_DIR");
        list += &format!("    ({name:?}, include_bytes!({:?}) as &[u8]),\n", copy.display().to_string());
    }
    list.push(']');
    std::fs::write(out_dir.join("embedded.rs"), list).expect("OUT_DIR can be written");
}

/// A target directory of its own beside the outer one: the outer cargo holds the lock of its own, and debug and
/// release builds of the host share what is built here.
fn guest_target_dir(out_dir: &Path) -> PathBuf {
    // OUT_DIR is <target>/<profile>/build/<package>/out.
    out_dir.ancestors().nth(4).unwrap_or(out_dir).join("plugins")
}

fn build(workspace: &Path, target_dir: &Path) {
    let mut command = cargo(workspace);
    command.args(["build", "--profile", "plugin", "--target", TARGET, "--target-dir"]).arg(target_dir);
    for (package, _) in PLUGINS {
        command.args(["--package", package]);
    }
    let status = command.status().expect("cargo can be started");
    assert!(status.success(), "the official plugins do not build (see above)");
}

/// Adds the target where it is missing: rustup's automatic installs may be off.
fn ensure_target(workspace: &Path) {
    if has_target(workspace) {
        return;
    }
    let toolchain = env::var("RUSTUP_TOOLCHAIN").unwrap_or_default();
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]).current_dir(workspace);
    let mut typed = format!("rustup target add {TARGET}");
    if !toolchain.is_empty() {
        rustup.args(["--toolchain", &toolchain]);
        typed += &format!(" --toolchain {toolchain}");
    }
    println!("cargo::warning=the Rust target {TARGET} is missing: running `{typed}`");
    let added = rustup.status().is_ok_and(|status| status.success());
    assert!(added && has_target(workspace), "the Rust target {TARGET} could not be added; type: {typed}");
}

fn has_target(workspace: &Path) -> bool {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let printed = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(workspace)
        .output();
    printed.is_ok_and(|printed| {
        printed.status.success() && Path::new(String::from_utf8_lossy(&printed.stdout).trim()).is_dir()
    })
}

/// Cargo for guests: nothing of the outer build's settings may leak into it.
fn cargo(workspace: &Path) -> Command {
    let mut command = Command::new(variable("CARGO"));
    command.current_dir(workspace);
    for (name, _) in env::vars() {
        let outer =
            name.starts_with("CARGO_") && !matches!(name.as_str(), "CARGO_HOME" | "CARGO_NET_OFFLINE");
        let flags = matches!(
            name.as_str(),
            "RUSTFLAGS" | "RUSTDOCFLAGS" | "RUSTC_WRAPPER" | "RUSTC_WORKSPACE_WRAPPER"
        );
        if outer || flags || matches!(name.as_str(), "TARGET" | "HOST" | "OUT_DIR" | "PROFILE" | "OPT_LEVEL")
        {
            command.env_remove(name);
        }
    }
    command
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
