//! The one table of what plugins can call: every function of the WIT with its class.
//!
//! The gate, the plan, retries and the documentation all read this table; a test fails when a function of `wit/` is
//! missing here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a function relates to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Touches nothing outside the host.
    Pure,
    /// Reads the world.
    Read,
    /// Changes the world so that doing it again is the same: probed before and after.
    Ensure,
    /// Changes the world in a way no probe can see: at most once for its key.
    Once,
    /// Waits for something outside.
    Wait,
    /// Asks a person.
    Ask,
}

impl Class {
    /// Whether calls of this class change the world.
    #[must_use]
    pub fn is_effect(self) -> bool {
        matches!(self, Self::Ensure | Self::Once)
    }
}

/// A function of the WIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Interface without version, for example `castoff:git/repositories`.
    pub interface: &'static str,
    /// Name as the component model spells it, for example `[method]repository.ensure-tag`.
    pub name: &'static str,
    /// Its class.
    pub class: Class,
}

impl Function {
    /// A short name for people: `git.ensure-tag`.
    #[must_use]
    pub fn short(&self) -> String {
        let package = self.interface.split([':', '/']).nth(1).unwrap_or_default();
        let name = self.name.rsplit('.').next().unwrap_or(self.name);
        format!("{package}.{name}")
    }

    /// Whether what a call did can be taken back by hand: a branch deleted, a pull request closed, a comment edited. A
    /// published tag or release and a message that was sent cannot.
    #[must_use]
    pub fn is_reversible(&self, request: &serde_json::Value) -> bool {
        match self.short().as_str() {
            "git.ensure-refs" => names(request).all(|name| !name.starts_with("refs/tags/")),
            "github.ensure-release" => request["draft"] == true,
            "git.ensure-tag" | "github.merge-pull-request" | "http.ensure" => false,
            _ => self.class != Class::Once,
        }
    }
}

fn names(request: &serde_json::Value) -> impl Iterator<Item = &str> {
    request["refs"].as_array().into_iter().flatten().filter_map(|wanted| wanted["name"].as_str())
}

/// Requests that an effect takes when nothing goes wrong, its probe not counted: for estimates.
#[must_use]
pub fn requests(short: &str) -> u64 {
    match short {
        "files.publish" | "mail.draft" => 0,
        // Draft, publish; and looking for the tag.
        "github.ensure-release" => 3,
        // Opening and labels.
        "github.ensure-pull-request" | "github.ensure-issue" => 2,
        _ => 1,
    }
}

const fn function(interface: &'static str, name: &'static str, class: Class) -> Function {
    Function { interface, name, class }
}

const GIT: &str = "castoff:git/repositories";
const GITHUB: &str = "castoff:github/forge";
const HTTP: &str = "castoff:http/client";
const FILES: &str = "castoff:files/scratch";
const COMMAND: &str = "castoff:command/programs";
const MAIL: &str = "castoff:mail/outbox";
const LOG: &str = "castoff:log/logging";

/// Every function a plugin can import.
pub const FUNCTIONS: &[Function] = &[
    function(GIT, "open", Class::Read),
    function(GIT, "[method]repository.narrow", Class::Pure),
    function(GIT, "[method]repository.default-branch", Class::Read),
    function(GIT, "[method]repository.references", Class::Read),
    function(GIT, "[method]repository.resolve", Class::Read),
    function(GIT, "[method]repository.first-parents", Class::Read),
    function(GIT, "[method]repository.log", Class::Read),
    function(GIT, "[method]repository.merge-base", Class::Read),
    function(GIT, "[method]repository.is-ancestor", Class::Read),
    function(GIT, "[method]repository.read", Class::Read),
    function(GIT, "[method]repository.entries", Class::Read),
    function(GIT, "[method]repository.diff", Class::Read),
    function(GIT, "[method]repository.build-commit", Class::Pure),
    function(GIT, "[method]repository.rebase", Class::Pure),
    function(GIT, "[method]repository.ensure-branch", Class::Ensure),
    function(GIT, "[method]repository.ensure-tag", Class::Ensure),
    function(GIT, "[method]repository.ensure-refs", Class::Ensure),
    function(GITHUB, "viewer", Class::Read),
    function(GITHUB, "viewer-permission", Class::Read),
    function(GITHUB, "pull-requests", Class::Read),
    function(GITHUB, "find-pull-requests", Class::Read),
    function(GITHUB, "ensure-pull-request", Class::Ensure),
    function(GITHUB, "merge-pull-request", Class::Ensure),
    function(GITHUB, "ensure-comment", Class::Ensure),
    function(GITHUB, "find-issues", Class::Read),
    function(GITHUB, "ensure-issue", Class::Ensure),
    function(GITHUB, "release-of-tag", Class::Read),
    function(GITHUB, "releases", Class::Read),
    function(GITHUB, "ensure-release", Class::Ensure),
    function(GITHUB, "ensure-prerelease", Class::Ensure),
    function(GITHUB, "checks", Class::Read),
    function(GITHUB, "branch-protection", Class::Read),
    function(GITHUB, "dispatch", Class::Once),
    function(HTTP, "fetch", Class::Read),
    function(HTTP, "send", Class::Once),
    function(HTTP, "ensure", Class::Ensure),
    function(FILES, "read", Class::Read),
    function(FILES, "write", Class::Pure),
    function(FILES, "files", Class::Read),
    function(FILES, "publish", Class::Ensure),
    function(COMMAND, "run", Class::Pure),
    function(COMMAND, "fetch", Class::Read),
    function(COMMAND, "send", Class::Once),
    function(MAIL, "draft", Class::Ensure),
    function(MAIL, "send", Class::Once),
    function(LOG, "emit", Class::Pure),
    function(LOG, "progress", Class::Pure),
];

/// Looks a function up by its short name, for example `git.ensure-tag`.
#[must_use]
pub fn by_short_name(short: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.short() == short)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Interfaces that plugins import, as `(interface, function)`, read from the text of `wit/`.
    fn written() -> BTreeSet<(String, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        let mut found = BTreeSet::new();
        for package in std::fs::read_dir(folder).expect("wit/ is there") {
            let package = package.expect("an entry").path();
            for file in
                std::fs::read_dir(package).expect("a package").map(|file| file.expect("a file").path())
            {
                read(&std::fs::read_to_string(file).expect("a text"), &mut found);
            }
        }
        found
    }

    fn read(text: &str, found: &mut BTreeSet<(String, String)>) {
        let (mut package, mut interface, mut resource) = (String::new(), String::new(), None);
        for line in text.lines().map(str::trim_end) {
            let words: Vec<&str> =
                line.split([' ', ':', '{', '@', ';']).filter(|word| !word.is_empty()).collect();
            match words.as_slice() {
                ["package", owner, name, ..] => package = format!("{owner}:{name}"),
                ["interface", name, ..] => interface = format!("{package}/{name}"),
                ["resource", name, ..] => resource = Some((*name).to_owned()),
                [name, rest, ..] if rest.starts_with("func") => {
                    let function = match &resource {
                        Some(resource) => format!("[method]{resource}.{name}"),
                        None => (*name).to_owned(),
                    };
                    found.insert((interface.clone(), function));
                }
                _ if line == "    }" => resource = None,
                _ => {}
            }
        }
    }

    #[test]
    fn every_imported_function_has_a_class() {
        let exported = "castoff:process/processes";
        let written: BTreeSet<_> =
            written().into_iter().filter(|(interface, _)| interface != exported).collect();
        let listed: BTreeSet<_> = FUNCTIONS
            .iter()
            .map(|function| (function.interface.to_owned(), function.name.to_owned()))
            .collect();
        assert_eq!(written, listed);
        assert!(written.len() > 30, "the reader of wit/ found {}", written.len());
    }

    #[test]
    fn short_names_are_unique() {
        let short: BTreeSet<_> = FUNCTIONS.iter().map(Function::short).collect();
        assert_eq!(short.len(), FUNCTIONS.len());
        assert!(FUNCTIONS.iter().all(|function| by_short_name(&function.short()) == Some(function)));
    }
}
