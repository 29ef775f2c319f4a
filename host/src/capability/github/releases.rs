//! Releases: a draft first, then its files, then published once. Without files it is published at once: workflows that listen
//! for the creation of a release are never told of one that was a draft.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::backend::{GitHubBackend, reference_path, repository_path, same_text};
use super::models::{Pointer, RawAsset, RawRelease};
use super::transport::Call;
use super::{AssetSpec, Release, ReleaseSpec};
use crate::capability::{CapabilityError, Probe, Result, Slug};

/// Nested annotated tags followed before a tag is taken for broken.
const DEEPEST_TAG: u32 = 5;
/// Files that a release's own answer is trusted to list in full.
const EMBEDDED_ASSETS: usize = 100;

/// GitHub puts a dot in place of a space in the name of a file.
pub(crate) fn stored_name(name: &str) -> String {
    name.replace(' ', ".")
}

/// How a file of the spec stands in a release.
enum Standing {
    There,
    Missing,
    /// An upload that broke off left a husk of this id.
    Broken(u64),
    Different,
}

fn standing(spec: &AssetSpec, assets: &[RawAsset]) -> Standing {
    let name = stored_name(&spec.name);
    let Some(asset) = assets.iter().find(|asset| asset.name == spec.name || asset.name == name) else {
        return Standing::Missing;
    };
    if !matches!(asset.state.as_str(), "" | "uploaded") {
        return Standing::Broken(asset.id);
    }
    let same = match asset.digest.as_deref().and_then(|digest| digest.strip_prefix("sha256:")) {
        Some(digest) => digest.eq_ignore_ascii_case(&hex::encode(Sha256::digest(&spec.content))),
        None => u64::try_from(spec.content.len()).is_ok_and(|size| size == asset.size),
    };
    if same { Standing::There } else { Standing::Different }
}

fn texts_fit(release: &RawRelease, spec: &ReleaseSpec) -> bool {
    release.name.trim() == spec.name.trim()
        && same_text(&release.body, &spec.body)
        && release.prerelease == spec.prerelease
}

/// Refuses a release without a tag, or with two files of one name.
pub(crate) fn check(spec: &ReleaseSpec) -> Result<()> {
    let mut names = BTreeSet::new();
    for asset in &spec.assets {
        if asset.name.is_empty() || !names.insert(stored_name(&asset.name)) {
            return Err(CapabilityError::invalid(format!("two files named {:?}, or none", asset.name)));
        }
    }
    if spec.tag.is_empty() {
        return Err(CapabilityError::invalid("a release needs a tag"));
    }
    Ok(())
}

impl GitHubBackend {
    /// The published release of a tag, else the oldest draft that names it (GitHub hides drafts from the look-up by
    /// tag).
    pub(super) async fn release_by_tag(&self, repository: &Slug, tag: &str) -> Result<Option<RawRelease>> {
        let path = repository_path(repository, &format!("releases/tags/{}", reference_path(tag)?));
        let call = Call::get(path, format!("reading the release {tag} of {repository}"));
        if let Some(release) = self.wire.read_optional::<RawRelease>(&call).await? {
            return Ok(Some(release));
        }
        let mut found: Option<RawRelease> = None;
        self.each_release(repository, 100, |page| {
            let named = page.into_iter().filter(|release| release.tag_name == tag);
            let best = named.chain(found.take()).min_by_key(|release| (release.draft, release.id));
            found = best;
            true
        })
        .await?;
        Ok(found)
    }

    async fn each_release(
        &self,
        repository: &Slug,
        per_page: usize,
        take: impl FnMut(Vec<RawRelease>) -> bool + Send,
    ) -> Result<()> {
        let path = repository_path(repository, &format!("releases?per_page={per_page}"));
        self.wire.pages(Call::get(path, format!("listing releases of {repository}")), take).await
    }

    pub(super) async fn list_releases(&self, repository: &Slug, limit: usize) -> Result<Vec<Release>> {
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        self.each_release(repository, limit.min(100), |page| {
            found.extend(page.into_iter().map(Release::from));
            found.len() < limit
        })
        .await?;
        found.truncate(limit);
        Ok(found)
    }

    /// The commit a tag names, whether lightweight or annotated.
    async fn commit_of_tag(&self, repository: &Slug, tag: &str) -> Result<Option<String>> {
        let what = format!("reading the tag {tag} of {repository}");
        let path = repository_path(repository, &format!("git/ref/tags/{}", reference_path(tag)?));
        let Some(mut pointer) = self.wire.read_optional::<Pointer>(&Call::get(path, what.as_str())).await?
        else {
            return Ok(None);
        };
        for _ in 0..DEEPEST_TAG {
            if pointer.object.kind != "tag" {
                return Ok(Some(pointer.object.sha));
            }
            let path =
                repository_path(repository, &format!("git/tags/{}", reference_path(&pointer.object.sha)?));
            pointer = self.wire.read(&Call::get(path, what.as_str())).await?;
        }
        Err(CapabilityError::conflict(format!("{what}: tags within tags")))
    }

    /// Whether the tag is there; at another commit than asked it is a conflict.
    async fn tag_stands(&self, repository: &Slug, spec: &ReleaseSpec) -> Result<bool> {
        let Some(commit) = self.commit_of_tag(repository, &spec.tag).await? else { return Ok(false) };
        if spec.commit.is_empty() || commit.eq_ignore_ascii_case(&spec.commit) {
            return Ok(true);
        }
        let (tag, asked) = (&spec.tag, &spec.commit);
        Err(CapabilityError::conflict(format!(
            "the tag {tag} of {repository} is at {commit}, not at {asked}"
        )))
    }

    /// Every file of a release.
    async fn assets_of(&self, repository: &Slug, release: &RawRelease) -> Result<Vec<RawAsset>> {
        if release.assets.len() < EMBEDDED_ASSETS {
            return Ok(release.assets.clone());
        }
        let path = repository_path(repository, &format!("releases/{}/assets?per_page=100", release.id));
        let mut assets = Vec::new();
        let call =
            Call::get(path, format!("listing files of the release {} of {repository}", release.tag_name));
        self.wire
            .pages(call, |page: Vec<RawAsset>| {
                assets.extend(page);
                true
            })
            .await?;
        Ok(assets)
    }

    pub(super) async fn look_for_release(
        &self,
        repository: &Slug,
        spec: &ReleaseSpec,
    ) -> Result<Probe<Release>> {
        check(spec)?;
        let Some(mut release) = self.release_by_tag(repository, &spec.tag).await? else {
            return Ok(Probe::Absent);
        };
        if (release.draft && !spec.draft) || !texts_fit(&release, spec) {
            return Ok(Probe::Absent);
        }
        release.assets = self.assets_of(repository, &release).await?;
        if !spec.assets.iter().all(|asset| matches!(standing(asset, &release.assets), Standing::There)) {
            return Ok(Probe::Absent);
        }
        let tagged = self.tag_stands(repository, spec).await?;
        Ok(if tagged || release.draft { Probe::Present(release.into()) } else { Probe::Absent })
    }

    pub(super) async fn bring_release(&self, repository: &Slug, spec: &ReleaseSpec) -> Result<Release> {
        check(spec)?;
        let tagged = self.tag_stands(repository, spec).await?;
        if !tagged && !spec.draft && spec.commit.is_empty() {
            return Err(CapabilityError::invalid(format!("no tag {} and no commit to put it on", spec.tag)));
        }
        let mut release = match self.release_by_tag(repository, &spec.tag).await? {
            Some(release) => self.amend_release(repository, release, spec).await?,
            None => self.create_release(repository, spec).await?,
        };
        release.assets = self.assets_of(repository, &release).await?;
        // Conflicts of any file are found before the first one is sent.
        for asset in &spec.assets {
            if matches!(standing(asset, &release.assets), Standing::Different) {
                let what = format!("the release {} of {repository} has another {:?}", spec.tag, asset.name);
                return Err(CapabilityError::conflict(what));
            }
        }
        for asset in &spec.assets {
            self.bring_asset(repository, &mut release, asset).await?;
        }
        if release.draft && !spec.draft {
            release = self.publish(repository, release, spec).await?;
        }
        if !tagged && !spec.draft {
            self.tag_stands(repository, spec).await?;
        }
        Ok(release.into())
    }

    async fn create_release(&self, repository: &Slug, spec: &ReleaseSpec) -> Result<RawRelease> {
        let mut body = texts(spec);
        body["tag_name"] = Value::from(spec.tag.as_str());
        body["draft"] = Value::from(spec.draft || !spec.assets.is_empty());
        if !spec.commit.is_empty() {
            body["target_commitish"] = Value::from(spec.commit.as_str());
        }
        let what = format!("making the release {} of {repository}", spec.tag);
        let call = Call::json(Method::POST, repository_path(repository, "releases"), &body, what);
        self.wire.write_json(&call).await
    }

    /// Brings texts and flag of a release to the spec, and the commit of a draft.
    async fn amend_release(
        &self,
        repository: &Slug,
        release: RawRelease,
        spec: &ReleaseSpec,
    ) -> Result<RawRelease> {
        let aims = !release.draft || spec.commit.is_empty() || release.target_commitish == spec.commit;
        if aims && texts_fit(&release, spec) {
            return Ok(release);
        }
        let mut body = texts(spec);
        if !aims {
            body["target_commitish"] = Value::from(spec.commit.as_str());
        }
        self.patch_release(repository, &release, &body, "editing").await
    }

    async fn publish(
        &self,
        repository: &Slug,
        release: RawRelease,
        spec: &ReleaseSpec,
    ) -> Result<RawRelease> {
        let body = json!({ "tag_name": spec.tag, "draft": false, "prerelease": spec.prerelease });
        self.patch_release(repository, &release, &body, "publishing").await
    }

    async fn patch_release(
        &self,
        repository: &Slug,
        release: &RawRelease,
        body: &Value,
        verb: &str,
    ) -> Result<RawRelease> {
        let path = repository_path(repository, &format!("releases/{}", release.id));
        let what = format!("{verb} the release {} of {repository}", release.tag_name);
        self.wire.write_json(&Call::json(Method::PATCH, path, body, what)).await
    }

    async fn bring_asset(
        &self,
        repository: &Slug,
        release: &mut RawRelease,
        asset: &AssetSpec,
    ) -> Result<()> {
        match standing(asset, &release.assets) {
            Standing::There => return Ok(()),
            Standing::Missing => {}
            Standing::Broken(id) => {
                let path = repository_path(repository, &format!("releases/assets/{id}"));
                let what = format!("removing the broken upload of {:?} from {repository}", asset.name);
                self.wire.write(&Call { method: Method::DELETE, address: path, body: None, what }).await?;
                release.assets.retain(|there| there.id != id);
            }
            Standing::Different => {
                return Err(CapabilityError::conflict(format!("{repository} has another {:?}", asset.name)));
            }
        }
        let mut address = self.wire.upload_address(&release.upload_url)?;
        address.query_pairs_mut().append_pair("name", &asset.name);
        let call = Call {
            method: Method::POST,
            address: address.to_string(),
            body: Some((asset.media_type.clone(), Bytes::from(asset.content.clone()))),
            what: format!("attaching {:?} to the release {} of {repository}", asset.name, release.tag_name),
        };
        let stored: RawAsset = self.wire.write_json(&call).await?;
        match standing(asset, std::slice::from_ref(&stored)) {
            Standing::There => release.assets.push(stored),
            _ => return Err(CapabilityError::conflict(format!("{}: stored differently", call.what))),
        }
        Ok(())
    }

    pub(super) async fn bring_prerelease(
        &self,
        repository: &Slug,
        tag: &str,
        prerelease: bool,
    ) -> Result<Release> {
        let Some(release) = self.release_by_tag(repository, tag).await? else {
            return Err(CapabilityError::not_found(format!("{repository} has no release {tag}")));
        };
        if release.draft {
            return Err(CapabilityError::conflict(format!(
                "the release {tag} of {repository} is still a draft"
            )));
        }
        if release.prerelease == prerelease {
            return Ok(release.into());
        }
        let mut body = json!({ "prerelease": prerelease });
        if !prerelease {
            // Otherwise what is flagged last becomes the latest, be it the oldest line.
            body["make_latest"] = json!("legacy");
        }
        Ok(self.patch_release(repository, &release, &body, "flagging").await?.into())
    }
}

fn texts(spec: &ReleaseSpec) -> Value {
    json!({ "name": spec.name, "body": spec.body, "prerelease": spec.prerelease })
}
