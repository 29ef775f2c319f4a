//! A power: one line that says what may be done where, the same in manifests and policies.
//!
//! ```text
//! git.read kubernetes-csi/*
//! git.push kubernetes-csi/livenessprobe refs/tags/v*
//! github.pulls kubernetes-csi/*          read | pulls | merge | comments | issues | releases | dispatch
//! http.get,head https://registry.k8s.io/v2/**
//! secret slack-token https://slack.com
//! files.publish
//! command.run go mod tidy                run | fetch | send: what it may change; see [`Arguments`]
//! command.env go GOFLAGS=-mod=mod        also NAME=secret:token, NAME=scratch:**
//! mail.send *@kubernetes.io
//! ```

use std::str::FromStr;

use thiserror::Error;
use url::Url;

use super::argument::{AddressPattern, Arguments, ValuePattern};
use super::pattern::{OriginPattern, PatternError, RefPattern, RepositoryPattern, UrlPattern};
use crate::capability::command::{Reach, is_program, is_variable};
use crate::operation::{GitHubArea, Need};

/// One power.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Power {
    /// Reading repositories with git.
    GitRead(RepositoryPattern),
    /// Setting refs of repositories.
    GitPush(RepositoryPattern, RefPattern),
    /// A part of GitHub's API on repositories.
    GitHub(GitHubArea, RepositoryPattern),
    /// HTTP requests.
    Http(Methods, UrlPattern),
    /// Sending a secret to an origin.
    Secret(String, OriginPattern),
    /// Keeping documents with the run.
    Publish,
    /// Running a program.
    Command(Reach, String, Arguments),
    /// Giving a program a variable.
    Variable(String, String, ValuePattern),
    /// Sending mail.
    Mail(AddressPattern),
}

/// Why a text is no power.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PowerError {
    /// The first word is none.
    #[error(
        "{0:?} is no power: expected git.read, git.push, github.…, http.…, secret, files.publish, command.… or mail.send"
    )]
    Word(String),
    /// No such part of GitHub's API.
    #[error(
        "github.{0} is no power: expected github.read, pulls, merge, comments, issues, releases or dispatch"
    )]
    Area(String),
    /// No such way to run a program.
    #[error("command.{0} is no power: expected command.run, fetch, send or env")]
    Command(String),
    /// No such method.
    #[error("{0:?} is no method: expected get, head, post, put, patch, delete or options")]
    Method(String),
    /// Too few or too many words.
    #[error("expected `{0}`")]
    Shape(&'static str),
    /// No such name.
    #[error("{0:?} is no name of a secret: letters, digits, `-` and `_`, at most 64")]
    SecretName(String),
    /// A pattern is wrong.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// A set of HTTP methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Methods(u8);

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

impl Methods {
    fn parse(text: &str) -> Result<Self, PowerError> {
        let mut set = 0;
        for word in text.split(',') {
            let known = METHODS.iter().position(|method| method.eq_ignore_ascii_case(word));
            set |= 1 << known.ok_or_else(|| PowerError::Method(word.to_owned()))?;
        }
        Ok(Self(set))
    }

    /// Whether an upper-case method is in the set.
    #[must_use]
    pub fn contains(self, method: &str) -> bool {
        METHODS.iter().position(|known| *known == method).is_some_and(|bit| self.0 & (1 << bit) != 0)
    }

    fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::fmt::Display for Methods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut comma = "";
        for method in METHODS.iter().filter(|method| self.contains(method)) {
            write!(f, "{comma}{}", method.to_ascii_lowercase())?;
            comma = ",";
        }
        Ok(())
    }
}

impl FromStr for Power {
    type Err = PowerError;

    fn from_str(text: &str) -> Result<Self, PowerError> {
        // A power is one line, and is shown to people as it is.
        if text.chars().any(char::is_control) {
            return Err(PowerError::Word(text.to_owned()));
        }
        let mut words = text.split_whitespace();
        let word = words.next().unwrap_or_default();
        let rest = (words.next(), words.next(), words.next());
        match word.split_once('.').unwrap_or((word, "")) {
            ("git", "read") => match rest {
                (Some(repository), None, _) => Ok(Self::GitRead(RepositoryPattern::parse(repository)?)),
                _ => Err(PowerError::Shape("git.read owner/name")),
            },
            ("git", "push") => match rest {
                (Some(repository), Some(reference), None) => {
                    Ok(Self::GitPush(RepositoryPattern::parse(repository)?, RefPattern::parse(reference)?))
                }
                _ => Err(PowerError::Shape("git.push owner/name refs/…")),
            },
            ("github", area) => {
                let known = GitHubArea::ALL.into_iter().find(|known| known.word() == area);
                let known = known.ok_or_else(|| PowerError::Area(area.to_owned()))?;
                match rest {
                    (Some(repository), None, _) => {
                        Ok(Self::GitHub(known, RepositoryPattern::parse(repository)?))
                    }
                    _ => Err(PowerError::Shape("github.… owner/name")),
                }
            }
            ("http", methods) => {
                let methods = Methods::parse(methods)?;
                match rest {
                    (Some(url), None, _) => Ok(Self::Http(methods, UrlPattern::parse(url)?)),
                    _ => Err(PowerError::Shape("http.get https://host/path")),
                }
            }
            ("secret", "") => match rest {
                (Some(name), Some(origin), None) => {
                    Ok(Self::Secret(secret_name(name)?.to_owned(), OriginPattern::parse(origin)?))
                }
                _ => Err(PowerError::Shape("secret NAME https://host")),
            },
            ("files", "publish") => match rest {
                (None, ..) => Ok(Self::Publish),
                _ => Err(PowerError::Shape("files.publish")),
            },
            ("command", "env") => match rest {
                (Some(program), Some(variable), None) => variable_power(program, variable),
                _ => Err(PowerError::Shape("command.env PROGRAM NAME=value")),
            },
            ("command", reach) => {
                let known = Reach::ALL.into_iter().find(|known| known.word() == reach);
                let known = known.ok_or_else(|| PowerError::Command(reach.to_owned()))?;
                match rest.0 {
                    Some(program) if is_program(program) => {
                        let arguments = Arguments::parse(text.split_whitespace().skip(2))?;
                        Ok(Self::Command(known, program.to_owned(), arguments))
                    }
                    _ => Err(PowerError::Shape("command.run PROGRAM ARGUMENT…")),
                }
            }
            ("mail", "send") => match rest {
                (Some(address), None, _) => Ok(Self::Mail(AddressPattern::parse(address)?)),
                _ => Err(PowerError::Shape("mail.send name@example.org")),
            },
            _ => Err(PowerError::Word(word.to_owned())),
        }
    }
}

fn variable_power(program: &str, variable: &str) -> Result<Power, PowerError> {
    match variable.split_once('=') {
        Some((name, value)) if is_program(program) && is_variable(name) => {
            Ok(Power::Variable(program.to_owned(), name.to_owned(), ValuePattern::parse(value)?))
        }
        _ => Err(PowerError::Shape("command.env PROGRAM NAME=value")),
    }
}

/// Whether a text may name a secret.
pub(super) fn secret_name(name: &str) -> Result<&str, PowerError> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(fine) {
        Ok(name)
    } else {
        Err(PowerError::SecretName(name.to_owned()))
    }
}

impl std::fmt::Display for Power {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::GitRead(repository) => write!(f, "git.read {repository}"),
            Self::GitPush(repository, reference) => write!(f, "git.push {repository} {reference}"),
            Self::GitHub(area, repository) => write!(f, "github.{} {repository}", area.word()),
            Self::Http(methods, url) => write!(f, "http.{methods} {url}"),
            Self::Secret(name, origin) => write!(f, "secret {name} {origin}"),
            Self::Publish => f.write_str("files.publish"),
            Self::Command(reach, program, arguments) => {
                write!(f, "command.{} {program}{arguments}", reach.word())
            }
            Self::Variable(program, name, value) => write!(f, "command.env {program} {name}={value}"),
            Self::Mail(address) => write!(f, "mail.send {address}"),
        }
    }
}

impl Power {
    /// Whether it allows what is needed. Allocates only for secrets, whose origin is a text.
    #[must_use]
    pub fn allows(&self, need: &Need) -> bool {
        match (self, need) {
            (Self::GitRead(pattern), Need::GitRead { repository }) => pattern.matches(repository),
            (Self::GitPush(pattern, refs), Need::GitPush { repository, reference }) => {
                pattern.matches(repository) && refs.matches(reference)
            }
            (Self::GitHub(own, pattern), Need::GitHub { area, repository }) => {
                own == area && pattern.matches(repository)
            }
            (Self::Http(methods, pattern), Need::Http { method, url }) => {
                methods.contains(method) && pattern.matches(url)
            }
            (Self::Secret(own, pattern), Need::Secret { name, origin }) => {
                own == name && Url::parse(origin).is_ok_and(|url| url.path() == "/" && pattern.matches(&url))
            }
            (Self::Publish, Need::Publish) => true,
            (Self::Command(own, name, pattern), Need::Command { reach, program, arguments }) => {
                own == reach && name == program && pattern.matches(arguments)
            }
            (Self::Variable(own, variable, pattern), Need::Variable { program, name, value }) => {
                own == program && variable == name && pattern.matches(value)
            }
            (Self::Mail(pattern), Need::Mail { recipient }) => pattern.matches(recipient),
            _ => false,
        }
    }

    /// Whether it allows all that `other` allows. Sound, not complete: `false` may only mean that it cannot be told.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::GitRead(own), Self::GitRead(narrow)) => own.covers(narrow),
            (Self::GitPush(own, refs), Self::GitPush(narrow, narrow_refs)) => {
                own.covers(narrow) && refs.covers(narrow_refs)
            }
            (Self::GitHub(area, own), Self::GitHub(narrow_area, narrow)) => {
                area == narrow_area && own.covers(narrow)
            }
            (Self::Http(methods, own), Self::Http(narrow_methods, narrow)) => {
                methods.covers(*narrow_methods) && own.covers(narrow)
            }
            (Self::Secret(name, own), Self::Secret(narrow_name, narrow)) => {
                name == narrow_name && own.covers(narrow)
            }
            (Self::Publish, Self::Publish) => true,
            (Self::Command(reach, program, own), Self::Command(narrow_reach, narrow_program, narrow)) => {
                reach == narrow_reach && program == narrow_program && own.covers(narrow)
            }
            (Self::Variable(program, name, own), Self::Variable(narrow_program, narrow_name, narrow)) => {
                program == narrow_program && name == narrow_name && own.covers(narrow)
            }
            (Self::Mail(own), Self::Mail(narrow)) => own.covers(narrow),
            _ => false,
        }
    }
}
