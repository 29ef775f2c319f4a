//! Checks, protection, and what the account may do.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::backend::{GitHubBackend, repository_path, segment};
use super::models::{
    Branch, CheckRun, CheckRuns, CombinedStatus, RawProtection, Repository, Rule, Status, User,
};
use super::transport::Call;
use super::{Check, CheckState, Permission, Protection};
use crate::capability::{CapabilityError, Result, Slug};

/// State of a check run. What GitHub may invent later counts as a failure: it did not say that the check passed.
fn run_state(run: &CheckRun) -> CheckState {
    if run.status != "completed" {
        return CheckState::Pending;
    }
    match run.conclusion.as_deref() {
        Some("success" | "neutral" | "skipped") => CheckState::Success,
        None => CheckState::Pending,
        Some(_) => CheckState::Failure,
    }
}

fn status_state(status: &Status) -> CheckState {
    match status.state.as_str() {
        "success" => CheckState::Success,
        "pending" => CheckState::Pending,
        _ => CheckState::Failure,
    }
}

/// A check with what orders it among those of its name: the moment it began, then its id. One that has not begun yet
/// is the newest.
type Dated = ((bool, String, u64), Check);

fn dated_run(run: CheckRun) -> Dated {
    let state = run_state(&run);
    let age = (run.started_at.is_none(), run.started_at.unwrap_or_default(), run.id);
    (age, Check { name: run.name, state, url: run.html_url.or(run.details_url) })
}

fn dated_status(status: Status) -> Dated {
    let state = status_state(&status);
    let at = status.updated_at.or(status.created_at).unwrap_or_default();
    ((false, at, status.id), Check { name: status.context, state, url: status.target_url })
}

#[derive(Deserialize)]
struct ViewerAnswer {
    data: Option<ViewerData>,
}

#[derive(Deserialize)]
struct ViewerData {
    viewer: Option<User>,
}

impl GitHubBackend {
    pub(super) async fn login(&self) -> Result<String> {
        let what = "asking for the account";
        match self.wire.read::<User>(&Call::get("/user", what)).await {
            Ok(user) => Ok(user.login),
            // Tokens of Apps are no users; GraphQL names them all the same.
            Err(CapabilityError::Forbidden { what }) => {
                self.app_login().await?.ok_or(CapabilityError::Forbidden { what })
            }
            Err(error) => Err(error),
        }
    }

    async fn app_login(&self) -> Result<Option<String>> {
        let answer = self.query("query { viewer { login __typename } }", "asking for the account").await?;
        let answer: Option<ViewerAnswer> = serde_json::from_slice(&answer.body).ok();
        let viewer = answer.and_then(|answer| answer.data).and_then(|data| data.viewer);
        Ok(viewer
            .filter(|viewer| !viewer.login.is_empty())
            .map(|viewer| super::models::author(Some(&viewer))))
    }

    pub(super) async fn permission(&self, repository: &Slug) -> Result<Permission> {
        let call = Call::get(repository_path(repository, ""), format!("reading {repository}"));
        let Some(found) = self.wire.read_optional::<Repository>(&call).await? else {
            return Ok(Permission::None);
        };
        Ok(found.permissions.most())
    }

    pub(super) async fn list_checks(&self, repository: &Slug, commit: &str) -> Result<Vec<Check>> {
        if commit.is_empty() || !commit.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(CapabilityError::invalid(format!("{commit:?} is no commit")));
        }
        let what = format!("reading checks of {repository} at {commit}");
        let mut all: Vec<Dated> = Vec::new();
        let runs =
            repository_path(repository, &format!("commits/{commit}/check-runs?filter=latest&per_page=100"));
        self.wire
            .pages(Call::get(runs, what.clone()), |page: CheckRuns| {
                all.extend(page.check_runs.into_iter().map(dated_run));
                true
            })
            .await?;
        let statuses = repository_path(repository, &format!("commits/{commit}/status?per_page=100"));
        self.wire
            .pages(Call::get(statuses, what), |page: CombinedStatus| {
                all.extend(page.statuses.into_iter().map(dated_status));
                true
            })
            .await?;
        all.sort_by(|left, right| left.0.cmp(&right.0));
        // Later ones replace earlier ones of the same name.
        let newest: BTreeMap<String, Check> =
            all.into_iter().map(|(_, check)| (check.name.clone(), check)).collect();
        Ok(newest.into_values().collect())
    }

    /// Classic protection and the rulesets that apply, taken together.
    pub(super) async fn protection(&self, repository: &Slug, branch: &str) -> Result<Option<Protection>> {
        let name = segment(branch)?;
        let what = format!("reading the protection of {branch:?} in {repository}");
        let classic = self.classic_protection(repository, &name, &what).await?;
        let rules = repository_path(repository, &format!("rules/branches/{name}?per_page=100"));
        let mut applying: Vec<Rule> = Vec::new();
        let listing = self.wire.pages(Call::get(rules, what), |page: Vec<Rule>| {
            applying.extend(page);
            true
        });
        match listing.await {
            // Servers without rulesets do not know the address.
            Ok(()) | Err(CapabilityError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(together(classic, applying))
    }

    async fn classic_protection(
        &self,
        repository: &Slug,
        name: &str,
        what: &str,
    ) -> Result<Option<Protection>> {
        let path = repository_path(repository, &format!("branches/{name}/protection"));
        match self.wire.read::<RawProtection>(&Call::get(path, what)).await {
            Ok(raw) => Ok(Some(raw.into())),
            Err(CapabilityError::NotFound { what: words }) if words.contains("not protected") => Ok(None),
            Err(refused @ (CapabilityError::NotFound { .. } | CapabilityError::Forbidden { .. })) => {
                // Only administrators see the details: without them, "none" can still be told from "not allowed".
                let path = repository_path(repository, &format!("branches/{name}"));
                let branch: Branch = self.wire.read(&Call::get(path, what)).await?;
                match refused {
                    _ if !branch.protected => Ok(None),
                    CapabilityError::NotFound { what } => Err(CapabilityError::Forbidden { what }),
                    refused => Err(refused),
                }
            }
            Err(error) => Err(error),
        }
    }
}

impl From<RawProtection> for Protection {
    fn from(raw: RawProtection) -> Self {
        let checks = raw.required_status_checks;
        let mut required_checks = checks.contexts;
        required_checks.extend(checks.checks.into_iter().map(|check| check.context));
        required_checks.sort();
        required_checks.dedup();
        Self {
            locked: raw.lock_branch.enabled,
            required_checks,
            required_reviews: raw.required_pull_request_reviews.required_approving_review_count,
        }
    }
}

/// Adds the rules of rulesets to classic protection: whatever is stricter holds.
fn together(classic: Option<Protection>, rules: Vec<Rule>) -> Option<Protection> {
    rules.into_iter().fold(classic, |sum, rule| {
        let mut sum = match (sum, rule.kind.as_str()) {
            (Some(sum), _) => sum,
            (None, "update" | "required_status_checks" | "pull_request") => {
                Protection { locked: false, required_checks: Vec::new(), required_reviews: 0 }
            }
            (None, _) => return None,
        };
        match rule.kind.as_str() {
            "update" => sum.locked = true,
            "required_status_checks" => {
                sum.required_checks
                    .extend(rule.parameters.required_status_checks.into_iter().map(|c| c.context));
                sum.required_checks.sort();
                sum.required_checks.dedup();
            }
            "pull_request" => {
                sum.required_reviews =
                    sum.required_reviews.max(rule.parameters.required_approving_review_count);
            }
            _ => {}
        }
        Some(sum)
    })
}
