//! `castoff forge serve`: the embedded forge on its own, to look at a world or to try other programs against it.

use std::path::Path;
use std::sync::Arc;

use castoff::clock::Clock;
use castoff::forge::{Forge, ForgeError, World};

use super::args::{ForgeArgs, ForgeCommand};
use super::error::{CommandError, Place};
use super::exit::Exit;
use super::time::{ShiftedClock, SystemClock};
use super::{App, Done};

pub(super) async fn run(app: &App, args: ForgeArgs) -> Done {
    let ForgeCommand::Serve { world, port } = args.command;
    let world = read_world(&world)?;
    let clock: Arc<dyn Clock> = match world.now {
        Some(now) => Arc::new(ShiftedClock::starting_at(now)),
        None => Arc::new(SystemClock),
    };
    let folder = tempfile::tempdir()
        .map_err(|error| CommandError::new(Exit::Failed, format!("no temporary folder: {error}")))?;
    let forge = Forge::start_at(world, folder.path(), clock, port).await?;
    app.ui.say(&format!("repositories are in {}; Ctrl-C ends the forge", folder.path().display()));
    if let Some(token) = forge.token(None) {
        app.ui.say(&format!("token: {token}"));
    }
    app.ui.data(forge.url());
    std::future::pending().await
}

/// Reads a world file.
pub(crate) fn read_world(path: &Path) -> Result<World, CommandError> {
    let text = std::fs::read_to_string(path).map_err(|error| CommandError::file(path, &error))?;
    World::from_toml(&text).map_err(|error| {
        let mut wrong = CommandError::usage(error.message().to_owned());
        let file = path.display().to_string();
        match error.span() {
            Some(span) => wrong.place = Some(Place { file, text: text.clone(), span }),
            None => wrong.message = format!("{file}: {}", wrong.message),
        }
        wrong
    })
}

impl From<ForgeError> for CommandError {
    fn from(error: ForgeError) -> Self {
        let mut made = Self::usage(error.to_string());
        made.causes.extend(std::error::Error::source(&error).map(ToString::to_string));
        made
    }
}
