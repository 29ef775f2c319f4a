//! The release schedule of the website: `schedule.yaml` and `eol.yaml`, changed and written as schedule-builder does.
//!
//! [`Schedule::update`] is its monthly update; the other operations are what release managers do by hand between two of
//! them. All dates are midnight UTC compared with an instant: on its target day a release counts as made.

use semver::Version;
use thiserror::Error;

use super::date::Date;
use super::yaml::{self, Map, Value};

mod edit;

pub use edit::{EolFix, FIELDS, Reschedule, is_ahead};

/// What schedule-builder writes above both files.
pub const HEADER: &str = "# Use \"schedule-builder\" to maintain this file:\n\
                          # https://github.com/kubernetes/release/tree/master/cmd/schedule-builder\n\
                          # For example by running:\n\
                          # schedule-builder -uc data/releases/schedule.yaml -e data/releases/eol.yaml\n---\n";

/// Months that are listed ahead.
pub const AHEAD: usize = 3;

const SCHEDULES: &str = "schedules";
const UPCOMING: &str = "upcoming_releases";
const BRANCHES: &str = "branches";
const NEXT: &str = "next";
const PREVIOUS: &str = "previousPatches";
const RELEASE: &str = "release";
const TARGET: &str = "targetDate";
const DEADLINE: &str = "cherryPickDeadline";
const EOL: &str = "endOfLifeDate";
const FINAL: &str = "finalPatchRelease";
const NOTE: &str = "note";

/// Why a schedule cannot be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// The file is not the YAML it should be.
    #[error("{file}: {fault}")]
    Yaml {
        /// Which file.
        file: &'static str,
        /// Where and why.
        fault: yaml::Fault,
    },
    /// A field that is missing or of another form.
    #[error("{of}: {field} is {found:?}, expected {expected}")]
    Field {
        /// The schedule or entry.
        of: String,
        /// The field.
        field: &'static str,
        /// What it holds.
        found: String,
        /// What it should.
        expected: &'static str,
    },
    /// A release that the schedule does not know.
    #[error("the schedule has no {0}")]
    NoRelease(String),
    /// A date that nothing is planned for.
    #[error("nothing is planned for {0}")]
    NoDate(String),
    /// A release that is not the next one.
    #[error("the next release of {branch} is {next}, not {release}")]
    NotNext {
        /// Branch.
        branch: String,
        /// Its next release.
        next: String,
        /// What was asked for.
        release: String,
    },
}

/// Both files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    schedule: Map,
    eol: Option<Map>,
    /// What a person should look at.
    pub remarks: Vec<String>,
}

/// What is known of a planned release beyond the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// Nothing: it counts as made on its planned day.
    AsPlanned,
    /// It was made, on this day.
    On(Date),
    /// It was not made.
    Not,
}

impl Schedule {
    /// Reads both files.
    ///
    /// # Errors
    /// [`Fault::Yaml`].
    pub fn parse(schedule: &str, eol: Option<&str>) -> Result<Self, Fault> {
        let read = |file, text: &str| match yaml::parse(text) {
            Ok(Value::Map(map)) => Ok(map),
            Ok(_) => Err(Fault::Yaml { file, fault: yaml::Fault { line: 1, why: "expected a mapping" } }),
            Err(fault) => Err(Fault::Yaml { file, fault }),
        };
        let eol = eol.map(|eol| read("eol.yaml", eol)).transpose()?;
        Ok(Self { schedule: read("schedule.yaml", schedule)?, eol, remarks: Vec::new() })
    }

    /// `schedule.yaml`.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{HEADER}{}", yaml::emit(&Value::Map(self.schedule.clone())))
    }

    /// `eol.yaml`, where it was given.
    #[must_use]
    pub fn eol_text(&self) -> Option<String> {
        self.eol.as_ref().map(|eol| format!("{HEADER}{}", yaml::emit(&Value::Map(eol.clone()))))
    }

    /// Branch and next release of every schedule.
    #[must_use]
    pub fn next(&self) -> Vec<(String, String)> {
        let schedules = list(&self.schedule, SCHEDULES).iter().filter_map(Value::map);
        let next = |schedule: &Map| {
            let next = schedule.get(NEXT).and_then(Value::map)?;
            Some((text(schedule, RELEASE).to_owned(), text(next, RELEASE).to_owned()))
        };
        schedules.filter_map(next).collect()
    }

    /// The monthly update: releases whose day has come move to the past, branches past their end move to the other file,
    /// months ahead are filled up to `ahead`. `now` and `eol_now` (for the end of life only) are seconds since 1970-01-01;
    /// `made` tells what became of a release.
    ///
    /// # Errors
    /// A field that cannot be read.
    pub fn update(
        &mut self,
        now: i64,
        eol_now: i64,
        ahead: usize,
        made: &dyn Fn(&str) -> Made,
    ) -> Result<(), Fault> {
        let upcoming: Vec<Map> = maps(&self.schedule, UPCOMING);
        let mut kept = Vec::new();
        for mut schedule in maps(&self.schedule, SCHEDULES) {
            if self.one(&mut schedule, now, eol_now, &upcoming, made)? {
                kept.push(Value::Map(schedule));
            }
        }
        self.schedule.insert(SCHEDULES.to_owned(), Value::List(kept));
        let ahead = months(upcoming, now, ahead)?;
        self.schedule.insert(UPCOMING.to_owned(), Value::List(ahead.into_iter().map(Value::Map).collect()));
        Ok(())
    }

    /// Updates a schedule; whether it stays.
    fn one(
        &mut self,
        schedule: &mut Map,
        now: i64,
        eol_now: i64,
        upcoming: &[Map],
        made: &dyn Fn(&str) -> Made,
    ) -> Result<bool, Fault> {
        let branch = text(schedule, RELEASE).to_owned();
        loop {
            let Some(next) = schedule.get(NEXT).and_then(Value::map).cloned() else {
                self.remarks.push(format!("{branch} has no next release; it is left alone"));
                return Ok(true);
            };
            let release = text(&next, RELEASE).to_owned();
            let end = date(schedule, EOL, &branch)?;
            if eol_now > end.seconds() {
                return self.retire(schedule, &branch, &next, made(&release));
            }
            let target = date(&next, TARGET, &release)?;
            if target > end {
                self.remarks.push(format!(
                    "{release} is planned for {target}, after the end of life of {branch} on {end}"
                ));
            }
            if target.seconds() > now {
                return Ok(true);
            }
            let mut past = next.clone();
            match made(&release) {
                Made::AsPlanned => {}
                Made::On(day) => set(&mut past, TARGET, &day.to_string()),
                Made::Not => {
                    self.remarks.push(format!(
                        "{release} was planned for {target} and has no tag; it stays the next one"
                    ));
                    return Ok(true);
                }
            }
            prepend(schedule, PREVIOUS, past);
            schedule.insert(NEXT.to_owned(), Value::Map(following(&next, target, upcoming)?));
        }
    }

    /// Moves a branch past its end to the other file; whether it stays.
    fn retire(&mut self, schedule: &Map, branch: &str, next: &Map, made: Made) -> Result<bool, Fault> {
        let last = list(schedule, PREVIOUS).first().and_then(Value::map).map(|last| text(last, RELEASE));
        let last = last.unwrap_or_default().to_owned();
        let Some(eol) = &mut self.eol else {
            self.remarks.push(format!("{branch} is past its end of life; no eol.yaml was given"));
            return Ok(true);
        };
        // What schedule-builder writes is true only where the planned release was made.
        let (release, day) = match made {
            Made::AsPlanned => (text(next, RELEASE).to_owned(), text(next, TARGET).to_owned()),
            Made::On(day) => (text(next, RELEASE).to_owned(), day.to_string()),
            Made::Not => (last.clone(), text(schedule, EOL).to_owned()),
        };
        if made == Made::AsPlanned && !last.is_empty() {
            self.remarks.push(format!(
                "{branch} ends with {release} on {day}, which was planned; {last} is the last one known to be released"
            ));
        }
        let mut row = Map::new();
        for (field, value) in [(RELEASE, branch), (FINAL, &release), (EOL, &day)] {
            set(&mut row, field, value);
        }
        prepend(eol, BRANCHES, row);
        Ok(false)
    }
}

/// The release after `next`: the month's dates where they are known, else those of the calendar.
fn following(next: &Map, target: Date, upcoming: &[Map]) -> Result<Map, Fault> {
    let release = text(next, RELEASE);
    // Out-of-band releases have no deadline; theirs would have been in the month of the release.
    let deadline = Date::parse(text(next, DEADLINE)).unwrap_or(target).next_month();
    let listed = upcoming
        .iter()
        .find(|month| Date::parse(text(month, DEADLINE)).is_some_and(|listed| listed.same_month(deadline)));
    let (deadline, day) = match listed {
        Some(month) => (text(month, DEADLINE).to_owned(), text(month, TARGET).to_owned()),
        None => (deadline.cherry_pick_deadline().to_string(), target.next_month().patch_day().to_string()),
    };
    let mut following = Map::new();
    set(&mut following, RELEASE, &bumped(release)?);
    set(&mut following, DEADLINE, &deadline);
    set(&mut following, TARGET, &day);
    Ok(following)
}

/// The months ahead, without those that are over.
fn months(upcoming: Vec<Map>, now: i64, ahead: usize) -> Result<Vec<Map>, Fault> {
    let mut kept = Vec::new();
    let mut latest = Date::of_seconds(now);
    for month in upcoming {
        let target = date(&month, TARGET, UPCOMING)?;
        if now <= target.seconds() {
            latest = target;
            kept.push(month);
        }
    }
    while kept.len() < ahead {
        latest = latest.next_month();
        let mut month = Map::new();
        set(&mut month, DEADLINE, &latest.cherry_pick_deadline().to_string());
        set(&mut month, TARGET, &latest.patch_day().to_string());
        kept.push(month);
    }
    Ok(kept)
}

/// The patch release after `release`.
fn bumped(release: &str) -> Result<String, Fault> {
    let version = Version::parse(release.trim_start_matches('v')).map_err(|_| Fault::Field {
        of: release.to_owned(),
        field: RELEASE,
        found: release.to_owned(),
        expected: "a version",
    })?;
    Ok(format!("{}.{}.{}", version.major, version.minor, version.patch.saturating_add(1)))
}

/// Minor of a release: `1.31` of `1.31.0`.
fn branch_of(release: &str) -> &str {
    release.rsplit_once('.').map_or(release, |(branch, _)| branch)
}

fn text<'m>(map: &'m Map, field: &str) -> &'m str {
    map.get(field).and_then(Value::text).unwrap_or_default()
}

fn set(map: &mut Map, field: &str, value: &str) {
    // Empty fields are left out of the files.
    if value.is_empty() {
        map.remove(field);
    } else {
        map.insert(field.to_owned(), Value::Text(value.to_owned()));
    }
}

fn date(map: &Map, field: &'static str, of: &str) -> Result<Date, Fault> {
    let found = text(map, field);
    Date::parse(found).ok_or_else(|| Fault::Field {
        of: of.to_owned(),
        field,
        found: found.to_owned(),
        expected: "a day, YYYY-MM-DD",
    })
}

fn list<'m>(map: &'m Map, field: &str) -> &'m [Value] {
    map.get(field).and_then(Value::list).unwrap_or_default()
}

fn maps(map: &Map, field: &str) -> Vec<Map> {
    list(map, field).iter().filter_map(Value::map).cloned().collect()
}

fn prepend(map: &mut Map, field: &str, entry: Map) {
    match map.get_mut(field) {
        Some(Value::List(list)) => list.insert(0, Value::Map(entry)),
        _ => {
            map.insert(field.to_owned(), Value::List(vec![Value::Map(entry)]));
        }
    }
}

#[cfg(test)]
mod tests;
