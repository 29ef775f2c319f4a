//! From a project's sources to its component, one module a language.
//!
//! A language's module runs its compiler and returns what that made: a component, or a core module of `wasm32-wasip1`. What
//! follows is the same for all: it becomes a component, it gets the manifest, it is written to `build/NAME.wasm`.

mod c;
mod go;
mod javascript;
mod python;
mod rust;

use std::path::PathBuf;

use super::project::Project;
pub use super::tool::Tools;
use super::{AuthorError, Language, binding, component, write};
use crate::policy::manifest::component_digest;

/// A component that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: usize,
    /// Its digest, as a policy names it.
    pub digest: String,
}

/// Builds a project.
///
/// # Errors
/// [`AuthorError`]: a missing tool with the way to get it, a failed one with its words.
pub fn build(project: &Project, tools: &Tools) -> Result<Built, AuthorError> {
    let (text, _) = project.manifest()?;
    binding::generate(project)?;
    let made = match project.language() {
        Language::Rust => rust::compile(project, tools)?,
        Language::Go => go::compile(project, tools)?,
        Language::Python => python::compile(project, tools)?,
        Language::JavaScript => javascript::compile(project, tools)?,
        Language::C => c::compile(project, tools)?,
    };
    let component = component::componentize(made, &project.interfaces())?;
    let component = component::with_manifest(component, &text)?;
    let path = project.component();
    write(&path, &component)?;
    Ok(Built { path, size: component.len(), digest: component_digest(&component) })
}
