//! The test grid: canary jobs pass, or a person says why the release goes on.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::{approval, done, words};
use castoff_sdk::testgrid::{self, Tab};
use serde::{Deserialize, Serialize};

use super::input::Inputs;
use super::world::list;

/// Output of the step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ci {
    /// One line for the gate before the tag.
    pub(crate) summary: String,
    /// What does not pass or is not known.
    pub(crate) faults: Vec<String>,
    /// Who decided to go on all the same, and why.
    pub(crate) accepted: Option<String>,
}

/// Step `ci`: question `ci` where not everything passes.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let (passing, mut faults) = look(&inputs.dashboard, |tabs| canary(tabs, inputs.name()));
    let mut passing = passing;
    if context.profile == "push-images-precheck" {
        let job = format!("post-{}-push-images", inputs.name());
        let (more, found) = look(&inputs.image_dashboard, |tabs| named(tabs, &job));
        passing += more;
        faults.extend(found);
    }
    let summary = format!("{passing} canary jobs pass, {} do not or are not known", faults.len());
    if faults.is_empty() {
        return done(&Ci { summary, faults, accepted: None });
    }
    if let Some(answer) = context.approved("ci")? {
        let why = answer.comment.clone().unwrap_or_else(|| "no reason given".to_owned());
        return done(&Ci { summary, faults, accepted: Some(format!("{}: {why}", answer.by)) });
    }
    let prompt = format!(
        "{summary} ({}). Release all the same? Give the reason as a comment.\n{}",
        testgrid::page(&inputs.dashboard),
        list("Not passing:", &faults)
    );
    Ok(approval("ci", prompt, None))
}

/// Number of passing tabs and words for all others. A dashboard that cannot be read or has no such tab is a fault,
/// not a failure.
fn look(dashboard: &str, choose: impl Fn(&[Tab]) -> Vec<Tab>) -> (usize, Vec<String>) {
    let tabs = match testgrid::dashboard(dashboard) {
        Ok(tabs) => tabs,
        Err(error) => return (0, vec![format!("dashboard {dashboard} is not known: {}", words(&error))]),
    };
    let chosen = choose(&tabs);
    if chosen.is_empty() {
        return (0, vec![format!("dashboard {dashboard} has no job for this repository")]);
    }
    let faults: Vec<String> = chosen.iter().filter(|tab| !tab.passes()).map(fault).collect();
    (chosen.len() - faults.len(), faults)
}

fn fault(tab: &Tab) -> String {
    let details = if tab.status.is_empty() { String::new() } else { format!(": {}", tab.status) };
    format!("{} is {}{details}", tab.name, tab.overall)
}

/// Tabs that name the repository; without any, the canary jobs, which test all sidecars together; without those, all.
fn canary(tabs: &[Tab], name: &str) -> Vec<Tab> {
    let own = named(tabs, name);
    if !own.is_empty() {
        return own;
    }
    let canary = named(tabs, "canary");
    if canary.is_empty() { tabs.to_vec() } else { canary }
}

fn named(tabs: &[Tab], part: &str) -> Vec<Tab> {
    tabs.iter().filter(|tab| tab.name.contains(part)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tabs(names: &[&str]) -> Vec<Tab> {
        let tab = |name: &&str| Tab {
            name: (*name).to_owned(),
            overall: "FLAKY".to_owned(),
            status: "8 of 10".to_owned(),
            last_run: 0,
            updated: 0,
        };
        names.iter().map(tab).collect()
    }

    #[test]
    fn the_nearest_tabs_are_looked_at() {
        let table: [(&[&str], &[&str]); 3] = [
            (&["app-canary", "other-canary", "x"], &["app-canary"]),
            (&["canary-1-30", "x"], &["canary-1-30"]),
            (&["x", "y"], &["x", "y"]),
        ];
        for (all, expected) in table {
            let chosen = canary(&tabs(all), "app");
            let names: Vec<&str> = chosen.iter().map(|tab| tab.name.as_str()).collect();
            assert_eq!(names, expected, "{all:?}");
        }
    }

    #[test]
    fn a_fault_says_what_the_grid_says() {
        let flaky = tabs(&["job"]);
        assert_eq!(flaky.first().map(fault).as_deref(), Some("job is FLAKY: 8 of 10"));
    }
}
