//! What a component exports, read from its bytes: enough to say in words that it is no plugin, or one of another time.

use wasmparser::{Parser, Payload};

use super::{LoadError, is_this_track};

/// The interface that makes a component a plugin.
const PROCESSES: &str = "castoff:process/processes";

/// Why these bytes are no plugin of this host, as far as its exports tell. Nothing when they cannot be read: that is for others
/// to say.
pub(super) fn fault(component: &[u8]) -> Option<LoadError> {
    let exports = exports(component)?;
    let versions: Vec<&str> = exports.iter().filter_map(|name| name.strip_prefix(PROCESSES)).collect();
    if versions.iter().any(|version| is_this_track(version)) {
        return None;
    }
    let Some(version) = versions.first() else {
        let shown: Vec<&str> = exports.iter().map(String::as_str).take(5).collect();
        let found = match shown.as_slice() {
            [] => "; it exports nothing".to_owned(),
            shown => format!("; it exports {}", shown.join(", ")),
        };
        return Some(LoadError::NotAPlugin { found });
    };
    let newer = semver::Version::parse(version.trim_start_matches('@'))
        .is_ok_and(|version| version >= semver::Version::new(0, 2, 0));
    let hint =
        if newer { "a newer castoff is needed" } else { "build it anew with this castoff's interfaces" };
    Some(LoadError::Track { found: format!("castoff:process{version}"), hint })
}

/// Names of what a component exports.
fn exports(component: &[u8]) -> Option<Vec<String>> {
    let (mut names, mut depth) = (Vec::new(), 0_usize);
    for payload in Parser::new(0).parse_all(component) {
        match payload.ok()? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    names.push(export.ok()?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Some(names)
}
