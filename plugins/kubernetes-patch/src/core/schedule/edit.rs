//! What release managers change between two updates: dates, notes, releases out of the order.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    AHEAD, BRANCHES, DEADLINE, EOL, FINAL, Fault, NEXT, NOTE, PREVIOUS, RELEASE, SCHEDULES, Schedule, TARGET,
    UPCOMING, branch_of, bumped, list, prepend, set, text,
};
use crate::core::yaml::{Map, Value};

/// Corrected fields of a branch's row in `eol.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct EolFix {
    /// The last release that was made.
    pub final_patch_release: Option<String>,
    /// Its day, or that of the branch's end.
    pub end_of_life_date: Option<String>,
    /// A remark for readers.
    pub note: Option<String>,
}

/// A planned date that is moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reschedule<'a> {
    /// The target date so far.
    pub from: &'a str,
    /// Fields with their new values: `targetDate`, `cherryPickDeadline`, `note`.
    pub to: BTreeMap<String, String>,
    /// Branches that keep it.
    pub except: Vec<String>,
}

impl Schedule {
    /// Puts real dates and notes to releases: into the next one, or where it is if it has moved to the past already.
    ///
    /// # Errors
    /// [`Fault::NoRelease`].
    pub fn set_fields(&mut self, release: &str, fields: &BTreeMap<String, String>) -> Result<(), Fault> {
        let entry = self.entry_mut(release);
        let Some(entry) = entry else {
            let retired = list_of(self.eol.as_ref(), BRANCHES);
            // Its branch may have moved to the other file since.
            if retired.iter().filter_map(Value::map).any(|row| text(row, RELEASE) == branch_of(release)) {
                self.remarks.push(format!("{release} is of a branch that has ended; its date is not set"));
                return Ok(());
            }
            return Err(Fault::NoRelease(release.to_owned()));
        };
        for (field, value) in fields {
            set(entry, field, value);
        }
        Ok(())
    }

    fn entry_mut(&mut self, release: &str) -> Option<&mut Map> {
        let branch = self.branch_mut(branch_of(release))?;
        let is_next =
            branch.get(NEXT).and_then(Value::map).is_some_and(|next| text(next, RELEASE) == release);
        if is_next {
            return branch.get_mut(NEXT)?.map_mut();
        }
        let Some(Value::List(past)) = branch.get_mut(PREVIOUS) else { return None };
        past.iter_mut().filter_map(Value::map_mut).find(|entry| text(entry, RELEASE) == release)
    }

    fn branch_mut(&mut self, branch: &str) -> Option<&mut Map> {
        let Some(Value::List(schedules)) = self.schedule.get_mut(SCHEDULES) else { return None };
        schedules.iter_mut().filter_map(Value::map_mut).find(|schedule| text(schedule, RELEASE) == branch)
    }

    /// Moves a planned date: of every next release on that day, and of the month ahead. A month whose new date is listed
    /// already becomes one with it.
    ///
    /// # Errors
    /// [`Fault::NoDate`] when nothing is planned for the old day, unless it is for the new one: then it was done before.
    pub fn reschedule(&mut self, change: &Reschedule<'_>) -> Result<(), Fault> {
        let mut moved = 0;
        let target = change.to.get(TARGET).map(String::as_str).unwrap_or_default();
        let mut there = false;
        if let Some(Value::List(schedules)) = self.schedule.get_mut(SCHEDULES) {
            for schedule in schedules.iter_mut().filter_map(Value::map_mut) {
                if change.except.iter().any(|branch| branch == text(schedule, RELEASE)) {
                    continue;
                }
                let Some(next) = schedule.get_mut(NEXT).and_then(Value::map_mut) else { continue };
                there |= text(next, TARGET) == target;
                moved += usize::from(changed(next, change));
            }
        }
        if let Some(Value::List(months)) = self.schedule.get_mut(UPCOMING) {
            let listed = |month: &Value| month.map().is_some_and(|month| text(month, TARGET) == target);
            let merged = target != change.from && months.iter().any(listed);
            if merged {
                let before = months.len();
                months.retain(|month| month.map().is_none_or(|month| text(month, TARGET) != change.from));
                moved += before - months.len();
            }
            there |= merged;
            for month in months.iter_mut().filter_map(Value::map_mut) {
                moved += usize::from(changed(month, change));
            }
        }
        if moved == 0 && !there { Err(Fault::NoDate(change.from.to_owned())) } else { Ok(()) }
    }

    /// Adds the `.0` release to the end of a branch's past, where the monthly update never puts it.
    ///
    /// # Errors
    /// [`Fault::NoRelease`] when the schedule has no such branch.
    pub fn add_minor_zero(&mut self, release: &str, day: &str) -> Result<(), Fault> {
        let mut entry = Map::new();
        set(&mut entry, RELEASE, release);
        set(&mut entry, TARGET, day);
        let schedule = self
            .branch_mut(branch_of(release))
            .ok_or_else(|| Fault::NoRelease(branch_of(release).to_owned()))?;
        match schedule.get_mut(PREVIOUS) {
            Some(Value::List(past)) => {
                let known =
                    past.iter_mut().filter_map(Value::map_mut).find(|entry| text(entry, RELEASE) == release);
                match known {
                    Some(known) => set(known, TARGET, day),
                    None => past.push(Value::Map(entry)),
                }
            }
            _ => prepend(schedule, PREVIOUS, entry),
        }
        Ok(())
    }

    /// Puts a release that was not planned on top of its branch's past; the next one keeps its dates and gets the number
    /// after it.
    ///
    /// # Errors
    /// [`Fault::NoRelease`], [`Fault::NotNext`].
    pub fn out_of_band(&mut self, release: &str, fields: &BTreeMap<String, String>) -> Result<(), Fault> {
        let branch = branch_of(release).to_owned();
        let schedule = self.branch_mut(&branch).ok_or_else(|| Fault::NoRelease(branch.clone()))?;
        let past = list(schedule, PREVIOUS).iter().filter_map(Value::map);
        if past.into_iter().any(|entry| text(entry, RELEASE) == release) {
            // Done before: only the fields may differ.
            return self.set_fields(release, fields);
        }
        let next =
            schedule.get(NEXT).and_then(Value::map).map(|next| text(next, RELEASE)).unwrap_or_default();
        if next != release {
            return Err(Fault::NotNext { branch, next: next.to_owned(), release: release.to_owned() });
        }
        let mut entry = Map::new();
        set(&mut entry, RELEASE, release);
        for (field, value) in fields {
            set(&mut entry, field, value);
        }
        let following = bumped(release)?;
        if let Some(next) = schedule.get_mut(NEXT).and_then(Value::map_mut) {
            set(next, RELEASE, &following);
        }
        prepend(schedule, PREVIOUS, entry);
        Ok(())
    }

    /// Corrects the row of a branch that has ended.
    ///
    /// # Errors
    /// [`Fault::NoRelease`].
    pub fn fix_eol(&mut self, branch: &str, fix: &EolFix) -> Result<(), Fault> {
        let rows = match self.eol.as_mut().and_then(|eol| eol.get_mut(BRANCHES)) {
            Some(Value::List(rows)) => rows.as_mut_slice(),
            _ => &mut [],
        };
        let row = rows.iter_mut().filter_map(Value::map_mut).find(|row| text(row, RELEASE) == branch);
        let row = row.ok_or_else(|| Fault::NoRelease(format!("ended branch {branch}")))?;
        let fields = [(FINAL, &fix.final_patch_release), (EOL, &fix.end_of_life_date), (NOTE, &fix.note)];
        for (field, value) in fields {
            if let Some(value) = value {
                set(row, field, value);
            }
        }
        Ok(())
    }
}

fn list_of<'m>(map: Option<&'m Map>, field: &str) -> &'m [Value] {
    map.map(|map| list(map, field)).unwrap_or_default()
}

/// Sets the fields of an entry on the old day.
fn changed(entry: &mut Map, change: &Reschedule<'_>) -> bool {
    if text(entry, TARGET) != change.from {
        return false;
    }
    for (field, value) in &change.to {
        set(entry, field, value);
    }
    true
}

/// Months ahead that the operator may ask for: one more while the oldest branch is in maintenance.
#[must_use]
pub fn is_ahead(months: usize) -> bool {
    (AHEAD..=AHEAD + 1).contains(&months)
}

/// Fields that an entry may be given.
pub const FIELDS: [&str; 3] = [TARGET, DEADLINE, NOTE];
