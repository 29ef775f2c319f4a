//! The operator's policy file: TOML, every misspelt key an error, every power with the line it stands on.
//!
//! ```toml
//! version = 1
//!
//! [[grant]]
//! plugin = "csi-sidecar"
//! digest = "sha256:…"          # or "any", which must be said
//! processes = ["release"]      # optional, as is `steps`
//! powers = ["git.read kubernetes-csi/*", "secret slack-token https://slack.com"]
//! as = { name = "Jane Doe", email = "jane@example.org", login = "jane" }
//!
//! [secrets]
//! slack-token = { env = "SLACK_TOKEN" }
//!
//! [programs.krel]              # see [`super::tool`]
//! path = "/usr/local/bin/krel"
//! sha256 = "…"                 # or version = "v0.18.0"
//!
//! [mail]
//! host = "smtp.example.org"
//! encryption = "starttls"
//!
//! [plugins.csi-sidecar]        # see [`super::trust`]
//! signers = ["RW…"]
//!
//! [limits]
//! memory-mib = 256
//!
//! [approval]                   # see [`super::approval`]
//! required = 2
//! ```

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use toml::Spanned;

use super::approval::{self, Approval, RawApproval};
use super::argument::ValuePattern;
use super::manifest::{Manifest, Names};
use super::power::{Power, secret_name};
use super::tool::{self, RawMail, RawProgram, RawSandbox};
use super::trust::{self, RawTrust, Trust};
use crate::capability::command::{Confinement, Program};
use crate::capability::mail::MailConfig;
pub use crate::journal::Identity;

/// The policy format this version reads.
pub const VERSION: u32 = 1;

/// A mistake in a policy file, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {message}")]
pub struct PolicyError {
    /// Name of the file, as it was given.
    pub file: String,
    /// The whole text.
    pub text: Arc<str>,
    /// The bytes of the text that are wrong.
    pub span: Range<usize>,
    /// The line the span begins on, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

/// Something in a policy that is not wrong but does not do what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The line it is about, from 1.
    pub line: usize,
    /// The bytes of the text it is about.
    pub span: Range<usize>,
    /// What it is.
    pub message: String,
}

/// A policy.
#[derive(Debug, Clone)]
pub struct Policy {
    file: Arc<str>,
    text: Arc<str>,
    digest: String,
    grants: Vec<Grant>,
    secrets: BTreeMap<String, SecretSource>,
    programs: BTreeMap<String, Program>,
    accept_missing: Vec<Confinement>,
    mail: Option<MailConfig>,
    limits: Limits,
    approval: Approval,
    trust: BTreeMap<String, Trust>,
}

/// What one `[[grant]]` says.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Name of the plugin.
    pub plugin: String,
    /// `sha256:…` in lower case; `None`: any, as was said explicitly.
    pub digest: Option<String>,
    /// Line of the digest.
    pub digest_line: usize,
    /// Bytes of the digest.
    pub digest_span: Range<usize>,
    /// In which processes.
    pub processes: Names,
    /// In which steps.
    pub steps: Names,
    /// The powers, with their places.
    pub powers: Vec<PolicyPower>,
    /// Under whose name.
    pub identity: Option<Identity>,
    /// Line of the grant.
    pub line: usize,
}

/// A power and where it stands.
#[derive(Debug, Clone)]
pub struct PolicyPower {
    /// The power.
    pub power: Power,
    /// Its line, from 1.
    pub line: usize,
    /// Its bytes.
    pub span: Range<usize>,
}

/// Where the value of a secret comes from. The value itself is read by the command line only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A variable of the environment.
    Env(String),
    /// A file, relative to the policy file.
    File(PathBuf),
}

/// Limits of the operator; what is absent has the engine's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Limits {
    /// Memory of one instance, in MiB.
    #[serde(default)]
    pub memory_mib: Option<NonZeroU32>,
    /// Fuel of one step: about one unit an instruction.
    #[serde(default)]
    pub fuel: Option<NonZeroU64>,
    /// Seconds one step may take, host calls included.
    #[serde(default)]
    pub wall_seconds: Option<NonZeroU32>,
    /// Seconds one host call may take.
    #[serde(default)]
    pub host_call_seconds: Option<NonZeroU32>,
    /// Largest body of an HTTP response, in MiB.
    #[serde(default)]
    pub http_body_mib: Option<NonZeroU32>,
    /// Calls to the host one step may make.
    #[serde(default)]
    pub host_calls: Option<NonZeroU32>,
    /// Bytes of log and progress one step may write, in KiB.
    #[serde(default)]
    pub log_kib: Option<NonZeroU32>,
}

/// A policy: which plugin may do what, where, and under whose name.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Policy")]
struct RawPolicy {
    /// Version of the format.
    #[serde(rename = "version")]
    #[schemars(extend("const" = VERSION))]
    _version: u32,
    /// What is granted.
    #[serde(default)]
    #[schemars(with = "Vec<RawGrant>")]
    grant: Vec<Spanned<RawGrant>>,
    /// Where the values of secrets come from, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawSecret>")]
    secrets: BTreeMap<Spanned<String>, Spanned<RawSecret>>,
    /// Programs of this machine, by the name that powers call them.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawProgram>")]
    programs: BTreeMap<Spanned<String>, Spanned<RawProgram>>,
    /// How programs are confined.
    #[serde(default)]
    sandbox: Option<RawSandbox>,
    /// Where mail is delivered.
    #[serde(default)]
    #[schemars(with = "Option<RawMail>")]
    mail: Option<Spanned<RawMail>>,
    /// Where plugins have to come from, and whose signatures they need, by what they call themselves.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawTrust>")]
    plugins: BTreeMap<Spanned<String>, Spanned<RawTrust>>,
    /// What is absent has the engine's default.
    #[serde(default)]
    limits: Limits,
    /// Who must agree before the release goes on.
    #[serde(default)]
    approval: Option<RawApproval>,
}

/// Powers of one plugin.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Grant")]
struct RawGrant {
    /// Name of the plugin.
    #[schemars(with = "String", length(min = 1))]
    plugin: Spanned<String>,
    /// Digest of the component, or `any` in so many words.
    #[schemars(with = "String", regex(pattern = r"^(any|(sha256:)?[0-9A-Fa-f]{64})$"))]
    digest: Option<Spanned<String>>,
    /// Only in these processes; `*` stands for any characters.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    processes: Names,
    /// Only in these steps; `*` stands for any characters.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    steps: Names,
    /// One line each, for example `git.push kubernetes-csi/livenessprobe refs/tags/v*`.
    #[schemars(with = "Vec<PowerLine>")]
    powers: Vec<Spanned<String>>,
    /// Under whose name the plugin acts.
    #[serde(default, rename = "as")]
    #[schemars(with = "Option<RawIdentity>")]
    identity: Option<Spanned<RawIdentity>>,
}

/// Under whose name a plugin acts.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Identity")]
struct RawIdentity {
    /// Name of author, committer and tagger.
    name: String,
    /// Their address.
    email: String,
    /// Login on GitHub.
    #[serde(default)]
    login: Option<String>,
}

/// One place that a value comes from.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Secret", extend("minProperties" = 1, "maxProperties" = 1))]
struct RawSecret {
    /// A variable of the environment.
    #[serde(default)]
    #[schemars(length(min = 1))]
    env: Option<String>,
    /// A file, relative to the policy.
    #[serde(default)]
    file: Option<PathBuf>,
}

/// The shape of a line that [`Power`] reads; what patterns it takes, only the parser says.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "only its schema is used")]
struct PowerLine(
    #[schemars(regex(
        pattern = r"^\s*(git\.read|git\.push|github\.[a-z]+|http\.[A-Za-z,]+|secret|files\.publish|command\.[a-z]+|mail\.send)(\s|$)"
    ))]
    String,
);

/// The schema of what [`Policy::parse`] reads, from the very types it reads them with.
pub(crate) fn schema() -> schemars::Schema {
    schemars::schema_for!(RawPolicy)
}

/// Builds errors for one text.
pub(super) struct Source {
    file: Arc<str>,
    text: Arc<str>,
}

impl Source {
    pub(super) fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    pub(super) fn error(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        hint: Option<&str>,
    ) -> PolicyError {
        PolicyError {
            file: self.file.to_string(),
            text: self.text.clone(),
            line: self.line(span.start),
            span,
            message: message.into(),
            hint: hint.map(str::to_owned),
        }
    }

    fn toml(&self, error: &toml::de::Error) -> PolicyError {
        self.error(error.span().unwrap_or(0..0), error.message(), None)
    }

    fn grant(&self, raw: &Spanned<RawGrant>) -> Result<Grant, PolicyError> {
        let (span, raw) = (raw.span(), raw.get_ref());
        if raw.plugin.get_ref().is_empty() {
            return Err(self.error(raw.plugin.span(), "a plugin has a name", None));
        }
        let powers = raw.powers.iter().map(|power| self.power(power)).collect::<Result<_, _>>()?;
        let (digest, digest_span) = self.digest(&span, raw.digest.as_ref())?;
        Ok(Grant {
            plugin: raw.plugin.get_ref().clone(),
            digest,
            digest_line: self.line(digest_span.start),
            digest_span,
            processes: raw.processes.clone(),
            steps: raw.steps.clone(),
            powers,
            identity: raw.identity.as_ref().map(|identity| self.identity(identity)).transpose()?,
            line: self.line(raw.plugin.span().start),
        })
    }

    fn power(&self, raw: &Spanned<String>) -> Result<PolicyPower, PolicyError> {
        let span = raw.span();
        match raw.get_ref().parse::<Power>() {
            Ok(power) => Ok(PolicyPower { power, line: self.line(span.start), span }),
            Err(error) => Err(self.error(span, error.to_string(), None)),
        }
    }

    fn digest(
        &self,
        grant: &Range<usize>,
        raw: Option<&Spanned<String>>,
    ) -> Result<(Option<String>, Range<usize>), PolicyError> {
        let hint =
            Some("digest = \"sha256:…\" binds the grant to one component; digest = \"any\" trusts every one");
        let Some(raw) = raw else {
            return Err(self.error(grant.clone(), "a grant says to which digest it belongs", hint));
        };
        match raw.get_ref().as_str() {
            "any" => Ok((None, raw.span())),
            text => match normal_digest(text) {
                Some(digest) => Ok((Some(digest), raw.span())),
                None => Err(self.error(raw.span(), format!("{text:?} is no digest"), hint)),
            },
        }
    }

    fn identity(&self, raw: &Spanned<RawIdentity>) -> Result<Identity, PolicyError> {
        let RawIdentity { name, email, login } = raw.get_ref();
        // These are written into commit and tag objects, where angle brackets and line ends delimit.
        let fine = |text: &str| {
            !text.trim().is_empty() && !text.chars().any(|c| c.is_control() || matches!(c, '<' | '>'))
        };
        if !fine(name) || !fine(email) || !login.as_deref().is_none_or(fine) {
            let message =
                "name, email and login are not empty and hold no control characters or angle brackets";
            return Err(self.error(raw.span(), message, None));
        }
        Ok(Identity { name: name.clone(), email: email.clone(), login: login.clone() })
    }

    fn secret(
        &self,
        name: &Spanned<String>,
        raw: &Spanned<RawSecret>,
    ) -> Result<(String, SecretSource), PolicyError> {
        let key = secret_name(name.get_ref()).map_err(|e| self.error(name.span(), e.to_string(), None))?;
        let source = match (&raw.get_ref().env, &raw.get_ref().file) {
            (Some(env), None) if !env.is_empty() => SecretSource::Env(env.clone()),
            (None, Some(file)) if !file.as_os_str().is_empty() => SecretSource::File(file.clone()),
            _ => {
                let message = "a secret comes from one place: { env = \"NAME\" } or { file = \"path\" }";
                return Err(self.error(raw.span(), message, None));
            }
        };
        Ok((key.to_owned(), source))
    }
}

/// `sha256:` and 64 lower-case digits, from a digest in any case, with or without its prefix.
pub(super) fn normal_digest(text: &str) -> Option<String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let fine = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    fine.then(|| format!("sha256:{}", digits.to_ascii_lowercase()))
}

impl Policy {
    /// Parses a policy. `file` is the name that denials and errors show.
    ///
    /// # Errors
    /// The first [`PolicyError`].
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let source = Source { file: file.into(), text: text.into() };
        // The version first: a newer format may hold what this one would call a mistake.
        #[derive(Deserialize)]
        struct Versioned {
            version: Option<Spanned<u32>>,
        }
        let versioned: Versioned = toml::from_str(text).map_err(|error| source.toml(&error))?;
        match versioned.version {
            None => return Err(source.error(0..0, "a policy begins with its version", Some("version = 1"))),
            Some(version) if *version.get_ref() != VERSION => {
                let message = format!("policy version {} is not known, only {VERSION}", version.get_ref());
                return Err(source.error(version.span(), message, None));
            }
            Some(_) => {}
        }
        let raw: RawPolicy = toml::from_str(text).map_err(|error| source.toml(&error))?;
        let grants = raw.grant.iter().map(|grant| source.grant(grant)).collect::<Result<_, _>>()?;
        let secrets: BTreeMap<_, _> =
            raw.secrets.iter().map(|(name, raw)| source.secret(name, raw)).collect::<Result<_, _>>()?;
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(text.as_bytes())));
        let approval = raw.approval.as_ref().map(|raw| approval::read(&source, raw)).transpose()?;
        let (limits, approval) = (raw.limits, approval.unwrap_or_default());
        let programs = tool::programs(&source, &raw.programs)?;
        let mail = raw.mail.as_ref().map(|raw| tool::mail(&source, raw)).transpose()?;
        let account = mail.as_ref().and_then(|mail| mail.account.as_ref());
        if let (Some(account), Some(raw)) =
            (account.filter(|one| !secrets.contains_key(&one.secret)), &raw.mail)
        {
            let message = format!("[secrets] does not say where {} comes from", account.secret);
            return Err(source.error(raw.span(), message, None));
        }
        let accept_missing = tool::accept_missing(raw.sandbox.as_ref());
        let trust = trust::read(&source, &raw.plugins)?;
        Ok(Self {
            file: source.file,
            text: source.text,
            digest,
            grants,
            secrets,
            programs,
            accept_missing,
            mail,
            limits,
            approval,
            trust,
        })
    }

    /// Name of the file.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn shared_file(&self) -> Arc<str> {
        self.file.clone()
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Digest of the text, for the header of a run: `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// All grants, in the order of the file.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Where the values of secrets come from.
    #[must_use]
    pub fn secrets(&self) -> &BTreeMap<String, SecretSource> {
        &self.secrets
    }

    /// Programs of this machine, by name.
    #[must_use]
    pub fn programs(&self) -> &BTreeMap<String, Program> {
        &self.programs
    }

    /// Parts of the sandbox that may be missing.
    #[must_use]
    pub fn accept_missing(&self) -> &[Confinement] {
        &self.accept_missing
    }

    /// Where mail is delivered.
    #[must_use]
    pub fn mail(&self) -> Option<&MailConfig> {
        self.mail.as_ref()
    }

    /// The operator's limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Who must agree.
    #[must_use]
    pub fn approval(&self) -> &Approval {
        &self.approval
    }

    /// Where a plugin has to come from and whose signature it needs, by what it calls itself.
    #[must_use]
    pub fn trust(&self, plugin: &str) -> Option<&Trust> {
        self.trust.get(plugin)
    }

    /// Under whose name a plugin acts: of the first of its grants that says so.
    #[must_use]
    pub fn identity(&self, plugin: &str, digest: &str, process: &str) -> Option<&Identity> {
        let digest = normal_digest(digest);
        self.grants
            .iter()
            .filter(|grant| grant.plugin == plugin && grant.processes.include(process))
            .filter(|grant| grant.digest.is_none() || grant.digest == digest)
            .find_map(|grant| grant.identity.as_ref())
    }

    /// The digest that the first grant of a plugin is bound to.
    #[must_use]
    pub fn digest_for(&self, plugin: &str) -> Option<&str> {
        self.grants.iter().filter(|grant| grant.plugin == plugin).find_map(|grant| grant.digest.as_deref())
    }

    /// The text of this policy with all grants of a plugin bound to another digest, and nothing else changed; `None` when
    /// they are already. A grant for `any` stays one.
    #[must_use]
    pub fn agreed(&self, plugin: &str, digest: &str) -> Option<String> {
        let digest = normal_digest(digest)?;
        let bound = self.grants.iter().filter(|grant| grant.plugin == plugin);
        let mut spans: Vec<&Range<usize>> = bound
            .filter(|grant| grant.digest.as_ref().is_some_and(|known| *known != digest))
            .map(|grant| &grant.digest_span)
            .collect();
        spans.sort_by_key(|span| std::cmp::Reverse(span.start));
        let mut text = self.text.to_string();
        for span in &spans {
            text.replace_range((*span).clone(), &format!("\"{digest}\""));
        }
        (!spans.is_empty()).then_some(text)
    }

    /// What in this policy has no effect, or another than it seems to have, for a plugin with a digest.
    #[must_use]
    pub fn check(&self, manifest: &Manifest, digest: &str) -> Vec<Warning> {
        let digest = normal_digest(digest);
        let mut warnings = Vec::new();
        for grant in self.grants.iter().filter(|grant| grant.plugin == manifest.name) {
            if grant.digest.is_some() && grant.digest != digest {
                let message = format!(
                    "the grant is for another component than this {} {}: it has no effect",
                    manifest.name, manifest.plugin_version
                );
                warnings.push(Warning { line: grant.digest_line, span: grant.digest_span.clone(), message });
                continue;
            }
            warnings.extend(grant.powers.iter().filter_map(|power| self.check_power(manifest, power)));
        }
        warnings
    }

    fn check_power(&self, manifest: &Manifest, granted: &PolicyPower) -> Option<Warning> {
        let PolicyPower { power, line, span } = granted;
        let warn = |message: String| Some(Warning { line: *line, span: span.clone(), message });
        if !manifest.asks.iter().any(|ask| ask.power.covers(power)) {
            let narrower: Vec<String> = manifest
                .asks
                .iter()
                .filter(|ask| power.covers(&ask.power))
                .map(|ask| ask.power.to_string())
                .collect();
            return match narrower.as_slice() {
                [] => warn(format!(
                    "`{power}` goes beyond what {} asks for: the excess has no effect",
                    manifest.name
                )),
                asks => warn(format!(
                    "`{power}` is wider than what {} asks for: only `{}` takes effect",
                    manifest.name,
                    asks.join("`, `")
                )),
            };
        }
        match power {
            Power::Secret(name, _) if !self.secrets.contains_key(name) => {
                warn(format!("`{power}` is granted, but [secrets] does not say where {name} comes from"))
            }
            Power::Variable(_, _, ValuePattern::Secret(name)) if !self.secrets.contains_key(name) => {
                warn(format!("`{power}` is granted, but [secrets] does not say where {name} comes from"))
            }
            Power::Command(_, program, _) if !self.programs.contains_key(program) => {
                warn(format!("`{power}` is granted, but there is no [programs.{program}]"))
            }
            Power::Mail(_) if self.mail.is_none() => {
                warn(format!("`{power}` is granted, but there is no [mail]: nothing can be delivered"))
            }
            _ => None,
        }
    }
}
