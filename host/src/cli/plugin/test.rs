//! `castoff plugin test`: the scenarios of a project, played against the forge inside this program.

use std::path::Path;
use std::sync::Arc;

use castoff::author::project::Project;
use castoff::author::scenario::{Played, ScenarioError, play};
use castoff::gate::Watcher;
use castoff::journal::{Level, Record};
use serde_json::json;

use super::{here, shown};
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::{App, Done, text};

pub(super) async fn run(app: &App, folder: &Path, only: Option<&str>, as_json: bool) -> Done {
    let project = Project::open(folder)?;
    if !project.component().is_file() {
        return Err(CommandError::usage(format!("{} is not built", shown(&project.component())))
            .hint(format!("castoff plugin build{}", here(folder))));
    }
    let site = app.site()?;
    let (mut played, mut failed) = (0_usize, Vec::new());
    for scenario in project.scenarios() {
        let name = scenario.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if only.is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let outcome = play(&site, &scenario, Arc::new(Quiet)).await?;
        played += 1;
        if !outcome.differences.is_empty() {
            failed.push(scenario.join("release.toml"));
        }
        if as_json {
            app.ui.json(&json!({
                "scenario": name,
                "passed": outcome.differences.is_empty(),
                "differences": outcome.differences,
                "world": outcome.world,
            }))?;
        } else {
            app.ui.data(&lines(app, &name, &outcome));
        }
    }
    if played == 0 {
        return Err(CommandError::usage("there is no scenario to play")
            .hint("a folder below scenarios/ with release.toml, its world and policy, and expect.toml"));
    }
    if let Some(first) = failed.first() {
        app.ui.say(&format!("{} of {played} scenarios did not come as expected", failed.len()));
        app.ui.next(&format!("castoff rehearse {}", shown(first)));
        return Ok(Exit::Failed);
    }
    app.ui.next(&format!("castoff plugin inspect {}", shown(&project.component())));
    Ok(Exit::Done)
}

fn lines(app: &App, name: &str, outcome: &Played) -> String {
    let paint = app.ui.data_paint();
    if outcome.differences.is_empty() {
        let effects: usize = outcome.state.steps().map(|step| step.effects.len()).sum();
        let world = outcome.world.get(..19).unwrap_or_default();
        return format!("{} {}  {effects} effects, world {world}", paint.green("✓"), text::line(name));
    }
    let mut out = format!("{} {}", paint.red("✗"), text::line(name));
    for difference in &outcome.differences {
        out += &format!("\n    {}", text::block(difference).replace('\n', "\n      "));
    }
    out
}

/// A scenario says only how it ended.
struct Quiet;

impl Watcher for Quiet {
    fn recorded(&self, _: &Record) {}

    fn said(&self, _: &str, _: Level, _: &str) {}

    fn progress(&self, _: &str, _: u32, _: u32, _: &str) {}
}

impl From<ScenarioError> for CommandError {
    fn from(error: ScenarioError) -> Self {
        match error {
            ScenarioError::Author(error) => error.into(),
            ScenarioError::Site(error) => error.into(),
            ScenarioError::Rehearsal(error) => error.into(),
        }
    }
}
