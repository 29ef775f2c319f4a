//! Python: componentize-py puts CPython, the standard library and the project's modules into one component.
//!
//! It imports what a module imports when it is loaded, takes a picture of the interpreter's memory, and leaves no files.

use std::path::PathBuf;
use std::process::Command;

use crate::author::project::Project;
use crate::author::tool::{Tool, Tools};
use crate::author::{AuthorError, binding, read};

const COMPONENTIZE: Tool = Tool {
    program: "componentize-py",
    language: "Python",
    how: &[
        "in the project: python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1",
        "or anywhere on PATH: pipx install componentize-py==0.25.1",
    ],
};

pub(super) fn compile(project: &Project, tools: &Tools) -> Result<Vec<u8>, AuthorError> {
    let build = project.folder().join("build");
    std::fs::create_dir_all(&build).map_err(|error| AuthorError::file(&build, &error))?;
    let environment = project.folder().join(".venv");
    let own = [environment.join("bin/componentize-py"), environment.join("Scripts/componentize-py.exe")];
    let own = own.into_iter().find(|path| path.is_file()).and_then(|path| std::path::absolute(path).ok());
    let mut command = Command::new(own.unwrap_or_else(|| PathBuf::from(COMPONENTIZE.program)));
    command.current_dir(project.folder());
    if environment.is_dir() {
        // Where it looks for packages that come along.
        command.env("VIRTUAL_ENV", std::path::absolute(&environment).unwrap_or(environment));
    }
    command.args(["--quiet", "--wit-path", "wit", "--world", binding::WORLD]);
    command.args(["componentize", "--python-path", "src", "--output", "build/core.wasm", "plugin"]);
    COMPONENTIZE.run(&mut command, tools)?;
    read(&build.join("core.wasm"))
}
