//! Inputs of follow-up processes: descriptions for people, and reading them.

use castoff_sdk::process::{Input, InputKind};

pub(super) use castoff_sdk::step::{conflict as refused, inputs as read, invalid};

/// An input that must be given.
pub(super) fn required(name: &str, kind: InputKind, summary: &str) -> Input {
    Input { name: name.to_owned(), kind, required: true, summary: summary.to_owned() }
}

/// An input that may be left out.
pub(super) fn optional(name: &str, kind: InputKind, summary: &str) -> Input {
    Input { required: false, ..required(name, kind, summary) }
}

/// The repository a process works on; `default` makes it optional.
pub(super) fn repository(default: Option<&str>) -> Input {
    match default {
        Some(default) => optional(
            "repository",
            InputKind::Text,
            &format!("Repository to change, `owner/name`; `{default}` when left out"),
        ),
        None => required("repository", InputKind::Text, "Repository to change, `owner/name`"),
    }
}

/// Inputs about where a change goes, common to all processes that open a pull request.
pub(super) fn target() -> [Input; 2] {
    [
        optional("base", InputKind::Text, "Branch to change; the default branch when left out"),
        optional(
            "fork",
            InputKind::Text,
            "Fork to push the branch to, its owner or `owner/name`; it must hold the head of the base branch. Left out: the repository \
             itself",
        ),
    ]
}
