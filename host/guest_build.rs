//! Builds packages of this workspace to components with a nested cargo. Shared by the build scripts of the host and of
//! the system tests (`#[path]`), which cannot depend on a crate of their own for it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

/// Builds the packages and returns the path of each component, in the same order.
pub(crate) fn components(workspace: &Path, out_dir: &Path, packages: &[&str]) -> Vec<PathBuf> {
    ensure_target(workspace);
    let target_dir = guest_target_dir(out_dir);
    let mut command = cargo(workspace);
    command.args(["build", "--profile", "plugin", "--target", TARGET, "--target-dir"]).arg(&target_dir);
    for package in packages {
        command.args(["--package", package]);
    }
    let status = command.status().expect("cargo can be started");
    assert!(status.success(), "the components do not build (see above)");
    let built = target_dir.join(TARGET).join("plugin");
    let path = |package: &&str| built.join(format!("{}.wasm", package.replace('-', "_")));
    packages
        .iter()
        .map(path)
        .inspect(|path| assert!(path.is_file(), "there is no {}", path.display()))
        .collect()
}

/// A target directory of its own beside the outer one: the outer cargo holds the lock of its own, and debug and
/// release builds of the host share what is built here.
fn guest_target_dir(out_dir: &Path) -> PathBuf {
    // OUT_DIR is <target>/<profile>/build/<package>/out.
    out_dir.ancestors().nth(4).unwrap_or(out_dir).join("plugins")
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
    let mut command = Command::new(env::var("CARGO").expect("cargo sets CARGO"));
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
