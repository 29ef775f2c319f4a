//! Deployments of the host-path driver: a new one for a Kubernetes version, checks of links and siblings, the driver's own version,
//! and the copy that lives in kubernetes/kubernetes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use castoff_sdk::tree::{FileEntry, LinkFault, Tree, TreeChanges, links, resolve};
use castoff_sdk::version::Version;

use super::deploy_images::{self, DeployError, ImageBump, ImageTags, TagPlan};

mod in_tree;
mod own;

pub use in_tree::{InTreePlan, RbacDownload, RbacError, plan_in_tree};
pub use own::{OWN_IMAGE, OwnVersion, Raise, own_version, raised, raises};

/// A Kubernetes minor version, `1.34`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minor {
    /// First number.
    pub major: u64,
    /// Second number.
    pub minor: u64,
}

impl Minor {
    /// Reads `1.34`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        let number =
            |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        Some(Self { major: number(major)?, minor: number(minor)? })
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What to do with the Kubernetes version in the first line of a deployment's README.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReadmeVersion {
    /// Update it where it names the deployment that is renamed; report it where it names something else.
    #[default]
    UpdateIfCurrent,
    /// Write the new version in any case.
    Update,
    /// Leave it.
    Keep,
}

/// A new deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewDeployment {
    /// Folder that holds the `kubernetes-…` folders, usually `deploy`.
    pub root: String,
    /// Folders that are renamed, old version → new (`1.27` → `1.30`); the `-test` sibling and others with the same version follow.
    pub rename: Option<(String, String)>,
    /// Copy the folders instead: the old deployment stays, and links to it stay.
    pub keep_old: bool,
    /// Only deployments with these suffixes (`""`, `-test`); all when empty.
    pub only_suffixes: Vec<String>,
    /// Links, version → version of the deployment it stands for (`1.31` → `1.30`).
    pub links: BTreeMap<String, String>,
    /// Version `kubernetes-latest` names; the newest deployment or link when not given.
    pub latest: Option<String>,
    /// Image tags to set in the same change.
    pub tags: TagPlan,
    /// What to do with README lines.
    pub readme: ReadmeVersion,
}

/// A deployment that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostpathError {
    /// A version is not of the form `1.34`.
    #[error("{seen:?} is not a Kubernetes minor version; expected the form 1.34")]
    NotAMinor {
        /// As given.
        seen: String,
    },
    /// The deployment to rename is not there.
    #[error("{path} is not in the tree; the deployments there are: {present}; name one of them")]
    NoSuchDeployment {
        /// The folder.
        path: String,
        /// Folders that exist.
        present: String,
    },
    /// The new folder exists.
    #[error(
        "{path} exists already and is not what this change would make; remove it or choose another version"
    )]
    Occupied {
        /// The path.
        path: String,
    },
    /// A link would name a deployment that is not there.
    #[error(
        "{path} would name {target}, which does not exist after this change; make that deployment or name another one"
    )]
    LinkToNothing {
        /// The link.
        path: String,
        /// Its target.
        target: String,
    },
    /// Image tags cannot be set.
    #[error(transparent)]
    Deploy(#[from] DeployError),
}

/// Result of [`new_deployment`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentPlan {
    /// Files to write and remove. Links are entries of mode 120000 without a final newline.
    pub changes: TreeChanges,
    /// Renamed files, old path → new path.
    pub renames: BTreeMap<String, String>,
    /// Image changes made along.
    pub images: ImageBump,
    /// README files whose version names another deployment than their folder: path → version written.
    pub stale_readmes: BTreeMap<String, String>,
}

/// Plans a new deployment: folders renamed, links to them replaced, `kubernetes-latest` moved, image tags set.
///
/// Links are tree entries written at their own path, so a link never lands inside the folder an older link names.
pub fn new_deployment(tree: &Tree, wanted: &NewDeployment) -> Result<DeploymentPlan, HostpathError> {
    let mut after = tree.clone();
    let mut plan = DeploymentPlan::default();
    let suffixes = suffixes(tree, wanted)?;
    if let Some((old, new)) = &wanted.rename {
        for suffix in &suffixes {
            rename_folder(&mut after, &mut plan, wanted, (old, new), suffix);
        }
    }
    place_links(&mut after, wanted, &suffixes)?;
    after.retain(|path, entry| !is_nested_link(&wanted.root, path, entry));
    plan.images = deploy_images::bump(&after, &wanted.tags).or_else(|error| match error {
        DeployError::NothingMentions { .. } if wanted.tags.images.is_empty() => Ok(ImageBump::default()),
        other => Err(other),
    })?;
    after = plan.images.changes.apply(&after);
    plan.stale_readmes = stale_readmes(&after, &wanted.root);
    plan.changes = TreeChanges::between(tree, &after);
    Ok(plan)
}

/// Suffixes (`""`, `-test`, …) of the deployment to rename, or of the link targets when nothing is renamed.
fn suffixes(tree: &Tree, wanted: &NewDeployment) -> Result<Vec<String>, HostpathError> {
    let versions = wanted.rename.iter().flat_map(|(old, new)| [old, new]).chain(wanted.links.keys());
    for seen in versions.chain(wanted.links.values()).chain(&wanted.latest) {
        Minor::parse(seen).ok_or_else(|| HostpathError::NotAMinor { seen: seen.clone() })?;
    }
    let folders = deployment_folders(tree, &wanted.root);
    let named: Vec<&String> = match &wanted.rename {
        Some((old, new)) => vec![old, new],
        None => wanted.links.values().chain(&wanted.latest).collect(),
    };
    let asked = |suffix: &String| wanted.only_suffixes.is_empty() || wanted.only_suffixes.contains(suffix);
    let matching = folders.iter().filter(|(version, suffix)| named.contains(&version) && asked(suffix));
    let found: BTreeSet<String> = matching.map(|(_, suffix)| suffix.clone()).collect();
    if found.is_empty() {
        let version = named.first().map_or("", |version| version.as_str());
        return Err(HostpathError::NoSuchDeployment {
            path: folder(&wanted.root, version, ""),
            present: folders.iter().map(|(v, s)| format!("kubernetes-{v}{s}")).collect::<Vec<_>>().join(", "),
        });
    }
    Ok(found.into_iter().collect())
}

fn rename_folder(
    after: &mut Tree,
    plan: &mut DeploymentPlan,
    wanted: &NewDeployment,
    (old, new): (&str, &str),
    suffix: &str,
) {
    let from = folder(&wanted.root, old, suffix);
    let to = folder(&wanted.root, new, suffix);
    let prefix = format!("{from}/");
    let moved: Vec<String> = after.keys().filter(|path| path.starts_with(&prefix)).cloned().collect();
    if moved.is_empty() {
        return; // renamed by an earlier run
    }
    if wanted.keep_old {
        after.retain(|path, _| *path != to);
        for path in moved {
            copy_file(after, wanted, (&path, path.replacen(&from, &to, 1)), (old, new));
        }
        return;
    }
    // What pointed at the old folder, or at a link to it, would dangle; kubernetes-latest is placed again anyway.
    let stale: Vec<String> = links(after)
        .keys()
        .filter(|path| path.rsplit_once('/').is_some_and(|(parent, _)| parent == wanted.root))
        .filter(|path| resolve(after, path, &|_| false).as_ref() == Ok(&from))
        .map(|path| (*path).to_owned())
        .collect();
    for path in stale {
        after.remove(&path);
    }
    after.remove(&to); // a link of that name gives way to the real folder
    for path in moved {
        let target = path.replacen(&from, &to, 1);
        copy_file(after, wanted, (&path, target.clone()), (old, new));
        after.remove(&path);
        plan.renames.insert(path, target);
    }
}

/// Puts a file of the old deployment into the new one; an existing copy of an earlier run is replaced.
fn copy_file(
    after: &mut Tree,
    wanted: &NewDeployment,
    (path, target): (&str, String),
    (old, new): (&str, &str),
) {
    let Some(mut entry) = after.get(path).cloned() else { return };
    let is_readme =
        path.ends_with("/README.md") && path.matches('/').count() == wanted.root.matches('/').count() + 2;
    if is_readme {
        entry = readme_for(entry, wanted.readme, old, new);
    }
    after.insert(target, entry);
}

fn place_links(after: &mut Tree, wanted: &NewDeployment, suffixes: &[String]) -> Result<(), HostpathError> {
    let newest = |suffix: &str, after: &Tree| {
        let folders = deployment_folders(after, &wanted.root).into_iter().filter(|(_, s)| s == suffix);
        let linked = wanted.links.keys().map(|version| (version.clone(), suffix.to_owned()));
        folders.chain(linked).filter_map(|(version, _)| Minor::parse(&version)).max()
    };
    for suffix in suffixes {
        for (version, target) in &wanted.links {
            place_link(after, wanted, (version, target), suffix)?;
        }
        let latest = match &wanted.latest {
            Some(version) => Some(version.clone()),
            None => newest(suffix, after).map(|minor| minor.to_string()),
        };
        if let Some(version) = latest {
            place_link(after, wanted, ("latest", &version), suffix)?;
        }
    }
    Ok(())
}

fn place_link(
    after: &mut Tree,
    wanted: &NewDeployment,
    (name, target): (&str, &str),
    suffix: &str,
) -> Result<(), HostpathError> {
    let path = folder(&wanted.root, name, suffix);
    let text = format!("kubernetes-{target}{suffix}");
    let inside = format!("{path}/");
    if after.range(inside.clone()..).next().is_some_and(|(next, _)| next.starts_with(&inside)) {
        return Err(HostpathError::Occupied { path });
    }
    after.insert(path.clone(), FileEntry::symlink(&text));
    match resolve(after, &path, &|_| false) {
        Ok(_) => Ok(()),
        Err(_) => Err(HostpathError::LinkToNothing { path, target: text }),
    }
}

fn folder(root: &str, version: &str, suffix: &str) -> String {
    format!("{root}/kubernetes-{version}{suffix}")
}

/// Version and suffix of every `kubernetes-<minor><suffix>` that is a folder or a link.
fn deployment_folders(tree: &Tree, root: &str) -> BTreeSet<(String, String)> {
    let prefix = format!("{root}/kubernetes-");
    let names = tree
        .keys()
        .filter_map(|path| path.strip_prefix(&prefix))
        .map(|rest| rest.split('/').next().unwrap_or(rest));
    names.filter_map(version_and_suffix).collect()
}

fn version_and_suffix(name: &str) -> Option<(String, String)> {
    let end = name.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(name.len());
    let (version, suffix) = name.split_at(end);
    Minor::parse(version)?;
    Some((version.to_owned(), suffix.to_owned()))
}

/// Byte range of the version in a README that starts "The deployment for Kubernetes 1.21 …".
fn readme_version(text: &str) -> Option<(usize, usize)> {
    const LEAD: &str = "The deployment for Kubernetes ";
    let start = text.lines().next()?.find(LEAD)? + LEAD.len();
    let rest = text.get(start..)?;
    let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    Minor::parse(rest.get(..length)?)?;
    Some((start, start + length))
}

fn readme_for(entry: FileEntry, policy: ReadmeVersion, old: &str, new: &str) -> FileEntry {
    let Some(text) = entry.text() else { return entry };
    let Some((start, end)) = readme_version(text) else { return entry };
    let written = text.get(start..end).unwrap_or_default();
    let update = match policy {
        ReadmeVersion::Keep => false,
        ReadmeVersion::Update => true,
        ReadmeVersion::UpdateIfCurrent => written == old,
    };
    if !update {
        return entry;
    }
    let edited =
        format!("{}{new}{}", text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
    FileEntry { mode: entry.mode, bytes: edited.into_bytes() }
}

fn stale_readmes(tree: &Tree, root: &str) -> BTreeMap<String, String> {
    let mut stale = BTreeMap::new();
    for (version, suffix) in deployment_folders(tree, root) {
        let path = format!("{}/README.md", folder(root, &version, &suffix));
        let Some(text) = tree.get(&path).and_then(FileEntry::text) else { continue };
        let Some((start, end)) = readme_version(text) else { continue };
        let written = text.get(start..end).unwrap_or_default();
        if written != version {
            stale.insert(path, written.to_owned());
        }
    }
    stale
}

/// True for a `kubernetes-…` link inside a deployment folder: the result of `ln -s` onto a link that names a folder.
fn is_nested_link(root: &str, path: &str, entry: &FileEntry) -> bool {
    let inner = path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
    // A link that leads elsewhere on purpose, as `../util`, is none of these.
    let sibling = |text: &str| text.trim_start_matches("./").starts_with("kubernetes-");
    entry.link_target().is_some_and(sibling)
        && inner.and_then(|inner| inner.split_once('/')).is_some_and(|(parent, name)| {
            parent.starts_with("kubernetes-") && !name.contains('/') && name.starts_with("kubernetes-")
        })
}

/// Removes nested links, the only fault of [`audit`] whose repair is certain: the link they were meant to replace exists or is made
/// by [`new_deployment`].
pub fn repair_links(tree: &Tree, root: &str) -> TreeChanges {
    let nested = tree.iter().filter(|(path, entry)| is_nested_link(root, path, entry));
    TreeChanges { writes: Tree::new(), deletes: nested.map(|(path, _)| path.clone()).collect() }
}

/// Something wrong with the deployments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeploymentFault {
    /// A `kubernetes-…` link inside a deployment folder.
    NestedLink {
        /// The link.
        path: String,
    },
    /// A link that leads nowhere.
    BrokenLink {
        /// The link.
        path: String,
        /// Why.
        fault: LinkFault,
    },
    /// One image has different tags in sibling deployments.
    Drift {
        /// Image name.
        image: String,
        /// Tag → files that use it.
        tags: BTreeMap<String, Vec<String>>,
    },
}

/// Looks for nested links, links that lead nowhere and images whose tags differ between siblings.
///
/// `present` answers for paths outside the tree that are known to exist (a partial tree has links to them).
pub fn audit(tree: &Tree, root: &str, present: &dyn Fn(&str) -> bool) -> Vec<DeploymentFault> {
    let mut faults = Vec::new();
    for (path, entry) in tree {
        if is_nested_link(root, path, entry) {
            faults.push(DeploymentFault::NestedLink { path: path.clone() });
        } else if entry.link_target().is_some()
            && let Err(fault) = resolve(tree, path, present)
        {
            faults.push(DeploymentFault::BrokenLink { path: path.clone(), fault });
        }
    }
    faults.extend(drift(tree));
    faults
}

/// Images whose tags differ between the files of a tree.
pub fn drift(tree: &Tree) -> Vec<DeploymentFault> {
    let mut by_image: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for (path, images) in deploy_images::images_in_use(tree) {
        for (image, tags) in images {
            for tag in tags {
                by_image.entry(image.clone()).or_default().entry(tag).or_default().push(path.clone());
            }
        }
    }
    let drifted = by_image.into_iter().filter(|(_, tags)| tags.len() > 1);
    drifted.map(|(image, tags)| DeploymentFault::Drift { image, tags }).collect()
}

/// Tags of one deployment folder: image → tag, the highest where a folder uses several.
pub fn tags_of(tree: &Tree, folder: &str) -> ImageTags {
    let prefix = format!("{folder}/");
    let mut highest: BTreeMap<String, Version> = BTreeMap::new();
    let used = deploy_images::images_in_use(tree);
    for (image, tags) in
        used.into_iter().filter(|(path, _)| path.starts_with(&prefix)).flat_map(|(_, images)| images)
    {
        for version in tags.iter().filter_map(|tag| Version::parse(tag).ok()) {
            let known = highest.entry(image.clone()).or_insert(version);
            if version > *known {
                *known = version;
            }
        }
    }
    highest.into_iter().map(|(image, version)| (image, version.to_string())).collect()
}

#[cfg(test)]
mod tests;
