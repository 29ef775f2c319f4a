//! Process `module-hash`: what the checksum database would record about a module, from a commit, or from a listing of its
//! files where their content is elsewhere.

use castoff_sdk::Error;
use castoff_sdk::go_mod::GoMod;
use castoff_sdk::module_hash::{ModuleFile, go_mod_h1, pseudo_version, zip_files};
use castoff_sdk::process::{Context, Graph, Input, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{done, invalid, not_found};
use serde::{Deserialize, Serialize};

use super::checkout::{Checkout, hash_at};
use super::input::{optional, profile};
use super::{profiles, step};

/// Its name.
pub(crate) const NAME: &str = "module-hash";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Inputs {
    #[serde(default)]
    repository: String,
    #[serde(default)]
    module: String,
    version: Option<String>,
    commit: Option<String>,
    #[serde(default)]
    folder: String,
    listing: Option<String>,
    #[serde(default)]
    go_mod: String,
    go: Option<String>,
    license_sha256: Option<String>,
    time: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Output {
    version: String,
    h1: String,
    go_mod_h1: String,
    pseudo_version: Option<String>,
    zip_files: usize,
}

/// Describes the process.
pub(crate) fn describe() -> Process {
    let text = |name: &str, summary: &str| -> Input { optional(name, InputKind::Text, summary) };
    Process {
        name: NAME.to_owned(),
        summary: "Compute the hashes that the Go checksum database records about a module".to_owned(),
        inputs: vec![
            text("repository", "repository that holds the module"),
            text("commit", "commit; the head of the default branch when left out"),
            text("folder", "folder of the module; the root when left out"),
            text("version", "version to hash under; the pseudo-version of the commit when left out"),
            text("module", "with a listing: module path"),
            text(
                "listing",
                "files as lines of mode, size, SHA-256 and path, between tabs, instead of a repository",
            ),
            text("go-mod", "with a listing: the go.mod"),
            text("go", "with a listing: language version; that of go-mod when left out"),
            text("license-sha256", "with a listing: SHA-256 of the LICENSE at the root of the repository"),
            optional(
                "time",
                InputKind::Integer,
                "with a listing: time of the commit, seconds since 1970-01-01 UTC",
            ),
        ],
        profiles: profiles(),
    }
}

/// Lays it out.
pub(crate) fn graph(name: &str, text: &str) -> Result<Graph, Error> {
    let inputs: Inputs = castoff_sdk::step::inputs(text)?;
    profile(name)?;
    let steps = vec![step(
        "hash",
        "Hash the module",
        StepKind::Work,
        &[],
        "The Go module proxy caches the hash of the first tag",
    )];
    Ok(Graph { title: format!("Hash of {}{}", inputs.repository, inputs.module), steps })
}

/// Runs its step.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let output = match &inputs.listing {
        Some(listing) => listed(&inputs, listing)?,
        None => committed(&inputs)?,
    };
    done(&output)
}

fn listed(inputs: &Inputs, listing: &str) -> Result<Output, Error> {
    let files: Vec<ModuleFile> =
        listing.lines().filter(|line| !line.is_empty()).map(file).collect::<Result<_, _>>()?;
    let license = inputs.license_sha256.as_ref().map(|sha256| ModuleFile {
        path: "LICENSE".to_owned(),
        regular: true,
        sha256: sha256.clone(),
        size: 0,
    });
    let pseudo =
        inputs.time.zip(inputs.commit.as_ref()).map(|(time, commit)| pseudo_version(None, time, commit));
    let version = inputs.version.clone().or_else(|| pseudo.clone());
    let version = version.ok_or_else(|| invalid("a listing needs a version, or commit and time"))?;
    let go = inputs.go.clone().or_else(|| GoMod::parse(&inputs.go_mod).go);
    let zip = zip_files(&files, go.as_deref(), license.as_ref());
    Ok(Output {
        h1: castoff_sdk::module_hash::h1(&inputs.module, &version, &zip),
        go_mod_h1: go_mod_h1(inputs.go_mod.as_bytes()),
        pseudo_version: pseudo,
        zip_files: zip.len(),
        version,
    })
}

fn file(line: &str) -> Result<ModuleFile, Error> {
    let parts: Vec<&str> = line.split('\t').collect();
    let [mode, size, sha256, path] = parts.as_slice() else {
        return Err(invalid(format!("{line:?} is not mode, size, SHA-256 and path between tabs")));
    };
    Ok(ModuleFile {
        path: (*path).to_owned(),
        regular: mode.starts_with("100"),
        sha256: (*sha256).to_owned(),
        size: size.parse().unwrap_or(0),
    })
}

fn committed(inputs: &Inputs) -> Result<Output, Error> {
    let checkout = Checkout::open(&inputs.repository, None)?;
    let commit = match &inputs.commit {
        Some(commit) => {
            checkout.repository.resolve(commit)?.ok_or_else(|| not_found(format!("commit {commit}")))?
        }
        None => checkout.head.clone(),
    };
    let pseudo = pseudo_version(None, commit.time, &commit.id);
    let version = inputs.version.clone().unwrap_or_else(|| pseudo.clone());
    let hashed = hash_at(&checkout.repository, &commit.id, &inputs.folder, &version)?;
    let hashed = hashed.ok_or_else(|| not_found(format!("{}/go.mod at {}", inputs.folder, commit.id)))?;
    Ok(Output {
        h1: hashed.hashes.h1,
        go_mod_h1: hashed.hashes.go_mod_h1,
        pseudo_version: Some(pseudo),
        zip_files: hashed.files,
        version,
    })
}
