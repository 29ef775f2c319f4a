//! Where a run stands after a job.

use castoff::journal::{RunState, Status, StepState, Verdict};
use castoff::site::Site;
use castoff::train::Standing;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::next::{self, Timing};
use crate::cli::{App, status, text, train};

/// A run, or a train with its releases.
pub(super) struct Report {
    /// Its name.
    pub(super) run: String,
    /// What is released.
    pub(super) title: String,
    /// How the command ends.
    pub(super) exit: Exit,
    /// Whose move it is.
    pub(super) verdict: Verdict,
    /// The same as a sentence.
    pub(super) sentence: String,
    /// What to type next.
    pub(super) next: String,
    /// Digest of the plan it is held to.
    pub(super) plan: Option<String>,
    /// Number of its events.
    pub(super) events: u64,
    /// Hash of the last one.
    pub(super) head: String,
    /// The releases; one when it is no train.
    pub(super) parts: Vec<Part>,
}

/// A release.
pub(super) struct Part {
    /// Its name in the train.
    pub(super) member: Option<String>,
    /// What is released.
    pub(super) title: String,
    /// Its run, when it has begun.
    pub(super) run: Option<(RunState, Timing)>,
    /// What is waited for before it begins.
    pub(super) needs: Vec<String>,
}

/// A step that does not go on by itself.
pub(super) struct Halt<'a> {
    /// Its name, in a train after that of its release.
    pub(super) name: String,
    pub(super) step: &'a StepState,
    /// What there is to say about it, for people.
    pub(super) words: Vec<String>,
}

impl Report {
    /// The report of a run whose command ends with `exit`.
    pub(super) fn of(app: &App, run: &str, exit: Exit) -> Result<Self, CommandError> {
        let (stored, journal, state) = app.look(run)?;
        let whole = journal.verify()?;
        let title = text::line(&state.header().title);
        let plan = state.plan().map(str::to_owned);
        let (verdict, sentence, next, parts) = if castoff::train::is_train(state.header()) {
            let site = app.site()?;
            let standing = train::standing(&site, state);
            let said = (standing.verdict(), train::sum(&standing), train::next_command(&standing));
            (said.0, said.1, said.2, members(&site, &standing))
        } else {
            let timing = Timing::of(&journal.events()?);
            let said = (state.verdict(), status::verdict(&state), next::command(&state));
            let run = Some((state, timing));
            let part = Part { member: None, title: title.clone(), run, needs: Vec::new() };
            (said.0, said.1, said.2, vec![part])
        };
        let (run, events, head) = (stored.name, whole.events, whole.head);
        Ok(Self { run, title, exit, verdict, sentence, next, plan, events, head, parts })
    }

    /// Steps at which somebody or something else has to move, or that stopped.
    pub(super) fn halts(&self) -> Vec<Halt<'_>> {
        let halted = |step: &&StepState| {
            !matches!(step.status, Status::Pending | Status::Running) && !step.status.is_over()
        };
        let runs = self.parts.iter().filter_map(|part| Some((part, part.run.as_ref()?)));
        let halts = runs.flat_map(|(part, (state, timing))| {
            state.steps().filter(halted).map(move |step| Halt {
                name: part.named(&step.node.id),
                step,
                words: status::details(state, step, timing),
            })
        });
        halts.collect()
    }

    /// Steps that cannot be undone and are not confirmed, in a train after the names of their releases.
    pub(super) fn unconfirmed(&self) -> Vec<String> {
        let runs = self.parts.iter().filter_map(|part| Some((part, &part.run.as_ref()?.0)));
        let steps = runs.flat_map(|(part, state)| {
            state.to_confirm().map(|step| part.named(&step.node.id)).collect::<Vec<_>>()
        });
        steps.collect()
    }
}

impl Part {
    /// The name of a step of it.
    pub(super) fn named(&self, step: &str) -> String {
        match &self.member {
            Some(member) => format!("{member}/{step}"),
            None => step.to_owned(),
        }
    }
}

fn members(site: &Site, standing: &Standing) -> Vec<Part> {
    let part = |member: &castoff::train::Member| {
        let journal = site.member(member).and_then(|stored| stored.journal_read_only().ok());
        let timing = journal.and_then(|journal| Some(Timing::of(&journal.events().ok()?)));
        Part {
            member: Some(member.name.clone()),
            title: text::line(&member.header.title),
            run: standing.run(member).cloned().map(|state| (state, timing.unwrap_or_default())),
            needs: standing.needed(member).iter().map(ToString::to_string).collect(),
        }
    };
    standing.members.iter().map(part).collect()
}
