//! The release note of one pull request: found in its body, classified by its labels, printed as one list
//! item. The rules are those of the Kubernetes release-notes generator, whose output fills the published
//! changelogs.

/// What the body of a pull request says about a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A note, cleaned of list marks and of "action required".
    Text {
        /// The note; lines separated by `\n`.
        text: String,
        /// Whether it came from a fence without a name, which may be no note at all.
        unnamed: bool,
    },
    /// `NONE`, `N/A` or `/release-note-none`.
    Exempt,
    /// A release-note block without content.
    Empty,
    /// No block.
    Missing,
}

/// Looks for the note in a body.
pub fn find(body: &str) -> Finding {
    if says_none(body) || body.contains("/release-note-none") {
        return Finding::Exempt;
    }
    let Some((raw, unnamed)) = block(body) else {
        let opened = ["```release-note", "```dev-release-note"].iter().any(|mark| body.contains(mark));
        return if opened { Finding::Empty } else { Finding::Missing };
    };
    let text = clean(raw);
    let word = text.trim_end_matches('.').to_ascii_lowercase();
    match word.as_str() {
        "" => Finding::Empty,
        "none" | "n/a" | "na" => Finding::Exempt,
        _ => Finding::Text { text, unnamed },
    }
}

/// `` ```release-note `` followed by nothing but a quoted or plain none, n/a or na.
fn says_none(body: &str) -> bool {
    let lower = body.to_ascii_lowercase();
    lower.match_indices("```release-note").any(|(at, mark)| {
        let rest = lower.get(at + mark.len()..).unwrap_or_default();
        let rest = rest.strip_prefix('s').unwrap_or(rest).trim_start();
        let rest = rest.strip_prefix(['\'', '"']).unwrap_or(rest);
        ["none", "n/a", "na"].iter().any(|word| {
            let rest = rest.strip_prefix(word).map(|rest| rest.strip_prefix(['\'', '"']).unwrap_or(rest));
            rest.is_some_and(|rest| rest.trim_start().starts_with("```"))
        })
    })
}

/// The first block in the generator's order of preference: named fences with CRLF, a fence without a name
/// with CRLF (only where the body speaks of release notes at all), then named fences with LF.
fn block(body: &str) -> Option<(&str, bool)> {
    let speaks =
        body.contains("release-note") || body.contains("Does this PR introduce a user-facing change?");
    let named = ["release-notes", "release-note"];
    let development = ["dev-release-notes", "dev-release-note"];
    let crlf = fenced(body, &named, "\r\n").or_else(|| fenced(body, &development, "\r\n"));
    let unnamed = || fenced(body, &[""], "\r\n").filter(|_| speaks).map(|text| (text, true));
    let lf = || fenced(body, &named, "\n").or_else(|| fenced(body, &development, "\n"));
    crlf.map(|text| (text, false)).or_else(unnamed).or_else(|| lf().map(|text| (text, false)))
}

/// The shortest content of the first fence with one of the names, at least one byte long.
fn fenced<'a>(body: &'a str, names: &[&str], eol: &str) -> Option<&'a str> {
    let closing = format!("{eol}```");
    body.match_indices("```").enumerate().find_map(|(index, (at, mark))| {
        // Every second fence closes a block; without a name it must not be taken for an opening one.
        if names == [""] && index % 2 == 1 {
            return None;
        }
        let after = body.get(at + mark.len()..)?;
        let start = names.iter().find_map(|name| after.strip_prefix(name)?.strip_prefix(eol))?;
        // An empty block is no note; looking further would swallow the text behind it.
        if start.starts_with("```") || start.starts_with(closing.as_str()) {
            return None;
        }
        start.find(closing.as_str()).filter(|end| *end > 0).and_then(|end| start.get(..end))
    })
}

fn clean(raw: &str) -> String {
    let text = strip_action_required(&raw.replace('\r', ""));
    let dashed: Vec<String> = text.split('\n').map(dashed).collect();
    unlisted(&dashed.join("\n")).trim().to_owned()
}

/// Drops `[action required] ` and `action required: ` wherever they stand, in any case.
fn strip_action_required(text: &str) -> String {
    let mut text = text.to_owned();
    for mark in ["[action required]", "action required:"] {
        let mut from = 0;
        while let Some(at) =
            text.to_ascii_lowercase().get(from..).and_then(|rest| rest.find(mark)).map(|at| at + from)
        {
            let end = at + mark.len();
            match text
                .get(end..)
                .and_then(|rest| rest.chars().next())
                .filter(|next| next.is_ascii_whitespace())
            {
                Some(space) => text.replace_range(at..end + space.len_utf8(), ""),
                None => from = end,
            }
        }
    }
    text
}

/// `* item` as `- item`.
fn dashed(line: &str) -> String {
    let rest = line.trim_start();
    let indent = line.get(..line.len() - rest.len()).unwrap_or_default();
    match rest.strip_prefix("* ").or_else(|| rest.strip_prefix("*\t")) {
        Some(item) => format!("{indent}- {item}"),
        None => line.to_owned(),
    }
}

/// A single list item as plain text; in a longer list only the first mark goes.
fn unlisted(text: &str) -> String {
    if !text.starts_with("- ") {
        return text.to_owned();
    }
    let (mut first, mut trim) = (true, true);
    let lines = text.lines().map(|line| {
        let mut prefix = "  ";
        if line.starts_with("- ") {
            if first {
                (prefix, first) = ("- ", false);
            } else {
                trim = false;
            }
        }
        if trim { line.strip_prefix(prefix).unwrap_or(line) } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Sections of a changelog in the order in which they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `release-note-action-required`.
    Urgent,
    /// `kind/deprecation`.
    Deprecation,
    /// `kind/api-change`.
    ApiChange,
    /// `kind/feature`.
    Feature,
    /// `kind/design`.
    Design,
    /// `kind/documentation`.
    Documentation,
    /// `kind/failing-test`.
    FailingTest,
    /// `kind/bug` and `kind/regression`.
    Bug,
    /// `kind/cleanup` and `kind/flake`.
    Other,
    /// No known kind.
    Uncategorized,
}

impl Kind {
    /// Heading of the section.
    pub fn title(self) -> &'static str {
        match self {
            Kind::Urgent => "Urgent Upgrade Notes",
            Kind::Deprecation => "Deprecation",
            Kind::ApiChange => "API Change",
            Kind::Feature => "Feature",
            Kind::Design => "Design",
            Kind::Documentation => "Documentation",
            Kind::FailingTest => "Failing Test",
            Kind::Bug => "Bug or Regression",
            Kind::Other => "Other (Cleanup or Flake)",
            Kind::Uncategorized => "Uncategorized",
        }
    }

    /// Section of a heading.
    pub fn of_title(title: &str) -> Option<Kind> {
        let all = [
            Kind::Urgent,
            Kind::Deprecation,
            Kind::ApiChange,
            Kind::Feature,
            Kind::Design,
            Kind::Documentation,
            Kind::FailingTest,
            Kind::Bug,
            Kind::Other,
            Kind::Uncategorized,
        ];
        all.into_iter().find(|kind| kind.title() == title.trim())
    }

    /// Section of a pull request: the highest of its kinds; urgent when action is required and there is not
    /// more than one kind.
    pub fn of_labels(labels: &[String]) -> Kind {
        let kinds: Vec<&str> = labels.iter().filter_map(|label| label.strip_prefix("kind/")).collect();
        let urgent = labels.iter().any(|label| label == "release-note-action-required");
        if urgent && kinds.len() <= 1 {
            return Kind::Urgent;
        }
        kinds.into_iter().filter_map(Kind::of_label).min().unwrap_or(Kind::Uncategorized)
    }

    fn of_label(label: &str) -> Option<Kind> {
        Some(match label {
            "deprecation" => Kind::Deprecation,
            "api-change" => Kind::ApiChange,
            "feature" => Kind::Feature,
            "design" => Kind::Design,
            "documentation" => Kind::Documentation,
            "failing-test" => Kind::FailingTest,
            "bug" | "regression" => Kind::Bug,
            "cleanup" | "flake" => Kind::Other,
            _ => return None,
        })
    }
}

/// ` [SIG Network, Node and Storage]`, or nothing without `sig/` labels.
pub fn sig_suffix(labels: &[String]) -> String {
    let mut sigs: Vec<&str> = labels.iter().filter_map(|label| label.strip_prefix("sig/")).collect();
    sigs.sort_unstable();
    let names: Vec<String> = sigs.into_iter().map(sig_name).collect();
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => format!(" [SIG {only}]"),
        Some((last, others)) => format!(" [SIG {} and {last}]", others.join(", ")),
    }
}

fn sig_name(sig: &str) -> String {
    let words = sig.split('-').map(|word| match word {
        "vsphere" => "vSphere".to_owned(),
        "vmware" => "VMWare".to_owned(),
        "openstack" => "OpenStack".to_owned(),
        "api" | "aws" | "cli" | "gcp" => word.to_ascii_uppercase(),
        _ => capitalized(word),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// First character in upper case, where that is a single character.
fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => {
            let mut upper = first.to_uppercase();
            let first = if upper.len() == 1 { upper.next().unwrap_or(first) } else { first };
            format!("{first}{}", characters.as_str())
        }
        None => String::new(),
    }
}

/// One note, ready to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Section.
    pub kind: Kind,
    /// Number of the pull request.
    pub number: u64,
    /// Login of the author.
    pub author: String,
    /// Text without list mark; lines separated by `\n`.
    pub text: String,
    /// [`sig_suffix`] of the labels.
    pub suffix: String,
}

impl Note {
    /// The item without its mark: continuation lines indented, links behind the text. `repository` is
    /// `owner/name`.
    pub fn item(&self, repository: &str) -> String {
        let text = capitalized(&self.text.replace('\n', "\n  "));
        let (number, author) = (self.number, &self.author);
        format!(
            "{text} ([#{number}](https://github.com/{repository}/pull/{number}), [@{author}](https://github.com/{author})){}",
            self.suffix
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(body: &str) -> String {
        match find(body) {
            Finding::Text { text, .. } => text,
            other => panic!("{body:?}: {other:?}"),
        }
    }

    #[test]
    fn finds_the_block_in_the_order_of_the_generator() {
        let cases = [
            ("x\n```release-note\nPlain\n```\n", "Plain"),
            ("x\r\n```release-note\r\nWindows\r\n```\r\n", "Windows"),
            ("```release-notes\nPlural\n```", "Plural"),
            ("```dev-release-note\r\nFor developers\r\n```", "For developers"),
            // A fence with CRLF wins over an earlier one with LF.
            ("```release-note\nfirst\n```\r\n```release-note\r\nsecond\r\n```", "second"),
            ("Does this PR introduce a user-facing change?\r\n```\r\nunnamed\r\n```", "unnamed"),
            ("```release-note\n[ACTION REQUIRED] Move\n```", "Move"),
            ("```release-note\nAction required: Move\n```", "Move"),
            ("```release-note\n* only\n```", "only"),
            ("```release-note\n- only\n  more\n```", "only\nmore"),
            ("```release-note\n- one\n- two\n```", "one\n- two"),
            ("```release-note\nTitle:\n  * a\n```", "Title:\n  - a"),
            ("```release-note\nnonetheless\n```", "nonetheless"),
            ("```release-note\n\n```\nlater\n```release-note\nreal\n```", "real"),
        ];
        for (body, expected) in cases {
            assert_eq!(text(body), expected, "{body:?}");
        }
        assert!(matches!(find("release-note\r\n```\r\ncode\r\n```"), Finding::Text { unnamed: true, .. }));
    }

    #[test]
    fn recognises_none_and_nothing() {
        for none in ["NONE", "none", "N/A", "na", "\"NONE\"", "'n/a'", "NONE.", "  none  "] {
            for eol in ["\n", "\r\n"] {
                let body = format!("text{eol}```release-note{eol}{none}{eol}```{eol}");
                assert_eq!(find(&body), Finding::Exempt, "{body:?}");
            }
        }
        assert_eq!(find("/release-note-none"), Finding::Exempt);
        assert_eq!(find("```release-note\n\n```"), Finding::Empty);
        assert_eq!(find("```release-note\n```"), Finding::Empty);
        assert_eq!(find("```\r\ncode\r\n```"), Finding::Missing);
        assert_eq!(find(""), Finding::Missing);
    }

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn labels_decide_section_and_suffix() {
        let cases = [
            (&["kind/bug"][..], Kind::Bug),
            (&["kind/regression", "kind/cleanup"], Kind::Bug),
            (&["kind/cleanup", "kind/feature"], Kind::Feature),
            (&["kind/flake"], Kind::Other),
            (&["kind/unknown"], Kind::Uncategorized),
            (&[], Kind::Uncategorized),
            (&["release-note-action-required"], Kind::Urgent),
            (&["release-note-action-required", "kind/bug"], Kind::Urgent),
            (&["release-note-action-required", "kind/bug", "kind/deprecation"], Kind::Deprecation),
        ];
        for (names, kind) in cases {
            assert_eq!(Kind::of_labels(&labels(names)), kind, "{names:?}");
        }
        assert_eq!(sig_suffix(&labels(&["sig/storage"])), " [SIG Storage]");
        assert_eq!(
            sig_suffix(&labels(&["sig/storage", "sig/api-machinery", "sig/node"])),
            " [SIG API Machinery, Node and Storage]"
        );
    }

    #[test]
    fn prints_one_item() {
        let note = Note {
            kind: Kind::Bug,
            number: 7,
            author: "ann".into(),
            text: "fix it\n- well".into(),
            suffix: String::new(),
        };
        assert_eq!(
            note.item("org/tool"),
            "Fix it\n  - well ([#7](https://github.com/org/tool/pull/7), [@ann](https://github.com/ann))"
        );
    }

    proptest! {
        #[test]
        fn any_body_is_read(body in "(?s).{0,80}") {
            find(&body);
        }

        #[test]
        fn notes_survive_both_line_ends(note in "[A-Z][a-z ]{3,20}[a-z]") {
            prop_assume!(!note.eq_ignore_ascii_case("none"));
            let lf = format!("```release-note\n{note}\n```");
            prop_assert_eq!(text(&lf), note.clone());
            prop_assert_eq!(text(&lf.replace('\n', "\r\n")), note);
        }
    }
}
