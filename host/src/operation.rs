//! What a plugin is about to do, in the words that policy, plan and journal share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::capability::Slug;
use crate::capability::command::{Reach, VariableValue};

/// Part of GitHub's API that a power covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GitHubArea {
    /// Everything that only reads.
    Read,
    /// Opening and editing pull requests, their labels included.
    Pulls,
    /// Merging pull requests.
    Merge,
    /// Comments on issues and pull requests.
    Comments,
    /// Issues.
    Issues,
    /// Releases and their assets.
    Releases,
    /// `repository_dispatch` events.
    Dispatch,
}

/// One thing an operation needs to be allowed. An operation may need several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "power", rename_all = "kebab-case")]
pub enum Need {
    /// Reading a git repository. Spelt `git.read owner/name`.
    GitRead {
        /// The repository.
        repository: Slug,
    },
    /// Setting a ref of a remote. Spelt `git.push owner/name refs/tags/v1.2.3`.
    GitPush {
        /// The repository.
        repository: Slug,
        /// Full ref name.
        reference: String,
    },
    /// A part of GitHub's API on a repository. Spelt `github.pulls owner/name`.
    GitHub {
        /// The part.
        area: GitHubArea,
        /// The repository.
        repository: Slug,
    },
    /// An HTTP request. Spelt `http.get https://registry.k8s.io/v2/sig-storage/x/manifests/v1` (the query is left out).
    Http {
        /// Upper-case method.
        method: String,
        /// Address.
        url: Url,
    },
    /// Sending a secret to a host. Spelt `secret slack-token https://slack.com`.
    Secret {
        /// Name of the secret.
        name: String,
        /// Scheme, host and port it would be sent to.
        origin: String,
    },
    /// Keeping a document with the run. Spelt `files.publish`.
    Publish,
    /// Running a program. Spelt `command.run go mod tidy`.
    Command {
        /// What it may change.
        reach: Reach,
        /// Its name in the policy.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// Giving a program a variable. Spelt `command.env go GOFLAGS=-mod=mod`, with `secret:NAME` for a secret and
    /// `scratch:PATH` for a place in the scratch directory.
    Variable {
        /// The program.
        program: String,
        /// Name of the variable.
        name: String,
        /// Its value; a secret is its name.
        value: VariableValue,
    },
    /// Sending mail to somebody. Spelt `mail.send dev@kubernetes.io`.
    Mail {
        /// The address.
        recipient: String,
    },
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::GitRead { repository } => write!(f, "git.read {repository}"),
            Self::GitPush { repository, reference } => write!(f, "git.push {repository} {reference}"),
            Self::GitHub { area, repository } => write!(f, "github.{} {repository}", area.word()),
            Self::Http { method, url } => {
                let mut plain = url.clone();
                plain.set_query(None);
                plain.set_fragment(None);
                // A star of an address is a letter; in the line of a policy it would stand for any others.
                let plain = plain.as_str().replace('*', "%2A");
                write!(f, "http.{} {plain}", method.to_ascii_lowercase())
            }
            Self::Secret { name, origin } => write!(f, "secret {name} {origin}"),
            Self::Publish => f.write_str("files.publish"),
            Self::Command { reach, program, arguments } => {
                write!(f, "command.{} {program}", reach.word())?;
                arguments.iter().try_for_each(|argument| write!(f, " {}", spelt(argument)))
            }
            Self::Variable { program, name, value } => {
                write!(f, "command.env {program} {name}=")?;
                match value {
                    VariableValue::Text(text) if text.is_empty() => Ok(()),
                    VariableValue::Text(text) => f.write_str(&spelt_text(text)),
                    VariableValue::Secret(secret) => write!(f, "secret:{secret}"),
                    VariableValue::Scratch(path) => write!(f, "scratch:{path}"),
                }
            }
            Self::Mail { recipient } => write!(f, "mail.send {recipient}"),
        }
    }
}

/// An argument as a pattern spells it: one word that covers it. What cannot stand in a word is covered by a star, and
/// what is too long for a pattern by its beginning.
fn spelt(argument: &str) -> String {
    match argument {
        "" => return "\"\"".to_owned(),
        "\"\"" => return "\"*".to_owned(),
        _ => {}
    }
    let mut word = String::new();
    for c in argument.chars() {
        if word.len() > 300 {
            word.truncate(word.trim_end_matches('*').len());
            word.push_str("**");
            break;
        }
        match c {
            c if !c.is_whitespace() && !c.is_control() && c != '*' => word.push(c),
            _ if word.ends_with('*') => {}
            _ => word.push('*'),
        }
    }
    word
}

/// A text as the value of a variable: one that only looks like a secret or a place does not name one.
fn spelt_text(text: &str) -> String {
    let word = spelt(text);
    match word.split_once(':') {
        Some((kind @ ("secret" | "scratch"), rest)) => format!("{kind}*{}", rest.trim_start_matches('*')),
        _ => word,
    }
}

impl GitHubArea {
    /// The word a policy uses.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Pulls => "pulls",
            Self::Merge => "merge",
            Self::Comments => "comments",
            Self::Issues => "issues",
            Self::Releases => "releases",
            Self::Dispatch => "dispatch",
        }
    }

    /// All parts.
    pub const ALL: [Self; 7] =
        [Self::Read, Self::Pulls, Self::Merge, Self::Comments, Self::Issues, Self::Releases, Self::Dispatch];
}

/// A call that goes through the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Short name of the function, for example `git.ensure-tag`.
    pub function: String,
    /// What it needs to be allowed.
    pub needs: Vec<Need>,
    /// In words, for plan, journal and status: `tag v2.11.0 of kubernetes-csi/livenessprobe at 33ea6c0`.
    pub summary: String,
    /// The arguments in a canonical form, without secrets; its digest identifies the call within the step.
    pub request: serde_json::Value,
    /// Texts of which the request only holds a digest, by their key there: a plan shows them, the journal does not keep
    /// them.
    #[serde(skip)]
    pub texts: BTreeMap<String, String>,
}

impl Operation {
    /// The request with its long texts in full, as a plan shows it.
    #[must_use]
    pub fn shown(&self) -> serde_json::Value {
        let mut shown = self.request.clone();
        if let serde_json::Value::Object(fields) = &mut shown {
            for (key, text) in &self.texts {
                fields.insert(key.clone(), serde_json::Value::String(text.clone()));
            }
        }
        shown
    }

    /// The same operation with a text in full.
    #[must_use]
    pub fn with_text(mut self, key: &str, text: &str) -> Self {
        self.texts.insert(key.to_owned(), text.to_owned());
        self
    }

    /// SHA-256 over function and request, 64 hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> String {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        hash.update(self.function.as_bytes());
        hash.update([0]);
        hash.update(self.request.to_string().as_bytes());
        hex::encode(hash.finalize())
    }
}
