//! The decision: pure, total, and without allocation as long as it says yes.

use std::sync::Arc;

use super::manifest::{Ask, Manifest};
use super::parse::{Policy, normal_digest};
use super::power::Power;
use crate::operation::Need;

/// Who is about to act.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// `sha256:…` of the component.
    pub digest: &'a str,
    /// The process.
    pub process: &'a str,
    /// The step.
    pub step: &'a str,
}

/// What a step may do: powers that are granted, limited to what the plugin asks.
#[derive(Debug, Clone)]
pub struct Grants {
    plugin: Arc<str>,
    origin: Origin,
    asked: Vec<Asked>,
    granted: Vec<Granted>,
    elsewhere: Vec<Elsewhere>,
}

/// Where grants come from.
#[derive(Debug, Clone)]
enum Origin {
    /// A policy file.
    Policy(Arc<str>),
    /// Everything that is asked: there is no policy file.
    Manifest,
}

#[derive(Debug, Clone)]
struct Asked {
    ask: Ask,
    /// Whether it is asked for this process and step.
    here: bool,
}

/// A power that is granted here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The power, as wide as the policy has it; it takes effect only as far as it is asked.
    pub power: Power,
    /// Line of the policy file; 0 when it comes from the manifest.
    pub line: usize,
}

/// A power of the policy that has no effect here.
#[derive(Debug, Clone)]
struct Elsewhere {
    power: Power,
    line: usize,
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Digest { line: usize },
    Scope,
    Removed,
}

/// Whether a call may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may, because of this line of the policy (0: of the manifest, when there is no policy).
    Allowed {
        /// Line of the policy file, from 1.
        line: usize,
    },
    /// It may not.
    Denied(Box<Denial>),
}

impl Decision {
    /// Whether it may.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }
}

/// A denial, with what would have to be different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The power that was needed.
    pub power: String,
    /// The policy that refused: `policy.toml:12` (the nearest line), `policy.toml`, or `no policy`.
    pub source: String,
    /// What would allow it.
    pub hint: Hint,
}

/// What would allow a denied call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A line in the policy.
    Grant {
        /// The plugin.
        plugin: String,
        /// The exact line for `powers`.
        power: String,
        /// Whether that line is there, but for other processes or steps.
        elsewhere: Option<usize>,
    },
    /// The plugin does not ask for it here: no policy can allow it.
    NotAsked {
        /// The plugin.
        plugin: String,
        /// Whether it asks for it in another process or step.
        elsewhere: bool,
    },
    /// The policy grants it to another component.
    Digest {
        /// Line of the digest.
        line: usize,
    },
}

impl std::fmt::Display for Hint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Grant { plugin, power, elsewhere: None } => {
                write!(f, "add {power:?} to the powers of plugin {plugin:?} in the policy{}", beyond(power))
            }
            Self::Grant { plugin, power, elsewhere: Some(line) } => write!(
                f,
                "line {line} grants it for other processes or steps: add {power:?} to the powers of plugin {plugin:?} \
                 for this one{}",
                beyond(power)
            ),
            Self::NotAsked { plugin, elsewhere: false } => {
                write!(f, "the manifest of plugin {plugin:?} does not ask for it: no policy can allow it")
            }
            Self::NotAsked { plugin, elsewhere: true } => write!(
                f,
                "the manifest of plugin {plugin:?} asks for it only in other processes or steps: no policy can allow it"
            ),
            Self::Digest { line } => write!(
                f,
                "the policy grants it to another component: compare the two and change the digest in line {line}"
            ),
        }
    }
}

/// A warning where the line allows more than was asked for: arguments and values that cannot be spelt in one word are
/// covered by a star.
fn beyond(power: &str) -> &'static str {
    if power.contains('*') { " (its star stands for more than was asked for)" } else { "" }
}

impl std::fmt::Display for Denial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is not allowed by {}: {}", self.power, self.source, self.hint)
    }
}

impl Grants {
    /// What a policy grants to a step of a plugin.
    #[must_use]
    pub fn of_policy(policy: &Policy, manifest: &Manifest, scope: Scope<'_>) -> Self {
        let digest = normal_digest(scope.digest);
        let mut grants = Self::empty(manifest, scope, Origin::Policy(policy.shared_file()));
        for grant in policy.grants().iter().filter(|grant| grant.plugin == manifest.name) {
            let here = grant.processes.include(scope.process) && grant.steps.include(scope.step);
            let ours = grant.digest.is_none() || grant.digest == digest;
            for granted in &grant.powers {
                let (power, line) = (granted.power.clone(), granted.line);
                let why = match (ours, here) {
                    (true, true) => {
                        grants.granted.push(Granted { power, line });
                        continue;
                    }
                    (false, _) => Why::Digest { line: grant.digest_line },
                    (true, false) => Why::Scope,
                };
                grants.elsewhere.push(Elsewhere { power, line, why });
            }
        }
        grants
    }

    /// Everything that the plugin asks: for rehearsals without a policy.
    #[must_use]
    pub fn of_manifest(manifest: &Manifest, process: &str, step: &str) -> Self {
        let mut grants = Self::empty(manifest, Scope { digest: "", process, step }, Origin::Manifest);
        let here = grants.asked.iter().filter(|asked| asked.here);
        grants.granted = here.map(|asked| Granted { power: asked.ask.power.clone(), line: 0 }).collect();
        grants
    }

    fn empty(manifest: &Manifest, scope: Scope<'_>, origin: Origin) -> Self {
        let here = |ask: &Ask| ask.processes.include(scope.process) && ask.steps.include(scope.step);
        let asked = manifest.asks.iter().map(|ask| Asked { here: here(ask), ask: ask.clone() }).collect();
        Self {
            plugin: manifest.name.as_str().into(),
            origin,
            asked,
            granted: Vec::new(),
            elsewhere: Vec::new(),
        }
    }

    /// The powers that are granted here.
    #[must_use]
    pub fn powers(&self) -> &[Granted] {
        &self.granted
    }

    /// The same without the power at `index`; as they are when there is none.
    #[must_use]
    pub fn without(&self, index: usize) -> Self {
        let mut rest = self.clone();
        if index < rest.granted.len() {
            let Granted { power, line } = rest.granted.remove(index);
            rest.elsewhere.push(Elsewhere { power, line, why: Why::Removed });
        }
        rest
    }

    /// Whether an address may lead to a private network: only when a power that allows it names the host by its number
    /// or as `localhost`.
    #[must_use]
    pub fn allows_private(&self, need: &Need) -> bool {
        let names = |power: &Power| match power {
            Power::Http(_, url) => url.origin().names_address(),
            _ => false,
        };
        self.is_asked(need) && self.granted.iter().any(|own| names(&own.power) && own.power.allows(need))
    }

    fn is_asked(&self, need: &Need) -> bool {
        self.asked.iter().any(|asked| asked.here && asked.ask.power.allows(need))
    }

    fn deny(&self, need: &Need) -> Denial {
        let plugin = self.plugin.to_string();
        let power = need.to_string();
        let near = self.elsewhere.iter().find(|other| other.power.allows(need));
        let source = match (&self.origin, near) {
            (Origin::Manifest, _) => "no policy".to_owned(),
            (Origin::Policy(file), Some(near)) if near.why != Why::Removed => format!("{file}:{}", near.line),
            (Origin::Policy(file), _) => file.to_string(),
        };
        let hint = if !self.is_asked(need) {
            let elsewhere = self.asked.iter().any(|asked| asked.ask.power.allows(need));
            Hint::NotAsked { plugin, elsewhere }
        } else {
            match near.map(|near| (near.why, near.line)) {
                Some((Why::Digest { line }, _)) => Hint::Digest { line },
                Some((Why::Scope, line)) => {
                    Hint::Grant { plugin, power: power.clone(), elsewhere: Some(line) }
                }
                _ => Hint::Grant { plugin, power: power.clone(), elsewhere: None },
            }
        };
        Denial { power, source, hint }
    }
}

/// Decides whether a need is met: granted here, and asked for here.
#[must_use]
pub fn decide(grants: &Grants, need: &Need) -> Decision {
    match grants.granted.iter().find(|own| own.power.allows(need)) {
        Some(own) if grants.is_asked(need) => Decision::Allowed { line: own.line },
        _ => Decision::Denied(Box::new(grants.deny(need))),
    }
}
