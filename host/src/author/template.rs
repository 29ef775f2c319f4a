//! New projects: the files of a template with its placeholders filled in, and the interfaces and the SDK beside them.
//!
//! `plugins/templates/shared` goes into every project, `plugins/templates/LANG` over it. `gitignore` becomes `.gitignore`;
//! where both have one, their lines are put together.

use std::collections::BTreeMap;
use std::path::Path;

use super::project::{Project, is_name};
use super::{AuthorError, Language, binding, source, write};

/// Where the SDK lies in a project in Rust: castoff's own tree in small, so that paths and workspace settings hold.
const VENDORED: &str = "vendor/castoff";
/// Crates of the tree that a plugin in Rust is built with: these folders below `plugins/`, by how they begin.
const SDK: &str = "sdk";

/// The files of a new project, by path.
///
/// # Errors
/// [`AuthorError::Name`], [`AuthorError::Module`] when the SDK carried in the binary is damaged.
pub fn files(name: &str, language: Language) -> Result<BTreeMap<String, Vec<u8>>, AuthorError> {
    if !is_name(name) {
        return Err(AuthorError::Name(name.to_owned()));
    }
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for folder in ["shared", language.word()] {
        for (path, content) in source::below(&format!("plugins/templates/{folder}/")) {
            let content = filled(content, name, language);
            match path.strip_suffix("gitignore") {
                Some(folder) => {
                    files.entry(format!("{folder}.gitignore")).or_default().extend_from_slice(&content);
                }
                None => {
                    files.insert(path.to_owned(), content);
                }
            }
        }
    }
    match language {
        Language::Rust => files.extend(sdk()?),
        _ => files.extend(binding::interfaces().map(|(path, content)| (path, content.to_vec()))),
    }
    Ok(files)
}

/// Makes a project in a folder that is new or empty.
///
/// # Errors
/// As [`files`]; [`AuthorError::Taken`], [`AuthorError::File`].
pub fn create(folder: &Path, name: &str, language: Language) -> Result<Project, AuthorError> {
    let files = files(name, language)?;
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(AuthorError::Taken(folder.to_owned()));
    }
    for (path, content) in &files {
        write(&folder.join(path), content)?;
    }
    let project = Project::open(folder)?;
    binding::generate(&project)?;
    Ok(project)
}

/// A file with its placeholders filled in; bytes that are no text stay as they are.
fn filled(content: &[u8], name: &str, language: Language) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(content) else { return content.to_vec() };
    let largest = language.usual_kib().to_string();
    let filled = [("{{name}}", name), ("{{lang}}", language.word()), ("{{max-kib}}", &largest)]
        .iter()
        .fold(text.to_owned(), |text, (what, by)| text.replace(what, by));
    filled.into_bytes()
}

/// The SDK and the interfaces it speaks, as a small workspace of their own.
fn sdk() -> Result<BTreeMap<String, Vec<u8>>, AuthorError> {
    let mut files = BTreeMap::new();
    let mut members = Vec::new();
    for (path, content) in source::below("") {
        let in_sdk = path.strip_prefix("plugins/").is_some_and(|path| path.starts_with(SDK));
        if !in_sdk && !path.starts_with("wit/") {
            continue;
        }
        if let Some(folder) = path.strip_suffix("/Cargo.toml") {
            members.push(folder);
        }
        files.insert(format!("{VENDORED}/{path}"), content.to_vec());
    }
    files.insert(format!("{VENDORED}/Cargo.toml"), workspace(&members)?.into_bytes());
    // The versions that the SDK is tested with. Cargo takes out what the project does not need.
    files.insert("Cargo.lock".into(), source::file("Cargo.lock").to_vec());
    Ok(files)
}

/// The workspace's own manifest, held to some members.
fn workspace(members: &[&str]) -> Result<String, AuthorError> {
    let damaged = || AuthorError::Module("the SDK in this binary has no workspace".into());
    let text = std::str::from_utf8(source::file("Cargo.toml")).map_err(|_| damaged())?;
    let mut document: toml_edit::DocumentMut = text.parse().map_err(|_| damaged())?;
    let workspace =
        document.get_mut("workspace").and_then(toml_edit::Item::as_table_mut).ok_or_else(damaged)?;
    workspace.insert("members", toml_edit::value(members.iter().copied().collect::<toml_edit::Array>()));
    workspace.remove("default-members");
    document.remove("profile");
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_a_whole_project() {
        for language in Language::ALL {
            let files = files("widget", language).expect("the template is whole");
            for needed in ["castoff-plugin.toml", "manifest.toml", ".gitignore", "README.md"] {
                assert!(files.contains_key(needed), "{}: {needed}", language.word());
            }
            let scenarios = files.keys().filter(|path| path.ends_with("/expect.toml")).count();
            assert!(scenarios >= 2, "{}", language.word());
            for (path, content) in &files {
                let text = String::from_utf8_lossy(content);
                assert!(!text.contains("{{name}}"), "{}: {path} is not filled in", language.word());
            }
            crate::policy::manifest::parse(&files["manifest.toml"]).expect("the manifest is right");
        }
    }

    #[test]
    fn a_project_is_made_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().join("widget");
        let project = create(&place, "widget", Language::C).expect("a project is made");
        assert!(place.join("bindings/plugin.h").is_file() && project.scenarios().len() >= 2);
        assert!(matches!(create(&place, "widget", Language::C), Err(AuthorError::Taken(_))));
        for name in ["", "Widget", "2nd", "a/b", "a-", "a b", &"x".repeat(41)] {
            assert!(
                matches!(create(&place.join("x"), name, Language::Go), Err(AuthorError::Name(_))),
                "{name}"
            );
        }
    }
}
