//! The process `schedule`: the release schedule of the website.

use std::collections::BTreeMap;

use castoff_sdk::process::{Context, Graph, InputKind, Outcome, Process, StepKind};
use castoff_sdk::step::{conflict, done, inputs as read_inputs, invalid};
use castoff_sdk::{Error, git};
use serde::Deserialize;

use super::propose::{Base, Proposal, Proposed, propose, wait_merged};
use super::{current, optional, required, step};
use crate::core::date::Date;
use crate::core::schedule::{AHEAD, EolFix, FIELDS, Fault, Made, Reschedule, Schedule, is_ahead};

/// Name of the process.
pub(super) const NAME: &str = "schedule";

const SOURCE: &str = "seed 002, 10";

/// What is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Operation {
    /// The monthly update.
    #[default]
    Update,
    /// Dates and notes of releases.
    Set,
    /// A planned date is moved.
    Reschedule,
    /// The `.0` release of a branch.
    AddMinorZero,
    /// A release that was not planned.
    OutOfBand,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Inputs {
    operation: Operation,
    repository: String,
    base: Option<String>,
    fork: Option<String>,
    schedule: String,
    eol: String,
    upcoming: usize,
    /// Real dates and notes; a key may name several releases, with commas between.
    actual: BTreeMap<String, BTreeMap<String, String>>,
    eol_fix: BTreeMap<String, EolFix>,
    eol_now: Option<String>,
    from: String,
    to: BTreeMap<String, String>,
    except: Vec<String>,
    release: Option<String>,
    releases: Vec<String>,
    date: String,
    note: Option<String>,
    cherry_pick_deadline: Option<String>,
    /// Repository whose tags tell what was really released.
    tags: Option<String>,
}

impl Default for Inputs {
    fn default() -> Self {
        Self {
            operation: Operation::default(),
            repository: "kubernetes/website".to_owned(),
            base: None,
            fork: None,
            schedule: "data/releases/schedule.yaml".to_owned(),
            eol: "data/releases/eol.yaml".to_owned(),
            upcoming: AHEAD,
            actual: BTreeMap::new(),
            eol_fix: BTreeMap::new(),
            eol_now: None,
            from: String::new(),
            to: BTreeMap::new(),
            except: Vec::new(),
            release: None,
            releases: Vec::new(),
            date: String::new(),
            note: None,
            cherry_pick_deadline: None,
            tags: None,
        }
    }
}

pub(super) fn describe() -> Process {
    let inputs = vec![
        required(
            "operation",
            InputKind::Text,
            "`update`, `set`, `reschedule`, `add-minor-zero` or `out-of-band`",
        ),
        optional(
            "repository",
            InputKind::Text,
            "repository of the schedule; `kubernetes/website` when left out",
        ),
        optional("base", InputKind::Text, "its branch; the default branch when left out"),
        optional("fork", InputKind::Text, "owner of the fork that the branch is pushed to"),
        optional(
            "schedule",
            InputKind::Text,
            "path of the schedule; `data/releases/schedule.yaml` when left out",
        ),
        optional(
            "eol",
            InputKind::Text,
            "path of the list of ended branches; `data/releases/eol.yaml` when left out",
        ),
        optional(
            "upcoming",
            InputKind::Integer,
            "months listed ahead: 3, or 4 while the oldest branch is in maintenance",
        ),
        optional(
            "actual",
            InputKind::Table,
            "`update`, `set`: fields by releases, `{ \"1.33.1,1.32.5\" = { targetDate = \"2025-05-15\" } }`",
        ),
        optional(
            "eol-fix",
            InputKind::Table,
            "`update`, `set`: corrected rows of ended branches, `{ \"1.30\" = { finalPatchRelease = \"1.30.14\" } }`",
        ),
        optional(
            "eol-now",
            InputKind::Text,
            "`update`: the day that counts for the end of branches; the present when left out",
        ),
        optional("from", InputKind::Text, "`reschedule`: the planned day"),
        optional(
            "to",
            InputKind::Table,
            "`reschedule`: fields with their new values, `{ targetDate = \"2024-08-14\" }`",
        ),
        optional("except", InputKind::Texts, "`reschedule`: branches that keep the day"),
        optional("release", InputKind::Text, "`add-minor-zero`: the release, `1.31.0`"),
        optional("releases", InputKind::Texts, "`out-of-band`: the releases"),
        optional("date", InputKind::Text, "`add-minor-zero`, `out-of-band`: the day of the release"),
        optional("note", InputKind::Text, "`out-of-band`: why"),
        optional("cherry-pick-deadline", InputKind::Text, "`out-of-band`: the deadline, where there was one"),
        optional("tags", InputKind::Text, "`update`: repository whose tags tell what was released and when"),
    ];
    Process {
        name: NAME.to_owned(),
        summary: "Change the release schedule of the Kubernetes website".to_owned(),
        inputs,
        profiles: current(),
    }
}

fn read(inputs: &str) -> Result<Inputs, Error> {
    let inputs: Inputs = read_inputs(inputs)?;
    let day = |what: &str, text: &str| match Date::parse(text) {
        Some(_) => Ok(()),
        None => Err(invalid(format!("{what} is {text:?}, expected a day, YYYY-MM-DD"))),
    };
    for fields in inputs.actual.values().chain([&inputs.to]) {
        for (field, value) in fields {
            if !FIELDS.contains(&field.as_str()) {
                return Err(invalid(format!(
                    "{field} is no field of a release; there is {}",
                    FIELDS.join(", ")
                )));
            }
            if field == "targetDate" {
                day(field, value)?;
            }
        }
    }
    if !is_ahead(inputs.upcoming) {
        return Err(invalid(format!("upcoming is {}, expected 3 or 4", inputs.upcoming)));
    }
    if let Some(now) = &inputs.eol_now {
        day("eol-now", now)?;
    }
    match inputs.operation {
        Operation::Update => Ok(()),
        Operation::Set if inputs.actual.is_empty() && inputs.eol_fix.is_empty() => {
            Err(invalid("nothing is set; expected `actual` or `eol-fix`"))
        }
        Operation::Set => Ok(()),
        Operation::Reschedule if inputs.to.is_empty() => Err(invalid("expected `to`, the new fields")),
        Operation::Reschedule => day("from", &inputs.from),
        Operation::AddMinorZero if inputs.release.is_none() => Err(invalid("expected `release`")),
        Operation::OutOfBand if inputs.releases.is_empty() => Err(invalid("expected `releases`")),
        Operation::AddMinorZero | Operation::OutOfBand => day("date", &inputs.date),
    }?;
    Ok(inputs)
}

pub(super) fn graph(_: &str, inputs: &str) -> Result<Graph, Error> {
    let inputs = read(inputs)?;
    let steps = vec![
        step("propose", "Propose the schedule", StepKind::Work, &[], SOURCE),
        step("merged", "Wait for the merge of the schedule", StepKind::Wait, &["propose"], SOURCE),
    ];
    Ok(Graph { title: format!("{}: {}", inputs.repository, subject(&inputs)), steps })
}

pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs = read(&context.inputs)?;
    match context.step.as_str() {
        "propose" => done(&update(&inputs, context.pinned)?),
        "merged" => wait_merged(&context.needed_output::<Proposed>("propose")?, "The schedule"),
        other => Err(invalid(format!("{NAME} has no step {other}"))),
    }
}

fn subject(inputs: &Inputs) -> String {
    match inputs.operation {
        Operation::Update => "update the release schedule".to_owned(),
        Operation::Set => "correct the release schedule".to_owned(),
        Operation::Reschedule => format!("move the patch releases of {}", inputs.from),
        Operation::AddMinorZero => {
            format!("add v{} to the release schedule", inputs.release.as_deref().unwrap_or_default())
        }
        Operation::OutOfBand => format!("add {} to the release schedule", inputs.releases.join(", ")),
    }
}

/// Changes both files and proposes what differs.
pub(crate) fn update(inputs: &Inputs, now: i64) -> Result<Proposed, Error> {
    let base = Base::open(&inputs.repository, inputs.base.as_deref())?;
    let (before, eol) = (base.needed(&inputs.schedule)?, base.text(&inputs.eol)?);
    let mut schedule = Schedule::parse(&before, eol.as_deref()).map_err(conflict)?;
    change(&mut schedule, inputs, now)?;
    let mut files = Vec::new();
    if schedule.text() != before {
        files.push((inputs.schedule.clone(), schedule.text()));
    }
    if let Some(after) =
        schedule.eol_text().filter(|after| inputs.touches_eol() && Some(after) != eol.as_ref())
    {
        files.push((inputs.eol.clone(), after));
    }
    let title = subject(inputs);
    let mut letters = title.chars();
    let title: String =
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect();
    let remarks: String = schedule.remarks.iter().map(|remark| format!("- {remark}\n")).collect();
    let remarks = if remarks.is_empty() { remarks } else { format!("\nPlease look at:\n\n{remarks}") };
    let proposal = Proposal {
        branch: format!("schedule-updates-{}", Date::of_seconds(now)),
        body: format!("{title}, as `schedule-builder` writes it.\n{remarks}"),
        title,
        files,
        remarks: schedule.remarks,
    };
    propose(&base, inputs.fork.as_deref(), proposal)
}

impl Inputs {
    /// The monthly update, from the tags of `tags`.
    pub(crate) fn monthly(repository: &str, fork: Option<String>, tags: &str) -> Self {
        Self { repository: repository.to_owned(), fork, tags: Some(tags.to_owned()), ..Self::default() }
    }

    /// The monthly update writes both files; what is done by hand leaves the other one as it is.
    fn touches_eol(&self) -> bool {
        self.operation == Operation::Update || !self.eol_fix.is_empty()
    }
}

fn change(schedule: &mut Schedule, inputs: &Inputs, now: i64) -> Result<(), Error> {
    for (releases, fields) in &inputs.actual {
        for release in releases.split(',').map(str::trim) {
            schedule.set_fields(release, fields).map_err(conflict)?;
        }
    }
    match inputs.operation {
        Operation::Update => {
            let eol_now =
                inputs.eol_now.as_deref().and_then(Date::parse).map_or(now, |day| day.seconds() + 1);
            let made = made(schedule, inputs)?;
            let of = |release: &str| made.get(release).copied().unwrap_or(Made::AsPlanned);
            schedule.update(now, eol_now, inputs.upcoming, &of)
        }
        Operation::Set => Ok(()),
        Operation::Reschedule => schedule.reschedule(&Reschedule {
            from: &inputs.from,
            to: inputs.to.clone(),
            except: inputs.except.clone(),
        }),
        Operation::AddMinorZero => {
            schedule.add_minor_zero(inputs.release.as_deref().unwrap_or_default(), &inputs.date)
        }
        Operation::OutOfBand => out_of_band(schedule, inputs),
    }
    .map_err(conflict)?;
    for (branch, fix) in &inputs.eol_fix {
        schedule.fix_eol(branch, fix).map_err(conflict)?;
    }
    Ok(())
}

fn out_of_band(schedule: &mut Schedule, inputs: &Inputs) -> Result<(), Fault> {
    let given = [
        ("targetDate", Some(&inputs.date)),
        ("note", inputs.note.as_ref()),
        ("cherryPickDeadline", inputs.cherry_pick_deadline.as_ref()),
    ];
    let fields: BTreeMap<String, String> = given
        .into_iter()
        .filter_map(|(field, value)| value.map(|value| (field.to_owned(), value.clone())))
        .collect();
    inputs.releases.iter().try_for_each(|release| schedule.out_of_band(release, &fields))
}

/// What became of every next release, by its tag.
fn made(schedule: &Schedule, inputs: &Inputs) -> Result<BTreeMap<String, Made>, Error> {
    let Some(repository) = &inputs.tags else { return Ok(BTreeMap::new()) };
    let remote = git::open(repository)?;
    let mut made = BTreeMap::new();
    for (_, release) in schedule.next() {
        let tag = remote.resolve(&format!("refs/tags/v{release}"))?;
        let what = tag.map_or(Made::Not, |commit| Made::On(Date::of_seconds(commit.time)));
        made.insert(release, what);
    }
    Ok(made)
}
