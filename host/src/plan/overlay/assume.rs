//! Waits come true: what the world would look like if a condition held.

use super::{Assumed, Overlay};
use crate::capability::github::{Check, CheckState, GitHub, MergeMethod, PullState};
use crate::capability::{CapabilityError, Result, Slug};
use crate::journal::Condition;

/// Name of the check of a commit that has none yet.
const PLANNED_CHECK: &str = "planned";

impl Overlay {
    /// Makes a condition hold as far as the host can know how the world would look then.
    ///
    /// # Errors
    /// [`CapabilityError::Conflict`] when it cannot come true as things stand: a pull request that was closed, or whose
    /// changes conflict with its base (the paths are named). Otherwise what a live read says.
    pub async fn assume(&self, condition: &Condition) -> Result<Assumed> {
        let unknowable = |why: String| Ok(Assumed::Unknowable(why));
        match condition {
            Condition::PullRequestMerged { repository, number } => {
                self.assume_merged(&Slug::parse(repository)?, *number).await
            }
            Condition::ChecksGreen { repository, commit } => {
                self.assume_green(&Slug::parse(repository)?, commit).await
            }
            Condition::Time { .. } => Ok(Assumed::Done),
            Condition::ImagePresent { reference } => {
                unknowable(format!("the digest of {reference} is known only once the image is built"))
            }
            Condition::JobSucceeded { name, .. } => {
                unknowable(format!("what the job {name} leaves behind is known only once it has run"))
            }
            Condition::ModuleVisible { module, version } => unknowable(format!(
                "what the module proxy says of {module} {version} is known only once it has seen the tag"
            )),
            Condition::Other { text } => unknowable(format!("nothing is known of the world after: {text}")),
        }
    }

    async fn assume_merged(&self, repository: &Slug, number: u64) -> Result<Assumed> {
        let github = self.shared.github();
        let found = github.pull_requests(&[(repository.clone(), number)]).await?.into_iter().next();
        let (_, pull) =
            found.ok_or_else(|| CapabilityError::not_found(format!("pull request {repository}#{number}")))?;
        match pull.state {
            PullState::Merged => Ok(Assumed::AlreadyTrue),
            PullState::Closed => Err(CapabilityError::conflict(format!(
                "{repository}#{number} is closed and will not be merged"
            ))),
            PullState::Open if pull.head_commit.is_none() || pull.head_owner.is_empty() => {
                Ok(Assumed::Unknowable(format!("the branch behind {repository}#{number} is gone")))
            }
            PullState::Open => {
                let _turn = self.shared.turn.lock().await;
                github.land(repository, &pull, MergeMethod::Merge).await?;
                Ok(Assumed::Done)
            }
        }
    }

    async fn assume_green(&self, repository: &Slug, commit: &str) -> Result<Assumed> {
        let mut checks = self.shared.github().checks(repository, commit).await?;
        if !checks.is_empty() && checks.iter().all(|check| check.state == CheckState::Success) {
            return Ok(Assumed::AlreadyTrue);
        }
        if checks.is_empty() {
            checks.push(Check { name: PLANNED_CHECK.into(), state: CheckState::Success, url: None });
        }
        for check in &mut checks {
            check.state = CheckState::Success;
        }
        self.shared.state().checks.insert((repository.clone(), commit.to_owned()), checks);
        Ok(Assumed::Done)
    }
}
