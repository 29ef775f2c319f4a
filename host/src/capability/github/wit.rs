//! Translation between the `castoff:github` bindings and the gate.

use super::{
    AssetSpec, CheckState, Issue, MergeMethod, Permission, PullFilter, PullRequest, PullSpec, PullState,
    Release, ReleaseSpec,
};
use crate::capability::wit::{Answer, answer, tried};
use crate::capability::{CapabilityError, Slug};
use crate::engine::StepState;
use crate::engine::bindings::castoff::github::forge as wit;

impl wit::Host for StepState {
    async fn viewer(&mut self) -> Answer<String> {
        answer(tried!(self.gate()).viewer().await)
    }

    async fn viewer_permission(&mut self, repository: String) -> Answer<wit::Permission> {
        let (gate, slug) = (tried!(self.gate()), tried!(Slug::parse(&repository)));
        answer(gate.viewer_permission(&slug).await.map(permission))
    }

    async fn pull_requests(&mut self, wanted: Vec<(String, u64)>) -> Answer<Vec<(String, wit::PullRequest)>> {
        let gate = tried!(self.gate());
        let slugs = wanted.into_iter().map(|(repository, number)| Ok((Slug::parse(&repository)?, number)));
        let wanted = tried!(slugs.collect::<Result<Vec<_>, CapabilityError>>());
        let found = tried!(gate.pull_requests(&wanted).await);
        Ok(Ok(found.into_iter().map(|(slug, found)| (slug.to_string(), pull(found))).collect()))
    }

    async fn find_pull_requests(
        &mut self,
        repository: String,
        filter: wit::PullFilter,
        limit: u32,
    ) -> Answer<Vec<wit::PullRequest>> {
        let (gate, slug) = (tried!(self.gate()), tried!(Slug::parse(&repository)));
        let state = filter.state.map(|state| match state {
            wit::PullState::Open => PullState::Open,
            wit::PullState::Closed => PullState::Closed,
            wit::PullState::Merged => PullState::Merged,
        });
        let filter = PullFilter { state, base: filter.base, head: filter.head };
        let found = gate.find_pull_requests(&slug, &filter, clamp(limit)).await;
        answer(found.map(|found| found.into_iter().map(pull).collect()))
    }

    async fn ensure_pull_request(
        &mut self,
        repository: String,
        spec: wit::PullSpec,
    ) -> Answer<wit::PullRequest> {
        let (gate, slug) = (tried!(self.gate()), tried!(Slug::parse(&repository)));
        let spec = PullSpec {
            head: spec.head,
            base: spec.base,
            title: spec.title,
            body: spec.body,
            labels: spec.labels,
            draft: spec.draft,
        };
        answer(gate.ensure_pull_request(&slug, spec).await.map(pull))
    }

    async fn merge_pull_request(
        &mut self,
        repository: String,
        number: u64,
        head_commit: String,
        method: String,
    ) -> Answer<String> {
        let (gate, slug) = (tried!(self.gate()), tried!(Slug::parse(&repository)));
        let method = tried!(match method.as_str() {
            "merge" => Ok(MergeMethod::Merge),
            "squash" => Ok(MergeMethod::Squash),
            "rebase" => Ok(MergeMethod::Rebase),
            _ => Err(CapabilityError::invalid(format!("{method:?}: expected merge, squash or rebase"))),
        });
        answer(gate.merge_pull_request(&slug, number, &head_commit, method).await)
    }

    async fn ensure_comment(
        &mut self,
        repository: String,
        number: u64,
        key: String,
        body: String,
    ) -> Answer<String> {
        let (gate, slug) = (tried!(self.gate()), tried!(Slug::parse(&repository)));
        answer(gate.ensure_comment(&slug, number, &key, &body).await)
    }

    async fn find_issues(
        &mut self,
        repository: String,
        open: Option<bool>,
        labels: Vec<String>,
        limit: u32,
    ) -> Answer<Vec<wit::Issue>> {
        let (gate, slug) = (tried!(self.gate()), tried!(Slug::parse(&repository)));
        let found = gate.find_issues(&slug, open, &labels, clamp(limit)).await;
        answer(found.map(|found| found.into_iter().map(issue).collect()))
    }

    async fn ensure_issue(&mut self, repository: String, spec: wit::IssueSpec) -> Answer<wit::Issue> {
        let (gate, slug) = (tried!(self.gate()), tried!(Slug::parse(&repository)));
        let put = gate.ensure_issue(&slug, &spec.key, &spec.title, &spec.body, spec.labels, spec.open).await;
        answer(put.map(issue))
    }

    async fn release_of_tag(&mut self, repository: String, tag: String) -> Answer<Option<wit::Release>> {
        let (gate, slug) = (tried!(self.gate()), tried!(Slug::parse(&repository)));
        answer(gate.release_of_tag(&slug, &tag).await.map(|found| found.map(release)))
    }

    async fn releases(&mut self, repository: String, limit: u32) -> Answer<Vec<wit::Release>> {
        let (gate, slug) = (tried!(self.gate()), tried!(Slug::parse(&repository)));
        let found = gate.releases(&slug, clamp(limit)).await;
        answer(found.map(|found| found.into_iter().map(release).collect()))
    }

    async fn ensure_release(&mut self, repository: String, spec: wit::ReleaseSpec) -> Answer<wit::Release> {
        let (gate, slug) = (tried!(self.gate()), tried!(Slug::parse(&repository)));
        let asset = |asset: wit::AssetSpec| AssetSpec {
            name: asset.name,
            media_type: asset.media_type,
            content: asset.content,
        };
        let spec = ReleaseSpec {
            tag: spec.tag,
            commit: spec.commit,
            name: spec.name,
            body: spec.body,
            prerelease: spec.prerelease,
            draft: spec.draft,
            assets: spec.assets.into_iter().map(asset).collect(),
        };
        answer(gate.ensure_release(&slug, spec).await.map(release))
    }

    async fn ensure_prerelease(
        &mut self,
        repository: String,
        tag: String,
        prerelease: bool,
    ) -> Answer<wit::Release> {
        let (gate, slug) = (tried!(self.gate()), tried!(Slug::parse(&repository)));
        answer(gate.ensure_prerelease(&slug, &tag, prerelease).await.map(release))
    }

    async fn checks(&mut self, repository: String, commit: String) -> Answer<Vec<wit::Check>> {
        let (gate, slug) = (tried!(self.gate()), tried!(Slug::parse(&repository)));
        let found = tried!(gate.checks(&slug, &commit).await);
        let check = |found: super::Check| wit::Check {
            name: found.name,
            state: match found.state {
                CheckState::Pending => wit::CheckState::Pending,
                CheckState::Success => wit::CheckState::Success,
                CheckState::Failure => wit::CheckState::Failure,
            },
            url: found.url,
        };
        Ok(Ok(found.into_iter().map(check).collect()))
    }

    async fn branch_protection(
        &mut self,
        repository: String,
        branch: String,
    ) -> Answer<Option<wit::Protection>> {
        let (gate, slug) = (tried!(self.gate()), tried!(Slug::parse(&repository)));
        let protection = |found: super::Protection| wit::Protection {
            locked: found.locked,
            required_checks: found.required_checks,
            required_reviews: found.required_reviews,
        };
        answer(gate.branch_protection(&slug, &branch).await.map(|found| found.map(protection)))
    }

    async fn dispatch(
        &mut self,
        repository: String,
        key: String,
        event: String,
        payload: String,
    ) -> Answer<()> {
        let (gate, slug) = (tried!(self.gate()), tried!(Slug::parse(&repository)));
        answer(gate.dispatch(&slug, &key, &event, &payload).await)
    }
}

fn clamp(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn permission(found: Permission) -> wit::Permission {
    match found {
        Permission::None => wit::Permission::None,
        Permission::Read => wit::Permission::Read,
        Permission::Triage => wit::Permission::Triage,
        Permission::Write => wit::Permission::Write,
        Permission::Maintain => wit::Permission::Maintain,
        Permission::Admin => wit::Permission::Admin,
    }
}

fn pull(found: PullRequest) -> wit::PullRequest {
    wit::PullRequest {
        number: found.number,
        url: found.url,
        title: found.title,
        body: found.body,
        state: match found.state {
            PullState::Open => wit::PullState::Open,
            PullState::Closed => wit::PullState::Closed,
            PullState::Merged => wit::PullState::Merged,
        },
        author: found.author,
        labels: found.labels,
        base: found.base,
        head: found.head,
        head_owner: found.head_owner,
        head_commit: found.head_commit,
        merge_commit: found.merge_commit,
    }
}

fn issue(found: Issue) -> wit::Issue {
    wit::Issue {
        number: found.number,
        url: found.url,
        title: found.title,
        body: found.body,
        open: found.open,
        author: found.author,
        labels: found.labels,
    }
}

fn release(found: Release) -> wit::Release {
    let asset = |found: super::Asset| wit::Asset {
        name: found.name,
        size: found.size,
        digest: found.digest,
        url: found.url,
    };
    wit::Release {
        id: found.id,
        url: found.url,
        tag: found.tag,
        name: found.name,
        body: found.body,
        draft: found.draft,
        prerelease: found.prerelease,
        published: found.published,
        assets: found.assets.into_iter().map(asset).collect(),
    }
}
