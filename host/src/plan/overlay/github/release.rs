//! Releases in the world of a plan: a draft, its files, published once, the tag made when it is missing.

use std::cmp::Reverse;

use sha2::{Digest, Sha256};

use super::{PlannedGitHub, invented};
use crate::capability::git::{Git, check_reference};
use crate::capability::github::releases::{check, stored_name};
use crate::capability::github::{Asset, AssetSpec, Release, ReleaseSpec, same_text, segment};
use crate::capability::{CapabilityError, Probe, Result, Slug};
use crate::plan::overlay::Symbol;

/// How a file of the spec stands in a release.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    There,
    Missing,
    Different,
}

fn standing(spec: &AssetSpec, assets: &[Asset]) -> Standing {
    let name = stored_name(&spec.name);
    let Some(asset) = assets.iter().find(|asset| asset.name == spec.name || asset.name == name) else {
        return Standing::Missing;
    };
    let same = match asset.digest.as_deref().and_then(|digest| digest.strip_prefix("sha256:")) {
        Some(digest) => digest.eq_ignore_ascii_case(&sha256(&spec.content)),
        None => u64::try_from(spec.content.len()).is_ok_and(|size| size == asset.size),
    };
    if same { Standing::There } else { Standing::Different }
}

fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

fn texts_fit(release: &Release, spec: &ReleaseSpec) -> bool {
    release.name.trim() == spec.name.trim()
        && same_text(&release.body, &spec.body)
        && release.prerelease == spec.prerelease
}

impl PlannedGitHub {
    fn planned_releases(&self, repository: &Slug) -> Vec<Release> {
        let state = self.shared.state();
        let of = state.releases.iter().filter(|one| one.repository == *repository);
        of.map(|one| one.release.clone()).collect()
    }

    fn planned_release(&self, repository: &Slug, tag: &str) -> Option<Release> {
        let planned = self.planned_releases(repository).into_iter();
        planned.filter(|release| release.tag == tag).min_by_key(|release| (release.draft, release.id))
    }

    /// The published release of a tag, else the oldest draft that names it.
    pub(super) async fn release_by_tag(&self, repository: &Slug, tag: &str) -> Result<Option<Release>> {
        if let Some(release) = self.planned_release(repository, tag) {
            return Ok(Some(release));
        }
        let found = self.live().release_of_tag(repository, tag).await?;
        if let Some(release) = &found {
            self.shared.state().learn(repository, &release.url);
        }
        Ok(found)
    }

    pub(super) async fn list_releases(&self, repository: &Slug, limit: usize) -> Result<Vec<Release>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut planned = self.planned_releases(repository);
        let live = self.live().releases(repository, limit).await?;
        let mut found = Vec::with_capacity(planned.len() + live.len());
        for release in live {
            let changed = planned.iter().position(|one| one.id == release.id);
            found.push(changed.map_or(release, |at| planned.swap_remove(at)));
        }
        found.extend(planned.into_iter().filter(|release| invented(release.id)));
        // Drafts first, then what the plan made, newest first; live ones stay in their order.
        found.sort_by_key(|release| {
            let own = if invented(release.id) { release.id } else { 0 };
            (Reverse(release.draft), Reverse(own))
        });
        found.truncate(limit);
        Ok(found)
    }

    /// Whether the tag is there; at another commit than asked it is a conflict.
    async fn tag_stands(&self, repository: &Slug, spec: &ReleaseSpec) -> Result<bool> {
        let found = self.git().remote_references(repository, &[format!("refs/tags/{}", spec.tag)]).await?;
        let Some(found) = found.into_iter().next() else { return Ok(false) };
        if spec.commit.is_empty() || found.commit.eq_ignore_ascii_case(&spec.commit) {
            return Ok(true);
        }
        let (tag, commit, asked) = (&spec.tag, &found.commit, &spec.commit);
        Err(CapabilityError::conflict(format!(
            "the tag {tag} of {repository} is at {commit}, not at {asked}"
        )))
    }

    pub(super) async fn look_for_release(
        &self,
        repository: &Slug,
        spec: &ReleaseSpec,
    ) -> Result<Probe<Release>> {
        check(spec)?;
        let Some(release) = self.release_by_tag(repository, &spec.tag).await? else {
            return Ok(Probe::Absent);
        };
        let fits = (!release.draft || spec.draft)
            && texts_fit(&release, spec)
            && spec.assets.iter().all(|asset| standing(asset, &release.assets) == Standing::There);
        if !fits {
            return Ok(Probe::Absent);
        }
        let tagged = self.tag_stands(repository, spec).await?;
        Ok(if tagged || release.draft { Probe::Present(release) } else { Probe::Absent })
    }

    pub(super) async fn bring_release(&self, repository: &Slug, spec: &ReleaseSpec) -> Result<Release> {
        check(spec)?;
        check_reference(&format!("refs/tags/{}", spec.tag))?;
        let tagged = self.tag_stands(repository, spec).await?;
        if !tagged && !spec.draft {
            self.check_commit(repository, spec).await?;
        }
        let found = self.release_by_tag(repository, &spec.tag).await?;
        self.seek_web(repository).await?;
        for asset in &spec.assets {
            let there = found.as_ref().map(|release| release.assets.as_slice()).unwrap_or_default();
            if standing(asset, there) == Standing::Different {
                let what = format!("the release {} of {repository} has another {:?}", spec.tag, asset.name);
                return Err(CapabilityError::conflict(what));
            }
        }
        let mut release = found.map_or_else(|| self.draft(repository, spec), Ok)?;
        let before = release.clone();
        if !texts_fit(&release, spec) {
            release.name.clone_from(&spec.name);
            release.body.clone_from(&spec.body);
            release.prerelease = spec.prerelease;
        }
        for asset in &spec.assets {
            if standing(asset, &release.assets) == Standing::Missing {
                release.assets.push(self.asset(repository, &spec.tag, asset)?);
            }
        }
        if release.draft && !spec.draft {
            self.publish(repository, &mut release, spec, tagged)?;
        }
        if release != before || invented(release.id) {
            self.shared.state().keep_release(repository, release.clone());
        }
        Ok(release)
    }

    /// Whether the forge could make the tag.
    async fn check_commit(&self, repository: &Slug, spec: &ReleaseSpec) -> Result<()> {
        if spec.commit.is_empty() {
            return Err(CapabilityError::invalid(format!("no tag {} and no commit to put it on", spec.tag)));
        }
        let git = self.git();
        if git.is_open(repository) && git.resolve(repository, &spec.commit).await?.is_none() {
            return Err(CapabilityError::invalid(format!(
                "publishing the release {} of {repository}: Validation Failed; Release.target_commitish: invalid",
                spec.tag
            )));
        }
        Ok(())
    }

    fn draft(&self, repository: &Slug, spec: &ReleaseSpec) -> Result<Release> {
        let mut state = self.shared.state();
        let id = state.invent();
        // What is published at once never shows the address of a draft.
        let page = if spec.draft { format!("untagged-{id}") } else { segment(&spec.tag)? };
        let url = state.page(repository, &format!("releases/tag/{page}"));
        let (repository, tag) = (repository.clone(), spec.tag.clone());
        state.symbols.push(Symbol::Release { repository, tag, id, url: url.clone() });
        Ok(Release {
            id,
            url,
            tag: spec.tag.clone(),
            name: spec.name.clone(),
            body: spec.body.clone(),
            draft: true,
            prerelease: spec.prerelease,
            published: None,
            assets: Vec::new(),
        })
    }

    fn asset(&self, repository: &Slug, tag: &str, spec: &AssetSpec) -> Result<Asset> {
        let name = stored_name(&spec.name);
        let rest = format!("releases/download/{}/{}", segment(tag)?, segment(&name)?);
        Ok(Asset {
            size: u64::try_from(spec.content.len()).unwrap_or(u64::MAX),
            digest: Some(format!("sha256:{}", sha256(&spec.content))),
            url: self.shared.state().page(repository, &rest),
            name,
        })
    }

    /// Publishes a draft; the tag is made when it is missing.
    fn publish(
        &self,
        repository: &Slug,
        release: &mut Release,
        spec: &ReleaseSpec,
        tagged: bool,
    ) -> Result<()> {
        let at = self.shared.settings.pinned.timestamp();
        let mut state = self.shared.state();
        release.draft = false;
        release.published = Some(at);
        release.url = state.page(repository, &format!("releases/tag/{}", segment(&spec.tag)?));
        if !tagged {
            state.set(repository, &format!("refs/tags/{}", spec.tag), &spec.commit, &spec.commit);
        }
        state.symbols.push(Symbol::Publication {
            repository: repository.clone(),
            tag: spec.tag.clone(),
            url: release.url.clone(),
            at,
        });
        Ok(())
    }

    pub(super) async fn bring_prerelease(
        &self,
        repository: &Slug,
        tag: &str,
        prerelease: bool,
    ) -> Result<Release> {
        let Some(mut release) = self.release_by_tag(repository, tag).await? else {
            return Err(CapabilityError::not_found(format!("{repository} has no release {tag}")));
        };
        if release.draft {
            return Err(CapabilityError::conflict(format!(
                "the release {tag} of {repository} is still a draft"
            )));
        }
        if release.prerelease != prerelease {
            release.prerelease = prerelease;
            self.shared.state().keep_release(repository, release.clone());
        }
        Ok(release)
    }
}
