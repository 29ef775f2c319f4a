//! `castoff completions`: completions for a shell.

use clap::CommandFactory;

use super::args::{Cli, CompletionsArgs};
use super::exit::Exit;
use super::{App, Done};

pub(super) fn run(app: &App, args: &CompletionsArgs) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "castoff", &mut script);
    app.ui.data(String::from_utf8_lossy(&script).trim_end());
    Ok(Exit::Done)
}
