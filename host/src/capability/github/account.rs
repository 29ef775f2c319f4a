//! What a check-up asks, and no plugin: whose token it is, and how repositories are set up.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::backend::{GitHubBackend, repository_path};
use super::models::Permissions;
use super::transport::Call;
use super::{Permission, Protection};
use crate::capability::{CapabilityError, Result, Slug};

/// The account of the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login; Apps as `name[bot]`.
    pub login: String,
    /// What a classic token may do. Fine-grained tokens and Apps have no scopes, and then there is none.
    pub scopes: Option<Vec<String>>,
    /// The forge's clock.
    pub date: Option<DateTime<Utc>>,
}

/// How a repository is set up, as far as the account may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// What the account may do.
    pub permission: Permission,
    /// Nobody can change anything any more.
    pub archived: bool,
    /// Name of the default branch.
    pub default_branch: String,
    /// Its protection; `None` without, or where the account may not see it.
    pub protection: Option<Protection>,
    /// Whether published releases can be changed no more; `None`: off, or not told.
    pub immutable_releases: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct RawSetup {
    permissions: Option<Permissions>,
    archived: Option<bool>,
    default_branch: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Immutable {
    enabled: bool,
}

impl GitHubBackend {
    /// Whose token it is.
    ///
    /// # Errors
    /// [`CapabilityError::Forbidden`] for a token that is not accepted, [`CapabilityError::Unavailable`].
    pub async fn account(&self) -> Result<Account> {
        let answer = match self.wire.fetch(&Call::get("/user", "asking for the account")).await {
            Ok(answer) => answer,
            // Tokens of Apps are no users.
            Err(CapabilityError::Forbidden { .. }) => {
                return Ok(Account { login: self.login().await?, scopes: None, date: None });
            }
            Err(error) => return Err(error),
        };
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
        let scopes = header("x-oauth-scopes").map(|list| {
            list.split(',').map(|scope| scope.trim().to_owned()).filter(|scope| !scope.is_empty()).collect()
        });
        let date = header("date").and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        Ok(Account { login: self.login().await?, scopes, date: date.map(|date| date.to_utc()) })
    }

    /// How a repository is set up; `None` when the account cannot see it.
    ///
    /// # Errors
    /// [`CapabilityError::Forbidden`], [`CapabilityError::Unavailable`], [`CapabilityError::RateLimited`].
    pub async fn setup(&self, repository: &Slug) -> Result<Option<Setup>> {
        let call = Call::get(repository_path(repository, ""), format!("reading {repository}"));
        let Some(found) = self.wire.read_optional::<RawSetup>(&call).await? else { return Ok(None) };
        let default_branch = found.default_branch.unwrap_or_default();
        let protection = hidden(self.protection(repository, &default_branch).await)?.flatten();
        let path = repository_path(repository, "immutable-releases");
        let call = Call::get(path, format!("reading {repository}"));
        let immutable = hidden(self.wire.read_optional::<Immutable>(&call).await)?.flatten();
        Ok(Some(Setup {
            permission: found.permissions.unwrap_or_default().most(),
            archived: found.archived.unwrap_or_default(),
            default_branch,
            protection,
            immutable_releases: immutable.map(|immutable| immutable.enabled),
        }))
    }
}

/// What the account may not see is not told.
fn hidden<T>(asked: Result<T>) -> Result<Option<T>> {
    match asked {
        Ok(told) => Ok(Some(told)),
        Err(
            CapabilityError::Forbidden { .. }
            | CapabilityError::NotFound { .. }
            | CapabilityError::Invalid { .. },
        ) => Ok(None),
        Err(error) => Err(error),
    }
}
