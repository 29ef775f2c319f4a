//! What a policy says of programs, of their sandbox, and of the mail server.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::parse::{PolicyError, Source, normal_digest};
use super::power::secret_name;
use crate::capability::command::{Confinement, Pin, Program, ProgramLimits, is_program, is_variable};
use crate::capability::mail::{Account, Encryption, MailConfig, Recipient};

/// A program of this machine that powers name.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Program")]
pub(super) struct RawProgram {
    /// Where it is.
    #[schemars(regex(pattern = "^/"))]
    path: PathBuf,
    /// Digest of its file, or `any` in so many words.
    #[serde(default)]
    #[schemars(regex(pattern = r"^(any|(sha256:)?[0-9A-Fa-f]{64})$"))]
    sha256: Option<String>,
    /// What it says of its version, in place of a digest: words that its output holds.
    #[serde(default)]
    version: Option<String>,
    /// Arguments that make it say its version; `--version` when absent.
    #[serde(default)]
    version_arguments: Option<Vec<String>>,
    /// Files and directories it may read besides what every program may read.
    #[serde(default)]
    read: Vec<PathBuf>,
    /// Variables it gets in any case.
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// Seconds one call may take.
    #[serde(default)]
    seconds: Option<NonZeroU32>,
    /// Memory of each of its processes, and of all together, in MiB.
    #[serde(default)]
    memory_mib: Option<NonZeroU32>,
    /// Largest file it may write, in MiB.
    #[serde(default)]
    file_mib: Option<NonZeroU32>,
    /// Room it may take in its scratch directory, in MiB.
    #[serde(default)]
    disk_mib: Option<NonZeroU32>,
    /// Processes and threads it may have at once.
    #[serde(default)]
    processes: Option<NonZeroU32>,
    /// Output that is kept of it, in KiB.
    #[serde(default)]
    output_kib: Option<NonZeroU32>,
}

/// How programs are confined.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Sandbox")]
pub(super) struct RawSandbox {
    /// Parts of the sandbox that a kernel may lack. Programs are refused where another part is missing.
    #[serde(default)]
    accept_missing: Vec<Confinement>,
}

/// The operator's mail server.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Mail")]
pub(super) struct RawMail {
    /// Host of the server.
    #[schemars(length(min = 1))]
    host: String,
    /// Its port: 465 with `tls`, 587 with `starttls`, 25 without encryption, when absent.
    #[serde(default)]
    port: Option<u16>,
    /// How the connection is protected; `none` only with a server on this machine.
    encryption: RawEncryption,
    /// Name of the account.
    #[serde(default)]
    user: Option<String>,
    /// Name of the secret that is its password.
    #[serde(default)]
    password: Option<String>,
    /// Who messages are from: `name@example.org` or `Name <name@example.org>`; whoever runs the release when absent.
    #[serde(default)]
    from: Option<String>,
    /// Seconds the server may take for an answer.
    #[serde(default)]
    seconds: Option<NonZeroU32>,
}

/// How a connection is protected.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Encryption")]
enum RawEncryption {
    /// TLS from the first byte.
    Tls,
    /// TLS after `STARTTLS`, which the server has to offer.
    Starttls,
    /// None.
    None,
}

/// Reads `[programs]`.
pub(super) fn programs(
    source: &Source,
    raw: &BTreeMap<Spanned<String>, Spanned<RawProgram>>,
) -> Result<BTreeMap<String, Program>, PolicyError> {
    raw.iter()
        .map(|(name, program)| {
            if !is_program(name.get_ref()) {
                let message = format!("{:?} is no name of a program", name.get_ref());
                return Err(source.error(name.span(), message, None));
            }
            Ok((name.get_ref().clone(), read_program(source, &program.span(), program.get_ref())?))
        })
        .collect()
}

fn read_program(source: &Source, span: &Range<usize>, raw: &RawProgram) -> Result<Program, PolicyError> {
    let wrong = |message: String, hint| Err(source.error(span.clone(), message, hint));
    if let Some(path) = std::iter::once(&raw.path).chain(&raw.read).find(|path| !path.is_absolute()) {
        return wrong(format!("{} is no absolute path", path.display()), None);
    }
    // Everything below it could be read: also what is nobody's business.
    if raw.read.iter().any(|path| path.parent().is_none()) {
        return wrong("a program cannot be given the whole machine to read".into(), None);
    }
    let fine = |(name, value): (&String, &String)| is_variable(name) && !value.contains('\0');
    if let Some((name, _)) = raw.environment.iter().find(|one| !fine(*one)) {
        return wrong(format!("{name:?} is no variable"), None);
    }
    let hint =
        Some("sha256 = \"…\" or version = \"…\" pins it; sha256 = \"any\" trusts whatever stands there");
    let pin = match (&raw.sha256, &raw.version) {
        (Some(digest), None) if digest == "any" => Pin::Any,
        (Some(digest), None) => match normal_digest(digest) {
            Some(digest) => Pin::Sha256(digest.trim_start_matches("sha256:").to_owned()),
            None => return wrong(format!("{digest:?} is no digest"), hint),
        },
        (None, Some(says)) if !says.trim().is_empty() => Pin::Version {
            arguments: raw.version_arguments.clone().unwrap_or_else(|| vec!["--version".into()]),
            says: says.clone(),
        },
        _ => return wrong("a program is pinned by one thing, a digest or a version".into(), hint),
    };
    let usual = ProgramLimits::default();
    let bytes = |given: Option<NonZeroU32>, shift: u32, usual: u64| {
        given.map_or(usual, |given| u64::from(given.get()) << shift)
    };
    let output = bytes(raw.output_kib, 10, u64::try_from(usual.output).unwrap_or(u64::MAX));
    let limits = ProgramLimits {
        wall: raw.seconds.map_or(usual.wall, |seconds| Duration::from_secs(seconds.get().into())),
        memory: bytes(raw.memory_mib, 20, usual.memory),
        file: bytes(raw.file_mib, 20, usual.file),
        disk: bytes(raw.disk_mib, 20, usual.disk),
        processes: raw.processes.map_or(usual.processes, |most| most.get().into()),
        output: usize::try_from(output).unwrap_or(usize::MAX),
    };
    let (path, read, environment) = (raw.path.clone(), raw.read.clone(), raw.environment.clone());
    Ok(Program { path, pin, read, environment, limits })
}

/// Reads `[sandbox]`.
pub(super) fn accept_missing(raw: Option<&RawSandbox>) -> Vec<Confinement> {
    raw.map(|raw| raw.accept_missing.clone()).unwrap_or_default()
}

/// Reads `[mail]`.
pub(super) fn mail(source: &Source, raw: &Spanned<RawMail>) -> Result<MailConfig, PolicyError> {
    let wrong = |message: String, hint| Err(source.error(raw.span(), message, hint));
    let RawMail { host, port, encryption, user, password, from, seconds } = raw.get_ref();
    let local =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        return wrong(format!("{host:?} is no host"), None);
    }
    if *encryption == RawEncryption::None && !local {
        return wrong(
            "mail would travel unencrypted: only a server on this machine may be spoken to without TLS"
                .into(),
            Some("encryption = \"tls\" (port 465) or encryption = \"starttls\" (port 587)"),
        );
    }
    let account = match (user, password) {
        (None, None) => None,
        (Some(user), Some(secret)) if !user.is_empty() && secret_name(secret).is_ok() => {
            Some(Account { user: user.clone(), secret: secret.clone() })
        }
        _ => {
            let message = "user and password belong together; password is the name of a secret";
            return wrong(message.into(), None);
        }
    };
    let from = match from.as_deref().map(Recipient::parse).transpose() {
        Ok(from) => from,
        Err(error) => return wrong(error.to_string(), None),
    };
    let (encryption, usual) = match encryption {
        RawEncryption::Tls => (Encryption::Implicit, 465),
        RawEncryption::Starttls => (Encryption::StartTls, 587),
        RawEncryption::None => (Encryption::None, 25),
    };
    Ok(MailConfig {
        host: host.clone(),
        port: port.unwrap_or(usual),
        encryption,
        account,
        from,
        authorities: Vec::new(),
        timeout: Duration::from_secs(seconds.map_or(60, |seconds| seconds.get().into())),
    })
}
