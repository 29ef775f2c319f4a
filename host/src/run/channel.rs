//! Answers that people give on GitHub: which comments and reviews count for an open question, and reading them.
//!
//! What counts: `/castoff approve RUN`, `/castoff approve STEP`, or both, at the beginning of a line of a comment
//! (`decline`, or any choice the question offers, likewise); and an approving review, when it is clear which question it
//! answers because no other is open there. It counts when it was written after the question was asked, by a login whose
//! word counts, and was not edited since. Everything else is named with the reason, and changes nothing.

use chrono::{DateTime, SubsecRound, Utc};

use super::{RunError, Runner};
use crate::capability::Result;
use crate::capability::github::{Conversations, Remark, Review, ReviewState};
use crate::draft::{self, Draft};
use crate::journal::{Answer, Event, Question, Refusal, RunState, StepState, Via, approval};
use crate::policy::Channel;

/// A question that may be answered on GitHub.
#[derive(Debug, Clone)]
pub struct OpenQuestion<'a> {
    /// The run.
    pub run: &'a str,
    /// The step.
    pub step: &'a str,
    /// What it asks.
    pub question: &'a Question,
    /// Answers since it was asked.
    pub given: &'a [Answer],
    /// When it was asked.
    pub asked: DateTime<Utc>,
    /// Whether it is the only question that is open at its place.
    pub alone: bool,
    /// The document as it stands now.
    pub draft: Option<Draft>,
}

/// Something said that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Where it was said.
    pub url: String,
    /// By whom.
    pub by: String,
    /// Why it does not count.
    pub why: String,
}

/// What was heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// How many answers were written down.
    pub answers: usize,
    /// What was said and does not count.
    pub ignored: Vec<Ignored>,
    /// Places that could not be read, with the reason; they are read again next time.
    pub unread: Vec<String>,
}

/// One thing somebody said.
struct Said {
    by: String,
    choice: String,
    comment: Option<String>,
    at: DateTime<Utc>,
    via: Via,
    url: String,
    edited: bool,
}

/// Which of what was said answers a question, oldest first, and what does not count.
#[must_use]
pub fn answers(
    open: &OpenQuestion<'_>,
    comments: &[Remark],
    reviews: &[Review],
) -> (Vec<Answer>, Vec<Ignored>) {
    let mut said: Vec<Said> = comments.iter().filter_map(|comment| of_comment(open, comment)).collect();
    said.extend(of_reviews(open, reviews));
    // GitHub tells whole seconds.
    said.retain(|said| said.at >= open.asked.trunc_subsecs(0) && !is_recorded(open.given, &said.url));
    said.sort_by_key(|said| said.at);
    let (mut given, mut ignored) = (open.given.to_vec(), Vec::new());
    for said in said {
        let ignore = |why: String| Ignored { url: said.url.clone(), by: said.by.clone(), why };
        if said.edited {
            ignored.push(ignore("it was edited after it was written: write a new one".into()));
            continue;
        }
        let answer = Answer {
            question: open.question.id.clone(),
            document: open.draft.as_ref().filter(|draft| draft.edited_by.is_some()).map(|d| d.text.clone()),
            choice: said.choice.clone(),
            comment: said.comment.clone(),
            by: said.by.clone(),
            at: said.at,
            via: Some(said.via.clone()),
        };
        match approval::refusal(open.question, &given, &answer) {
            None => given.push(answer),
            Some(Refusal::Markers) => {
                let why = "its document holds conflicts, which somebody settles with `castoff approve`";
                ignored.push(ignore(why.into()));
            }
            Some(refusal) => ignored.push(ignore(refusal.to_string())),
        }
    }
    (given.split_off(open.given.len()), ignored)
}

fn is_recorded(given: &[Answer], url: &str) -> bool {
    given.iter().any(|answer| match &answer.via {
        Some(Via::GithubReview { url: known } | Via::GithubComment { url: known }) => known == url,
        _ => false,
    })
}

fn of_comment(open: &OpenQuestion<'_>, comment: &Remark) -> Option<Said> {
    let (choice, words) = comment.body.lines().find_map(|line| command(open, line))?;
    Some(Said {
        by: comment.author.clone(),
        choice,
        comment: words,
        at: comment.created,
        via: Via::GithubComment { url: comment.url.clone() },
        url: comment.url.clone(),
        edited: comment.edited,
    })
}

/// The choice and the remark of a line that is a command for this question.
fn command(open: &OpenQuestion<'_>, line: &str) -> Option<(String, Option<String>)> {
    let rest = line.strip_prefix("/castoff").filter(|rest| rest.starts_with([' ', '\t']))?;
    let mut words = rest.split_whitespace().peekable();
    let verb = words.next()?;
    let target = words.next()?;
    let named = if target == open.run {
        // A run alone is enough when it asks only one thing.
        words.next_if_eq(&open.step).is_some() || open.alone
    } else {
        target == open.step
    };
    let choice = choice(open.question, verb).filter(|_| named)?;
    let rest = words.collect::<Vec<_>>().join(" ");
    Some((choice, (!rest.is_empty()).then_some(rest)))
}

/// The choice that a verb means: one that is offered, `approve` for the first, `decline` where there is one other.
fn choice(question: &Question, verb: &str) -> Option<String> {
    let offered = question.choices.as_slice();
    match (verb, offered) {
        (verb, offered) if offered.iter().any(|one| one == verb) => Some(verb.to_owned()),
        ("approve", [first, ..]) => Some(first.clone()),
        ("approve", []) => Some(String::new()),
        ("decline", [_, other]) => Some(other.clone()),
        _ => None,
    }
}

/// The last word of each reviewer, where it approves.
fn of_reviews(open: &OpenQuestion<'_>, reviews: &[Review]) -> Vec<Said> {
    let mut last: Vec<&Review> = Vec::new();
    for review in reviews.iter().filter(|review| review.state != ReviewState::Other) {
        last.retain(|known| !approval::same(&known.author, &review.author));
        last.push(review);
    }
    let approving = last.into_iter().filter(|review| open.alone && review.state == ReviewState::Approved);
    let said = approving.filter_map(|review| {
        Some(Said {
            by: review.author.clone(),
            choice: choice(open.question, "approve")?,
            comment: Some(review.body.trim().to_owned()).filter(|body| !body.is_empty()),
            at: review.submitted,
            via: Via::GithubReview { url: review.url.clone() },
            url: review.url.clone(),
            edited: false,
        })
    });
    said.collect()
}

impl Runner {
    /// Looks for answers on GitHub and writes them down. A place that cannot be read stops nothing.
    ///
    /// # Errors
    /// [`RunError::Journal`].
    pub async fn hear(&self, place: &dyn Conversations) -> std::result::Result<Heard, RunError> {
        let state = self.state();
        let mut heard = Heard::default();
        for step in listening(&state) {
            let Some(asked) = self.ledger().asked_at(&step.node.id) else { continue };
            let Some((open, channel)) = open_question(&state, step, asked) else { continue };
            let (comments, reviews) = match read(place, &channel, asked).await {
                Ok(read) => read,
                Err(error) => {
                    heard.unread.push(format!("{channel}: {error}"));
                    continue;
                }
            };
            let (answers, ignored) = answers(&open, &comments, &reviews);
            heard.ignored.extend(ignored);
            for answer in answers {
                self.ledger().append(Event::Answered { step: step.node.id.clone(), answer })?;
                heard.answers += 1;
            }
        }
        Ok(heard)
    }
}

/// Steps with an open question that may be answered on GitHub.
pub fn listening(state: &RunState) -> impl Iterator<Item = &StepState> {
    state.steps().filter(|step| place_of(step).is_some() && !step.is_answered())
}

/// How long to wait before reading a place again after so many times in vain: a minute, up to ten.
#[must_use]
pub fn interval(times: u32) -> chrono::TimeDelta {
    chrono::TimeDelta::minutes((1_i64 << times.saturating_sub(1).min(4)).min(10))
}

fn place_of(step: &StepState) -> Option<&str> {
    step.question()?.rule.as_ref()?.channel.as_deref()
}

fn open_question<'a>(
    state: &'a RunState,
    step: &'a StepState,
    asked: DateTime<Utc>,
) -> Option<(OpenQuestion<'a>, Channel)> {
    let place = place_of(step)?;
    let there = listening(state).filter(|other| place_of(other) == Some(place)).count();
    let open = OpenQuestion {
        run: &state.header().run,
        step: &step.node.id,
        question: step.question()?,
        given: step.given(),
        asked,
        alone: there == 1,
        draft: draft::draft(step),
    };
    Some((open, Channel::parse(place)?))
}

async fn read(
    place: &dyn Conversations,
    channel: &Channel,
    since: DateTime<Utc>,
) -> Result<(Vec<Remark>, Vec<Review>)> {
    let Channel { repository, number } = channel;
    let comments = place.comments(repository, *number, since).await?;
    Ok((comments, place.reviews(repository, *number).await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Document, Rule};

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::milliseconds(1_700_000_000_500 + seconds * 1000)
    }

    fn question() -> Question {
        let approvers = ["ann", "ben", "cat"].map(str::to_owned).to_vec();
        Question {
            id: "q".into(),
            prompt: "?".into(),
            document: Some(Document { name: "n".into(), text: "a\n".into(), editable: true }),
            choices: vec!["approve".into(), "decline".into()],
            approvals: 2,
            rule: Some(Rule {
                required: 2,
                approvers,
                excluded: vec!["cat".into()],
                proof: true,
                channel: Some("a/b#1".into()),
            }),
        }
    }

    fn open<'a>(question: &'a Question, given: &'a [Answer], alone: bool) -> OpenQuestion<'a> {
        OpenQuestion { run: "run-1", step: "tag", question, given, asked: at(0), alone, draft: None }
    }

    fn comment(author: &str, body: &str, seconds: i64) -> Remark {
        let url = format!("https://github.example/{author}/{seconds}");
        Remark {
            author: author.into(),
            body: body.into(),
            url,
            created: at(seconds).trunc_subsecs(0),
            edited: false,
        }
    }

    fn review(author: &str, state: ReviewState, seconds: i64) -> Review {
        let url = format!("https://github.example/review/{author}/{seconds}");
        Review { author: author.into(), state, body: "fine".into(), url, submitted: at(seconds) }
    }

    #[test]
    fn commands() {
        /// Choice and remark.
        type Said = Option<(&'static str, Option<&'static str>)>;
        let question = question();
        // Line, whether other questions are open, what is understood.
        let table: &[(&str, bool, Said)] = &[
            ("/castoff approve tag", false, Some(("approve", None))),
            ("/castoff approve run-1", true, Some(("approve", None))),
            ("/castoff approve run-1", false, None),
            ("/castoff approve run-1 tag", false, Some(("approve", None))),
            ("/castoff  decline   tag  not yet", true, Some(("decline", Some("not yet")))),
            ("/castoff approve", true, None),
            ("/castoff approve other", true, None),
            ("/castoff approve run-2 tag", true, None),
            ("/castoff perhaps tag", true, None),
            (" /castoff approve tag", true, None),
            ("> /castoff approve tag", true, None),
            ("please /castoff approve tag", true, None),
            ("/castoffapprove tag", true, None),
        ];
        for (line, alone, expected) in table {
            let found = command(&open(&question, &[], *alone), line);
            let expected = expected.map(|(choice, rest)| (choice.to_owned(), rest.map(str::to_owned)));
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn what_counts_on_github() {
        let question = question();
        let edited = |comment: Remark| Remark { edited: true, ..comment };
        let comments = [
            comment("ann", "/castoff approve tag", -5),
            comment("eve", "/castoff approve tag", 1),
            comment("cat", "/castoff approve tag", 2),
            edited(comment("ann", "/castoff approve tag", 3)),
            comment("ann", "words\n/castoff approve tag looks good", 4),
            comment("Ann", "/castoff approve tag", 5),
            comment("dan", "only words", 6),
        ];
        let reviews = [
            review("ben", ReviewState::Refused, 1),
            review("ben", ReviewState::Approved, 7),
            review("ben", ReviewState::Other, 8),
        ];
        let (answers, ignored) = answers(&open(&question, &[], true), &comments, &reviews);
        let who: Vec<_> = answers.iter().map(|answer| (answer.by.as_str(), answer.choice.as_str())).collect();
        assert_eq!(who, [("ann", "approve"), ("ben", "approve")]);
        assert_eq!(answers[0].comment.as_deref(), Some("looks good"));
        assert_eq!(answers[0].via, Some(Via::GithubComment { url: comments[4].url.clone() }));
        assert_eq!(answers[1].via, Some(Via::GithubReview { url: reviews[1].url.clone() }));
        let why: Vec<_> = ignored.iter().map(|one| (one.by.as_str(), one.why.as_str())).collect();
        let expected = [
            ("eve", "eve is not among"),
            ("cat", "cat began this run"),
            ("ann", "it was edited"),
            ("Ann", "Ann has answered"),
        ];
        assert_eq!(why.len(), expected.len(), "{why:?}");
        for ((by, why), (who, part)) in why.iter().zip(expected) {
            assert!(*by == who && why.starts_with(part), "{by}: {why}");
        }
        // Looking again finds the same and says nothing of what is written down.
        let (again, ignored) = super::answers(&open(&question, &answers, true), &comments, &reviews);
        assert!(again.is_empty() && ignored.iter().all(|one| one.by != "ben"), "{ignored:?}");
        // A review of a place where two things are asked answers neither.
        let (two, _) = super::answers(&open(&question, &[], false), &[], &reviews);
        assert!(two.is_empty());
        // A later refusal takes an approval back.
        let changed = [review("ben", ReviewState::Approved, 1), review("ben", ReviewState::Refused, 2)];
        assert!(super::answers(&open(&question, &[], true), &[], &changed).0.is_empty());
    }

    #[test]
    fn edits_go_with_an_answer_from_afar() {
        let question = question();
        let draft = |text: &str| Draft {
            text: text.into(),
            edited_by: Some("ben".into()),
            regenerated: true,
            conflicts: approval::conflicts(text),
        };
        let comments = [comment("ann", "/castoff approve tag", 1)];
        for (text, counts) in [("b\n", true), ("<<<<<<< x\nb\n=======\nc\n>>>>>>> y\n", false)] {
            let open = OpenQuestion { draft: Some(draft(text)), ..open(&question, &[], true) };
            let (found, ignored) = answers(&open, &comments, &[]);
            assert_eq!((found.len(), ignored.len()), (usize::from(counts), usize::from(!counts)));
            assert!(found.iter().all(|answer| answer.document.as_deref() == Some(text)));
        }
    }
}
