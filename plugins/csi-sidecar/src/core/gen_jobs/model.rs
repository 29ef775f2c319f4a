//! Jobs learned from the files that are there, and the generator's loops over versions.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, Piece};
use super::job::{
    Family, JobId, Loop, Parts, Relation, env_entries, env_entry, number, replace_versions, resources,
};
use super::{GenJobsError, Variables};

/// The jobs of all files, the variables they were generated with and the variables wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model<'a> {
    documents: &'a BTreeMap<String, Document>,
    from: &'a Variables,
    to: &'a Variables,
}

/// A job that is there.
type Sample = (JobId, String);

impl<'a> Model<'a> {
    pub(super) fn learn(
        documents: &'a BTreeMap<String, Document>,
        from: &'a Variables,
        to: &'a Variables,
    ) -> Self {
        Self { documents, from, to }
    }

    /// The same jobs read and written with other variables.
    pub(super) fn with_variables<'b>(&self, from: &'b Variables, to: &'b Variables) -> Model<'b>
    where
        'a: 'b,
    {
        Model { documents: self.documents, from, to }
    }

    /// One file with the jobs for the wanted variables.
    pub(super) fn render(&self, path: &str, document: &Document) -> Result<String, GenJobsError> {
        let mut text = String::new();
        let mut written: BTreeSet<Loop> = BTreeSet::new();
        for piece in &document.pieces {
            match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Fixed(part) => text.push_str(&self.fixed(part)),
                Piece::Matrix(source, _) if written.insert(*source) => {
                    for id in wanted_jobs(document, *source, self.to) {
                        text.push_str(&self.compose(path, document, &id)?);
                    }
                }
                Piece::Matrix(..) => {}
            }
        }
        Ok(text)
    }

    /// The text of one job, put together from the jobs of its family.
    fn compose(&self, path: &str, document: &Document, id: &JobId) -> Result<String, GenJobsError> {
        let family = id.family();
        let own = || document.matrix().filter(|(other, _)| other.family() == family);
        let nearest_job = nearest(own(), id)
            .ok_or_else(|| GenJobsError::NoPattern { path: path.to_owned(), job: id.describe() })?;
        let wanted_class = is_experimental(id, self.to);
        let same_class =
            nearest(own().filter(|(other, _)| is_experimental(other, self.from) == wanted_class), id);
        let (pattern, text) = same_class.unwrap_or(nearest_job);
        let parts = Parts::of(text);
        let mut head = pattern.retarget(parts.head, id);
        let mut tail = pattern.retarget(parts.tail, id);
        if same_class.is_none() && id.source == Loop::Pull {
            (head, tail) = self.other_class(document, id, wanted_class, head, tail);
        }
        Ok(format!("{head}{}{tail}", env_for(document, nearest_job, id)))
    }

    /// Makes a pull job of the other class when its family has no job of that class: only the `optional` line and the resources
    /// differ. The experimental version may have to be built from source, as master is.
    fn other_class(
        &self,
        document: &Document,
        id: &JobId,
        experimental: bool,
        mut head: String,
        mut tail: String,
    ) -> (String, String) {
        if !id.alpha {
            let (from, to) = if experimental { ("false", "true") } else { ("true", "false") };
            head = head.replace(&format!("\n    optional: {from}\n"), &format!("\n    optional: {to}\n"));
        }
        let relation = if experimental { Relation::Master } else { Relation::Same };
        let sibling = Family { source: id.source, alpha: false, suffix: id.suffix.clone(), relation };
        let candidates = document
            .matrix()
            .filter(|(other, _)| other.family() == sibling)
            .filter(|(other, _)| experimental || !is_experimental(other, self.from));
        if let Some((_, text)) = nearest(candidates, id) {
            let other = Parts::of(text).tail;
            if let (Some(mine), Some(theirs)) = (resources(&tail), resources(other)) {
                tail.replace_range(mine.0..mine.1, other.get(theirs.0..theirs.1).unwrap_or_default());
            }
        }
        (head, tail)
    }

    /// A job outside the matrix: it may run on the latest stable version.
    fn fixed(&self, text: &str) -> String {
        let (from, to) = (&self.from.latest_stable_k8s_version, &self.to.latest_stable_k8s_version);
        let mentioned =
            text.contains(&format!("on Kubernetes {from}")) || text.contains(&format!("\"{from}.0\""));
        if from == to || !mentioned {
            return text.to_owned();
        }
        let parts = Parts::of(text);
        let pairs = [(from.as_str(), to.as_str())];
        let entries = env_entries(parts.env).into_iter().map(|(name, entry)| {
            self.entry_at_latest(&name, &entry).unwrap_or_else(|| replace_versions(&entry, &pairs))
        });
        let env: String = entries.collect();
        format!("{}{env}{}", replace_versions(parts.head, &pairs), replace_versions(parts.tail, &pairs))
    }

    /// An `env` entry of a job on the latest stable version, when the pull jobs show that it depends on that version.
    fn entry_at_latest(&self, name: &str, entry: &str) -> Option<String> {
        let job = |version: &str| JobId {
            source: Loop::Pull,
            alpha: false,
            suffix: String::new(),
            deployment: Some(version.to_owned()),
            kubernetes: Some(version.to_owned()),
        };
        let from = job(&self.from.latest_stable_k8s_version);
        let to = job(&self.to.latest_stable_k8s_version);
        self.documents.values().find_map(|document| follow(document, &from, entry, name, &to))
    }
}

/// Entries of `env` for a job, from the job of its family with the nearest Kubernetes version.
///
/// Where that version is not the wanted one, other families may know better: an entry that equals a sibling's at the known version
/// follows the sibling to the wanted version.
fn env_for(document: &Document, (pattern, text): &Sample, id: &JobId) -> String {
    let env = Parts::of(text).env;
    if pattern.kubernetes_number() == id.kubernetes_number() {
        return pattern.retarget(env, id);
    }
    let entries = env_entries(env).into_iter().map(|(name, entry)| {
        follow(document, pattern, &entry, &name, id).unwrap_or_else(|| pattern.retarget(&entry, id))
    });
    entries.collect()
}

/// The entry `name` at `id`'s version, from a family in which it reads as `entry` does at `pattern`'s version.
fn follow(document: &Document, pattern: &JobId, entry: &str, name: &str, id: &JobId) -> Option<String> {
    let related = || {
        document
            .matrix()
            .filter(|(other, _)| other.source == id.source && other.family().relation == id.family().relation)
    };
    let plain = canonical(pattern, entry);
    related().filter(|(other, _)| other.kubernetes_number() == pattern.kubernetes_number()).find_map(
        |(known, text)| {
            let seen = env_entry(Parts::of(text).env, name)?;
            if canonical(known, &seen) != plain {
                return None;
            }
            let (better, text) =
                nearest(related().filter(|(other, _)| other.family() == known.family()), id)?;
            if rank(better.kubernetes_number(), id.kubernetes_number())
                >= rank(pattern.kubernetes_number(), id.kubernetes_number())
            {
                return None;
            }
            Some(better.retarget(&env_entry(Parts::of(text).env, name)?, id))
        },
    )
}

/// A text with the job's own versions taken out, so that texts of two jobs can be compared.
fn canonical(id: &JobId, text: &str) -> String {
    let mut plain = id.clone();
    plain.kubernetes = plain.kubernetes.map(|_| "0.2".to_owned());
    let deployment = if id.family().relation == Relation::Same { "0.2" } else { "0.1" };
    plain.deployment = plain.deployment.map(|_| deployment.to_owned());
    id.retarget(text, &plain)
}

fn is_experimental(id: &JobId, variables: &Variables) -> bool {
    id.kubernetes.is_some() && id.kubernetes == variables.experimental_k8s_version
}

/// The job whose versions are nearest: equal, else the greatest lower, else the lowest higher.
fn nearest<'a>(samples: impl Iterator<Item = &'a Sample>, id: &JobId) -> Option<&'a Sample> {
    let deployment = |id: &JobId| id.deployment.as_deref().and_then(number);
    samples.min_by_key(|(other, _)| {
        (rank(other.kubernetes_number(), id.kubernetes_number()), rank(deployment(other), deployment(id)))
    })
}

fn rank(seen: Option<(u64, u64)>, wanted: Option<(u64, u64)>) -> (u8, u64) {
    let (Some(seen), Some(wanted)) = (seen, wanted) else { return (u8::from(seen != wanted) * 3, 0) };
    let position = |(major, minor): (u64, u64)| major.saturating_mul(10_000).saturating_add(minor);
    let distance = position(seen).abs_diff(position(wanted));
    match seen.cmp(&wanted) {
        std::cmp::Ordering::Equal => (0, 0),
        std::cmp::Ordering::Less => (1, distance),
        std::cmp::Ordering::Greater => (2, distance),
    }
}

/// The jobs one loop generates, in its order. Kinds of jobs (alpha, suffix, relation) are those the file has.
fn wanted_jobs(document: &Document, source: Loop, variables: &Variables) -> Vec<JobId> {
    let families: BTreeSet<Family> =
        document.matrix().map(|(id, _)| id.family()).filter(|family| family.source == source).collect();
    let mut suffixes: Vec<String> = Vec::new();
    for (id, _) in document.matrix().filter(|(id, _)| id.source == source) {
        if !suffixes.contains(&id.suffix) {
            suffixes.push(id.suffix.clone());
        }
    }
    let mut jobs = Vec::new();
    for suffix in &suffixes {
        for (alpha, deployment, kubernetes) in combinations(source, variables) {
            let id = JobId { source, alpha, suffix: suffix.clone(), deployment, kubernetes };
            if families.contains(&id.family()) && runs(&id, variables) {
                jobs.push(id);
            }
        }
    }
    jobs
}

/// Combinations of alpha, deployment and Kubernetes version in the generator's order; `None` stands for canary and for master.
fn combinations(source: Loop, variables: &Variables) -> Vec<(bool, Option<String>, Option<String>)> {
    let some = |list: &[String]| list.iter().cloned().map(Some).collect::<Vec<_>>();
    let with_master = |list: &[String]| some(list).into_iter().chain([None]).collect::<Vec<_>>();
    let mut combined = Vec::new();
    match source {
        Loop::Canary => {
            for kubernetes in with_master(&variables.k8s_versions) {
                combined.extend([false, true].map(|alpha| (alpha, None, kubernetes.clone())));
            }
        }
        Loop::Pull | Loop::Periodic => {
            // Pull jobs combine with the Kubernetes versions, periodic jobs with the heads of release branches.
            let pull = source == Loop::Pull;
            let versions = if pull { &variables.k8s_versions } else { &variables.deployment_versions };
            for alpha in [false, true] {
                for deployment in some(&variables.deployment_versions) {
                    for kubernetes in with_master(versions) {
                        combined.push((alpha, deployment.clone(), kubernetes));
                    }
                }
            }
        }
    }
    combined
}

/// Alpha jobs run on one version only.
fn runs(id: &JobId, variables: &Variables) -> bool {
    if !id.alpha {
        return true;
    }
    let latest = Some(&variables.latest_stable_k8s_version);
    match id.source {
        Loop::Pull => id.deployment.as_ref() == latest,
        Loop::Periodic => {
            id.kubernetes.is_none() || id.kubernetes == variables.latest_stable_k8s_minor_version
        }
        Loop::Canary => true,
    }
}

/// The variables a file was generated with, as far as it shows them.
pub(super) fn detect(document: &Document, fallback: &Variables) -> Variables {
    let sorted = |versions: Vec<&String>| {
        let mut versions: Vec<String> = versions.into_iter().cloned().collect();
        versions.sort_by_key(|version| number(version));
        versions.dedup();
        versions
    };
    let jobs = || document.matrix().map(|(id, _)| id);
    let pulls = || {
        document.matrix().filter(|(id, _)| id.family().relation == Relation::Same && id.source == Loop::Pull)
    };
    let experimental = pulls()
        .filter(|(id, text)| !id.alpha && id.suffix.is_empty() && text.contains("\n    optional: true\n"))
        .max_by_key(|(id, _)| id.kubernetes_number());
    let alpha = pulls().find(|(id, _)| id.alpha).and_then(|(id, _)| id.kubernetes.clone());
    Variables {
        k8s_versions: sorted(jobs().filter_map(|id| id.kubernetes.as_ref()).collect()),
        deployment_versions: sorted(jobs().filter_map(|id| id.deployment.as_ref()).collect()),
        experimental_k8s_version: experimental.and_then(|(id, _)| id.kubernetes.clone()),
        latest_stable_k8s_version: alpha.unwrap_or_else(|| fallback.latest_stable_k8s_version.clone()),
        ..fallback.clone()
    }
}

/// Exchanges the two values that do not depend on Kubernetes versions: the driver's tag and the image of the jobs.
pub(super) fn finish(text: &str, before: &Variables, after: &Variables) -> String {
    let mut result = String::with_capacity(text.len());
    let mut driver = false;
    for line in text.split_inclusive('\n') {
        let body = line.trim();
        let image = body.trim_start_matches("- ").strip_prefix("image: ");
        if driver
            && body.trim_start_matches("value:").trim().trim_matches('"') == before.hostpath_driver_version
        {
            result.push_str(&line.replace(&before.hostpath_driver_version, &after.hostpath_driver_version));
        } else if let Some((old, new)) = image.and_then(|old| Some((old, job_image(old, after)?))) {
            result.push_str(&line.replace(old, new));
        } else {
            result.push_str(line);
        }
        driver = body == "- name: CSI_PROW_DRIVER_VERSION";
    }
    result
}

/// The wanted image, if `seen` is another version of it. Its registry may move, its name does not.
fn job_image<'a>(seen: &str, after: &'a Variables) -> Option<&'a str> {
    let wanted = after.dind_image.as_deref()?;
    let name = |reference: &str| {
        let last = reference.rsplit('/').next().unwrap_or(reference);
        last.split([':', '@']).next().unwrap_or(last).to_owned()
    };
    (name(seen) == name(wanted)).then_some(wanted)
}
