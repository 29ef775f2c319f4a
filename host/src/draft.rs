//! A document that a person edits, kept apart from the text that was generated.
//!
//! The journal holds both: the generated text in the question, the person's text in the answer. When a step asks the same
//! question again with a text generated anew, the person's edits are put into it by a three-way merge, so that nobody has
//! to type them twice. What cannot be put in is marked, and a text with marks is no answer.

use git2::{MergeFileInput, MergeFileOptions};

use crate::journal::{StepState, approval};

/// Texts merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The text; places where both sides changed the same lines are marked as git marks them.
    pub text: String,
    /// How many such places.
    pub conflicts: usize,
}

/// The text a person starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The text.
    pub text: String,
    /// Whose edits of an earlier text are in it.
    pub edited_by: Option<String>,
    /// Whether the generated text changed since those edits.
    pub regenerated: bool,
    /// How many conflicts are marked in it.
    pub conflicts: usize,
}

/// The draft of the document that a step asks about: the generated text with what people made of it before. `None`: it
/// asks nothing, or about no document.
#[must_use]
pub fn draft(step: &StepState) -> Option<Draft> {
    let question = step.question()?;
    let document = question.document.as_ref()?;
    let plain = || Draft { text: document.text.clone(), edited_by: None, regenerated: false, conflicts: 0 };
    let Some(edit) =
        step.edit_of(&question.id).filter(|edit| document.editable && edit.text != edit.generated)
    else {
        return Some(plain());
    };
    let merged = merge(&edit.generated, &edit.text, &document.text);
    Some(Draft {
        text: merged.text,
        edited_by: Some(edit.by.clone()),
        regenerated: edit.generated != document.text,
        conflicts: merged.conflicts,
    })
}

/// Puts what changed from `base` to `edited` into `generated`.
#[must_use]
pub fn merge(base: &str, edited: &str, generated: &str) -> Merged {
    if base == generated || edited == generated {
        return Merged { text: edited.to_owned(), conflicts: 0 };
    }
    if base == edited {
        return Merged { text: generated.to_owned(), conflicts: 0 };
    }
    // The merge itself does not set libgit2 up, as everything else in the library does: making an object id does.
    if git2::Oid::hash_object(git2::ObjectType::Blob, base.as_bytes()).is_err() {
        return whole(base, edited, generated);
    }
    let mut options = MergeFileOptions::new();
    options.our_label("edited by a person").their_label("generated anew").ancestor_label("generated before");
    options.style_diff3(true);
    let (mut old, mut ours, mut theirs) =
        (MergeFileInput::new(), MergeFileInput::new(), MergeFileInput::new());
    old.content(base.as_bytes());
    ours.content(edited.as_bytes());
    theirs.content(generated.as_bytes());
    let merged = git2::merge_file(&old, &ours, &theirs, Some(&mut options)).ok();
    match merged.and_then(|merged| String::from_utf8(merged.content().to_vec()).ok()) {
        Some(text) => Merged { conflicts: approval::conflicts(&text), text },
        None => whole(base, edited, generated),
    }
}

/// Both texts, one after the other, as one conflict: when they cannot be merged line by line.
fn whole(base: &str, edited: &str, generated: &str) -> Merged {
    let ended = |text: &str| if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
    let text = format!(
        "<<<<<<< edited by a person\n{}||||||| generated before\n{}=======\n{}>>>>>>> generated anew\n",
        ended(edited),
        ended(base),
        ended(generated)
    );
    Merged { text, conflicts: 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn edits_move_into_a_new_text() {
        // Base, the person's text, the new text, the expected one.
        let table = [
            ("a\nb\nc\n", "a\nB\nc\n", "a\nb\nc\nd\n", "a\nB\nc\nd\n"),
            ("a\nb\nc\nd\ne\n", "a\nb\nc\nd\nE\n", "A\nb\nc\nd\ne\n", "A\nb\nc\nd\nE\n"),
            ("a\nb\n", "a\nb\n", "x\n", "x\n"),
            ("a\nb\n", "a\n", "a\nb\n", "a\n"),
            ("a\n", "b\n", "b\n", "b\n"),
            ("", "", "new\n", "new\n"),
        ];
        for (base, edited, generated, expected) in table {
            let merged = merge(base, edited, generated);
            assert_eq!((merged.text.as_str(), merged.conflicts), (expected, 0), "{base:?} {edited:?}");
        }
    }

    #[test]
    fn what_both_changed_is_marked() {
        let merged = merge("a\nb\nc\n", "a\nmine\nc\n", "a\ntheirs\nc\n");
        assert_eq!(merged.conflicts, 1);
        for part in ["<<<<<<< edited by a person\nmine\n", "b\n=======\ntheirs\n>>>>>>> generated anew\n"] {
            assert!(merged.text.contains(part), "{}", merged.text);
        }
        assert_eq!(approval::conflicts(&whole("a", "b", "c").text), 1);
    }

    #[test]
    fn headings_are_no_conflicts() {
        let table = [
            ("Title\n=======\n", 0),
            ("<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n", 1),
            ("<<<<<<< a\nx\n", 1),
            ("a <<<<<<< b\n>>>>>>> c\n", 0),
            ("", 0),
        ];
        for (text, expected) in table {
            assert_eq!(approval::conflicts(text), expected, "{text:?}");
        }
    }

    fn lines() -> impl Strategy<Value = String> {
        proptest::collection::vec("[a-d]{1,2}\n", 0..8).prop_map(|lines| lines.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Without edits there is the new text, without a new text there are the edits, and marks are counted.
        #[test]
        fn merging_loses_nothing(base in lines(), edited in lines(), generated in lines()) {
            prop_assert_eq!(merge(&base, &base, &generated).text, generated.clone());
            prop_assert_eq!(merge(&base, &edited, &base).text, edited.clone());
            let merged = merge(&base, &edited, &generated);
            prop_assert_eq!(merged.conflicts, approval::conflicts(&merged.text));
            // A line that only one side brought is in the result, whichever way it went.
            for line in edited.lines().filter(|line| !base.contains(line)) {
                prop_assert!(merged.text.contains(line), "{line} is not in {merged:?}");
            }
        }
    }
}
