//! Who must agree to a question, and whether an answer counts: pure and total, over what the journal itself holds.
//!
//! What a question needs is pinned when it is asked, so a journal can be read without the policy that was in force. A
//! question of an older journal has no [`Rule`]: anybody may answer it, and answers are taken as they come.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::event::{Answer, Question, Via};

/// What a question needs, as it was when the question was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Rule {
    /// How many different people have to give the affirmative answer.
    pub required: u32,
    /// Who may answer; empty: anybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// Names of the run's author, where the author may not answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
    /// Whether a name typed at the command line is not enough: the answer comes from GitHub or is signed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proof: bool,
    /// Issue or pull request where people may answer, too: `owner/name#123`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

impl Rule {
    /// Whether a person may answer at all.
    #[must_use]
    pub fn admits(&self, person: &str) -> bool {
        !self.excluded.iter().any(|own| same(own, person))
            && (self.approvers.is_empty() || self.approvers.iter().any(|one| same(one, person)))
    }

    /// Whether anybody's single word is enough.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.required <= 1 && self.approvers.is_empty() && self.excluded.is_empty() && !self.proof
    }

    /// What it wants, for people who read it before the question is asked: `2 of ann, ben, cat`.
    #[must_use]
    pub fn words(&self) -> String {
        let required = usize::try_from(self.required).unwrap_or(usize::MAX);
        let named = self.eligible();
        let mut words = match &named {
            Some(named) if named.is_empty() => format!("{required} of nobody"),
            Some(named) if named.len() == 1 && required <= 1 => named.concat(),
            Some(named) if named.len() == required => format!("all of {}", named.join(", ")),
            Some(named) => format!("{required} of {}", named.join(", ")),
            None if required <= 1 => "one person".to_owned(),
            None => format!("{required} different people"),
        };
        if let Some(author) = self.excluded.first() {
            words += &format!(", not {author}, who begins the run");
        }
        if named.is_some_and(|named| named.len() < required) {
            words += ": the policy cannot be met";
        }
        if self.proof {
            words += "; a name typed with --as is not enough";
        }
        if let Some(channel) = &self.channel {
            words += &format!("; may agree on {channel}");
        }
        words
    }

    /// Those who may answer, when the rule names them.
    #[must_use]
    pub fn eligible(&self) -> Option<Vec<&str>> {
        let named = || self.approvers.iter().map(String::as_str).filter(|person| self.admits(person));
        (!self.approvers.is_empty()).then(|| named().collect())
    }
}

/// Why an answer does not count.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Nobody is named.
    #[error("an answer says who gives it")]
    Nameless,
    /// The run's author.
    #[error("{0} began this run: its author's answer does not count here")]
    Author(String),
    /// Somebody who is not on the list.
    #[error("{person} is not among those who may answer: {}", approvers.join(", "))]
    Stranger {
        /// Who answered.
        person: String,
        /// Who may.
        approvers: Vec<String>,
    },
    /// The same person again.
    #[error("{0} has answered this question already")]
    Twice(String),
    /// Somebody did not agree: the question is closed.
    #[error("{person} answered {choice:?} already: the question is closed")]
    Closed {
        /// Who closed it.
        person: String,
        /// With what.
        choice: String,
    },
    /// A name alone is not enough.
    #[error("the policy wants proof of who answers: a review or comment on GitHub, or a signed answer")]
    Unproved,
    /// The text is not merged to its end.
    #[error("the document still holds conflict markers (<<<<<<<, =======, >>>>>>>): nothing was answered")]
    Markers,
}

impl Refusal {
    /// Whether it is the rule about people that refuses, not the answer itself.
    #[must_use]
    pub fn is_about_person(&self) -> bool {
        matches!(self, Self::Author(_) | Self::Stranger { .. } | Self::Unproved)
    }
}

/// Where a question stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally<'a> {
    /// How many people have to agree.
    pub required: usize,
    /// Who agreed, in the order of their answers.
    pub agreed: Vec<&'a str>,
    /// The first answer that did not.
    pub declined: Option<&'a Answer>,
}

impl Tally<'_> {
    /// Whether the step may go on and read the answers.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.declined.is_some() || self.agreed.len() >= self.required
    }

    /// How many answers are still needed.
    #[must_use]
    pub fn missing(&self) -> usize {
        if self.declined.is_some() { 0 } else { self.required.saturating_sub(self.agreed.len()) }
    }
}

/// Whether two names mean the same person: logins compare without case.
#[must_use]
pub fn same(left: &str, right: &str) -> bool {
    left.trim().eq_ignore_ascii_case(right.trim())
}

/// Whether a choice is the affirmative one.
#[must_use]
pub fn affirms(question: &Question, choice: &str) -> bool {
    question.choices.first().is_none_or(|first| first == choice)
}

/// Counts the answers given since the question was asked.
#[must_use]
pub fn tally<'a>(question: &Question, given: &'a [Answer]) -> Tally<'a> {
    let rule = question.rule.as_ref();
    let required = rule.map_or(question.approvals, |rule| rule.required).max(1);
    let mut agreed: Vec<&str> = Vec::new();
    for answer in given.iter().filter(|answer| affirms(question, &answer.choice)) {
        // Older journals told people apart by their exact name.
        let known = agreed.iter().any(|one| match rule {
            Some(_) => same(one, &answer.by),
            None => *one == answer.by,
        });
        if !known {
            agreed.push(&answer.by);
        }
    }
    let declined = given.iter().find(|answer| !affirms(question, &answer.choice));
    Tally { required: usize::try_from(required).unwrap_or(usize::MAX), agreed, declined }
}

/// Whether a person's answer would be refused whatever it says.
#[must_use]
pub fn refusal_of_person(question: &Question, given: &[Answer], person: &str) -> Option<Refusal> {
    let rule = question.rule.as_ref()?;
    let name = || person.trim().to_owned();
    if person.trim().is_empty() {
        return Some(Refusal::Nameless);
    }
    if rule.excluded.iter().any(|own| same(own, person)) {
        return Some(Refusal::Author(name()));
    }
    if !rule.admits(person) {
        return Some(Refusal::Stranger { person: name(), approvers: rule.approvers.clone() });
    }
    if given.iter().any(|answer| same(&answer.by, person)) {
        return Some(Refusal::Twice(name()));
    }
    given
        .iter()
        .find(|answer| !affirms(question, &answer.choice))
        .map(|answer| Refusal::Closed { person: answer.by.clone(), choice: answer.choice.clone() })
}

/// Whether an answer is refused, and why. `given` are the answers since the question was asked.
#[must_use]
pub fn refusal(question: &Question, given: &[Answer], answer: &Answer) -> Option<Refusal> {
    let rule = question.rule.as_ref()?;
    let proved = answer.via.as_ref().is_some_and(Via::is_proof);
    let unproved = || (rule.proof && !proved).then_some(Refusal::Unproved);
    refusal_of_person(question, given, &answer.by)
        .or_else(unproved)
        .or_else(|| holds_markers(question, answer).then_some(Refusal::Markers))
}

/// Whether the text has conflicts that the generated one does not have.
fn holds_markers(question: &Question, answer: &Answer) -> bool {
    let generated = question.document.as_ref().map_or(0, |document| conflicts(&document.text));
    answer.document.as_deref().is_some_and(|text| conflicts(text) > generated)
}

/// How many conflicts are marked in a text: three lines each, as git writes them. A line of equal signs alone is a
/// heading.
#[must_use]
pub fn conflicts(text: &str) -> usize {
    let (mut found, mut open) = (0, false);
    for line in text.lines() {
        if line.starts_with("<<<<<<< ") {
            open = true;
        } else if open && line.starts_with(">>>>>>> ") {
            found += 1;
            open = false;
        }
    }
    // A beginning without an end is what is left of one.
    found + usize::from(open)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::journal::Document;

    fn question(rule: Option<Rule>) -> Question {
        let document = Document { name: "notes.md".into(), text: "generated\n".into(), editable: true };
        Question {
            id: "q".into(),
            prompt: "?".into(),
            document: Some(document),
            choices: vec!["approve".into(), "decline".into()],
            approvals: 1,
            rule,
        }
    }

    fn rule(required: u32, approvers: &[&str], excluded: &[&str]) -> Rule {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (approvers, excluded) = (owned(approvers), owned(excluded));
        Rule { required, approvers, excluded, proof: false, channel: None }
    }

    fn answer(choice: &str, by: &str) -> Answer {
        Answer {
            question: "q".into(),
            choice: choice.into(),
            document: None,
            comment: None,
            by: by.into(),
            at: DateTime::UNIX_EPOCH,
            via: Some(Via::Cli),
        }
    }

    #[test]
    fn whose_answer_counts() {
        let strict = || rule(2, &["ann", "ben", "jane"], &["jane"]);
        let stranger = |person: &str| {
            let approvers = ["ann", "ben", "jane"].map(str::to_owned).to_vec();
            Some(Refusal::Stranger { person: person.into(), approvers })
        };
        let closed = Some(Refusal::Closed { person: "ann".into(), choice: "decline".into() });
        let (agreed, declined) = (answer("approve", "ann"), answer("decline", "ann"));
        // Rule, answers before, who, what is refused.
        let table = [
            (strict(), vec![], "ann", None),
            (strict(), vec![], "ANN", None),
            (strict(), vec![], "jane", Some(Refusal::Author("jane".into()))),
            (strict(), vec![], " Jane ", Some(Refusal::Author("Jane".into()))),
            (strict(), vec![], "eve", stranger("eve")),
            (strict(), vec![], "  ", Some(Refusal::Nameless)),
            (strict(), vec![agreed.clone()], "ben", None),
            (strict(), vec![agreed.clone()], "Ann", Some(Refusal::Twice("Ann".into()))),
            (strict(), vec![declined.clone()], "ben", closed),
            (rule(1, &[], &[]), vec![], "anybody", None),
            (rule(1, &[], &["jane"]), vec![], "jane", Some(Refusal::Author("jane".into()))),
        ];
        for (rule, given, who, expected) in table {
            let question = question(Some(rule));
            for choice in ["approve", "decline"] {
                assert_eq!(refusal(&question, &given, &answer(choice, who)), expected, "{who}: {choice}");
            }
        }
        // An older journal knows no rule.
        for who in ["ann", "jane", ""] {
            assert_eq!(
                refusal(&question(None), &[agreed.clone(), declined.clone()], &answer("approve", who)),
                None
            );
        }
    }

    #[test]
    fn rules_in_words() {
        for (rule, expected) in [
            (rule(0, &[], &[]), "one person"),
            (rule(1, &["ann"], &[]), "ann"),
            (rule(1, &["ann", "ben"], &["jane"]), "1 of ann, ben, not jane, who begins the run"),
            (rule(2, &["ann", "ben", "jane"], &["jane"]), "all of ann, ben, not jane, who begins the run"),
            (rule(2, &[], &["jane", "Jane Doe"]), "2 different people, not jane, who begins the run"),
            (rule(3, &["ann", "ben"], &[]), "3 of ann, ben: the policy cannot be met"),
            (
                rule(1, &["jane"], &["jane"]),
                "1 of nobody, not jane, who begins the run: the policy cannot be met",
            ),
            (
                Rule {
                    proof: true,
                    channel: Some("acme/tool#7".into()),
                    ..rule(2, &["ann", "ben", "cat"], &[])
                },
                "2 of ann, ben, cat; a name typed with --as is not enough; may agree on acme/tool#7",
            ),
        ] {
            assert_eq!(rule.words(), expected);
        }
        assert!(rule(1, &[], &[]).is_open());
        for closed in [
            rule(2, &[], &[]),
            rule(1, &["ann"], &[]),
            rule(1, &[], &["ann"]),
            Rule { proof: true, ..rule(1, &[], &[]) },
        ] {
            assert!(!closed.is_open(), "{closed:?}");
        }
    }

    #[test]
    fn proof_and_conflict_markers() {
        let question = question(Some(Rule { proof: true, ..rule(1, &["ann"], &[]) }));
        let with = |via: Option<Via>| Answer { via, ..answer("approve", "ann") };
        let (url, fingerprint) = (String::new(), String::new());
        for (via, proved) in [
            (None, false),
            (Some(Via::Cli), false),
            (Some(Via::GithubReview { url: url.clone() }), true),
            (Some(Via::GithubComment { url }), true),
            (Some(Via::Signature { fingerprint }), true),
        ] {
            let refused = refusal(&question, &[], &with(via));
            assert_eq!(refused, (!proved).then_some(Refusal::Unproved));
        }
        let question = self::question(Some(rule(1, &[], &[])));
        let wrote = |text: &str| Answer { document: Some(text.into()), ..answer("approve", "ann") };
        let marked = "<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n";
        for (text, refused) in [(marked, true), ("<<<<<<< a\n", true), ("A\n=======\n", false)] {
            let expected = refused.then_some(Refusal::Markers);
            assert_eq!(refusal(&question, &[], &wrote(text)), expected, "{text}");
        }
        let about_git = Document { name: "n".into(), text: marked.into(), editable: true };
        let question = Question { document: Some(about_git), ..question };
        assert_eq!(refusal(&question, &[], &wrote(marked)), None, "the generated text has them, too");
    }

    #[test]
    fn counting() {
        let table = [
            (2, vec![], 2, false),
            (2, vec![("approve", "ann")], 1, false),
            (2, vec![("approve", "ann"), ("approve", "ben")], 0, true),
            (3, vec![("approve", "ann"), ("decline", "ben")], 0, true),
            (0, vec![("approve", "ann")], 0, true),
        ];
        for (required, given, missing, decided) in table {
            let question = question(Some(rule(required, &[], &[])));
            let given: Vec<Answer> = given.into_iter().map(|(choice, by)| answer(choice, by)).collect();
            let tally = tally(&question, &given);
            assert_eq!((tally.missing(), tally.is_decided()), (missing, decided), "{required}: {given:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is tried: a question is decided by enough different people who may, or by one of them who declines;
        /// never by the author, a stranger, or one person twice; and what is refused changes nothing.
        #[test]
        fn only_those_who_may_decide(
            required in 0..4_u32,
            approvers in proptest::sample::subsequence(vec!["ann", "ben", "cat", "jane"], 0..=4),
            author in prop::bool::ANY,
            tries in proptest::collection::vec(
                (prop::sample::select(vec!["ann", "Ann", "ben", "cat", "jane", "JANE", "eve", ""]), prop::bool::weighted(0.9)),
                0..12,
            ),
        ) {
            let excluded: &[&str] = if author { &["jane"] } else { &[] };
            let question = question(Some(rule(required, &approvers, excluded)));
            let mut given: Vec<Answer> = Vec::new();
            for (by, agrees) in tries {
                let answer = answer(if agrees { "approve" } else { "decline" }, by);
                if refusal(&question, &given, &answer).is_none() {
                    given.push(answer);
                }
            }
            let mut people: Vec<String> = given.iter().map(|answer| answer.by.to_ascii_lowercase()).collect();
            people.sort();
            let counted = people.len();
            people.dedup();
            prop_assert_eq!(people.len(), counted, "nobody answers twice");
            prop_assert!(people.iter().all(|person| !person.is_empty()));
            prop_assert!(!author || people.iter().all(|person| person != "jane"));
            prop_assert!(approvers.is_empty() || people.iter().all(|one| approvers.contains(&one.as_str())));
            let declined = given.iter().filter(|answer| answer.choice == "decline").count();
            prop_assert!(declined <= 1 && given.iter().rev().skip(1).all(|answer| answer.choice == "approve"));
            let agreed = counted - declined;
            let enough = agreed >= usize::try_from(required.max(1)).unwrap_or(usize::MAX);
            prop_assert_eq!(tally(&question, &given).is_decided(), declined == 1 || enough);
        }
    }
}
