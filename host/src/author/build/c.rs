//! C: clang and wasi-libc make a core module that says which world it is for; the host makes a component of it.

use std::path::PathBuf;
use std::process::Command;

use crate::author::project::Project;
use crate::author::tool::{Tool, Tools};
use crate::author::{AuthorError, read};

const CLANG: Tool = Tool {
    program: "clang",
    language: "C",
    how: &[
        "Debian, Ubuntu: apt-get install clang lld wasi-libc libclang-rt-dev-wasm32",
        "anywhere: https://github.com/WebAssembly/wasi-sdk/releases, and WASI_SDK_PATH=its folder",
    ],
};

const TARGET: &str = "wasm32-wasi";

pub(super) fn compile(project: &Project, tools: &Tools) -> Result<Vec<u8>, AuthorError> {
    let clang = match &tools.wasi_sdk {
        Some(folder) => folder.join("bin").join("clang"),
        None => PathBuf::from(CLANG.program),
    };
    find_parts(&clang, tools)?;
    let sources = sources(project)?;
    let build = project.folder().join("build");
    std::fs::create_dir_all(&build).map_err(|error| AuthorError::file(&build, &error))?;
    let mut command = Command::new(clang);
    command.current_dir(project.folder());
    command.args([
        &format!("--target={TARGET}"),
        "-mexec-model=reactor",
        "-std=c11",
        "-Os",
        "-Wall",
        "-Wextra",
    ]);
    command.args(["-o", "build/core.wasm"]).args(sources);
    command.args(["bindings/plugin.c", "bindings/plugin_component_type.o"]);
    CLANG.run(&mut command, tools)?;
    read(&build.join("core.wasm"))
}

/// The C files of `src/`, sorted, relative to the project.
fn sources(project: &Project) -> Result<Vec<PathBuf>, AuthorError> {
    let folder = project.folder().join("src");
    let entries = std::fs::read_dir(&folder).map_err(|error| AuthorError::file(&folder, &error))?;
    let names = entries.flatten().map(|entry| PathBuf::from("src").join(entry.file_name()));
    let mut sources: Vec<PathBuf> =
        names.filter(|path| path.extension().is_some_and(|extension| extension == "c")).collect();
    sources.sort();
    Ok(sources)
}

/// Looks for the parts that distributions package apart: without them clang says something about a missing `stdint.h`.
fn find_parts(clang: &PathBuf, tools: &Tools) -> Result<(), AuthorError> {
    let ask = |argument: &str| Tool::ask(Command::new(clang).args([&format!("--target={TARGET}"), argument]));
    let Some(runtime) = ask("-print-libgcc-file-name") else { return Err(CLANG.missing("clang")) };
    // The WASI SDK has all its parts.
    if tools.wasi_sdk.is_some() {
        return Ok(());
    }
    if !PathBuf::from(runtime).is_file() {
        return Err(CLANG.missing("clang's runtime for WebAssembly (libclang-rt-dev-wasm32)"));
    }
    let found = |name: &str| {
        ask(&format!("-print-file-name={name}")).is_some_and(|path| PathBuf::from(path).is_file())
    };
    if !found("libc.a") && !found("wasm32-wasi/libc.a") {
        return Err(CLANG.missing("wasi-libc"));
    }
    let linker = ask("-print-prog-name=wasm-ld").map(PathBuf::from);
    if !linker.is_some_and(|path| path.is_absolute()) {
        return Err(CLANG.missing("wasm-ld (lld)"));
    }
    Ok(())
}
