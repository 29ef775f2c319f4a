//! Days, and the days that patch releases fall on.

use std::fmt;

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Year.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: i64,
    /// Day of the month, from 1.
    pub day: i64,
}

impl Date {
    /// Reads `YYYY-MM-DD`; none for anything else, days that do not exist included.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut number = |length: usize| {
            let part = parts.next().filter(|part| part.len() == length)?;
            part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten()
        };
        let date = Self { year: number(4)?, month: number(2)?, day: number(2)? };
        (parts.next().is_none() && Self::of_days(date.days()) == date).then_some(date)
    }

    /// The day of a moment in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn of_seconds(seconds: i64) -> Self {
        Self::of_days(seconds.div_euclid(86_400))
    }

    /// Midnight UTC at the beginning of the day, in seconds since 1970-01-01.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.days().saturating_mul(86_400)
    }

    /// Days since 1970-01-01. Months and days beyond their ends run on into the next ones.
    fn days(self) -> i64 {
        let months = self.year * 12 + self.month - 1;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        // Years begin in March here, so that the leap day is the last of its year.
        let shifted = if month > 2 { year } else { year - 1 };
        let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
        let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + self.day - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    fn of_days(days: i64) -> Self {
        let days = days + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        Self { year: era * 400 + year + i64::from(month <= 2), month, day }
    }

    /// The same day a month later; the 31st runs on into the month after, as in Go.
    #[must_use]
    pub fn next_month(self) -> Self {
        Self::of_days(Self { month: self.month + 1, ..self }.days())
    }

    /// Whether both days are in the same month.
    #[must_use]
    pub fn same_month(self, other: Self) -> bool {
        (self.year, self.month) == (other.year, other.month)
    }

    /// Days after the first Monday of this month. `4` is what schedule-builder calls the first Friday, `8` the second
    /// Tuesday: true of most months, a week late in those that begin on a Tuesday to Friday, and relied upon.
    fn after_first_monday(self, days: i64) -> Self {
        let first = Self { day: 1, ..self };
        // 1970-01-01 was a Thursday; Monday is 0.
        let weekday = (first.days() + 3).rem_euclid(7);
        Self::of_days(first.days() + (7 - weekday).rem_euclid(7) + days)
    }

    /// When cherry-picks end in this month.
    #[must_use]
    pub fn cherry_pick_deadline(self) -> Self {
        self.after_first_monday(4)
    }

    /// When patches are released in this month.
    #[must_use]
    pub fn patch_day(self) -> Self {
        self.after_first_monday(8)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_of_months() {
        let table = [
            ("2024-05-14", "2024-06-14", "2024-05-10", "2024-05-14"),
            ("2024-01-31", "2024-03-02", "2024-01-05", "2024-01-09"),
            // Begins on a Tuesday, and on a Friday.
            ("2024-10-02", "2024-11-02", "2024-10-11", "2024-10-15"),
            ("2024-11-30", "2024-12-30", "2024-11-08", "2024-11-12"),
            ("2024-12-10", "2025-01-10", "2024-12-06", "2024-12-10"),
        ];
        for (day, next, deadline, target) in table {
            let date = Date::parse(day).unwrap();
            let made = [date.next_month(), date.cherry_pick_deadline(), date.patch_day()];
            assert_eq!(made.map(|date| date.to_string()), [next, deadline, target], "{day}");
        }
    }

    #[test]
    fn only_days_are_read() {
        for text in ["", "N/A", "2024-02-30", "2024-2-3", "2024-13-01", "2024-01-01T00:00", "-024-01-01"] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn days_are_counted_both_ways(days in -1_000_000i64..1_000_000) {
            let date = Date::of_days(days);
            prop_assert_eq!(date.days(), days);
            prop_assert_eq!(Date::of_seconds(date.seconds()), date);
            prop_assert_eq!(castoff_sdk::step::day(date.seconds()), date.to_string());
        }
    }
}
