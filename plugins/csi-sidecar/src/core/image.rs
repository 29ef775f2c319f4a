//! Which images a repository builds, for which platforms, and whether a staged manifest list has them all.
//! Half of a set has been promoted before; completeness is checked, not hoped for.

use std::fmt;

/// Names of the images: the variable `CMDS` of the Makefile, appended values included.
///
/// # Errors
/// [`MakefileError`] when there is no `CMDS` or it is computed.
pub fn commands(makefile: &str) -> Result<Vec<String>, MakefileError> {
    let joined = makefile.replace("\\\n", " ");
    let mut names: Vec<String> = Vec::new();
    for line in joined.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let Some((name, value)) = line.split_once('=') else { continue };
        let (name, appends) = match name.strip_suffix('+') {
            Some(name) => (name, true),
            None => (name.trim_end_matches([':', '?']), false),
        };
        if line.starts_with(['\t', ' ']) || name.trim() != "CMDS" {
            continue;
        }
        if value.contains('$') {
            return Err(MakefileError::Computed(value.trim().to_owned()));
        }
        if !appends {
            names.clear();
        }
        names.extend(value.split_whitespace().map(str::to_owned));
    }
    if names.is_empty() { Err(MakefileError::NoCommands) } else { Ok(names) }
}

/// Why the images cannot be read from a Makefile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MakefileError {
    /// No `CMDS`.
    #[error("the Makefile sets no CMDS, so the image names are unknown; name them in the input `images`")]
    NoCommands,
    /// `CMDS` needs make to be known.
    #[error("the Makefile computes CMDS ({0}); name the images in the input `images`")]
    Computed(String),
}

/// One platform of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// `linux`, `windows`.
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7` of `arm/v7`.
    pub variant: Option<String>,
    /// Windows: release of the base image (`1809`, `ltsc2022`) where wanted, number of the build
    /// (`10.0.17763.6054`) where found.
    pub os_version: Option<String>,
}

impl fmt::Display for Platform {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.os, self.architecture)?;
        if let Some(variant) = &self.variant {
            write!(out, "/{variant}")?;
        }
        match &self.os_version {
            Some(version) => write!(out, " ({version})"),
            None => Ok(()),
        }
    }
}

/// Value that a shell script gives to `CSI_PROW_BUILD_PLATFORMS`: `configvar NAME "…" "…"`, `NAME="…"` or
/// `: ${NAME:="…"}`. The scripts of the repository itself come before the shared one.
pub fn build_platforms_value(script: &str) -> Option<&str> {
    const NAME: &str = "CSI_PROW_BUILD_PLATFORMS";
    script.lines().filter(|line| !line.trim_start().starts_with('#')).find_map(|line| {
        let rest = line.get(line.find(NAME)? + NAME.len()..)?;
        let assigned = rest.trim_start_matches([':', '=', ' ', '-']);
        let quoted = assigned.strip_prefix(['"', '\''])?;
        quoted.split(['"', '\'']).next().filter(|value| !value.starts_with('$'))
    })
}

/// Reads the value: `os arch [platform] [suffix] [base images]`, separated by semicolons. `windows` says
/// whether the command has a `Dockerfile.Windows`; without one the scripts build no Windows image.
pub fn platforms(value: &str, windows: bool) -> Vec<Platform> {
    let mut found: Vec<Platform> = value.split(';').filter_map(platform).collect();
    found.retain(|platform| windows || platform.os != "windows");
    found.sort();
    found.dedup();
    found
}

fn platform(text: &str) -> Option<Platform> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [os, architecture, rest @ ..] = words.as_slice() else { return None };
    // The newer form repeats the architecture with its variant before the file suffix.
    let full = rest
        .first()
        .filter(|word| !word.starts_with(['-', '.']) && !word.contains(':'))
        .unwrap_or(architecture);
    let (architecture, variant) =
        full.split_once('/').map_or((*full, None), |(name, variant)| (name, Some(variant)));
    let base = rest.iter().find_map(|word| word.split_once(':').map(|(_, tag)| tag));
    Some(Platform {
        os: (*os).to_owned(),
        architecture: architecture.to_owned(),
        variant: variant.map(str::to_owned),
        os_version: base.filter(|_| *os == "windows").map(str::to_owned),
    })
}

/// Platforms that a manifest list lacks. Entries of attestations (`unknown/unknown`) are passed over.
pub fn missing(wanted: &[Platform], found: &[Platform]) -> Vec<Platform> {
    wanted.iter().filter(|wanted| !found.iter().any(|found| satisfies(found, wanted))).cloned().collect()
}

fn satisfies(found: &Platform, wanted: &Platform) -> bool {
    // Builders complete a plain "arm" to its default variant.
    let variant = wanted.variant.is_none() || found.variant == wanted.variant;
    let version = match (&found.os_version, &wanted.os_version) {
        (Some(found), Some(wanted)) => windows_build(wanted).is_none_or(|build| found.starts_with(build)),
        (None, Some(wanted)) => windows_build(wanted).is_none(),
        _ => true,
    };
    found.os == wanted.os && found.architecture == wanted.architecture && variant && version
}

/// Number of the Windows build behind a base image tag.
fn windows_build(tag: &str) -> Option<&'static str> {
    Some(match tag {
        "1809" | "ltsc2019" => "10.0.17763",
        "1909" => "10.0.18363",
        "2004" => "10.0.19041",
        "20H2" => "10.0.19042",
        "ltsc2022" => "10.0.20348",
        "ltsc2025" => "10.0.26100",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_commands() {
        let cases = [
            ("CMDS=csi-attacher\nall: build\n", vec!["csi-attacher"]),
            ("# CMDS=no\nCMDS = a b \\\n  c # more\n", vec!["a", "b", "c"]),
            ("CMDS:=a\nCMDS+=b\n\tCMDS=recipe\nOTHER_CMDS=x\n", vec!["a", "b"]),
        ];
        for (makefile, names) in cases {
            assert_eq!(commands(makefile).expect(makefile), names);
        }
        assert_eq!(commands("all:\n"), Err(MakefileError::NoCommands));
        assert!(matches!(commands("CMDS=$(shell ls)\n"), Err(MakefileError::Computed(_))));
    }

    const NEW: &str = "linux amd64 amd64; linux arm arm -arm; linux arm arm/v7 -armv7; windows amd64 amd64 .exe nanoserver:1809 servercore:ltsc2019; windows amd64 amd64 .exe nanoserver:ltsc2022 servercore:ltsc2022";

    #[test]
    fn finds_the_value_in_scripts() {
        let cases = [
            format!("configvar CSI_PROW_BUILD_PLATFORMS \"{NEW}\" \"Go target platforms\"\n"),
            format!(": ${{CSI_PROW_BUILD_PLATFORMS:=\"{NEW}\"}}\n"),
            format!("# CSI_PROW_BUILD_PLATFORMS=\"x\"\nexport CSI_PROW_BUILD_PLATFORMS=\"{NEW}\"\n"),
        ];
        for script in &cases {
            assert_eq!(build_platforms_value(script), Some(NEW), "{script}");
        }
        assert_eq!(build_platforms_value("make BUILD_PLATFORMS=\"${CSI_PROW_BUILD_PLATFORMS}\"\n"), None);
    }

    fn found(os: &str, architecture: &str, variant: Option<&str>, version: Option<&str>) -> Platform {
        Platform {
            os: os.into(),
            architecture: architecture.into(),
            variant: variant.map(str::to_owned),
            os_version: version.map(str::to_owned),
        }
    }

    #[test]
    fn an_incomplete_list_is_found() {
        let shown = |platforms: &[Platform]| platforms.iter().map(Platform::to_string).collect::<Vec<_>>();
        assert_eq!(shown(&platforms(NEW, false)), ["linux/amd64", "linux/arm", "linux/arm/v7"]);
        assert_eq!(
            shown(&platforms("linux amd64; linux arm/v7 -armv7; windows amd64 .exe nanoserver:1809", true)),
            ["linux/amd64", "linux/arm/v7", "windows/amd64 (1809)"]
        );
        let mut list = vec![
            found("linux", "amd64", None, None),
            found("linux", "arm", Some("v7"), None),
            found("windows", "amd64", None, Some("10.0.17763.6054")),
            found("unknown", "unknown", None, None),
        ];
        assert_eq!(shown(&missing(&platforms(NEW, true), &list)), ["windows/amd64 (ltsc2022)"]);
        list.push(found("windows", "amd64", None, Some("10.0.20348.1")));
        assert!(missing(&platforms(NEW, true), &list).is_empty());
    }
}
