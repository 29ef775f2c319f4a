//! The audit of missed notes: what became of every commit of the range, for the person who approves the
//! notes.

use crate::core::pull::{Account, Accounting, Quoted, Verdict};

/// Counts of an [`Accounting`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Commits in the range.
    pub commits: usize,
    /// Pull requests with a note.
    pub noted: usize,
    /// Pull requests that say NONE.
    pub exempt: usize,
    /// Rows that a person has to look at.
    pub open: usize,
}

impl Tally {
    /// Counts the rows.
    pub fn of(accounting: &Accounting) -> Tally {
        let count = |of: fn(&Verdict) -> bool| accounting.rows.iter().filter(|row| of(&row.verdict)).count();
        Tally {
            commits: accounting.rows.len(),
            noted: count(|verdict| matches!(verdict, Verdict::Noted(_))),
            exempt: count(|verdict| matches!(verdict, Verdict::Exempt)),
            open: accounting.open().count(),
        }
    }

    /// One line: `13 merged: 3 with a note, 9 without (NONE), 1 to check`.
    pub fn line(self) -> String {
        let Tally { commits, noted, exempt, open } = self;
        format!("{commits} merged: {noted} with a note, {exempt} without (NONE), {open} to check")
    }
}

/// The report: one line of counts, the rows to check, then all others. Pull requests are named by number and
/// title; nobody is mentioned, so the text can go into a pull request without calling people.
pub fn report(accounting: &Accounting) -> String {
    let mut text = format!("{}\n", Tally::of(accounting).line());
    let open: Vec<&Account> = accounting.open().collect();
    if !open.is_empty() {
        text.push_str("\nTo check:\n");
        open.iter().for_each(|row| text.push_str(&line(row)));
    }
    let closed = accounting.rows.iter().filter(|row| !open.iter().any(|open| open.commit == row.commit));
    let closed: String = closed.map(line).collect();
    if !closed.is_empty() {
        text.push_str(&format!("\nAccounted for:\n{closed}"));
    }
    text
}

/// The numbers that only stand in messages, for the end of the report; empty without any.
pub fn quoted_report(quoted: &[Quoted]) -> String {
    if quoted.is_empty() {
        return String::new();
    }
    let line = |quoted: &Quoted| {
        let commit = quoted.commit.get(..9).unwrap_or(&quoted.commit);
        format!("- {} in {commit} ({})\n", quoted.number, quoted.subject.replace('@', "@\u{200b}"))
    };
    let lines: String = quoted.iter().map(line).collect();
    // Without "#", so that the forge does not link old pull requests that have nothing to do with the
    // release.
    format!("\nQuoted in messages, not merged here and therefore not counted:\n{lines}")
}

fn line(row: &Account) -> String {
    let name = match row.number {
        Some(number) => format!("#{number} {}", row.title.replace('@', "@\u{200b}")),
        None => {
            format!("{} {}", row.commit.get(..9).unwrap_or(&row.commit), row.title.replace('@', "@\u{200b}"))
        }
    };
    let remarks: String = row.remarks.iter().map(|remark| format!("; {remark}")).collect();
    format!("- {name}: {}{remarks}\n", words(&row.verdict))
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Noted(note) => format!("note under {}", note.kind.title()),
        Verdict::Exempt => "says NONE".to_owned(),
        Verdict::Empty => "its release-note block is empty: write a note or NONE".to_owned(),
        Verdict::NoBlock => "has no release-note block: add one with a note or NONE".to_owned(),
        Verdict::Foreign => "not counted, the number belongs to another merge".to_owned(),
        Verdict::Unknown => "the pull request could not be read".to_owned(),
        Verdict::NoPull => "no pull request: pushed directly?".to_owned(),
        Verdict::Duplicate => "the same note is printed already".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_check_first() {
        let row = |number: u64, verdict: Verdict, remarks: &[&str]| Account {
            commit: format!("{number:040}"),
            number: Some(number),
            title: format!("title by @x {number}"),
            verdict,
            remarks: remarks.iter().map(|remark| (*remark).to_owned()).collect(),
        };
        let accounting = Accounting {
            rows: vec![
                row(1, Verdict::Exempt, &[]),
                row(2, Verdict::NoBlock, &[]),
                row(3, Verdict::Foreign, &["was merged by abc"]),
            ],
        };
        let text = report(&accounting);
        assert!(
            text.starts_with("3 merged: 0 with a note, 1 without (NONE), 2 to check\n\nTo check:\n- #2 "),
            "{text}"
        );
        assert!(text.contains("another merge; was merged by abc"), "{text}");
        assert!(text.contains("Accounted for:\n- #1 "), "{text}");
        assert!(!text.contains("@x"), "{text}");
        let quoted = [Quoted { number: 7, commit: "abc".into(), subject: "Squashed".into() }];
        assert!(quoted_report(&quoted).ends_with("- 7 in abc (Squashed)\n"));
        assert_eq!(quoted_report(&[]), "");
    }
}
