//! What a plugin asks: the custom section `castoff:manifest` of its component, read without running or compiling it.
//!
//! The section holds TOML or JSON:
//!
//! ```toml
//! version = 1
//! name = "csi-sidecar"
//! plugin-version = "0.1.0"
//! sdk = "0.1.0"
//!
//! [[ask]]
//! power = "git.push kubernetes-csi/* refs/tags/v*"
//! reason = "tags the release"
//! steps = ["tag"]
//! ```

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use wasmparser::{Encoding, Parser, Payload};

use super::pattern::Glob;
use super::power::{Power, PowerError};

/// Name of the custom section.
pub const SECTION: &str = "castoff:manifest";

/// The manifest format this version reads.
pub const VERSION: u32 = 1;

/// Largest manifest read, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// What a plugin says about itself and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// Format, [`VERSION`].
    pub version: u32,
    /// Name of the plugin, as policies call it.
    pub name: String,
    /// Its version.
    pub plugin_version: String,
    /// Version of the SDK it was built with.
    #[serde(default)]
    pub sdk: String,
    /// What it asks for.
    #[serde(default, rename = "ask")]
    pub asks: Vec<Ask>,
}

/// One power a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ask {
    /// The power.
    #[serde(deserialize_with = "read_power", serialize_with = "write_power")]
    pub power: Power,
    /// Why, in plain words.
    pub reason: String,
    /// In which processes; empty: in all.
    #[serde(default, skip_serializing_if = "Names::is_empty")]
    pub processes: Names,
    /// In which steps; empty: in all.
    #[serde(default, skip_serializing_if = "Names::is_empty")]
    pub steps: Names,
}

/// Names of processes or steps, `*` for any characters; none at all stands for every name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(Vec<Glob>);

impl Names {
    /// Whether no name is given, so that every name is meant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a name is meant.
    #[must_use]
    pub fn include(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|glob| glob.matches(name))
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let globs = texts.iter().map(|text| Glob::parse(text)).collect::<Result<_, _>>();
        globs.map(Self).map_err(serde::de::Error::custom)
    }
}

fn read_power<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Power, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(|error: PowerError| serde::de::Error::custom(error))
}

fn write_power<S: Serializer>(power: &Power, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(power)
}

/// Why a plugin has no usable manifest.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// Not WebAssembly at all.
    #[error("this is not WebAssembly: {0}")]
    NotWasm(String),
    /// A core module.
    #[error(
        "this is a core module, not a component: `castoff plugin build` makes one of it, Rust does for wasm32-wasip2"
    )]
    CoreModule,
    /// The file ends too early or is damaged.
    #[error("the component is truncated or damaged: {0}")]
    Damaged(String),
    /// There is no manifest.
    #[error(
        "the component has no manifest (custom section `{SECTION}`): build it with `castoff plugin build` or the castoff SDK"
    )]
    Missing,
    /// There is more than one.
    #[error("the component has more than one manifest (custom section `{SECTION}`)")]
    Ambiguous,
    /// A newer format.
    #[error("the manifest has version {found}, this castoff reads {VERSION}: a newer castoff is needed")]
    Newer {
        /// Its version.
        found: u64,
    },
    /// It cannot be understood.
    #[error("the manifest is wrong: {0}")]
    Invalid(String),
}

/// Reads the manifest of a component.
///
/// It is the custom section of the component itself; where that has none, the one of a module inside it, which is where
/// a linker puts what the plugin's source declares.
///
/// # Errors
/// [`ManifestError`]; nothing in the bytes makes this panic.
pub fn read(component: &[u8]) -> Result<Manifest, ManifestError> {
    parse(&section(component)?)
}

/// The bytes of the manifest section.
///
/// # Errors
/// As [`read`], without those about the content.
pub fn section(component: &[u8]) -> Result<Vec<u8>, ManifestError> {
    if !component.starts_with(b"\0asm") {
        return Err(ManifestError::NotWasm("it does not begin with `\\0asm`".into()));
    }
    let (mut own, mut inner) = (Vec::new(), Vec::new());
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| ManifestError::Damaged(error.to_string()))? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(ManifestError::CoreModule);
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(custom) if custom.name() == SECTION => {
                if custom.data().len() > MAX_SIZE {
                    return Err(ManifestError::Invalid(format!("it is larger than {MAX_SIZE} bytes")));
                }
                if depth == 0 { &mut own } else { &mut inner }.push(custom.data());
            }
            _ => {}
        }
    }
    match (own.as_slice(), inner.as_slice()) {
        ([one], _) | ([], [one]) => Ok((*one).to_vec()),
        ([], []) => Err(ManifestError::Missing),
        _ => Err(ManifestError::Ambiguous),
    }
}

/// Parses the text of a manifest: TOML, or JSON when it begins with `{`.
///
/// # Errors
/// [`ManifestError::Newer`] and [`ManifestError::Invalid`].
pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    let invalid = |why: String| ManifestError::Invalid(why);
    let text = std::str::from_utf8(bytes).map_err(|error| invalid(error.to_string()))?.trim();
    let json = text.starts_with('{');
    // The version first: a newer format may hold what this one would call a mistake.
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let versioned: Versioned = if json {
        serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?
    } else {
        toml::from_str(text).map_err(|error| invalid(error.to_string()))?
    };
    match versioned.version {
        0 => return Err(invalid("there is no version 0".into())),
        version if version > u64::from(VERSION) => return Err(ManifestError::Newer { found: version }),
        _ => {}
    }
    let manifest: Manifest = if json {
        serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?
    } else {
        toml::from_str(text).map_err(|error| invalid(error.to_string()))?
    };
    let texts = manifest.asks.iter().map(|ask| &ask.reason);
    let shown = [&manifest.name, &manifest.plugin_version, &manifest.sdk].into_iter().chain(texts);
    // People read these on a terminal.
    for text in shown {
        if text.chars().any(char::is_control) {
            return Err(invalid(format!("{text:?} holds control characters")));
        }
    }
    if manifest.name.is_empty() {
        return Err(invalid("it has no name".into()));
    }
    Ok(manifest)
}

/// The digest a policy names: `sha256:` and 64 hexadecimal digits over the bytes of the component.
#[must_use]
pub fn component_digest(component: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, component);
    format!("sha256:{}", hex::encode(digest))
}

/// What changes between two versions of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Asks of the new version that no ask of the old one covers.
    pub gained: Vec<Ask>,
    /// Asks of the old version that no ask of the new one covers.
    pub lost: Vec<Ask>,
}

impl Difference {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.gained.is_empty() && self.lost.is_empty()
    }
}

/// Powers gained and lost by an upgrade of a plugin.
#[must_use]
pub fn diff(old: &Manifest, new: &Manifest) -> Difference {
    difference(&old.asks, &new.asks)
}

/// Powers gained and lost from old asks to new ones. In doubt a power counts as gained.
#[must_use]
pub fn difference(old: &[Ask], new: &[Ask]) -> Difference {
    let beyond = |asks: &[Ask], others: &[Ask]| -> Vec<Ask> {
        asks.iter().filter(|ask| !others.iter().any(|other| covers(other, ask))).cloned().collect()
    };
    Difference { gained: beyond(new, old), lost: beyond(old, new) }
}

fn covers(wide: &Ask, narrow: &Ask) -> bool {
    let names = |wide: &Names, narrow: &Names| {
        wide.is_empty()
            || (!narrow.is_empty() && narrow.0.iter().all(|name| wide.0.iter().any(|own| own.covers(name))))
    };
    wide.power.covers(&narrow.power)
        && names(&wide.processes, &narrow.processes)
        && names(&wide.steps, &narrow.steps)
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.power, self.reason)
    }
}
