//! The truth of a run: an append-only, hash-chained list of events in one SQLite file, and the state they fold to.
//!
//! - [`event`]: what is written, in a versioned format.
//! - [`chain`]: the hash chain over the rows.
//! - [`state`]: the pure, total fold of events to the state of a run; [`step`]: what it knows of one step.
//! - [`approval`]: who must agree to a question, and whether an answer counts.
//! - [`store`]: the file: one writer, durable before `append` returns.
//! - [`export`]: the same as JSON lines, to be checked without the file.
//! - [`copy`]: copies that are kept elsewhere, and taken over from there.
//!
//! # Which event may follow which
//!
//! `run-created` is the first event and only the first. After `aborted` or `finished` nothing but remarks is legal.
//!
//! | event | legal when the step is | afterwards it is | also required |
//! |---|---|---|---|
//! | `started` | pending, running (after a crash), waiting, asks (answered) | running | every needed step done or skipped; `attempt` is one more than before; confirmed, when the header wants that and the step cannot be undone |
//! | `denied`, `artefact` | running | running | |
//! | `intent` | running | running | |
//! | `outcome` | any | unknown becomes pending once nothing is unsettled; otherwise unchanged | the intent is this step's and not settled |
//! | `succeeded` | running | done | no unsettled effect |
//! | `waiting` | running | waiting | no unsettled effect |
//! | `asked` | running | asks | no unsettled effect |
//! | `answered` | asks | asks | the question is the open one, the choice is offered, its pinned rule does not refuse the answer |
//! | `failed` | running, waiting | failed | |
//! | `fault` | running | failed | |
//! | `unknown` | running, failed | unknown | the intent is this step's and not settled |
//! | `skipped` | pending, failed, unknown, waiting, asks | skipped | |
//! | `retried` | failed, unknown, done, skipped | pending | |
//! | `bound` | running | running | the planned value does not stand for another one |
//! | `confirmed` | any but done and skipped | unchanged, but may start | |
//! | `plan-adopted` | – | the bindings of the former plan are gone | |
//! | `remark` | any, or no step | unchanged | |
//! | `aborted` | – | the run has ended | |
//! | `finished` | – | the run has ended | every step done or skipped |
//!
//! An effect is *unsettled* while it has no outcome, or the outcome `unknown`. A question is *answered* when enough
//! different people gave the affirmative (first) choice, or anybody gave another one, since it was last asked. Who counts
//! is pinned in the question ([`Rule`]).

pub mod approval;
pub mod chain;
pub mod copy;
mod creation;
pub mod event;
pub mod export;
pub mod state;
pub mod step;
pub mod store;

pub use approval::{Refusal, Rule, Tally};
pub use copy::{Mirror, Restored};
pub use event::{
    Answer, Artefact, Assumption, Condition, Document, EffectResult, Event, FORMAT, Header, Identity, Level,
    PluginIdentity, Question, Record, StepKind, StepNode, Via, Wait, World,
};
pub use export::{Export, ExportError, Statement};
pub use state::{End, IllegalEvent, RunState, Verdict, Violation};
pub use step::{DeniedCall, Edit, Effect, Status, StepState};
pub use store::{Entry, Hook, Journal, JournalError, Verified};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;
