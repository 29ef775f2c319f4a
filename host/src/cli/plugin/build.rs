//! `castoff plugin build`: from sources to a component.

use std::path::Path;

use castoff::author::build::{Tools, build};
use castoff::author::project::Project;

use super::{here, shown};
use crate::cli::exit::Exit;
use crate::cli::{App, Done};

pub(super) fn run(app: &App, folder: &Path, offline: bool) -> Done {
    let project = Project::open(folder)?;
    let tools = Tools { wasi_sdk: app.environment.wasi_sdk().cloned(), offline, show: true };
    let built = build(&project, &tools)?;
    app.ui.data(&format!("{}  {} KiB  {}", shown(&built.path), built.size.div_ceil(1024), built.digest));
    app.ui.next(&format!("castoff plugin check{}", here(folder)));
    Ok(Exit::Done)
}
