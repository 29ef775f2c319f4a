//! What people say on issues and pull requests. Only the host reads it, for itself: no guest has an interface for it.
//!
//! Authors are logins, never display names; a comment that was edited says so, because nobody can tell by whom.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::backend::{GitHubBackend, query, repository_path};
use super::models::{RawComment, RawReview, author};
use super::transport::Call;
use crate::capability::{CapabilityError, Result, Slug};

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Login of its author.
    pub author: String,
    /// What it says.
    pub body: String,
    /// Page for people.
    pub url: String,
    /// When it was written.
    pub created: DateTime<Utc>,
    /// Whether it was changed since.
    pub edited: bool,
}

/// What a review says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewState {
    /// The reviewer agrees.
    Approved,
    /// The reviewer wants changes, or the review was dismissed.
    Refused,
    /// Neither: a comment, or not yet sent.
    Other,
}

/// A review of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Login of the reviewer.
    pub author: String,
    /// What it says.
    pub state: ReviewState,
    /// What the reviewer remarked.
    pub body: String,
    /// Page for people.
    pub url: String,
    /// When it was sent.
    pub submitted: DateTime<Utc>,
}

/// A place where people talk.
#[async_trait]
pub trait Conversations: Send + Sync {
    /// Comments of an issue or pull request that were written or edited since a time, oldest first.
    async fn comments(&self, repository: &Slug, number: u64, since: DateTime<Utc>) -> Result<Vec<Remark>>;

    /// Reviews of a pull request, oldest first; none of an issue.
    async fn reviews(&self, repository: &Slug, number: u64) -> Result<Vec<Review>>;
}

fn moment(text: Option<&String>) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text?).ok().map(|at| at.with_timezone(&Utc))
}

/// A comment whose time cannot be read is left out: it could be older than the question.
fn remark(raw: RawComment) -> Option<Remark> {
    let created = moment(raw.created_at.as_ref())?;
    let edited = moment(raw.updated_at.as_ref()).is_none_or(|updated| updated != created);
    Some(Remark { author: author(raw.user.as_ref()), body: raw.body, url: raw.html_url, created, edited })
}

fn review(raw: RawReview) -> Option<Review> {
    let state = match raw.state.as_str() {
        "APPROVED" => ReviewState::Approved,
        "CHANGES_REQUESTED" | "DISMISSED" => ReviewState::Refused,
        _ => ReviewState::Other,
    };
    let submitted = moment(raw.submitted_at.as_ref())?;
    Some(Review { author: author(raw.user.as_ref()), state, body: raw.body, url: raw.html_url, submitted })
}

#[async_trait]
impl Conversations for GitHubBackend {
    async fn comments(&self, repository: &Slug, number: u64, since: DateTime<Utc>) -> Result<Vec<Remark>> {
        let since = since.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let asked = query(&[("since", &since), ("per_page", "100")]);
        let path = repository_path(repository, &format!("issues/{number}/comments{asked}"));
        let mut found = Vec::new();
        let call = Call::get(path, format!("reading comments of {repository}#{number}"));
        self.wire
            .pages(call, |page: Vec<RawComment>| {
                found.extend(page.into_iter().filter_map(remark));
                true
            })
            .await?;
        Ok(found)
    }

    async fn reviews(&self, repository: &Slug, number: u64) -> Result<Vec<Review>> {
        let path = repository_path(repository, &format!("pulls/{number}/reviews?per_page=100"));
        let mut found = Vec::new();
        let call = Call::get(path, format!("reading reviews of {repository}#{number}"));
        let read = self.wire.pages(call, |page: Vec<RawReview>| {
            found.extend(page.into_iter().filter_map(review));
            true
        });
        match read.await {
            // An issue has no reviews.
            Ok(()) | Err(CapabilityError::NotFound { .. }) => Ok(found),
            Err(error) => Err(error),
        }
    }
}
