//! Which minor versions of a sidecar are supported at a given moment (kubernetes-csi project policies).
//!
//! A minor is supported for a year from its `.0` tag and for three months after the next minor, and the newest always. A patch tag
//! younger than three months counts as well: a branch that has just been released from is not abandoned.

use std::collections::BTreeMap;

use castoff_sdk::version::Version;

/// Seconds since 1970-01-01T00:00:00Z.
pub type Seconds = i64;

const DAY: Seconds = 86_400;
/// A minor is supported this long after its first tag.
const FROM_FIRST_TAG: Seconds = 365 * DAY;
/// A minor is supported this long after the next minor's first tag.
const AFTER_NEXT_MINOR: Seconds = 90 * DAY;
/// A minor is supported this long after its latest patch tag.
const AFTER_LATEST_PATCH: Seconds = 90 * DAY;

/// A moment that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{seen:?} is not a moment; expected the form 2021-08-18T14:37:43-07:00")]
pub struct BadMoment {
    /// The text as given.
    pub seen: String,
}

/// Tag dates of one repository and the moment at which support is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportWindow {
    now: Seconds,
    minors: BTreeMap<(u64, u64), Minor>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Minor {
    first_tag: Seconds,
    latest_tag: Seconds,
}

impl SupportWindow {
    /// Collects tag dates; pre-release tags do not count.
    pub fn new<'a>(now: Seconds, tags: impl IntoIterator<Item = (&'a Version, Seconds)>) -> Self {
        let mut minors: BTreeMap<(u64, u64), Minor> = BTreeMap::new();
        for (version, at) in tags.into_iter().filter(|(version, _)| version.is_final()) {
            let minor = minors
                .entry((version.major, version.minor))
                .or_insert(Minor { first_tag: at, latest_tag: at });
            minor.first_tag = minor.first_tag.min(at);
            minor.latest_tag = minor.latest_tag.max(at);
        }
        Self { now, minors }
    }

    /// Whether the minor of `version` is supported; `None` if no tag of that minor is known.
    pub fn is_supported(&self, version: &Version) -> Option<bool> {
        let key = (version.major, version.minor);
        let minor = self.minors.get(&key)?;
        let Some((_, next)) = self.minors.range(key..).nth(1) else { return Some(true) };
        Some(
            self.now < minor.first_tag + FROM_FIRST_TAG
                || self.now < next.first_tag + AFTER_NEXT_MINOR
                || self.now < minor.latest_tag + AFTER_LATEST_PATCH,
        )
    }
}

/// Reads a moment in the form `2021-08-18T14:37:43-07:00` or with `Z`.
pub fn parse_moment(text: &str) -> Result<Seconds, BadMoment> {
    read_moment(text).ok_or_else(|| BadMoment { seen: text.to_owned() })
}

fn read_moment(text: &str) -> Option<Seconds> {
    let (date, rest) = text.split_once(['T', ' '])?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let clock = rest.get(..8)?;
    let mut clock = clock.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !in_range || !(0..=9999).contains(&year) {
        return None;
    }
    let zone = zone_offset(rest.get(8..)?)?;
    Some(days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second - zone)
}

/// Offset in seconds of a zone such as `-07:00`; a fraction of a second before it is ignored.
fn zone_offset(text: &str) -> Option<Seconds> {
    let zone = text.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    if zone == "Z" {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    ((0..24).contains(&hours) && (0..60).contains(&minutes)).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_moments_with_zones() {
        let cases = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-03-01T00:00:00Z", Some(951_868_800)),
            ("2021-08-18T14:37:43-07:00", Some(1_629_322_663)),
            ("2021-08-18T14:37:43.25+05:30", Some(1_629_277_663)),
            ("2021-13-18T14:37:43Z", None),
            ("2021-08-18", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_moment(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn supports_by_age_next_minor_and_fresh_patch() {
        let day = |n: i64| n * DAY;
        let version = |text: &str| Version::parse(&format!("v{text}")).unwrap();
        let tags = [
            (version("1.0.0"), day(0)),
            (version("1.0.1"), day(500)),
            (version("1.1.0"), day(100)),
            (version("1.2.0"), day(400)),
            (version("1.3.0-rc1"), day(440)),
        ];
        let cases = [
            (300, "1.0.0", Some(true)),
            (480, "1.0.9", Some(true)), // its patch lies ahead and counts as fresh
            (600, "1.0.1", Some(false)),
            (460, "1.1.0", Some(true)),
            (489, "1.1.0", Some(true)),
            (490, "1.1.0", Some(false)),
            (9000, "1.2.0", Some(true)),
            (9000, "1.3.0", None),
        ];
        for (now, asked, expected) in cases {
            let window = SupportWindow::new(day(now), tags.iter().map(|(v, at)| (v, *at)));
            assert_eq!(window.is_supported(&version(asked)), expected, "{asked} on day {now}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_on_text(text in ".{0,40}") {
            let _ = parse_moment(&text);
        }
    }
}
