//! What can be said about a plugin before it runs: size, manifest, imports with their classes, steps.
//!
//! That the component is one, is for this world and track, and is whole, is what loading it found out.

use crate::engine::{Description, Graph, Plugin};
use crate::function::{Class, FUNCTIONS, Function};
use crate::policy::{Ask, Power};

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it should be.
    Good,
    /// Worth a look.
    Look,
    /// To be mended first.
    Bad,
}

/// Something found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it is to be taken.
    pub grade: Grade,
    /// In words.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    fn good(what: impl Into<String>) -> Self {
        Self { grade: Grade::Good, what: what.into(), hint: None }
    }

    fn look(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { grade: Grade::Look, what: what.into(), hint: Some(hint.into()) }
    }

    fn bad(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { grade: Grade::Bad, what: what.into(), hint: Some(hint.into()) }
    }
}

/// What is looked at.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The plugin.
    pub plugin: &'a Plugin,
    /// What it says of itself.
    pub description: &'a Description,
    /// Processes laid out, by name: those of the scenarios.
    pub graphs: &'a [(String, Graph)],
    /// Bytes of the component.
    pub size: usize,
    /// Bytes that are taken for granted.
    pub largest: usize,
}

/// Looks at a plugin.
#[must_use]
pub fn examine(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = vec![size(subject.size, subject.largest)];
    findings.extend(manifest(subject));
    findings.extend(imports(subject));
    findings.extend(steps(subject));
    findings
}

fn size(size: usize, largest: usize) -> Finding {
    let (size, largest) = (size.div_ceil(1024), largest.div_ceil(1024));
    if size <= largest {
        return Finding::good(format!(
            "a component for castoff:process/plugin, {size} KiB of at most {largest}"
        ));
    }
    Finding::look(
        format!("the component has {size} KiB, more than the {largest} of castoff-plugin.toml"),
        "find out what came in, or raise max-kib",
    )
}

fn manifest(subject: &Subject<'_>) -> Vec<Finding> {
    let (manifest, description) = (subject.plugin.manifest(), subject.description);
    let mut findings = Vec::new();
    if manifest.name != description.name {
        findings.push(Finding::bad(
            format!("manifest.toml names it {:?}, describe {:?}", manifest.name, description.name),
            "policies go by the name in manifest.toml: give both the same",
        ));
    }
    if manifest.plugin_version != description.version {
        findings.push(Finding::look(
            format!(
                "manifest.toml has version {}, describe {}",
                manifest.plugin_version, description.version
            ),
            "give both the same: journals keep the one of manifest.toml",
        ));
    }
    for ask in manifest.asks.iter().filter(|ask| ask.reason.trim().is_empty()) {
        findings.push(Finding::bad(
            format!("{} has no reason", ask.power),
            "say why, for whoever has to grant it",
        ));
    }
    if findings.is_empty() {
        let text =
            format!("{} {} asks for {} powers", manifest.name, manifest.plugin_version, manifest.asks.len());
        findings.push(Finding::good(text));
    }
    findings
}

/// The calls it can make, by class, against the powers it asks.
fn imports(subject: &Subject<'_>) -> Vec<Finding> {
    let functions = subject.plugin.functions();
    let asks = &subject.plugin.manifest().asks;
    let named = |class: Class| -> Vec<String> {
        functions.iter().filter(|function| function.class == class).map(|function| function.short()).collect()
    };
    if functions.len() == FUNCTIONS.len() {
        return vec![Finding::good(
            "it imports the whole world, as its language does: what it calls is seen when it runs",
        )];
    }
    let mut findings = Vec::new();
    let effects = named(Class::Ensure);
    if effects.is_empty() && named(Class::Once).is_empty() {
        findings.push(Finding::good("it changes nothing outside"));
    } else if !effects.is_empty() {
        let text = format!("effects that are looked for before they are done again: {}", effects.join(", "));
        findings.push(Finding::good(text));
    }
    for name in named(Class::Once) {
        let hint = if name == "http.send" {
            "where the service can be asked, use http.ensure with a probe"
        } else {
            "have it where a person is at hand, and give every call a key of its own"
        };
        let text = format!("{name} has no probe: a call whose end was not seen stops the run for a person");
        findings.push(Finding::look(text, hint));
    }
    for function in functions {
        let Some(word) = power_of(function) else { continue };
        if !asks.iter().any(|ask| word_of(&ask.power).starts_with(word)) {
            findings.push(Finding::look(
                format!(
                    "it can call {}, and asks for no {word}: every such call is denied",
                    function.short()
                ),
                format!("[[ask]]\npower = \"{word} …\"\nreason = \"…\""),
            ));
        }
    }
    for ask in asks.iter().filter(|ask| !is_usable(ask, functions)) {
        findings.push(Finding::look(
            format!("it asks for {}, and has no call that needs it", ask.power),
            "take it out of manifest.toml",
        ));
    }
    findings
}

/// The first word of a power.
fn word_of(power: &Power) -> String {
    power.to_string().split_whitespace().next().unwrap_or_default().to_owned()
}

/// How the power begins that a function needs.
fn power_of(function: &Function) -> Option<&'static str> {
    Some(match (function.short().as_str(), function.class) {
        ("github.viewer", _) => return None,
        ("github.ensure-pull-request", _) => "github.pulls",
        ("github.merge-pull-request", _) => "github.merge",
        ("github.ensure-comment", _) => "github.comments",
        ("github.ensure-issue", _) => "github.issues",
        ("github.ensure-release" | "github.ensure-prerelease", _) => "github.releases",
        ("github.dispatch", _) => "github.dispatch",
        ("files.publish" | "mail.draft", _) => "files.publish",
        ("command.run", _) => "command.run",
        ("command.fetch", _) => "command.fetch",
        ("command.send", _) => "command.send",
        ("mail.send", _) => "mail.send",
        (name, Class::Ensure) if name.starts_with("git.") => "git.push",
        (name, Class::Read) if name.starts_with("git.") => "git.read",
        (name, Class::Read) if name.starts_with("github.") => "github.read",
        (name, _) if name.starts_with("http.") => "http.",
        _ => return None,
    })
}

/// Whether there is a call that needs what is asked. Secrets and variables go with the calls of their kind.
fn is_usable(ask: &Ask, functions: &[&'static Function]) -> bool {
    let word = word_of(&ask.power);
    match word.as_str() {
        "secret" => functions.iter().any(|function| function.short().starts_with("http.")),
        "command.env" => functions.iter().any(|function| function.short().starts_with("command.")),
        _ => {
            functions.iter().filter_map(|function| power_of(function)).any(|needed| word.starts_with(needed))
        }
    }
}

/// The steps of the scenarios, against what the manifest says of steps.
fn steps(subject: &Subject<'_>) -> Vec<Finding> {
    let asks = &subject.plugin.manifest().asks;
    let processes = &subject.description.processes;
    let mut findings = Vec::new();
    if subject.graphs.is_empty() {
        return vec![Finding::look(
            "there is no scenario",
            "a folder below scenarios/ with release.toml and expect.toml",
        )];
    }
    let laid_out = |process: &str| subject.graphs.iter().any(|(name, _)| name == process);
    for process in processes.iter().filter(|process| !laid_out(&process.name)) {
        findings.push(Finding::look(
            format!("no scenario plays the process {}", process.name),
            "what no scenario plays, nobody has seen work",
        ));
    }
    let meant =
        |ask: &Ask, process: &str, step: &str| ask.processes.include(process) && ask.steps.include(step);
    for ask in asks {
        let steps = subject
            .graphs
            .iter()
            .flat_map(|(process, graph)| graph.steps.iter().map(move |step| (process, step)));
        let found: Vec<_> = steps.filter(|(process, step)| meant(ask, process, &step.id)).collect();
        // A process that no scenario plays may have the step.
        if found.is_empty() && processes.iter().all(|process| laid_out(&process.name)) {
            findings.push(Finding::look(
                format!("{} is asked for steps that no scenario has", ask.power),
                "mend `steps` or `processes` of this ask",
            ));
        }
        let loose = found.iter().find(|(_, step)| sets_tags(&ask.power) && !step.irreversible);
        if let Some((_, step)) = loose.filter(|_| !found.iter().any(|(_, step)| step.irreversible)) {
            findings.push(Finding::look(
                format!("{} is asked for step {}, which is not marked irreversible", ask.power, step.id),
                "a published tag is never moved: mark the step, so that a person confirms it",
            ));
        }
    }
    if findings.is_empty() {
        let count: usize = subject.graphs.iter().map(|(_, graph)| graph.steps.len()).sum();
        findings.push(Finding::good(format!("{count} steps in {} scenarios", subject.graphs.len())));
    }
    findings
}

fn sets_tags(power: &Power) -> bool {
    matches!(power, Power::GitPush(_, reference) if reference.to_string().starts_with("refs/tags/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_that_reaches_out_needs_a_power() {
        for function in FUNCTIONS {
            let free = matches!(function.class, Class::Pure) && !function.short().starts_with("command.");
            let own = function.short().starts_with("files.") && function.class == Class::Read;
            let free = free || own || function.short() == "github.viewer";
            assert_eq!(power_of(function).is_none(), free, "{}", function.short());
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size(1024, 1024).grade, Grade::Good);
        assert_eq!(size(1025, 1024).grade, Grade::Look);
    }
}
