//! `castoff log`: the journal of a run.

use castoff::journal::Record;

use super::args::LogArgs;
use super::exit::Exit;
use super::{App, Done, event, next, time, train};

pub(super) fn run(app: &App, args: &LogArgs) -> Done {
    let (stored, journal, state) = app.look(&args.run)?;
    if castoff::train::is_train(state.header()) {
        return train::log(app, args, &stored, &state);
    }
    let records = journal.events()?;
    for record in &records {
        if args.json {
            app.ui.json(record)?;
        } else {
            app.ui.data(&line(record));
        }
    }
    if !args.json {
        app.ui.next(&if state.is_finished() {
            format!("castoff status {}", state.header().run)
        } else {
            next::command(&state)
        });
    }
    Ok(Exit::Done)
}

pub(super) fn line(record: &Record) -> String {
    let step = record.event.step().unwrap_or_default();
    let line = format!(
        "{:>4}  {}  {:<11} {:<20} {}",
        record.seq,
        time::moment(record.time),
        record.event.kind(),
        step,
        event::words(&record.event)
    );
    line.trim_end().to_owned()
}
