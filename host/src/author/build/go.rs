//! Go as it comes: a core module, which the host makes a component of.

use std::process::Command;

use crate::author::project::Project;
use crate::author::tool::{Tool, Tools};
use crate::author::{AuthorError, read};

const GO: Tool = Tool {
    program: "go",
    language: "Go",
    how: &["install Go 1.25 or newer: https://go.dev/dl", "nothing else: the host makes the component"],
};

pub(super) fn compile(project: &Project, tools: &Tools) -> Result<Vec<u8>, AuthorError> {
    let module = project.folder().join("build").join("core.wasm");
    let mut command = Command::new(GO.program);
    command.current_dir(project.folder()).env("GOOS", "wasip1").env("GOARCH", "wasm");
    if tools.offline {
        command.env("GOPROXY", "off");
    }
    // The support of the bindings links to a function of Go's runtime that is not for everybody.
    command.args([
        "build",
        "-trimpath",
        "-buildmode=c-shared",
        "-ldflags=-s -w -checklinkname=0",
        "-o",
        "build/core.wasm",
        ".",
    ]);
    GO.run(&mut command, tools)?;
    read(&module)
}
