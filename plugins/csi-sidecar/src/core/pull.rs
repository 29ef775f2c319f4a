//! Which pull requests a range of commits holds, and what became of each of them. Nothing is dropped in
//! silence: every first-parent commit ends as one row of the [`Accounting`].

use std::collections::{BTreeMap, BTreeSet};

use crate::core::note::{self, Finding, Kind, Note};

/// Login of the robot that opens cherry-picks; its notes are credited to the author of the original.
pub const CHERRY_PICK_ROBOT: &str = "k8s-infra-cherrypick-robot";

/// A commit of the first-parent walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Object id.
    pub sha: String,
    /// Number of parents.
    pub parents: usize,
    /// Whole message; only its subject is used.
    pub message: String,
}

impl Commit {
    fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default().trim()
    }
}

/// A pull request as the forge describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullRequest {
    /// Number.
    pub number: u64,
    /// Title.
    pub title: String,
    /// Login of its author.
    pub user: String,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// Description.
    pub body: String,
    /// Branch it came from.
    pub head_ref: String,
    /// Branch it was merged into.
    pub base_ref: String,
    /// Commit that merged it, where the forge says so.
    pub merge_commit_sha: Option<String>,
}

/// The pull request a commit claims to merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its number.
    pub number: u64,
    /// Number of the pull request it repeats on a release branch, if its branch says so.
    pub origin: Option<u64>,
}

/// Reads the pull request from the subject of a commit, and from nothing but the subject: bodies of squashed
/// subtree updates quote the numbers of other repositories, which has put false notes into published
/// changelogs.
pub fn claim(commit: &Commit) -> Option<Claim> {
    let subject = commit.subject();
    if let Some(rest) = subject.strip_prefix("Merge pull request #") {
        let (number, branch) = rest.split_once(" from ").unwrap_or((rest, ""));
        let head = branch.split_once('/').map_or(branch, |(_, head)| head);
        return Some(Claim { number: number.trim().parse().ok()?, origin: origin_of_branch(head) });
    }
    // A squashed pull request: one parent, the number at the end of the subject.
    let number =
        subject.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (#")).map(|(_, number)| number)?;
    let number = number.parse().ok().filter(|_| commit.parents <= 1)?;
    Some(Claim { number, origin: None })
}

/// `M` of `cherry-pick-M-to-release-X.Y`.
fn origin_of_branch(head: &str) -> Option<u64> {
    let (number, _) = head.strip_prefix("cherry-pick-")?.split_once("-to")?;
    number.parse().ok()
}

/// Numbers to read from the forge for a range, ascending: the pull requests and the originals of
/// cherry-picks, so that one batch is enough.
pub fn numbers(commits: &[Commit]) -> Vec<u64> {
    let claims = commits.iter().filter_map(claim);
    let all: BTreeSet<u64> = claims.flat_map(|claim| [Some(claim.number), claim.origin]).flatten().collect();
    all.into_iter().collect()
}

/// Originals that are still missing after a batch was read: of robot cherry-picks whose subject did not name
/// them, and of originals that are cherry-picks themselves. Empty means that the notes can be made.
pub fn missing_origins(pulls: &BTreeMap<u64, PullRequest>) -> Vec<u64> {
    let robots = pulls.values().filter(|pull| pull.user == CHERRY_PICK_ROBOT);
    let origins: BTreeSet<u64> = robots.filter_map(|pull| origin_of_branch(&pull.head_ref)).collect();
    origins.into_iter().filter(|number| !pulls.contains_key(number)).collect()
}

/// A number that a commit quotes without merging it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quoted {
    /// The number.
    pub number: u64,
    /// Commit that quotes it.
    pub commit: String,
    /// Subject of that commit.
    pub subject: String,
}

/// Numbers that stand in messages of a range, side commits included, without being merged by it. Tools that
/// read whole messages take them for pull requests of the repository; here they are only reported.
pub fn quoted_numbers(line: &[Commit], side: &[Commit]) -> Vec<Quoted> {
    let merged: BTreeSet<u64> = line.iter().filter_map(claim).map(|claim| claim.number).collect();
    let quotes = line.iter().chain(side).flat_map(|commit| {
        commit.message.lines().skip(1).filter_map(|text| {
            let (_, rest) = text.split_once("Merge pull request #")?;
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number = rest.get(..end)?.parse().ok()?;
            Some(Quoted { number, commit: commit.sha.clone(), subject: commit.subject().to_owned() })
        })
    });
    let all: BTreeSet<Quoted> = quotes.filter(|quoted| !merged.contains(&quoted.number)).collect();
    all.into_iter().collect()
}

/// What became of a commit of the range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has a note.
    Noted(Note),
    /// Its author said NONE.
    Exempt,
    /// The release-note block is empty.
    Empty,
    /// The description has no release-note block.
    NoBlock,
    /// The pull request was not merged by this commit: its number is not to be trusted.
    Foreign,
    /// The forge does not know the number.
    Unknown,
    /// The commit names no pull request.
    NoPull,
    /// The same note is printed already.
    Duplicate,
}

/// One commit of the range and its fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Commit.
    pub commit: String,
    /// Pull request, where the subject names one.
    pub number: Option<u64>,
    /// Title of the pull request, or subject of the commit.
    pub title: String,
    /// What became of it.
    pub verdict: Verdict,
    /// What a person should look at.
    pub remarks: Vec<String>,
}

/// Every commit of a range and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// One row a commit, in range order.
    pub rows: Vec<Account>,
}

impl Accounting {
    /// Accounts for every commit of a first-parent range. `bases` are the branches that a pull request of the
    /// range may have been merged into; `repository` is `owner/name`.
    pub fn new(
        commits: &[Commit],
        pulls: &BTreeMap<u64, PullRequest>,
        bases: &[String],
        repository: &str,
    ) -> Accounting {
        let mut printed = BTreeSet::new();
        let rows = commits.iter().map(|commit| {
            let mut row = account(commit, pulls, bases);
            if let Verdict::Noted(note) = &row.verdict
                && !printed.insert((note.kind, note.item(repository)))
            {
                row.verdict = Verdict::Duplicate;
            }
            row
        });
        Accounting { rows: rows.collect() }
    }

    /// The notes.
    pub fn notes(&self) -> impl Iterator<Item = &Note> {
        self.rows.iter().filter_map(|row| match &row.verdict {
            Verdict::Noted(note) => Some(note),
            _ => None,
        })
    }

    /// Rows that need a person: all without a note that did not say NONE, and all with remarks.
    pub fn open(&self) -> impl Iterator<Item = &Account> {
        self.rows.iter().filter(|row| {
            !row.remarks.is_empty()
                || !matches!(row.verdict, Verdict::Noted(_) | Verdict::Exempt | Verdict::Duplicate)
        })
    }
}

fn account(commit: &Commit, pulls: &BTreeMap<u64, PullRequest>, bases: &[String]) -> Account {
    let mut row = Account {
        commit: commit.sha.clone(),
        number: None,
        title: commit.subject().to_owned(),
        verdict: Verdict::NoPull,
        remarks: Vec::new(),
    };
    let Some(claim) = claim(commit) else { return row };
    row.number = Some(claim.number);
    row.verdict = Verdict::Unknown;
    let Some(pull) = pulls.get(&claim.number) else { return row };
    row.title.clone_from(&pull.title);
    row.verdict = match merged_here(commit, pull, bases, &mut row.remarks) {
        false => Verdict::Foreign,
        true => judge(pull, pulls, &mut row.remarks),
    };
    row
}

fn merged_here(commit: &Commit, pull: &PullRequest, bases: &[String], remarks: &mut Vec<String>) -> bool {
    let known_base = bases.contains(&pull.base_ref);
    match &pull.merge_commit_sha {
        Some(sha) if *sha != commit.sha => {
            remarks.push(format!("was merged by {}, not by this commit", short(sha)));
            false
        }
        Some(_) if !known_base => {
            remarks.push(format!(
                "was merged into {}, the release is made from {}",
                pull.base_ref,
                bases.join(" or ")
            ));
            true
        }
        None if !known_base => {
            remarks
                .push(format!("its base is {}, and nothing says that this commit merged it", pull.base_ref));
            false
        }
        _ => true,
    }
}

fn judge(pull: &PullRequest, pulls: &BTreeMap<u64, PullRequest>, remarks: &mut Vec<String>) -> Verdict {
    let (text, unnamed) = match note::find(&pull.body) {
        Finding::Exempt => return Verdict::Exempt,
        Finding::Empty => return Verdict::Empty,
        Finding::Missing => return Verdict::NoBlock,
        Finding::Text { text, unnamed } => (text, unnamed),
    };
    let kind = Kind::of_labels(&pull.labels);
    if unnamed {
        remarks.push("the note is taken from a code block without a name; check that it is one".to_owned());
    }
    if kind == Kind::Uncategorized {
        remarks.push("has no known kind/* label".to_owned());
    }
    if pull.labels.iter().any(|label| label == "release-note-none") {
        remarks.push("has a note, but also the label release-note-none".to_owned());
    }
    let author = author(pull, pulls, remarks);
    Verdict::Noted(Note { kind, number: pull.number, author, text, suffix: note::sig_suffix(&pull.labels) })
}

/// Author of a pull request; behind the cherry-pick robot, the author of the original.
fn author(pull: &PullRequest, pulls: &BTreeMap<u64, PullRequest>, remarks: &mut Vec<String>) -> String {
    let mut current = pull;
    let mut seen = BTreeSet::from([pull.number]);
    while current.user == CHERRY_PICK_ROBOT
        && let Some(origin) = origin_of_branch(&current.head_ref)
        && seen.insert(origin)
    {
        match pulls.get(&origin) {
            Some(found) => current = found,
            None => {
                remarks.push(format!("the original #{origin} was not read, so the robot is named as author"));
                break;
            }
        }
    }
    current.user.clone()
}

fn short(sha: &str) -> &str {
    sha.get(..9).unwrap_or(sha)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(sha: &str, message: &str) -> Commit {
        Commit { sha: sha.to_owned(), parents: 2, message: message.to_owned() }
    }

    fn pull(number: u64, body: &str, sha: &str) -> PullRequest {
        PullRequest {
            number,
            title: format!("title {number}"),
            user: "ann".to_owned(),
            labels: vec!["kind/bug".to_owned()],
            body: format!("```release-note\n{body}\n```"),
            head_ref: "fix".to_owned(),
            base_ref: "main".to_owned(),
            merge_commit_sha: Some(sha.to_owned()),
        }
    }

    #[test]
    fn only_the_subject_names_a_pull_request() {
        let cases = [
            ("Merge pull request #12 from ann/fix\n\nTitle", 2, Some((12, None))),
            ("Merge pull request #12 from robot/cherry-pick-9-to-release-1.2\n\nx", 2, Some((12, Some(9)))),
            (
                "Merge pull request #12 from ann/automated-cherry-pick-of-#8-upstream-release-1.2\n",
                2,
                Some((12, None)),
            ),
            ("Fix things (#15)", 1, Some((15, None))),
            ("Fix things (#15)", 2, None),
            ("Squashed 'tools/' changes from a..b\n\nMerge pull request #7 from other/repo", 1, None),
            ("Merge commit 'abc' into update\n\nMerge pull request #7", 2, None),
            ("Merge pull request #x from a/b", 2, None),
        ];
        for (message, parents, expected) in cases {
            let commit = Commit { sha: "c".into(), parents, message: message.into() };
            let found = claim(&commit).map(|claim| (claim.number, claim.origin));
            assert_eq!(found, expected, "{message}");
        }
    }

    #[test]
    fn quoted_numbers_are_reported_not_counted() {
        let line = [merge("a", "Merge pull request #12 from ann/tools\n\nUpdate tools")];
        let squash = "Squashed 'tools/' changes from 1..2\n\nabc Merge pull request #7 from x/y\nabd Merge pull request #12 from x/z\n";
        let side = [Commit { sha: "s".into(), parents: 1, message: squash.into() }];
        let quoted = quoted_numbers(&line, &side);
        assert_eq!(
            quoted.iter().map(|quoted| (quoted.number, quoted.commit.as_str())).collect::<Vec<_>>(),
            [(7, "s")]
        );
    }

    #[test]
    fn one_batch_holds_the_originals() {
        let commits = [
            merge("a", "Merge pull request #12 from robot/cherry-pick-9-to-release-1.2"),
            merge("b", "Merge pull request #14 from ann/x"),
        ];
        assert_eq!(numbers(&commits), [9, 12, 14]);
        let mut robot = pull(14, "Fix", "b");
        robot.user = CHERRY_PICK_ROBOT.to_owned();
        robot.head_ref = "cherry-pick-3-to-release-1.2".to_owned();
        assert_eq!(missing_origins(&BTreeMap::from([(14, robot)])), [3]);
    }

    #[test]
    fn every_commit_is_accounted_for() {
        let commits = [
            merge("a", "Merge pull request #1 from ann/a"),
            merge("b", "Merge pull request #2 from ann/b"),
            merge("c", "Merge pull request #3 from ann/c"),
            merge("d", "Merge pull request #4 from ann/d"),
            merge("e", "Merge pull request #5 from ann/e"),
            merge("f", "direct push"),
            merge("g", "Merge pull request #6 from robot/cherry-pick-1-to-release-1.2"),
            merge("h", "Merge pull request #7 from ann/h"),
        ];
        let mut robot = pull(6, "Again", "g");
        robot.user = CHERRY_PICK_ROBOT.to_owned();
        robot.head_ref = "cherry-pick-1-to-release-1.2".to_owned();
        let mut blockless = pull(4, "", "d");
        blockless.body = "no block".to_owned();
        let mut elsewhere = pull(7, "Other base", "h");
        (elsewhere.base_ref, elsewhere.merge_commit_sha) = ("old".to_owned(), None);
        let all =
            [pull(1, "Fix", "a"), pull(2, "NONE", "b"), pull(3, "Old", "zzz"), blockless, robot, elsewhere];
        let pulls = all.into_iter().map(|pull| (pull.number, pull)).collect();
        let accounting = Accounting::new(&commits, &pulls, &["main".to_owned()], "org/tool");
        let verdicts: Vec<&Verdict> = accounting.rows.iter().map(|row| &row.verdict).collect();
        assert!(matches!(
            verdicts.as_slice(),
            [
                Verdict::Noted(_),
                Verdict::Exempt,
                Verdict::Foreign,
                Verdict::NoBlock,
                Verdict::Unknown,
                Verdict::NoPull,
                Verdict::Noted(Note { number: 6, .. }),
                Verdict::Foreign,
            ]
        ));
        assert!(accounting.notes().all(|note| note.author == "ann"));
        assert_eq!(accounting.open().count(), 5);
    }
}
