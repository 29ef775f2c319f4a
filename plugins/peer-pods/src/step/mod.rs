//! The steps: each reads the world anew, lets [`crate::core`] decide, and has the effects done.
//!
//! [`input`] is what processes are told; [`pre_release`], [`release`], [`post_release`], [`audit`] and [`hash`] are
//! processes, [`whole`] puts the first three in a row. [`checkout`] reads repositories, [`edit`] computes the commits of a
//! pull request and [`propose`] opens it; [`images`] looks into registries, [`tags`] checks and creates tags,
//! [`publish`] makes the GitHub release, [`graph`] selects versions over a module proxy, [`freeze`] watches the branch, [`lock`] locks it where that is granted, [`operator`] looks after those downstream, [`tidy`] asks the
//! real `go` where it is granted.

pub(crate) mod audit;
pub(crate) mod checkout;
pub(crate) mod edit;
pub(crate) mod freeze;
pub(crate) mod graph;
pub(crate) mod hash;
pub(crate) mod images;
pub(crate) mod input;
pub(crate) mod lock;
pub(crate) mod operator;
pub(crate) mod post_release;
pub(crate) mod pre_release;
pub(crate) mod propose;
pub(crate) mod publish;
pub(crate) mod release;
pub(crate) mod tags;
pub(crate) mod tidy;
pub(crate) mod whole;

use castoff_sdk::process::{Process, Profile as DatedProfile, Step, StepKind};

use crate::core::layout::Profile;

/// All profiles as descriptions have them.
pub(crate) fn profiles() -> Vec<DatedProfile> {
    let dated = |profile: Profile| DatedProfile {
        name: profile.name().to_owned(),
        since: profile.story().0.to_owned(),
        summary: profile.story().1.to_owned(),
    };
    Profile::ALL.into_iter().map(dated).collect()
}

/// All processes.
pub(crate) fn processes() -> Vec<Process> {
    vec![
        pre_release::describe(),
        release::describe(),
        post_release::describe(),
        whole::describe(),
        audit::describe(),
        hash::describe(),
    ]
}

/// A step: id, title, kind, what it needs, and its row of the step table.
pub(crate) fn step(id: &str, title: &str, kind: StepKind, needs: &[&str], source: &str) -> Step {
    Step {
        id: id.to_owned(),
        title: title.to_owned(),
        kind,
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        irreversible: false,
        source: format!("seed 003, {source}"),
    }
}

/// A step that cannot be undone.
pub(crate) fn irreversible(step: Step) -> Step {
    Step { irreversible: true, ..step }
}
