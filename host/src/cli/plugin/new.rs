//! `castoff plugin new`: a project to start from.

use std::path::PathBuf;

use castoff::author::{AuthorError, Language, template};

use crate::cli::args::Lang;
use crate::cli::error::{CommandError, Place};
use crate::cli::exit::Exit;
use crate::cli::{App, Done};

pub(super) fn run(app: &App, name: &str, lang: Lang, into: Option<PathBuf>) -> Done {
    let folder = into.unwrap_or_else(|| PathBuf::from(name));
    let project = template::create(&folder, name, language(lang))?;
    let shown = project.folder().display();
    app.ui.say(&format!("{shown}: the process `bump`, what it asks in manifest.toml, its scenarios; README.md says what is where"));
    app.ui
        .next(&format!("cd {shown} && castoff plugin build && castoff plugin check && castoff plugin test"));
    Ok(Exit::Done)
}

fn language(lang: Lang) -> Language {
    match lang {
        Lang::Rust => Language::Rust,
        Lang::Go => Language::Go,
        Lang::Python => Language::Python,
        Lang::Js => Language::JavaScript,
        Lang::C => Language::C,
    }
}

impl From<AuthorError> for CommandError {
    fn from(error: AuthorError) -> Self {
        let exit = match error {
            AuthorError::ToolFailed { .. } | AuthorError::NoOutput { .. } | AuthorError::Module(_) => {
                Exit::Failed
            }
            _ => Exit::Usage,
        };
        let mut made = Self::new(exit, error.to_string());
        match error {
            AuthorError::MissingTool { how, .. } => made.hints.extend(how),
            AuthorError::NoProject(_) => {
                made.hints.push("castoff plugin new NAME --lang rust|go|python|js|c makes one".into());
            }
            AuthorError::Source { path, text, error } => {
                made.hints.extend(error.hint);
                let file = path.display().to_string();
                made.place = error.span.map(|span| Place { file, text, span });
                if made.place.is_some() {
                    made.message = error.message;
                }
            }
            AuthorError::Manifest { .. } => {
                made.hints
                    .push("every power is one line; castoff plugin inspect csi-sidecar shows some".into());
            }
            _ => {}
        }
        made
    }
}
