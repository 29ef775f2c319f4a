//! Projects in Python and JavaScript, with the tools that `tests/script/fetch` lays below the build directory.

use std::path::{Path, PathBuf};

use castoff::author::build::{Tools, build};
use castoff::author::project::Project;
use castoff::author::{AuthorError, Language, template};

/// Where the fetched tools of a language are, and the name under which a project has them.
fn tools(language: Language) -> (PathBuf, &'static str) {
    // OUT_DIR is <target>/<profile>/build/<package>/out.
    let target = Path::new(env!("OUT_DIR")).ancestors().nth(4).unwrap_or(Path::new("."));
    let fetched = target.join("peers/script");
    match language {
        Language::Python => (fetched.join("python/venv"), ".venv"),
        _ => (fetched.join("js/node_modules"), "node_modules"),
    }
}

/// Makes a project of the template in an empty folder and builds it.
///
/// # Errors
/// As [`build`]: [`AuthorError::MissingTool`] where neither the fetched tools nor others on `PATH` are there.
///
/// # Panics
/// When the folder cannot be written.
pub fn project(folder: &Path, name: &str, language: Language) -> Result<Project, AuthorError> {
    let project = template::create(folder, name, language)?;
    let (fetched, known_as) = tools(language);
    #[cfg(unix)]
    if fetched.is_dir() {
        std::os::unix::fs::symlink(fetched, folder.join(known_as)).expect("a link can be made");
    }
    build(&project, &Tools { offline: true, ..Tools::default() })?;
    Ok(project)
}

/// The component of a new project.
///
/// # Errors
/// As [`project`].
///
/// # Panics
/// When a temporary folder cannot be used.
pub fn component(language: Language) -> Result<Vec<u8>, AuthorError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let project = project(&folder.path().join("widget"), "widget", language)?;
    Ok(std::fs::read(project.component()).expect("it was built"))
}
