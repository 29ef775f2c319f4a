//! `castoff plugin remove`: takes a plugin out of the lock. Its component stays where it is kept: runs may depend on it.

use castoff::supply::Lock;

use crate::cli::args::RemoveArgs;
use crate::cli::exit::Exit;
use crate::cli::{App, Done};

pub(super) fn run(app: &App, args: &RemoveArgs) -> Done {
    let mut lock = Lock::read(&args.lock.lock)?;
    let removed = lock.remove(&args.name).ok_or_else(|| super::not_locked(&args.name, &lock))?;
    lock.write(&args.lock.lock)?;
    app.ui.say(&format!("{} is no longer locked; it was {}", removed.name, removed.digest));
    Ok(Exit::Done)
}
