//! A three-way merge of one text, by lines, for carrying the fork's commits onto a new base.
//!
//! Exact where it answers: a place changed by one side takes that side's text, by both alike theirs, by both differently it is
//! a conflict with markers for a person.

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// One text.
    Clean(String),
    /// A text with conflict markers.
    Conflict(String),
}

/// More cells than this are not compared: the middle of such a text counts as changed throughout.
const CELLS: usize = 4_000_000;

/// Merges the changes from `base` to `theirs` into `ours`.
#[must_use]
pub fn merge(base: &str, ours: &str, theirs: &str) -> Merged {
    if base == ours || ours == theirs {
        return Merged::Clean(theirs.to_owned());
    }
    if base == theirs {
        return Merged::Clean(ours.to_owned());
    }
    let (base, ours, theirs) = (lines(base), lines(ours), lines(theirs));
    let (in_ours, in_theirs) = (matches(&base, &ours), matches(&base, &theirs));
    let mut out = String::new();
    let mut conflict = false;
    let (mut at, mut mine, mut other) = (0, 0, 0);
    let both = |at: usize| Some((at, (*in_ours.get(at)?)?, (*in_theirs.get(at)?)?));
    let syncs: Vec<_> =
        (0..base.len()).filter_map(both).chain([(base.len(), ours.len(), theirs.len())]).collect();
    for (to, to_mine, to_other) in syncs {
        let parts = [base.get(at..to), ours.get(mine..to_mine), theirs.get(other..to_other)]
            .map(Option::unwrap_or_default);
        conflict |= region(&mut out, parts);
        if let Some(line) = ours.get(to_mine).filter(|_| to < base.len()) {
            out.push_str(line);
        }
        (at, mine, other) = (to + 1, to_mine + 1, to_other + 1);
    }
    if conflict { Merged::Conflict(out) } else { Merged::Clean(out) }
}

/// Writes what becomes of a place; whether it is a conflict.
fn region(out: &mut String, [base, ours, theirs]: [&[&str]; 3]) -> bool {
    if base == ours || ours == theirs {
        out.extend(theirs.iter().copied());
    } else if base == theirs {
        out.extend(ours.iter().copied());
    } else {
        marked(out, "<<<<<<< new base", ours);
        marked(out, "=======", theirs);
        marked(out, ">>>>>>> fork", &[]);
        return true;
    }
    false
}

fn marked(out: &mut String, mark: &str, lines: &[&str]) {
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    out.push_str(mark);
    out.push('\n');
    out.extend(lines.iter().copied());
}

/// Whether a text still has conflict markers.
#[must_use]
pub fn has_markers(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> "))
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// For each line of `one` its place in `other`, ascending: a longest common subsequence.
fn matches(one: &[&str], other: &[&str]) -> Vec<Option<usize>> {
    let head = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let most = one.len().min(other.len()) - head;
    let tail = one.iter().rev().zip(other.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let mut found = vec![None; one.len()];
    for (at, slot) in found.iter_mut().enumerate() {
        if at < head {
            *slot = Some(at);
        } else if at >= one.len() - tail {
            *slot = Some(at + other.len() - one.len());
        }
    }
    let inner = one.get(head..one.len() - tail).unwrap_or_default();
    let outer = other.get(head..other.len() - tail).unwrap_or_default();
    for (a, b) in common(inner, outer) {
        if let Some(slot) = found.get_mut(head + a) {
            *slot = Some(head + b);
        }
    }
    found
}

fn common(one: &[&str], other: &[&str]) -> Vec<(usize, usize)> {
    let width = other.len() + 1;
    if one.is_empty() || other.is_empty() || one.len().saturating_mul(other.len()) > CELLS {
        return Vec::new();
    }
    let mut longest = vec![0u32; (one.len() + 1) * width];
    let cell = |longest: &[u32], a: usize, b: usize| longest.get(a * width + b).copied().unwrap_or(0);
    for (a, left) in one.iter().enumerate().rev() {
        for (b, right) in other.iter().enumerate().rev() {
            let best = if left == right {
                cell(&longest, a + 1, b + 1) + 1
            } else {
                cell(&longest, a + 1, b).max(cell(&longest, a, b + 1))
            };
            if let Some(slot) = longest.get_mut(a * width + b) {
                *slot = best;
            }
        }
    }
    let (mut a, mut b) = (0, 0);
    let mut pairs = Vec::new();
    while let (Some(left), Some(right)) = (one.get(a), other.get(b)) {
        if left == right {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if cell(&longest, a + 1, b) >= cell(&longest, a, b + 1) {
            a += 1;
        } else {
            b += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_both_sides_meet() {
        let clean = [
            ("a\nb\nc\nd\ne\n", "A\nb\nc\nd\ne\n", "a\nb\nc\nd\nE\n", "A\nb\nc\nd\nE\n"),
            ("a\nb\nc\n", "a\nb\nc\nd\n", "b\nc\n", "b\nc\nd\n"),
            ("a\nb\nc\n", "a\nX\nc\n", "a\nX\nc\n", "a\nX\nc\n"),
            ("a\nb\nc\n", "a\nc\n", "a\nb\nc\nd", "a\nc\nd"),
            ("", "a\n", "", "a\n"),
        ];
        for (base, ours, theirs, wanted) in clean {
            assert_eq!(
                merge(base, ours, theirs),
                Merged::Clean(wanted.into()),
                "{base:?} {ours:?} {theirs:?}"
            );
        }
        let Merged::Conflict(text) = merge("a\nb\nc\n", "a\nX\nc\n", "a\nY\nc\n") else {
            panic!("a conflict")
        };
        assert_eq!(text, "a\n<<<<<<< new base\nX\n=======\nY\n>>>>>>> fork\nc\n");
        assert!(has_markers(&text) && !has_markers("a\n=======\n"));
    }

    proptest::proptest! {
        #[test]
        fn one_sided_changes_are_never_lost(base in "([ab]\n){0,6}", ours in "([abc]\n){0,6}") {
            proptest::prop_assert_eq!(merge(&base, &ours, &base), Merged::Clean(ours.clone()));
            proptest::prop_assert_eq!(merge(&base, &base, &ours), Merged::Clean(ours.clone()));
            proptest::prop_assert_eq!(merge(&base, &ours, &ours), Merged::Clean(ours));
        }

        #[test]
        fn merging_is_symmetric_where_it_is_clean(base in "([a-d]\n){0,6}", ours in "([a-d]\n){0,6}", theirs in "([a-d]\n){0,6}") {
            if let (Merged::Clean(one), Merged::Clean(other)) = (merge(&base, &ours, &theirs), merge(&base, &theirs, &ours)) {
                proptest::prop_assert_eq!(one, other);
            }
        }
    }
}
