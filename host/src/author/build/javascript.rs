//! javascript: not built by this version yet.

use crate::author::AuthorError;
use crate::author::project::Project;
use crate::author::tool::Tools;

pub(super) fn compile(project: &Project, _tools: &Tools) -> Result<Vec<u8>, AuthorError> {
    Err(AuthorError::Module(format!("{} is not built by this version yet", project.language().word())))
}
