//! Trains: several releases side by side, some of which wait for others.
//!
//! A train is a run whose steps are releases. Its journal says which members there are, which have begun and which are out;
//! each member is an ordinary run with a journal, a lease and a policy of its own, and where the train stands is folded
//! from what its members say. So a kill at any moment costs nothing here either: a member that was begun is found again by
//! the name of its run, which the train wrote down before anything began.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::journal::{FORMAT, Header, PluginIdentity, RunState, Status, StepKind, StepNode, Verdict};

mod file;
mod runner;

pub use file::{Coupled, TrainFile};
pub use runner::{TrainRunner, Yard};

/// The process of a train's run.
pub const PROCESS: &str = "train";

/// What stands in a train's header where other runs name the digest of their component: it is no component.
const BUILT_IN: &str = "built-in";

/// A release of a train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Member {
    /// Its name in the train; the step of the train's run.
    pub name: String,
    /// Members that have to be out before it begins.
    pub needs: Vec<String>,
    /// What its run is. The time that everything written carries is set when it begins.
    pub header: Header,
}

impl Member {
    /// What a run of a train is, after the header of one of its members.
    #[must_use]
    pub fn train(run: &str, title: &str, members: &[Self]) -> Option<Header> {
        let first = &members.first()?.header;
        let step = |member: &Self| StepNode {
            id: member.name.clone(),
            title: member.header.title.clone(),
            kind: StepKind::Work,
            needs: member.needs.clone(),
            irreversible: false,
            source: String::new(),
        };
        Some(Header {
            format: FORMAT,
            run: run.to_owned(),
            release: title.to_owned(),
            title: title.to_owned(),
            plugin: PluginIdentity {
                name: "castoff".into(),
                version: env!("CARGO_PKG_VERSION").into(),
                digest: BUILT_IN.into(),
            },
            policy: None,
            plan: None,
            process: PROCESS.into(),
            profile: String::new(),
            inputs: json!({ "members": members }),
            graph: members.iter().map(step).collect(),
            pinned: first.pinned,
            identity: first.identity.clone(),
            world: first.world,
            forge: first.forge.clone(),
            started_by: first.started_by.clone(),
            confirm: false,
        })
    }
}

/// Whether a run is a train.
#[must_use]
pub fn is_train(header: &Header) -> bool {
    header.plugin.digest == BUILT_IN && header.process == PROCESS
}

/// The members of a train, in the order of its file; none of any other run.
#[must_use]
pub fn members(header: &Header) -> Vec<Member> {
    let known = is_train(header).then(|| header.inputs.get("members").cloned()).flatten();
    known.and_then(|members| serde_json::from_value(members).ok()).unwrap_or_default()
}

/// Where a train stands.
#[derive(Debug)]
pub struct Standing {
    /// The train's own run.
    pub state: RunState,
    /// Its members, in the order of the file.
    pub members: Vec<Member>,
    /// What the runs of those that have begun say, by name of the member.
    pub runs: BTreeMap<String, RunState>,
}

impl Standing {
    /// What a member's run says, when it has begun.
    #[must_use]
    pub fn run(&self, member: &Member) -> Option<&RunState> {
        self.runs.get(&member.name)
    }

    /// Where a member stands; as its own run would say.
    #[must_use]
    pub fn verdict_of(&self, member: &Member) -> Verdict {
        let status = self.state.step(&member.name).map(|step| &step.status);
        match (status, self.run(member)) {
            (Some(Status::Skipped { .. }), _) => Verdict::Finished,
            (_, Some(run)) => run.verdict(),
            (Some(Status::Done { .. }), None) => Verdict::Finished,
            (_, None) if self.needed(member).is_empty() => Verdict::Ready,
            (_, None) => Verdict::Waiting,
        }
    }

    /// Members that a member still waits for.
    #[must_use]
    pub fn needed<'a>(&self, member: &'a Member) -> Vec<&'a str> {
        let over = |name: &str| self.state.step(name).is_some_and(|step| step.status.is_over());
        member.needs.iter().map(String::as_str).filter(|name| !over(name)).collect()
    }

    /// Whose move it is in the train as a whole: that of the member that needs somebody most.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.state.is_finished() {
            return self.state.verdict();
        }
        let worst =
            self.members.iter().map(|member| self.verdict_of(member)).min_by_key(|verdict| rank(*verdict));
        match worst {
            // Of the train only one release was ended.
            Some(Verdict::Aborted) => Verdict::Failed,
            // Everything is out, and the train has not said so yet.
            Some(Verdict::Finished) | None => Verdict::Ready,
            Some(verdict) => verdict,
        }
    }

    /// The members that stand as the train does as a whole.
    pub fn worst(&self) -> impl Iterator<Item = &Member> {
        let verdict = rank(self.verdict());
        self.members.iter().filter(move |member| rank(self.verdict_of(member)) == verdict)
    }
}

/// How much a member needs somebody, the most first.
fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Unknown => 0,
        Verdict::Failed | Verdict::Aborted => 1,
        Verdict::Asks => 2,
        Verdict::Ready => 3,
        Verdict::Waiting => 4,
        Verdict::Finished => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_needs_somebody_most() {
        let order = [
            Verdict::Unknown,
            Verdict::Failed,
            Verdict::Asks,
            Verdict::Ready,
            Verdict::Waiting,
            Verdict::Finished,
        ];
        assert!(order.is_sorted_by_key(|verdict| rank(*verdict)));
        assert_eq!(rank(Verdict::Aborted), rank(Verdict::Failed));
    }
}
