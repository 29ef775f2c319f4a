//! A release rehearsed: the same plugin, policy, gate and journal as in the world, against a forge inside the host.
//!
//! A [`Stage`] is a forge with a simulated clock and the back ends that talk to it; [`Stage::play`] advances a run,
//! lets the simulated people of the world file answer, and moves time on whenever nothing else can happen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use thiserror::Error;
use url::Url;

use crate::capability::command::{CommandBackend, CommandConfig};
use crate::capability::files::Artefacts;
use crate::capability::git::{Credential, GitBackend, GitConfig, TimeLimits};
use crate::capability::github::{GitHubBackend, GitHubConfig};
use crate::capability::http::{HttpBackend, HttpConfig};
use crate::capability::wire::{Pause, Skip};
use crate::capability::{CapabilityError, Secret};
use crate::clock::{Clock, SimulatedClock};
use crate::forge::{Forge, ForgeError, World, world};
use crate::gate::Capabilities;
use crate::journal::{Answer, Condition, Event, Question, Rule, RunState, Status, Verdict, Wait, approval};
use crate::policy::Policy;
use crate::policy::pattern::Glob;
use crate::run::{RunError, Runner, Stop};
use crate::site::SiteError;
use crate::train::{TrainRunner, Yard};

mod yard;

pub use yard::StageYard;

/// The longest a rehearsal plays, in simulated time.
const LONGEST: Duration = Duration::days(90);

/// Why a rehearsal could not be set up or played.
#[derive(Debug, Error)]
pub enum RehearsalError {
    /// The forge did not start.
    #[error("the embedded forge: {0}")]
    Forge(#[from] ForgeError),
    /// A back end cannot be set up.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// The run could not go on.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The run of a release of a train cannot be had.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The forge's address is no address.
    #[error("the embedded forge has no usable address: {0}")]
    Address(String),
}

/// A forge, its clock, and who rehearses.
pub struct Stage {
    forge: Forge,
    clock: Arc<SimulatedClock>,
    login: String,
    approve: bool,
    /// How long an answer may take, when nobody waits here.
    hasty: Option<std::time::Duration>,
    /// Hosts that are not the forge's: where they really are.
    routes: BTreeMap<String, Url>,
    /// What confines programs that the world lets run.
    launcher: Option<PathBuf>,
}

/// What a stage plays: one run, or several side by side.
#[async_trait]
pub trait Cast: Sync {
    /// Why it cannot go on.
    type Error: From<RunError>;

    /// Goes on with every run as far as it goes; where those stopped that went on.
    async fn advance(&self) -> Result<Vec<(Runner, Stop)>, Self::Error>;
}

#[async_trait]
impl Cast for Runner {
    type Error = RunError;

    async fn advance(&self) -> Result<Vec<(Runner, Stop)>, RunError> {
        Ok(vec![(self.clone(), Self::advance(self).await?)])
    }
}

#[async_trait]
impl<Y: Yard> Cast for TrainRunner<Y> {
    type Error = Y::Error;

    async fn advance(&self) -> Result<Vec<(Runner, Stop)>, Y::Error> {
        Self::advance(self).await
    }
}

/// A pause that moves the simulated clock instead of sleeping.
struct ClockPause(Arc<SimulatedClock>);

#[async_trait]
impl Pause for ClockPause {
    async fn wait(&self, span: std::time::Duration) {
        self.0.advance(Duration::from_std(span).unwrap_or(Duration::zero()));
    }
}

impl Stage {
    /// Starts a forge in `folder` (which should be empty), its clock standing at the world's beginning, or at
    /// `now` when the world does not say.
    ///
    /// # Errors
    /// [`RehearsalError::Forge`] when the world is wrong or loopback cannot be used.
    pub async fn set(world: World, folder: &Path, now: DateTime<Utc>) -> Result<Self, RehearsalError> {
        let clock = Arc::new(SimulatedClock::new(world.now.unwrap_or(now)));
        let login = world.user.clone().unwrap_or_default();
        let forge = Forge::start(world, folder, clock.clone()).await?;
        Ok(Self { forge, clock, login, approve: false, hasty: None, routes: BTreeMap::new(), launcher: None })
    }

    /// Gives every question that no person of the world file answers its affirmative answer.
    #[must_use]
    pub fn approving(mut self, approve: bool) -> Self {
        self.approve = approve;
        self
    }

    /// Lets programs run of which the world says so, confined by this castoff program.
    #[must_use]
    pub fn launching(mut self, launcher: Option<PathBuf>) -> Self {
        self.launcher = launcher;
        self
    }

    /// Sends what is meant for a host to a server that is not the forge, where one that others made plays a part.
    #[must_use]
    pub fn routing(mut self, host: &str, server: Url) -> Self {
        self.routes.insert(host.to_owned(), server);
        self
    }

    /// Takes no answer within `answer` for none at all, and lets no time pass between tries, simulated or real: what a
    /// fault leaves behind can then be compared to the second with what would have been without it.
    #[must_use]
    pub fn hasty(mut self, answer: std::time::Duration) -> Self {
        self.hasty = Some(answer);
        self
    }

    /// The forge.
    #[must_use]
    pub fn forge(&self) -> &Forge {
        &self.forge
    }

    /// The simulated clock.
    #[must_use]
    pub fn clock(&self) -> Arc<SimulatedClock> {
        self.clock.clone()
    }

    /// How back ends and gate wait between tries here: not at all, the clock moves instead.
    #[must_use]
    pub fn pause(&self) -> Arc<dyn Pause> {
        match self.hasty {
            Some(_) => Arc::new(Skip::default()),
            None => Arc::new(ClockPause(self.clock.clone())),
        }
    }

    /// Login of the account that rehearses.
    #[must_use]
    pub fn login(&self) -> &str {
        &self.login
    }

    /// Back ends that talk to this forge. `git` is the folder for local copies of its repositories; secrets of the
    /// policy get values that mean nothing.
    ///
    /// # Errors
    /// [`RehearsalError::Capability`] when a back end cannot be set up.
    pub fn capabilities(
        &self,
        git: &Path,
        artefacts: Artefacts,
        policy: Option<&Policy>,
    ) -> Result<Capabilities, RehearsalError> {
        let token = self.forge.token(None).map(Secret::new);
        let clock: Arc<dyn Clock> = self.clock.clone();
        let mut git = GitConfig::new(git.to_owned(), self.url()?);
        git.credential = token.clone().map(|token| Credential { login: self.login.clone(), token });
        git.pause = Some(self.pause());
        let mut github = GitHubConfig::new(self.url()?, self.pause(), clock.clone());
        github.token = token;
        github.write_gap = std::time::Duration::ZERO;
        let mut http = HttpConfig::new(self.pause(), clock);
        http.routes.insert("*".into(), self.url()?);
        http.routes.extend(self.routes.clone());
        if let Some(answer) = self.hasty {
            // One call of git is several requests.
            git.limits = TimeLimits { list: answer * 2, fetch: answer * 4, push: answer * 4 };
            (github.timeout, http.timeout) = (answer, answer);
        }
        let programs = CommandConfig {
            launcher: self.launcher.clone(),
            programs: policy.map(Policy::programs).cloned().unwrap_or_default(),
            accept_missing: policy.map(Policy::accept_missing).unwrap_or_default().to_vec(),
        };
        let sender = policy.and_then(Policy::mail).and_then(|mail| mail.from.clone());
        Ok(Capabilities {
            git: Arc::new(GitBackend::new(git)?),
            github: Arc::new(GitHubBackend::new(github)?),
            http: Arc::new(HttpBackend::new(http)?),
            programs: self.forge.programs(Arc::new(CommandBackend::new(programs))),
            mail: self.forge.mail(sender),
            artefacts: Arc::new(artefacts),
            secrets: Arc::new(Self::secrets(policy)),
        })
    }

    /// Values that mean nothing for the secrets of a policy.
    fn secrets(policy: Option<&Policy>) -> BTreeMap<String, Secret> {
        let secrets = policy.map(Policy::secrets).into_iter().flatten();
        secrets.map(|(name, _)| (name.clone(), Secret::new(format!("rehearsal-{name}")))).collect()
    }

    fn url(&self) -> Result<Url, RehearsalError> {
        let text = format!("{}/", self.forge.url().trim_end_matches('/'));
        Url::parse(&text).map_err(|error| RehearsalError::Address(error.to_string()))
    }

    /// Advances a run until it ends, fails, or nothing more can happen: people answer when their time has come, and
    /// the clock moves to the next thing that happens.
    ///
    /// # Errors
    /// [`RehearsalError::Run`].
    pub async fn play(&self, runner: &Runner) -> Result<Stop, RehearsalError> {
        self.play_all(runner).await?;
        Ok(runner.stand())
    }

    /// The same for everything that a cast drives, over one forge and one clock.
    ///
    /// # Errors
    /// What the cast could not do; [`RunError`] when an answer cannot be written.
    pub async fn play_all<C: Cast>(&self, cast: &C) -> Result<(), C::Error> {
        let end = self.clock.now() + LONGEST;
        let mut last_looks = 0;
        loop {
            let stops = cast.advance().await?;
            let halted =
                |(_, stop): &&(Runner, Stop)| matches!(stop.verdict, Verdict::Asks | Verdict::Waiting);
            let halted: Vec<(&Runner, RunState, Option<DateTime<Utc>>)> = stops
                .iter()
                .filter(halted)
                .map(|(runner, stop)| (runner, runner.state(), stop.next))
                .collect();
            if halted.is_empty() {
                return Ok(());
            }
            let now = self.clock.now();
            let (mut answered, mut later) = (false, Vec::new());
            for (runner, state, _) in &halted {
                for (at, step, answer) in self.answers(runner, state) {
                    if at <= now {
                        runner.answer(&step, answer)?;
                        answered = true;
                    } else {
                        later.push(at);
                    }
                }
            }
            if answered {
                continue;
            }
            let appointed = halted.iter().filter_map(|(_, state, _)| appointed(state));
            let scheduled = later.into_iter().chain(self.forge.next_event()).chain(appointed).min();
            let next = match (scheduled, halted.iter().filter_map(|(.., next)| *next).min()) {
                // Nothing can have changed before the next thing happens: looking earlier would find the same.
                (Some(scheduled), _) => Some(scheduled),
                // Nothing is on its way: look once more, then let the time limits of the waits run out.
                (None, Some(poll)) if last_looks == 0 => Some(poll),
                (None, _) => halted.iter().filter_map(|(_, state, _)| time_limit(state)).min(),
            };
            last_looks = if scheduled.is_none() { last_looks + 1 } else { 0 };
            match next {
                Some(next) if next <= end && last_looks < 10 => {
                    self.clock.advance_to(next.max(now + Duration::seconds(1)));
                    self.forge.tick();
                }
                _ => return Ok(()),
            }
        }
    }

    /// Answers that people will give to open questions: when, to which step, what.
    fn answers(&self, runner: &Runner, state: &RunState) -> Vec<(DateTime<Utc>, String, Answer)> {
        let now = self.clock.now();
        let mut answers = Vec::new();
        for step in state.steps() {
            let Status::Asks { question, earlier } = &step.status else { continue };
            let since = runner.ledger().asked_at(&step.node.id).unwrap_or(now);
            let given = step.answers.get(*earlier..).unwrap_or_default();
            let may = |person: &str| approval::refusal_of_person(question, given, person).is_none();
            let person = self.forge.answers().into_iter().find(|person| {
                matches(&person.step, &step.node.id)
                    && matches(&person.question, &question.id)
                    && given.iter().all(|answer| answer.by != person.by)
                    && may(&person.by)
            });
            if let Some(person) = person {
                let wait = i64::try_from(person.after_seconds).unwrap_or(i64::MAX);
                let at = since + Duration::try_seconds(wait).unwrap_or(LONGEST);
                answers.push((at, step.node.id.clone(), answered(question, &person, at)));
            } else if self.approve {
                let named = question.rule.as_ref().and_then(Rule::eligible).unwrap_or_default();
                let by = named.into_iter().find(|person| may(person)).map(str::to_owned);
                let by = by.unwrap_or_else(|| format!("approver-{}", given.len() + 1));
                if !may(&by) {
                    continue;
                }
                let person = world::Answer { by, ..Default::default() };
                answers.push((now, step.node.id.clone(), answered(question, &person, now)));
            }
        }
        answers
    }
}

/// An empty pattern matches everything; one that cannot be understood matches nothing.
fn matches(pattern: &str, text: &str) -> bool {
    pattern.is_empty() || Glob::parse(pattern).is_ok_and(|glob| glob.matches(text))
}

/// What a person of the world file answers.
fn answered(question: &Question, person: &world::Answer, at: DateTime<Utc>) -> Answer {
    let document = question.document.as_ref().filter(|document| document.editable).map(|document| {
        let text = person.text.clone().unwrap_or_else(|| document.text.clone());
        person.edit.iter().fold(text, |text, (what, by)| text.replace(what, by))
    });
    Answer {
        question: question.id.clone(),
        choice: person.choice.clone().or_else(|| question.choices.first().cloned()).unwrap_or_default(),
        document,
        comment: None,
        by: person.by.clone(),
        at,
        via: None,
    }
}

/// When the next wait for a time comes to its end.
fn appointed(state: &RunState) -> Option<DateTime<Utc>> {
    let times = waits(state).filter_map(|wait| match wait.condition {
        Condition::Time { at } => DateTime::from_timestamp(at, 0),
        _ => None,
    });
    times.min()
}

/// When the next wait reaches its time limit.
fn time_limit(state: &RunState) -> Option<DateTime<Utc>> {
    let limited = waits(state).filter(|wait| wait.timeout_seconds > 0);
    limited.map(|wait| wait.since + Duration::seconds(i64::from(wait.timeout_seconds))).min()
}

fn waits(state: &RunState) -> impl Iterator<Item = &Wait> {
    state.steps().filter_map(|step| match &step.status {
        Status::Waiting { wait } => Some(wait),
        _ => None,
    })
}

impl Runner {
    /// Writes a person's answer down.
    ///
    /// # Errors
    /// [`RunError::Journal`] when the step asks nothing of the kind.
    pub fn answer(&self, step: &str, answer: Answer) -> Result<(), RunError> {
        self.ledger().append(Event::Answered { step: step.into(), answer })?;
        Ok(())
    }
}
