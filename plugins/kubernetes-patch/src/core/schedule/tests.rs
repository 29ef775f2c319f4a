#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::*;

const FILE: &str = "schedules:\n\
- endOfLifeDate: \"2025-06-28\"\n  maintenanceModeStartDate: \"2025-04-28\"\n  next:\n    cherryPickDeadline: \"2024-08-09\"\n    \
release: 1.30.4\n    targetDate: \"2024-08-13\"\n  previousPatches:\n  - cherryPickDeadline: \"2024-07-12\"\n    release: 1.30.3\n    \
targetDate: \"2024-07-16\"\n  release: \"1.30\"\n  releaseDate: \"2024-04-17\"\n\
- endOfLifeDate: \"2024-07-28\"\n  next:\n    cherryPickDeadline: \"2024-08-09\"\n    release: 1.27.17\n    targetDate: \
\"2024-08-13\"\n  previousPatches:\n  - release: 1.27.16\n    targetDate: \"2024-07-16\"\n  release: \"1.27\"\n\
upcoming_releases:\n- cherryPickDeadline: \"2024-08-09\"\n  targetDate: \"2024-08-13\"\n- cherryPickDeadline: \"2024-09-06\"\n  \
targetDate: \"2024-09-11\"\n";

fn at(day: &str) -> i64 {
    Date::parse(day).unwrap().seconds()
}

fn read() -> Schedule {
    Schedule::parse(FILE, Some("branches:\n- release: \"1.26\"\n")).unwrap()
}

fn planned(_: &str) -> Made {
    Made::AsPlanned
}

fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn releases_move_on_their_day_and_branches_end_after_theirs() {
    let mut schedule = read();
    schedule.update(at("2024-08-13"), at("2024-08-13"), AHEAD, &planned).unwrap();
    let text = schedule.text();
    assert!(text.starts_with(HEADER));
    // The dates of the month ahead are taken, not those of the calendar.
    let next = "  next:\n    cherryPickDeadline: \"2024-09-06\"\n    release: 1.30.5\n    targetDate: \"2024-09-11\"\n";
    assert!(text.contains(next), "{text}");
    let ahead = "- cherryPickDeadline: \"2024-10-11\"\n  targetDate: \"2024-10-15\"\n";
    assert!(text.ends_with(ahead), "{text}");
    let eol = schedule.eol_text().unwrap();
    let row = "branches:\n- endOfLifeDate: \"2024-08-13\"\n  finalPatchRelease: 1.27.17\n  release: \"1.27\"\n- release: \"1.26\"\n";
    assert!(eol.ends_with(row), "{eol}");
    assert!(
        schedule.remarks.iter().any(|remark| remark.contains("1.27.16 is the last one")),
        "{:?}",
        schedule.remarks
    );
    // Again: nothing.
    let mut again = Schedule::parse(&text, Some(&eol)).unwrap();
    again.update(at("2024-08-13"), at("2024-08-13"), AHEAD, &planned).unwrap();
    assert_eq!((again.text(), again.eol_text()), (text, Some(eol)));
}

#[test]
fn what_was_really_released_counts() {
    let mut schedule = read();
    let made = |release: &str| match release {
        "1.30.4" => Made::On(Date::parse("2024-08-14").unwrap()),
        _ => Made::Not,
    };
    schedule.update(at("2024-08-20"), at("2024-08-20"), AHEAD, &made).unwrap();
    assert!(schedule.text().contains("release: 1.30.4\n    targetDate: \"2024-08-14\"\n"));
    let row = "- endOfLifeDate: \"2024-07-28\"\n  finalPatchRelease: 1.27.16\n  release: \"1.27\"\n";
    assert!(schedule.eol_text().unwrap().contains(row));
    let mut late = read();
    late.update(at("2024-07-28"), at("2024-07-28"), AHEAD, &planned).unwrap();
    assert!(
        late.remarks.iter().any(|remark| remark.contains("after the end of life of 1.27")),
        "{:?}",
        late.remarks
    );
}

#[test]
fn a_date_is_moved_for_all_but_some() {
    let mut schedule = read();
    let change = Reschedule {
        from: "2024-08-13",
        to: fields(&[("targetDate", "2024-08-14")]),
        except: vec!["1.27".to_owned()],
    };
    schedule.reschedule(&change).unwrap();
    let text = schedule.text();
    assert_eq!(text.matches("2024-08-14").count(), 2, "{text}");
    assert_eq!(text.matches("2024-08-13").count(), 1, "{text}");
    schedule.reschedule(&change).unwrap();
    assert_eq!(schedule.text(), text);
    let nothing =
        Reschedule { from: "2031-01-01", to: fields(&[("targetDate", "2031-01-02")]), ..Default::default() };
    assert!(schedule.reschedule(&nothing).is_err());
    // Two months become one.
    let together =
        Reschedule { from: "2024-08-13", to: fields(&[("targetDate", "2024-09-11")]), ..Default::default() };
    let mut schedule = read();
    schedule.reschedule(&together).unwrap();
    let months = schedule.text().split_once("upcoming_releases").unwrap().1.to_owned();
    assert_eq!(months.matches("targetDate").count(), 1, "{months}");
}

#[test]
fn releases_by_hand() {
    let mut schedule = read();
    schedule.add_minor_zero("1.30.0", "2024-04-17").unwrap();
    let oldest = "    targetDate: \"2024-07-16\"\n  - release: 1.30.0\n    targetDate: \"2024-04-17\"\n";
    assert!(schedule.text().contains(oldest));
    let band = fields(&[("targetDate", "2024-07-20"), ("note", "Out of band")]);
    for _ in 0..2 {
        schedule.add_minor_zero("1.30.0", "2024-04-17").unwrap();
        schedule.out_of_band("1.30.4", &band).unwrap();
    }
    let text = schedule.text();
    let top =
        "  previousPatches:\n  - note: Out of band\n    release: 1.30.4\n    targetDate: \"2024-07-20\"\n";
    assert!(
        text.contains(top) && text.contains("release: 1.30.5\n    targetDate: \"2024-08-13\"\n"),
        "{text}"
    );
    assert!(schedule.out_of_band("1.30.9", &band).is_err());
    assert!(schedule.add_minor_zero("1.55.0", "2024-04-17").is_err());
    assert!(schedule.set_fields("1.30.77", &band).is_err());
    schedule.set_fields("1.27.17", &fields(&[("targetDate", "2024-08-15")])).unwrap();
    assert!(schedule.text().contains("release: 1.27.17\n    targetDate: \"2024-08-15\"\n"));
    let fix = EolFix { final_patch_release: Some("1.26.15".to_owned()), ..EolFix::default() };
    schedule.fix_eol("1.26", &fix).unwrap();
    assert!(schedule.eol_text().unwrap().contains("finalPatchRelease: 1.26.15\n"));
    assert!(schedule.fix_eol("1.11", &fix).is_err());
}

#[test]
fn what_cannot_be_read_is_told() {
    assert!(Schedule::parse("- a\n", None).is_err());
    let mut broken =
        Schedule::parse("schedules:\n- next:\n    release: 1.2.3\n  release: \"1.2\"\n", None).unwrap();
    let fault = broken.update(0, 0, AHEAD, &planned).unwrap_err();
    assert!(fault.to_string().contains("endOfLifeDate"), "{fault}");
}
