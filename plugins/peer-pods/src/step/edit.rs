//! The parts of the pull requests, each a commit: computed from the tree and from other repositories, never from what the
//! run did before.

use std::collections::BTreeMap;

use castoff_sdk::Error;
use castoff_sdk::git;
use castoff_sdk::github;
use castoff_sdk::go_mod::GoMod;
use castoff_sdk::module_graph::ModuleVersion;
use castoff_sdk::module_hash::pseudo_version;
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::{conflict, day, done, invalid, not_found, words};
use castoff_sdk::yaml;

use super::checkout::{Checkout, hash_at, modules_at, text_at};
use super::graph;
use super::input::{Inputs, profile};
use super::propose::{Edit, Proposal, propose};
use super::tidy;
use crate::core::kata::{Move, Moved, move_module, raise_listed};
use crate::core::layout::Profile;
use crate::core::overlay::{DevStyle, LATEST, Pin, Pinned};
use crate::core::version::ReleaseVersion;
use crate::core::{chart, citation, component, overlay};

/// Path of kata's Go module in its repository.
const KATA_MODULE: &str = "github.com/kata-containers/kata-containers/src/runtime";
const KATA_FOLDER: &str = "src/runtime";

/// Everything that computes edits.
pub(crate) struct Desk<'a> {
    /// The repository.
    pub(crate) checkout: &'a Checkout,
    /// The inputs.
    pub(crate) inputs: &'a Inputs,
    /// The profile, as told.
    pub(crate) told: Profile,
    /// What a reviewer should know.
    pub(crate) remarks: Vec<String>,
    /// Images that the edits name.
    pub(crate) images: Vec<String>,
    /// The edits so far, in order.
    pub(crate) edits: Vec<Edit>,
}

impl<'a> Desk<'a> {
    /// A desk; a profile that the tree contradicts is told.
    pub(crate) fn open(context: &Context, checkout: &'a Checkout, inputs: &'a Inputs) -> Result<Self, Error> {
        let told = profile(&context.profile)?;
        let modules = modules_at(&checkout.repository, &checkout.head.id)?;
        let shown = checkout.layout.profile(modules.is_pseudo());
        let mut remarks = Vec::new();
        if shown != told {
            remarks.push(format!(
                "the tree looks like profile {}, the release file says {}: what the tree shows counts, only the providers of the development \
                 image follow the release file",
                shown.name(),
                told.name()
            ));
        }
        Ok(Self { checkout, inputs, told, remarks, images: Vec::new(), edits: Vec::new() })
    }

    /// Takes an edit up: the next one builds on its files, several change the same one.
    pub(crate) fn take(&mut self, edit: Edit) {
        self.checkout.write(&edit.files);
        self.edits.push(edit);
    }

    /// P2: components follow kata-containers.
    pub(crate) fn components(&mut self) -> Result<Edit, Error> {
        let mut edit = Edit { title: "versions: update components".to_owned(), ..Edit::default() };
        let Some(path) = &self.checkout.layout.versions else { return Ok(edit) };
        let Some(kata) = &self.inputs.kata else { return self.by_hand(path) };
        let repository = git::open(&self.inputs.kata_repository)?;
        let commit = kata_commit(&repository, kata)?;
        let versions = text_at(&repository, &commit, "versions.yaml")?;
        let versions =
            versions.ok_or_else(|| not_found(format!("versions.yaml of kata-containers at {kata}")))?;
        let facts = component::Kata::read(kata, &versions);
        edit.title = format!("versions: follow kata-containers {kata}");
        edit.reason =
            format!("guest-components, trustee and kata-containers as kata-containers {kata} has them.");
        let old = self.checkout.text(path)?.unwrap_or_default();
        let overrides = self.overrides();
        let new = component::sync(&old, &facts, &overrides).map_err(invalid)?;
        self.remarks.extend(
            overrides
                .iter()
                .map(|(key, value)| format!("{key} is {value} by hand, kata-containers says otherwise")),
        );
        keep(&mut edit, path, &old, new);
        Ok(edit)
    }

    /// Values of components decided by hand.
    fn overrides(&self) -> BTreeMap<String, String> {
        let own = self.inputs.set.iter().filter(|(key, _)| !key.starts_with("git.coco-operator."));
        own.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Without a version of kata-containers only what is decided by hand is set.
    fn by_hand(&self, path: &str) -> Result<Edit, Error> {
        let overrides = self.overrides();
        let mut edit = Edit {
            title: "versions: update components".to_owned(),
            reason: format!("By hand: {}.", overrides.keys().cloned().collect::<Vec<_>>().join(", ")),
            ..Edit::default()
        };
        let old = self.checkout.text(path)?.unwrap_or_default();
        let new = component::set(&old, &overrides).map_err(invalid)?;
        keep(&mut edit, path, &old, new);
        Ok(edit)
    }

    /// P3: the Go module of kata-containers, or another published module.
    pub(crate) fn kata_module(&mut self) -> Result<Edit, Error> {
        let mut edit = Edit { title: "go.mod: update the kata runtime module".to_owned(), ..Edit::default() };
        let given = self.inputs.kata_module.clone().unwrap_or_default();
        let reference = given.commit.clone().or_else(|| self.inputs.kata.clone());
        if reference.is_none() && given.version.is_none() {
            return Ok(edit);
        }
        let module = given.module.clone().unwrap_or_else(|| KATA_MODULE.to_owned());
        let facts = self.module_facts(&given, reference.as_deref())?;
        let wanted: Vec<String> = self
            .checkout
            .layout
            .go_mods
            .iter()
            .flat_map(|path| [path.clone(), path.replace("go.mod", "go.sum")])
            .collect();
        let files = self.checkout.texts(wanted.iter().map(String::as_str))?;
        let mut moved = move_module(
            &files,
            &Move {
                module: &module,
                version: &facts.version,
                hashes: &facts.hashes,
                go_mod: facts.go_mod.as_deref(),
            },
        );
        if moved.graph_changed {
            self.remarks.push(format!(
                "the go.mod of {module} changed: `go mod tidy` has to confirm this in every module; no line of go.sum was guessed"
            ));
            let own = ModuleVersion { path: module.clone(), version: facts.version.clone() };
            self.raise_transitively(own, facts.go_mod.as_deref(), &mut moved)?;
        }
        for (file, raised) in &moved.raised {
            self.remarks.push(format!("{file}: {}", raised.join(", ")));
        }
        edit.title =
            format!("go.mod: update {} to {}", module.rsplit('/').next().unwrap_or(&module), facts.version);
        edit.reason = format!("{module} {} with the hashes that its content has.", facts.version);
        edit.files = moved.files;
        Ok(edit)
    }

    /// What the new version raises beyond its own requirements, as far as a module proxy tells; else it stays as it is.
    fn raise_transitively(
        &mut self,
        own: ModuleVersion,
        go_mod: Option<&str>,
        moved: &mut Moved,
    ) -> Result<(), Error> {
        let mut known: BTreeMap<ModuleVersion, String> =
            go_mod.map(|text| (own, text.to_owned())).into_iter().collect();
        let files: Vec<(String, String)> = moved
            .files
            .iter()
            .filter(|(path, _)| path.ends_with("go.mod"))
            .map(|(p, t)| (p.clone(), t.clone()))
            .collect();
        for (path, text) in files {
            match graph::select(self.checkout, (&path, &text), &self.inputs.proxy, &mut known) {
                Ok(modules) => {
                    let (text, raised) = raise_listed(&text, modules.versions());
                    moved.files.insert(path.clone(), text);
                    moved.raised.entry(path).or_default().extend(raised);
                }
                Err(error @ (Error::NotFound(_) | Error::Invalid(_))) => {
                    self.remarks.push(format!(
                        "{path}: only what the module itself requires was raised, its graph is not known: {}",
                        words(&error)
                    ));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        moved.raised.retain(|_, raised| !raised.is_empty());
        Ok(())
    }

    fn module_facts(
        &self,
        given: &super::input::GivenModule,
        reference: Option<&str>,
    ) -> Result<ModuleFacts, Error> {
        let version = match (&given.version, &given.commit, given.time) {
            (Some(version), ..) => Some(version.clone()),
            (None, Some(commit), Some(time)) => Some(pseudo_version(None, time, commit)),
            _ => None,
        };
        let found = match reference.or(self.inputs.kata.as_deref()) {
            Some(reference) => {
                let repository = git::open(&self.inputs.kata_repository)?;
                let named = self.inputs.kata.as_deref().unwrap_or(reference);
                let found =
                    [reference, named].into_iter().find_map(|name| kata_commit(&repository, name).ok());
                found.map(|commit| (repository, commit))
            }
            None => None,
        };
        let go_mod = match &found {
            Some((repository, commit)) => text_at(repository, commit, &format!("{KATA_FOLDER}/go.mod"))?,
            None => None,
        };
        if let (Some(version), Some(hashes)) = (&version, given.hashes()) {
            return Ok(ModuleFacts { version: version.clone(), hashes, go_mod });
        }
        let (repository, commit) =
            found.ok_or_else(|| not_found("the commit of the kata module; give it as kata-module.commit"))?;
        let time = repository.resolve(&commit)?.map_or(0, |commit| commit.time);
        let base = highest_tag(&repository, &format!("{KATA_FOLDER}/"))?;
        let version = version.unwrap_or_else(|| pseudo_version(base.as_deref(), time, &commit));
        let hashed = hash_at(&repository, &commit, KATA_FOLDER, &version)?;
        let hashed = hashed
            .ok_or_else(|| not_found(format!("{KATA_FOLDER}/go.mod of kata-containers at {commit}")))?;
        Ok(ModuleFacts { version, hashes: hashed.hashes, go_mod: Some(hashed.go_mod) })
    }

    /// P4: the operator is pinned: to what is told, else to its newest commit.
    pub(crate) fn operator_pin(&mut self) -> Result<Edit, Error> {
        let mut edit = Edit::default();
        let Some((path, old)) = self.operator_file()? else { return Ok(edit) };
        let told = self.inputs.operator.clone().or_else(|| self.inputs.set.get(component::OPERATOR).cloned());
        let reference = match told {
            Some(reference) => reference,
            None => {
                let operator = git::open(&self.inputs.operator_repository)?;
                let branch = operator.default_branch()?;
                let head = operator.resolve(&format!("refs/heads/{branch}"))?;
                head.map(|head| head.id).ok_or_else(|| {
                    not_found(format!("{} has no branch {branch}", self.inputs.operator_repository))
                })?
            }
        };
        edit.title = format!("versions: pin the operator to {}", short(&reference));
        edit.reason =
            "The released instructions deploy this operator. Taken back after the release.".to_owned();
        let mut values = component::operator(&old, &reference);
        values.extend(
            self.inputs
                .set
                .iter()
                .filter(|(key, _)| key.starts_with("git.coco-operator."))
                .map(|(k, v)| (k.clone(), v.clone())),
        );
        let new = component::set(&old, &values).map_err(invalid)?;
        keep(&mut edit, &path, &old, new);
        Ok(edit)
    }

    /// P20: the operator is taken back.
    pub(crate) fn operator_revert(&mut self) -> Result<Edit, Error> {
        let mut edit = Edit {
            title: "versions: take the operator back to main".to_owned(),
            reason: "It was pinned for the release.".to_owned(),
            ..Edit::default()
        };
        let Some((path, old)) = self.operator_file()? else { return Ok(edit) };
        let new = component::set(&old, &component::operator(&old, "main")).map_err(invalid)?;
        keep(&mut edit, &path, &old, new);
        Ok(edit)
    }

    fn operator_file(&self) -> Result<Option<(String, String)>, Error> {
        let Some(path) = &self.checkout.layout.versions else { return Ok(None) };
        let text = self.checkout.text(path)?.filter(|text| component::has_operator(text));
        Ok(text.map(|text| (path.clone(), text)))
    }

    /// P6 and P15: siblings require each other at the version. P7: with every sibling replaced, `make tidy` has nothing
    /// to do; the modules keep their `replace` lines and their `go.sum`.
    pub(crate) fn modules(&mut self) -> Result<Edit, Error> {
        let version = self.inputs.version_text()?;
        let modules = self.checkout.modules()?;
        let bump = modules.bump(&version).map_err(invalid)?;
        self.remarks.extend(bump.remarks);
        Ok(Edit {
            title: format!("release: update go modules to {version}"),
            reason: "Local replacements stay, so `make tidy` changes nothing.".to_owned(),
            files: bump.files,
        })
    }

    /// P14: images are pinned, in overlays or charts, whichever the tree has.
    pub(crate) fn pins(&mut self, tag: &str) -> Result<Edit, Error> {
        let pinned = self.image_tags(tag)?;
        self.images = pinned.images.iter().cloned().collect();
        self.remarks.extend(pinned.remarks);
        Ok(Edit {
            title: format!("release: pin the images to {}", short(tag)),
            reason: format!("For {}: every image was looked up in its registry.", self.inputs.version),
            files: pinned.files,
        })
    }

    /// P21: images are taken back to `latest`, those of libvirt too.
    pub(crate) fn unpins(&mut self) -> Result<Edit, Error> {
        let pinned = self.image_tags(LATEST)?;
        self.remarks.extend(pinned.remarks.into_iter().filter(|remark| remark.contains("left alone")));
        Ok(Edit {
            title: "Take the images back to latest".to_owned(),
            reason: "They were pinned for the release.".to_owned(),
            files: pinned.files,
        })
    }

    fn image_tags(&self, tag: &str) -> Result<Pinned, Error> {
        let layout = &self.checkout.layout;
        let style = match self.inputs.dev_style {
            Some(style) => style,
            None => self.style()?,
        };
        let pin = Pin {
            tag: tag.to_owned(),
            image: self.inputs.image.clone(),
            dev: self.inputs.dev(self.told),
            skip: self.inputs.skip_providers.clone(),
            style,
        };
        let mut paths: Vec<String> = layout.overlays.values().cloned().collect();
        if let Some(folder) = &layout.chart {
            paths.push(format!("{folder}/values.yaml"));
            paths.extend(pin.dev.iter().map(|provider| format!("{folder}/providers/{provider}.yaml")));
            paths.extend(layout.sub_charts.iter().map(|sub| format!("{sub}/values.yaml")));
            paths.push("src/cloud-providers/Makefile".to_owned());
        }
        let texts = self.checkout.texts(paths.iter().map(String::as_str))?;
        let mut all = overlay::pin(layout, |path| texts.get(path).cloned(), &pin).map_err(invalid)?;
        let charts = chart::pin(layout, |path| texts.get(path).cloned(), &pin).map_err(invalid)?;
        all.files.extend(charts.files);
        all.images.extend(charts.images);
        all.remarks.extend(charts.remarks);
        Ok(all)
    }

    /// How this tree tags development images: by what its publishing workflow says.
    fn style(&self) -> Result<DevStyle, Error> {
        let workflow =
            self.checkout.text(".github/workflows/publish_images_on_push.yaml")?.unwrap_or_default();
        Ok(if workflow.contains("-dev\n") || workflow.contains("-dev\"") {
            DevStyle::Suffix
        } else {
            DevStyle::Prefix
        })
    }

    /// Versions of the charts and their lock, where a chart version is told.
    pub(crate) fn chart_versions(&mut self, context: &Context) -> Result<Edit, Error> {
        let mut edit = Edit::default();
        let Some(version) = &self.inputs.chart_version else { return Ok(edit) };
        let generated = self
            .inputs
            .lock_generated
            .clone()
            .unwrap_or_else(|| format!("{}T00:00:00Z", day(context.pinned)));
        let wanted = chart::ChartVersions {
            chart: version.clone(),
            app: self.inputs.version_text()?,
            kata_deploy: self.inputs.kata_deploy.clone(),
            generated,
        };
        let paths = chart::files(&self.checkout.layout);
        let texts = self.checkout.texts(paths.iter().map(String::as_str))?;
        edit.files = chart::versions(&self.checkout.layout, |path| texts.get(path).cloned(), &wanted)
            .map_err(invalid)?;
        edit.title = format!("charts: version {version}");
        edit.reason = format!("They deploy {}; the digest of the lock is that of helm.", wanted.app);
        Ok(edit)
    }

    /// P22: the citation, from the release itself; what is told takes the place of what is not on the forge.
    pub(crate) fn citation(&mut self, tags: &BTreeMap<String, String>) -> Result<Edit, Error> {
        let version = self.inputs.version_text()?;
        let mut edit = Edit {
            title: format!("CITATION: {version}"),
            reason: "Version, day and commit of the release.".to_owned(),
            ..Edit::default()
        };
        let Some(path) = &self.checkout.layout.citation else { return Ok(edit) };
        let tagged = tags.get(&version);
        let commit = match (tagged, &self.inputs.commit) {
            (Some(tagged), Some(told)) if tagged != told => {
                return Err(conflict(format!(
                    "the tag {version} is at {tagged} and not at {told}; the citation names the tag's commit"
                )));
            }
            (Some(commit), _) | (None, Some(commit)) => commit.clone(),
            (None, None) => {
                return Err(not_found(format!("the tag {version}; release it before it is cited")));
            }
        };
        let day = match &self.inputs.date_released {
            Some(day) => day.clone(),
            None => {
                let release = github::release_of_tag(&self.checkout.name, &version)?;
                let published = release.and_then(|release| release.published);
                day(published.ok_or_else(|| not_found(format!("a published release {version}")))?)
            }
        };
        let old = self.checkout.text(path)?.unwrap_or_default();
        let new = citation::cite(&old, &version, &day, &commit)
            .map_err(|error| invalid(format!("{path}: {error}")))?;
        keep(&mut edit, path, &old, new);
        Ok(edit)
    }

    /// The installation guide names the newest release, since November 2024.
    pub(crate) fn documents(&mut self, tags: &BTreeMap<String, String>) -> Result<Edit, Error> {
        let Ok(version) = self.inputs.release_version() else { return Ok(Edit::default()) };
        let mut edit = Edit {
            title: format!("docs: install {version}"),
            reason: "The guide names the newest release.".to_owned(),
            ..Edit::default()
        };
        let known = tags.keys().filter_map(|tag| ReleaseVersion::parse(tag).ok());
        let previous = known.filter(|known| !known.is_alpha() && *known < version).max();
        let Some(previous) = previous.filter(|_| self.told != Profile::Seed) else { return Ok(edit) };
        for path in ["src/cloud-api-adaptor/install/README.md", "install/README.md"] {
            if let Some(old) = self.checkout.text(path)? {
                keep(&mut edit, path, &old, citation::mention(&old, previous, version));
            }
        }
        Ok(edit)
    }

    /// The end of every proposal that changes pins: go modules, tidied where that is wanted, and what does not fit together.
    pub(crate) fn propose(
        mut self,
        branch: String,
        title: String,
        summary: String,
    ) -> Result<Outcome, Error> {
        let (checkout, inputs) = (self.checkout, self.inputs);
        if inputs.wants("modules") {
            let edit = self.modules()?;
            self.take(edit);
        }
        if inputs.go_tidy {
            tidy::confirm(checkout, &mut self.edits, &mut self.remarks)?;
        }
        let skew = self.skew()?;
        self.remarks.extend(skew);
        let (edits, remarks) = (self.edits, self.remarks);
        let proposal = Proposal { branch, title, summary, edits, remarks, draft: false };
        done(&propose(checkout, inputs.fork.as_deref(), &proposal)?)
    }

    /// Versions of kata-containers that disagree in the tree as it will be.
    pub(crate) fn skew(&self) -> Result<Vec<String>, Error> {
        let Some(path) = &self.checkout.layout.versions else { return Ok(Vec::new()) };
        let text = self.checkout.text(path)?.unwrap_or_default();
        let deploy = match &self.checkout.layout.chart {
            Some(folder) => self.checkout.text(&format!("{folder}/Chart.yaml"))?,
            None => None,
        };
        let deploy =
            deploy.and_then(|chart| yaml::get(&chart, "dependencies[name=kata-deploy].version").ok());
        let module = self.inputs.kata.as_deref();
        Ok(component::skew(&text, module, deploy.as_deref()))
    }
}

struct ModuleFacts {
    version: String,
    hashes: castoff_sdk::module_hash::ModuleHashes,
    go_mod: Option<String>,
}

fn keep(edit: &mut Edit, path: &str, old: &str, new: String) {
    if new != old {
        edit.files.insert(path.to_owned(), new);
    }
}

fn short(reference: &str) -> &str {
    let hex = reference.len() == 40 && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex { reference.get(..12).unwrap_or(reference) } else { reference }
}

/// The commit of a tag or commit of kata-containers.
fn kata_commit(repository: &git::Repository, reference: &str) -> Result<String, Error> {
    let found = match repository.resolve(&format!("refs/tags/{reference}"))? {
        Some(found) => Some(found),
        None => repository.resolve(reference)?,
    };
    found.map(|commit| commit.id).ok_or_else(|| not_found(format!("{reference} of kata-containers")))
}

/// The highest version tagged under a prefix.
fn highest_tag(repository: &git::Repository, prefix: &str) -> Result<Option<String>, Error> {
    let found = repository.references(&format!("refs/tags/{prefix}v*"))?;
    let full = format!("refs/tags/{prefix}");
    let versions = found.iter().filter_map(|tag| tag.name.strip_prefix(&full));
    Ok(versions.max_by(|a, b| castoff_sdk::go_mod::compare_versions(a, b)).map(str::to_owned))
}

/// The modules that a `go.mod` of another repository requires of this one, with their versions.
pub(crate) fn consumers(text: &str, repository: &str) -> Vec<(String, String)> {
    let own = format!("github.com/{repository}/");
    let requires = GoMod::parse(text).require.into_iter();
    requires
        .filter(|require| require.path.starts_with(&own))
        .map(|require| (require.path, require.version))
        .collect()
}
