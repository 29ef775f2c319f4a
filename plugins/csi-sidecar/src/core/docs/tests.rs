#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

const DAY: i64 = 86_400;

fn version(text: &str) -> Version {
    Version::parse(&format!("v{text}")).unwrap()
}

fn row(text: &str, kubernetes: &str) -> String {
    let minor = text.rsplit_once('.').unwrap().0;
    format!(
        "[box v{text}](https://h/box/releases/tag/v{text}) | [release-{minor}](https://h/box/tree/release-{minor}) | \
         [v1.0.0](https://h/spec/v1.0.0) |-| r.io/box:v{text} | v1.1 | - | {kubernetes}"
    )
}

const HEADER: &str = "Latest stable release | Branch | Min CSI Version | Max CSI Version | Container Image | Min | Max | Rec |\n--|--|--|--|--|--|--|--\n";

fn page(supported: &[String], unsupported: Option<&[String]>) -> String {
    let lines = |rows: &[String]| rows.iter().map(|row| format!("{row}\n")).collect::<String>();
    let second = unsupported.map(|rows| format!("\n### Unsupported Versions\n\n{HEADER}{}", lines(rows)));
    format!(
        "# Box\n\n### Supported Versions\n\n{HEADER}{}{}\n## More\n",
        lines(supported),
        second.unwrap_or_default()
    )
}

fn wanted(texts: &[&str]) -> Vec<WantedRow> {
    texts.iter().map(|text| WantedRow::new(version(text))).collect()
}

#[test]
fn adds_and_replaces_rows_by_substitution() {
    let base =
        page(&[row("2.1.0", "v1.9"), row("2.0.3", "v1.8")], Some(&[row("1.0.0", "v1.2"), "none | x".into()]));
    let cases: [(&[&str], String); 4] = [
        (
            &["2.2.0"],
            page(
                &[row("2.2.0", "v1.9"), row("2.1.0", "v1.9"), row("2.0.3", "v1.8")],
                Some(&[row("1.0.0", "v1.2"), "none | x".into()]),
            ),
        ),
        (
            &["2.0.4"],
            page(
                &[row("2.1.0", "v1.9"), row("2.0.4", "v1.8")],
                Some(&[row("1.0.0", "v1.2"), "none | x".into()]),
            ),
        ),
        (
            &["1.0.1"],
            page(
                &[row("2.1.0", "v1.9"), row("2.0.3", "v1.8")],
                Some(&[row("1.0.1", "v1.2"), "none | x".into()]),
            ),
        ),
        (&["2.0.3", "2.0.2"], base.clone()),
    ];
    for (versions, expected) in cases {
        let edit = update_page(&base, &wanted(versions), Placement::default()).unwrap();
        assert_eq!(edit.text, expected, "{versions:?}");
        assert!(update_page(&edit.text, &wanted(versions), Placement::default()).unwrap().is_noop());
    }
}

#[test]
fn moves_rows_out_of_support_and_makes_the_second_table() {
    let base = page(&[row("2.1.0", "v1.9"), row("2.0.3", "v1.8")], None);
    let tags = [(version("2.0.0"), 0), (version("2.1.0"), 300 * DAY), (version("2.2.0"), 390 * DAY)];
    let window = SupportWindow::new(395 * DAY, tags.iter().map(|(v, at)| (v, *at)));
    let placement = Placement { window: Some(&window) };
    let edit = update_page(&base, &wanted(&["2.2.0"]), placement).unwrap();
    assert_eq!(edit.text, page(&[row("2.2.0", "v1.9"), row("2.1.0", "v1.9")], Some(&[row("2.0.3", "v1.8")])));
    assert_eq!(edit.retired, [version("2.0.3")]);
    assert!(update_page(&edit.text, &wanted(&["2.2.0"]), placement).unwrap().is_noop());
}

#[test]
fn reports_faults_and_never_copies_them() {
    let faulty =
        row("2.1.0", "v1.9").replace("[release-2.1]", "[release-2.0]").replace("box:v2.1.0", "box:v2.0.9");
    let base = page(&[faulty.clone(), row("2.0.3", "v1.8")], None);
    let faults: Vec<String> = lint(&base).unwrap().iter().map(|(_, fault)| fault.to_string()).collect();
    assert_eq!(
        faults,
        [
            "branch text is \"release-2.0\", expected \"release-2.1\"",
            "image tag is \"v2.0.9\", expected \"v2.1.0\""
        ]
    );
    let edit = update_page(&base, &wanted(&["2.2.0"]), Placement::default()).unwrap();
    assert_eq!(edit.text, page(&[row("2.2.0", "v1.8"), faulty, row("2.0.3", "v1.8")], None));
    let repaired = update_page(&base, &wanted(&["2.1.0"]), Placement::default()).unwrap();
    assert_eq!(repaired.text, page(&[row("2.1.0", "v1.8"), row("2.0.3", "v1.8")], None));
}

#[test]
fn takes_decisions_of_people() {
    let base = page(&[row("2.1.0", "v1.9")], None);
    let mut decided = WantedRow::new(version("2.2.0"));
    decided.overrides = vec![(Column::RecommendedKubernetes, "v1.11".to_owned())];
    let edit = update_page(&base, &[decided.clone()], Placement::default()).unwrap();
    assert_eq!(edit.text, page(&[row("2.2.0", "v1.11"), row("2.1.0", "v1.9")], None));
    decided.overrides = vec![(Column::Image, "r.io/box:v2.1.0".to_owned())];
    let error = update_page(&base, &[decided], Placement::default()).unwrap_err();
    assert!(error.to_string().contains("contradicts itself: image tag is"), "{error}");
}

#[test]
fn knows_other_spellings_of_the_same_table() {
    let rows =
        |texts: &[&str]| texts.iter().map(|text| format!("| {} |\n", row(text, "v1.9"))).collect::<String>();
    let header = format!("| {}", HEADER.replace(" |\n--", " |\n|--").replace("|--\n", "|--|\n"));
    let page = |first: &[&str], second: &[&str]| {
        format!(
            "{header}{}\n<details>\n<summary>Older</summary>\n\n{header}{}\n</details>\n",
            rows(first),
            rows(second)
        )
    };
    let tags = [(version("2.0.0"), 0), (version("2.1.0"), 300 * DAY), (version("2.2.0"), 600 * DAY)];
    let window = SupportWindow::new(601 * DAY, tags.iter().map(|(v, at)| (v, *at)));
    let base = page(&["2.1.0", "2.0.0"], &["1.0.0"]);
    let edit = update_page(&base, &wanted(&["2.2.0"]), Placement { window: Some(&window) }).unwrap();
    assert_eq!(edit.text, page(&["2.2.0", "2.1.0"], &["2.0.0", "1.0.0"]));
    let two_images = row("2.1.0", "v1.9").replace("r.io/box:v2.1.0", "r.io/box:v2.1.0 <br> r.io/lid:v2.1.0");
    let base = super::tests::page(&[two_images], None);
    let edit = update_page(&base, &wanted(&["2.1.1"]), Placement::default()).unwrap();
    assert!(edit.text.contains("r.io/box:v2.1.1 <br> r.io/lid:v2.1.1"));
}

#[test]
fn refuses_other_shapes() {
    let cases = [
        ("# Nothing\n".to_owned(), "no version table found"),
        ("Latest stable release | Image\n--|--\n".to_owned(), "edit this page by hand"),
        (page(&["[box v1.0.0](u/v1.0.0) | x".to_owned()], None), "repair the row first"),
        (page(&[], None), "no row can serve as a pattern"),
    ];
    for (text, expected) in cases {
        let error = update_page(&text, &wanted(&["2.2.0"]), Placement::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

proptest! {
    #[test]
    fn is_idempotent_sorted_and_keeps_other_text(minors in proptest::collection::btree_set(0u64..9, 1..5), wants in proptest::collection::vec((0u64..9, 0u64..9), 1..4)) {
        let rows: Vec<String> = minors.iter().rev().map(|minor| row(&format!("2.{minor}.4"), "v1.9")).collect();
        let base = page(&rows, Some(&[row("1.0.0", "v1.2")]));
        let wants: Vec<WantedRow> = wants.iter().map(|(minor, patch)| WantedRow::new(Version::new(2, *minor, *patch))).collect();
        let edit = update_page(&base, &wants, Placement::default()).unwrap();
        let versions: Vec<Version> = super::rows(&edit.text).unwrap().into_iter().map(|row| row.version).collect();
        prop_assert!(versions.windows(2).all(|pair| pair[0] > pair[1]), "{versions:?}");
        prop_assert!(edit.text.ends_with("\n## More\n"));
        prop_assert_eq!(lint(&edit.text).unwrap(), vec![]);
        prop_assert!(update_page(&edit.text, &wants, Placement::default()).unwrap().is_noop());
    }
}
