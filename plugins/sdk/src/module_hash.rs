//! What the Go checksum database records about a module, computed from its files: the `h1:` hash of the module zip and
//! of `go.mod`, and pseudo-versions of commits without a tag.
//!
//! Sources: `golang.org/x/mod/sumdb/dirhash` (Hash1), `golang.org/x/mod/zip` (which files a zip holds), the Go modules
//! reference on pseudo-versions.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::go_mod::{GoMod, at_least};
use crate::step::day;
use crate::version::semver_of;

/// A file below the folder of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleFile {
    /// Path below the folder.
    pub path: String,
    /// Whether it is an ordinary file: links and submodules are never part of a zip.
    pub regular: bool,
    /// SHA-256 of the content, 64 hexadecimal digits.
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
}

impl ModuleFile {
    /// An ordinary file with its content.
    #[must_use]
    pub fn of(path: &str, content: &[u8]) -> Self {
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        Self { path: path.to_owned(), regular: true, sha256: sha256(content), size }
    }
}

/// What a zip must not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum ZipFault {
    /// Go refuses the path.
    #[error("the path {0:?} is not allowed in a module zip")]
    Path(String),
    /// Two paths differ in case only.
    #[error("{0:?} and {1:?} differ in case only")]
    Case(String, String),
    /// More than 500 MiB.
    #[error("the module holds {0} bytes, more than a module zip may")]
    Size(u64),
    /// `go.mod` is missing.
    #[error("there is no go.mod")]
    NoGoMod,
}

/// The most that a module may hold, in bytes.
pub const LARGEST: u64 = 500 << 20;

/// SHA-256 in hexadecimal digits.
#[must_use]
pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The files of a module zip: without nested modules, vendored packages and whatever is no ordinary file, with the
/// LICENSE of the repository's root where the module has none of its own.
///
/// `go` is the language version of the module's `go.mod`. Vendored packages follow two rules: up to 1.23 the test
/// looks at the wrong place of the path and keeps `vendor/modules.txt`; from 1.24 on it does neither (golang/go
/// 37397, 31562, 64440).
#[must_use]
pub fn zip_files(
    files: &[ModuleFile],
    go: Option<&str>,
    root_license: Option<&ModuleFile>,
) -> Vec<ModuleFile> {
    let nested: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.path.rsplit_once('/'))
        .filter(|(_, name)| name.eq_ignore_ascii_case("go.mod"))
        .map(|(folder, _)| folder)
        .collect();
    let fixed = go.is_some_and(|go| at_least(go, (1, 24)));
    let mut kept: Vec<ModuleFile> = files
        .iter()
        .filter(|file| file.regular && !is_nested(&file.path, &nested) && !is_vendored(&file.path, fixed))
        .cloned()
        .collect();
    if let Some(license) = root_license.filter(|_| !kept.iter().any(|file| file.path == "LICENSE")) {
        kept.push(ModuleFile { path: "LICENSE".to_owned(), ..license.clone() });
    }
    kept
}

fn is_nested(path: &str, nested: &BTreeSet<&str>) -> bool {
    path.match_indices('/').any(|(at, _)| path.get(..at).is_some_and(|folder| nested.contains(folder)))
}

fn is_vendored(path: &str, fixed: bool) -> bool {
    if fixed && path == "vendor/modules.txt" {
        return true;
    }
    let from = match (path.strip_prefix("vendor/"), path.find("/vendor/")) {
        (Some(_), _) => "vendor/".len(),
        (None, Some(at)) if fixed => at + "/vendor/".len(),
        (None, Some(_)) => "/vendor/".len(),
        (None, None) => return false,
    };
    path.get(from..).is_some_and(|rest| rest.contains('/'))
}

/// Why Go would refuse these files as a module zip; nothing: it would take them.
#[must_use]
pub fn zip_faults(files: &[ModuleFile]) -> Vec<ZipFault> {
    let mut faults = Vec::new();
    let mut folded: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        if !path_fits(&file.path) {
            faults.push(ZipFault::Path(file.path.clone()));
        }
        let ends = file.path.match_indices('/').map(|(at, _)| at).chain([file.path.len()]);
        for part in ends.filter_map(|end| file.path.get(..end)) {
            match folded.insert(part.to_lowercase(), part.to_owned()) {
                Some(other) if other != part => faults.push(ZipFault::Case(other, part.to_owned())),
                _ => {}
            }
        }
    }
    let size = files.iter().map(|file| file.size).sum();
    if size > LARGEST {
        faults.push(ZipFault::Size(size));
    }
    if !files.iter().any(|file| file.path == "go.mod") {
        faults.push(ZipFault::NoGoMod);
    }
    faults
}

/// The rule of `module.CheckFilePath`.
fn path_fits(path: &str) -> bool {
    const DEVICES: [&str; 4] = ["CON", "PRN", "AUX", "NUL"];
    !path.is_empty()
        && path.split('/').all(|element| {
            let fits = |c: char| {
                c.is_ascii_alphanumeric()
                    || "!#$%&()+,-.=@[]^_{}~ ".contains(c)
                    || (!c.is_ascii() && c.is_alphabetic())
            };
            let short = element.split('.').next().unwrap_or_default().to_ascii_uppercase();
            let numbered = short.strip_prefix("COM").or_else(|| short.strip_prefix("LPT"));
            let device = DEVICES.contains(&short.as_str())
                || numbered.is_some_and(|digit| {
                    digit.len() == 1 && digit.bytes().all(|b| (b'1'..=b'9').contains(&b))
                });
            !element.is_empty() && !element.ends_with('.') && element.chars().all(fits) && !device
        })
}

/// The `h1:` hash of a module zip: over all files sorted by their names in the zip.
#[must_use]
pub fn h1(module: &str, version: &str, files: &[ModuleFile]) -> String {
    let prefix = format!("{module}@{version}/");
    hash(files.iter().map(|file| (format!("{prefix}{}", file.path), file.sha256.clone())).collect())
}

/// The `h1:` hash of a `go.mod`.
#[must_use]
pub fn go_mod_h1(content: &[u8]) -> String {
    hash(vec![("go.mod".to_owned(), sha256(content))])
}

fn hash(mut files: Vec<(String, String)>) -> String {
    files.sort();
    let mut summary = Sha256::new();
    for (name, digest) in files {
        summary.update(format!("{digest}  {name}\n"));
    }
    format!("h1:{}", STANDARD.encode(summary.finalize()))
}

/// Both lines of a `go.sum` for a module at a version.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ModuleHashes {
    /// Of the zip.
    pub h1: String,
    /// Of `go.mod`.
    pub go_mod_h1: String,
}

/// Hashes a module from its folder. `go_mod` is the content of its `go.mod`.
#[must_use]
pub fn module_hashes(
    module: &str,
    version: &str,
    files: &[ModuleFile],
    go_mod: &str,
    root_license: Option<&ModuleFile>,
) -> ModuleHashes {
    let zip = zip_files(files, GoMod::parse(go_mod).go.as_deref(), root_license);
    ModuleHashes { h1: h1(module, version, &zip), go_mod_h1: go_mod_h1(go_mod.as_bytes()) }
}

/// The version that Go gives a commit without a tag. `time` is the committer's, in seconds since 1970-01-01 UTC;
/// `base` the highest version tagged before it, if there is one in the module's own prefix.
#[must_use]
pub fn pseudo_version(base: Option<&str>, time: i64, commit: &str) -> String {
    let stamp = stamp(time);
    let short: String = commit.chars().take(12).collect();
    match base.and_then(semver_of) {
        Some(base) if base.pre.is_empty() => {
            format!("v{}.{}.{}-0.{stamp}-{short}", base.major, base.minor, base.patch.saturating_add(1))
        }
        Some(base) => format!("v{}.{}.{}-{}.0.{stamp}-{short}", base.major, base.minor, base.patch, base.pre),
        None => format!("v0.0.0-{stamp}-{short}"),
    }
}

fn stamp(time: i64) -> String {
    let seconds = time.rem_euclid(86_400);
    format!("{}{:02}{:02}{:02}", day(time).replace('-', ""), seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> ModuleFile {
        ModuleFile::of(path, path.as_bytes())
    }

    #[test]
    fn pseudo_versions() {
        let commit = "2777b13db748f9ba785c7d2be4fcb6ac9c9af265";
        let table = [
            (None, "v0.0.0-20250116150548-2777b13db748"),
            (Some("v0.8.2"), "v0.8.3-0.20250116150548-2777b13db748"),
            (Some("v0.8.0-alpha.1"), "v0.8.0-alpha.1.0.20250116150548-2777b13db748"),
        ];
        for (base, expected) in table {
            assert_eq!(pseudo_version(base, 1_737_039_948, commit), expected);
        }
    }

    #[test]
    fn a_zip_leaves_out_nested_modules_links_and_vendored_packages() {
        let mut link = file("link");
        link.regular = false;
        let files: Vec<ModuleFile> = [
            "go.mod",
            "a.go",
            "sub/go.mod",
            "sub/deep/b.go",
            "vendor/modules.txt",
            "vendor/x.org/y/z.go",
            "pkg/vendor/v.go",
            "longer/pkg/vendor/v.go",
            "pkg/vendor/p/v.go",
        ]
        .into_iter()
        .map(file)
        .chain([link])
        .collect();
        let names = |go: &str| -> Vec<String> {
            let license = file("LICENSE");
            zip_files(&files, Some(go), Some(&license)).into_iter().map(|file| file.path).collect()
        };
        assert_eq!(names("1.23"), ["go.mod", "a.go", "vendor/modules.txt", "LICENSE"]);
        assert_eq!(
            names("1.24.1"),
            ["go.mod", "a.go", "pkg/vendor/v.go", "longer/pkg/vendor/v.go", "LICENSE"]
        );
    }

    #[test]
    fn go_refuses_some_names() {
        let refused = ["run-kata\\x2dcontainers.mount", "a:b", "con.txt", "dir./x", "COM1"];
        for path in refused {
            assert!(
                zip_faults(&[file("go.mod"), file(path)]).contains(&ZipFault::Path(path.to_owned())),
                "{path}"
            );
        }
        assert_eq!(zip_faults(&[file("go.mod"), file("a+b/ü (1).txt")]), []);
        assert_eq!(
            zip_faults(&[file("A"), file("a")]),
            [ZipFault::Case("A".into(), "a".into()), ZipFault::NoGoMod]
        );
        let large = ModuleFile { size: LARGEST + 1, ..file("go.mod") };
        assert_eq!(zip_faults(&[large]), [ZipFault::Size(LARGEST + 1)]);
    }

    #[test]
    fn the_hash_of_a_zip_knows_its_module() {
        let text = "module example.org/m\n";
        let hashes = module_hashes(
            "example.org/m",
            "v1.0.0",
            &[ModuleFile::of("go.mod", text.as_bytes())],
            text,
            None,
        );
        assert_eq!(hashes.go_mod_h1, go_mod_h1(text.as_bytes()));
        assert!(hashes.h1.starts_with("h1:") && hashes.h1.len() == 47, "{}", hashes.h1);
        assert_ne!(hashes.h1, hashes.go_mod_h1, "the zip's names carry module and version");
    }
}
