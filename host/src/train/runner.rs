//! Drives a train: begins each member when those it needs are out, and lets all that are under way go on side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::future::join_all;
use serde_json::json;
use tokio::task::JoinSet;

use super::{Member, members};
use crate::capability::github::Junction;
use crate::journal::{End, Event, RunState, Status, Verdict};
use crate::run::{Ledger, RunError, Runner, Stop};

/// Where the runs of members come from.
#[async_trait]
pub trait Yard: Send + Sync {
    /// Why a member's run cannot be had.
    type Error: From<RunError> + Send;

    /// The run of a member, ready to be driven; one that has not begun begins. Asked for several members at once.
    async fn runner(&self, member: &Member) -> Result<Runner, Self::Error>;
}

/// Drives one train.
pub struct TrainRunner<Y> {
    ledger: Ledger,
    members: Vec<Member>,
    yard: Y,
    junction: Junction,
    /// How many members go on at once.
    width: usize,
    /// Members whose runs are open.
    open: Mutex<BTreeMap<String, Runner>>,
}

/// How a member's task ended.
type Arrived = (String, Runner, Result<Stop, RunError>);

impl<Y: Yard> TrainRunner<Y> {
    /// A runner over the journal of a train. `junction` is where the members' reads of pull requests are joined.
    #[must_use]
    pub fn new(ledger: Ledger, yard: Y, junction: Junction, width: usize) -> Self {
        let members = members(ledger.state().header());
        Self { ledger, members, yard, junction, width: width.max(1), open: Mutex::default() }
    }

    /// The state of the train's own run.
    #[must_use]
    pub fn state(&self) -> RunState {
        self.ledger.state()
    }

    /// Journal, clock and watcher of the train's own run.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The members whose runs are open: those that were under way when the train was last driven.
    #[must_use]
    pub fn under_way(&self) -> Vec<(String, Runner)> {
        self.open().iter().map(|(name, runner)| (name.clone(), runner.clone())).collect()
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Runner>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets every member that is under way go on once, and begins those for which everything is out by then.
    ///
    /// What one member comes to does not keep the others from going on. When the host itself cannot go on, the others come to
    /// the end of what they are at first: no effect is cut off in the middle.
    ///
    /// # Errors
    /// The first thing that kept the host from going on; advancing again goes on from there.
    pub async fn advance(&self) -> Result<Vec<(Runner, Stop)>, Y::Error> {
        let (mut tasks, mut seen) = (JoinSet::new(), BTreeSet::new());
        let (mut stops, mut fault) = (Vec::new(), None);
        loop {
            if fault.is_none() {
                fault = self.depart(&mut tasks, &mut seen).await.err();
            }
            let arrived = match tasks.join_next().await {
                Some(Ok((member, runner, ended))) => {
                    self.arrive(&member, &runner, ended).map(|stop| stops.push((runner, stop)))
                }
                Some(Err(error)) => Err(RunError::Task(error.to_string())),
                None => break,
            };
            if let Err(error) = arrived {
                fault.get_or_insert(error.into());
            }
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        let state = self.state();
        if state.is_complete() && !state.is_finished() {
            self.append(Event::Finished)?;
        }
        Ok(stops)
    }

    /// Lets members go on, each once, as many at a time as may. Those that begin do so side by side: each waits for the disk.
    async fn depart(
        &self,
        tasks: &mut JoinSet<Arrived>,
        seen: &mut BTreeSet<String>,
    ) -> Result<(), Y::Error> {
        let mut leaving = Vec::new();
        for member in &self.members {
            if tasks.len() + leaving.len() >= self.width {
                break;
            }
            let state = self.state();
            if state.is_finished() || seen.contains(&member.name) || !may_go(&state, &member.name) {
                continue;
            }
            seen.insert(member.name.clone());
            self.announce(&state, member)?;
            leaving.push(member);
        }
        let begun = join_all(leaving.into_iter().map(|member| self.begun(member))).await;
        let mut fault = None;
        for begun in begun {
            let (name, runner) = match begun {
                Ok(begun) => begun,
                Err(error) => {
                    fault.get_or_insert(error);
                    continue;
                }
            };
            let lane = self.junction.enter(&name);
            tasks.spawn(async move {
                let ended = runner.advance().await;
                drop(lane);
                (name, runner, ended)
            });
        }
        fault.map_or(Ok(()), Err)
    }

    /// That a member begins is in the train's journal before it does.
    fn announce(&self, state: &RunState, member: &Member) -> Result<(), RunError> {
        let step = state.step(&member.name);
        if step.is_some_and(|step| matches!(step.status, Status::Running)) {
            return Ok(());
        }
        let attempt = step.map_or(0, |step| step.attempts).saturating_add(1);
        self.append(Event::Started { step: member.name.clone(), attempt })
    }

    /// The run of a member that was announced.
    async fn begun(&self, member: &Member) -> Result<(String, Runner), Y::Error> {
        let open = self.open().get(&member.name).cloned();
        let runner = match open {
            Some(runner) => runner,
            None => self.yard.runner(member).await?,
        };
        self.open().insert(member.name.clone(), runner.clone());
        Ok((member.name.clone(), runner))
    }

    /// Writes down what a member came to, when it came to an end.
    fn arrive(&self, member: &str, runner: &Runner, ended: Result<Stop, RunError>) -> Result<Stop, RunError> {
        let stop = ended?;
        let step = member.to_owned();
        let event = match stop.verdict {
            Verdict::Finished => {
                let whole = runner.ledger().journal().verify()?;
                let run = runner.state().header().run.clone();
                // Whoever signs the train's journal signs with it what its members did.
                let outputs = json!({ "run": run, "events": whole.events, "head": whole.head });
                Event::Succeeded { step, outputs }
            }
            Verdict::Aborted => {
                let state = runner.state();
                let message = match state.end() {
                    Some(End::Aborted { reason, by }) => format!("aborted by {by}: {reason}"),
                    _ => "aborted".to_owned(),
                };
                Event::Failed { step, error: "aborted".into(), message, retryable: false }
            }
            _ => return Ok(stop),
        };
        self.append(event)?;
        self.open().remove(member);
        Ok(stop)
    }

    fn append(&self, event: Event) -> Result<(), RunError> {
        self.ledger.append(event).map(drop).map_err(RunError::from)
    }
}

/// Whether a member may begin, or has begun and not ended.
fn may_go(state: &RunState, member: &str) -> bool {
    let running = state.step(member).is_some_and(|step| matches!(step.status, Status::Running));
    running || state.ready().any(|step| step.node.id == member)
}
