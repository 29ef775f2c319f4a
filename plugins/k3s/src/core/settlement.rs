//! Conflicts of a rebase on one sheet: every path that the new patch and a commit of the fork both changed, for a person to
//! leave as it shall be; or one line that names a commit made by hand in a work tree.

use std::collections::BTreeMap;

/// A path that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The path.
    pub path: String,
    /// What each side did, in words.
    pub reason: String,
    /// The text with conflict markers, or the side that is left; none where it is no text.
    pub text: Option<String>,
}

/// What a person left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Each path with its text; none: it is gone.
    Files(BTreeMap<String, Option<String>>),
    /// A commit on the fork that holds everything up to the one in question.
    Commit(String),
}

/// What stands for the text of a file that shall not be there.
const GONE: &str = "gone";

fn heading(path: &str) -> String {
    format!("==== {path} ====")
}

/// The sheet for a commit of the fork.
#[must_use]
pub fn sheet(subject: &str, open: &[Open]) -> String {
    let mut text = format!(
        "# {subject:?} of the fork meets the new patch here. Below each heading, leave the file as it shall be.\n\
         # `{GONE}` behind a heading removes the file. Or settle everything by hand in a work tree, push its\n\
         # head to any branch of the fork, and leave nothing but the line: commit ID\n"
    );
    for one in open {
        text += &format!("{} {}\n", heading(&one.path), one.reason);
        match &one.text {
            Some(content) if content.is_empty() || content.ends_with('\n') => text += content,
            Some(content) => text += &format!("{content}\n"),
            None => text += "(no text: it can be `gone`, or settled by hand in a work tree)\n",
        }
    }
    text
}

/// Reads what a person made of a sheet.
///
/// # Errors
/// In words: a path that is still open, or missing.
pub fn read(sheet: &str, open: &[Open]) -> Result<Settled, String> {
    let plain: Vec<&str> =
        sheet.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect();
    if let [line] = plain.as_slice()
        && let Some(id) = line.trim().strip_prefix("commit ")
    {
        return match id.trim() {
            id if id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Ok(Settled::Commit(id.to_lowercase()))
            }
            other => Err(format!("{other:?} is no commit: 40 hexadecimal digits")),
        };
    }
    let mut files: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut at: Option<&Open> = None;
    for line in sheet.split_inclusive('\n') {
        let begins = |one: &&Open| line.starts_with(&heading(&one.path));
        if let Some(one) = open.iter().find(begins) {
            let rest = line.strip_prefix(&heading(&one.path)).unwrap_or_default();
            let gone = rest.trim() == GONE;
            if !gone && one.text.is_none() {
                return Err(format!("{} is no text; it can be {GONE}, or settled in a work tree", one.path));
            }
            files.insert(one.path.clone(), (!gone).then(String::new));
            at = Some(one);
        } else if let Some(Some(content)) = at.and_then(|one| files.get_mut(&one.path)) {
            content.push_str(line);
        }
    }
    for one in open {
        match files.get_mut(&one.path) {
            None => return Err(format!("the sheet lost the heading of {}", one.path)),
            Some(Some(text)) if has_markers(text) => {
                return Err(format!("{} still has conflict markers", one.path));
            }
            // The sheet ended the last line of a file that does not.
            Some(Some(text))
                if one.text.as_ref().is_some_and(|was| !was.is_empty() && !was.ends_with('\n')) =>
            {
                if text.ends_with('\n') {
                    text.pop();
                }
            }
            Some(_) => {}
        }
    }
    Ok(Settled::Files(files))
}

/// Whether a text still has conflict markers.
fn has_markers(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> "))
}

/// The commands that make the work tree in which the conflict stands, for whoever would rather settle it there.
#[must_use]
pub fn work_tree(repository: &str, name: &str, [onto, since, last]: [&str; 3]) -> String {
    format!(
        "#!/bin/sh\n# The work tree in which the rebase for {name} stands still. Settle it there, push its head to the fork,\n\
         # and leave the line `commit ID` as the answer.\nset -e\n\
         git clone --no-checkout https://github.com/{repository}.git {name}\ncd {name}\n\
         git rebase --onto {onto} {since} {last}\n"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn open() -> Vec<Open> {
        let one = |path: &str, text: Option<&str>| Open {
            path: path.into(),
            reason: "both sides changed it".into(),
            text: text.map(str::to_owned),
        };
        vec![
            one("a.go", Some("1\n<<<<<<< new base\n2\n=======\n3\n>>>>>>> carried commit\n")),
            one("b/a.go", Some("no end")),
        ]
    }

    #[test]
    fn a_sheet_is_settled_file_by_file() {
        let text = sheet("change", &open());
        assert!(read(&text, &open()).unwrap_err().contains("a.go still has conflict markers"));
        let marks = "<<<<<<< new base\n2\n=======\n3\n>>>>>>> carried commit\n";
        let settled = text.replace(marks, "==== not a heading\n4\n");
        let files = |pairs: [(&str, Option<&str>); 2]| {
            Settled::Files(pairs.map(|(path, text)| (path.to_owned(), text.map(str::to_owned))).into())
        };
        assert_eq!(
            read(&settled, &open()).unwrap(),
            files([("a.go", Some("1\n==== not a heading\n4\n")), ("b/a.go", Some("no end"))])
        );
        let gone = settled.replace("==== b/a.go ==== both sides changed it", "==== b/a.go ==== gone");
        assert_eq!(
            read(&gone, &open()).unwrap(),
            files([("a.go", Some("1\n==== not a heading\n4\n")), ("b/a.go", None)])
        );
        assert!(read("1\n", &open()).unwrap_err().contains("lost the heading of a.go"));
        let binary = [Open { text: None, ..open().remove(0) }];
        assert!(read(&sheet("x", &binary), &binary).unwrap_err().contains("is no text"));
    }

    #[test]
    fn a_commit_made_by_hand_takes_the_place_of_all() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(read(&format!("# x\n\ncommit {id}\n"), &open()).unwrap(), Settled::Commit(id.into()));
        assert!(read("commit main\n", &open()).unwrap_err().contains("40 hexadecimal digits"));
        assert!(work_tree("o/r", "v1", ["a", "b", "c"]).ends_with("cd v1\ngit rebase --onto a b c\n"));
    }
}
