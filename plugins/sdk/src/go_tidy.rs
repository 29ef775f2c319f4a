//! The real `go mod tidy`, where the operator grants it: always with the same settings, and held to what was computed before.

use std::collections::BTreeSet;

use crate::command::Program;

/// Settings that decide what `go mod tidy` writes, each of them a power of its own (`command.env go NAME=value`): the host
/// passes no others on, and nothing of the operator's own environment.
pub const SETTINGS: [(&str, &str); 6] = [
    ("GOENV", "off"),
    ("GOFLAGS", "-mod=mod"),
    ("GOPROXY", "https://proxy.golang.org"),
    ("GOSUMDB", "sum.golang.org"),
    ("GOTOOLCHAIN", "local"),
    ("GOWORK", "off"),
];

/// `go mod tidy` in a folder of the scratch directory; its caches stay in the scratch directory, beside it.
#[must_use]
pub fn program(folder: &str) -> Program {
    let plain = Program::new("go").arguments(["mod", "tidy"]).within(folder);
    let set = SETTINGS.iter().fold(plain, |program, (name, value)| program.text(name, value));
    set.scratch("GOCACHE", "cache").scratch("GOPATH", "path")
}

/// A line that was computed and that `go` did not keep: `before`, what was computed from it, and what `go` made of that.
#[must_use]
pub fn lost<'a>(before: &str, computed: &'a str, made: &str) -> Option<&'a str> {
    let old: BTreeSet<&str> = before.lines().collect();
    let kept: BTreeSet<&str> = made.lines().collect();
    computed.lines().find(|line| !line.trim().is_empty() && !old.contains(line) && !kept.contains(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_computed_has_to_survive() {
        let (before, ours) = ("module m\nrequire a v1\n", "module m\nrequire a v2\n");
        assert_eq!(lost(before, ours, "module m\nrequire a v2\nrequire b v1\n"), None);
        assert_eq!(lost(before, ours, "module m\nrequire a v3\n"), Some("require a v2"));
        assert_eq!(lost(before, ours, "require a v2\n"), None, "lines that were there before may go");
    }

    #[test]
    fn every_setting_is_given() {
        let program = program("modules/src/a");
        let command = program.command();
        assert_eq!(
            (command.arguments.join(" ").as_str(), command.directory.as_str()),
            ("mod tidy", "modules/src/a")
        );
        assert_eq!(command.variables.len(), SETTINGS.len() + 2);
    }
}
