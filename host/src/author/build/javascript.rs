//! JavaScript: componentize-qjs puts QuickJS and the project's modules into one component.
//!
//! Of the two engines that the Bytecode Alliance's `jco` builds with, this is the small one. The same plugin is 1.7 MB and
//! built in 4 s; with SpiderMonkey (`componentize-js`) it is 14 MB and takes 17 s, for the sake of interfaces of browsers
//! that have nothing behind them here.

use std::path::Path;
use std::process::Command;

use crate::author::project::Project;
use crate::author::tool::{Tool, Tools};
use crate::author::{AuthorError, binding, read};

const COMPONENTIZE: Tool = Tool {
    program: "componentize-qjs",
    language: "JavaScript",
    how: &[
        "in the project: npm install --save-dev componentize-qjs@0.4.5",
        "or anywhere on PATH: npm install --global componentize-qjs@0.4.5",
    ],
};

const NODE: Tool = Tool {
    program: "node",
    language: "JavaScript",
    how: &["install Node.js 20 or newer: https://nodejs.org"],
};

/// The program in a project's packages: it is a script, which Node runs on every system.
const SCRIPT: &str = "node_modules/componentize-qjs/bin/componentize-qjs";

pub(super) fn compile(project: &Project, tools: &Tools) -> Result<Vec<u8>, AuthorError> {
    let build = project.folder().join("build");
    std::fs::create_dir_all(&build).map_err(|error| AuthorError::file(&build, &error))?;
    let (tool, mut command) = program(project.folder());
    command.current_dir(project.folder());
    command.args(["--wit", "wit", "--world", binding::WORLD, "--js", "src/plugin.js", "--module-root", "."]);
    // A component of the synchronous interfaces, not of the asynchronous ones that are not settled yet.
    command.args(["--sync", "--output", "build/core.wasm"]);
    tool.run(&mut command, tools)?;
    read(&build.join("core.wasm"))
}

fn program(folder: &Path) -> (Tool, Command) {
    if !folder.join(SCRIPT).is_file() {
        return (COMPONENTIZE, Command::new(COMPONENTIZE.program));
    }
    let mut command = Command::new(NODE.program);
    command.arg(SCRIPT);
    (NODE, command)
}
