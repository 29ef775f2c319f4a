//! Robots around the repositories: image builds after tags and pushes, promotion after a manifest changed.

use super::people::{Task, plan, seconds};
use super::prow::Job;
use super::reply::glob;
use super::state::State;
use super::world::{ImageRule, Promotion, Trigger};

/// A line of a promotion manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Promoted {
    pub(crate) image: String,
    pub(crate) digest: String,
    pub(crate) tags: Vec<String>,
}

/// A branch or tag moved: builds and promotions that match get scheduled.
pub(crate) fn cause(state: &mut State, trigger: Trigger, key: &str, reference: &str, sha: &str) {
    let Some(repo) = state.repos.get(key) else { return };
    let (name, default_branch) = (repo.full_name(), repo.default_branch.clone());
    let now = state.now();
    let (mut tasks, mut promotions) = (Vec::new(), Vec::new());
    for (index, rule) in state.world.image_rules.iter().enumerate() {
        let pattern = if trigger == Trigger::TagCreated { &rule.tag } else { &rule.branch };
        if !pattern.is_empty() && glob(pattern, reference) && glob(&rule.repository, &name) && !rule.fails {
            let task = Task::Build { rule: index, reference: reference.to_owned(), sha: sha.to_owned() };
            tasks.push((now + seconds(rule.after_seconds), task));
        }
    }
    if trigger == Trigger::BranchPushed {
        for (index, rule) in state.world.promotions.iter().enumerate() {
            let branch = if rule.branch.is_empty() { &default_branch } else { &rule.branch };
            if branch == reference && glob(&rule.repository, &name) {
                let images = manifests(state, key, sha, rule);
                let job = Job {
                    name: rule.job.clone(),
                    repository: name.clone(),
                    sha: sha.to_owned(),
                    state: "pending",
                    started: now,
                };
                promotions.push((now + seconds(rule.after_seconds), index, images, job));
            }
        }
    }
    for (at, task) in tasks {
        plan(state, at, task);
    }
    for (at, rule, images, job) in promotions {
        let job = (!job.name.is_empty()).then(|| begin(state, job));
        plan(state, at, Task::Promote { rule, images, job });
    }
}

/// Every line of every manifest the promotion watches, at a commit.
fn manifests(state: &State, key: &str, sha: &str, rule: &Promotion) -> Vec<Promoted> {
    let read = || -> Result<Vec<Promoted>, git2::Error> {
        let Some(repo) = state.repos.get(key) else { return Ok(Vec::new()) };
        let git = repo.git()?;
        let tree = git.find_commit(git2::Oid::from_str(sha)?)?.tree()?;
        let mut found = Vec::new();
        tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
            let path = format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes()));
            if entry.kind() == Some(git2::ObjectType::Blob)
                && glob(&rule.path, &path)
                && let Ok(blob) = git.find_blob(entry.id())
            {
                found.extend(parse(&String::from_utf8_lossy(blob.content())));
            }
            git2::TreeWalkResult::Ok
        })?;
        Ok(found)
    };
    read().unwrap_or_default()
}

/// Reads `- name: IMAGE` / `dmap:` / `"sha256:…": [ "tag", … ]`.
pub(crate) fn parse(text: &str) -> Vec<Promoted> {
    let mut image = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("- name:") {
            image = name.trim().trim_matches(['"', '\'']).to_owned();
            continue;
        }
        let Some((digest, tags)) = line.split_once("\":").or_else(|| line.split_once("':")) else { continue };
        let digest = digest.trim_start_matches(['"', '\'']);
        if !digest.starts_with("sha256:") || image.is_empty() {
            continue;
        }
        let list = tags.split('#').next().unwrap_or("").trim().trim_start_matches('[').trim_end_matches(']');
        let tags = list
            .split(',')
            .map(|tag| tag.trim().trim_matches(['"', '\'']).to_owned())
            .filter(|tag| !tag.is_empty())
            .collect();
        found.push(Promoted { image: image.clone(), digest: digest.to_owned(), tags });
    }
    found
}

/// The images of a rule appear.
pub(crate) fn build(state: &mut State, rule: usize, reference: &str, sha: &str) {
    let Some(rule) = state.world.image_rules.get(rule).cloned() else { return };
    let platforms: Vec<String> = rule
        .platforms
        .iter()
        .filter(|platform| rule.missing_platform.as_ref() != Some(platform))
        .cloned()
        .collect();
    for image in rule.images.iter().filter(|image| rule.missing_image.as_ref() != Some(image)) {
        for tag in tags(&rule, reference, sha) {
            state.registry.push(image, &tag, &platforms);
        }
    }
}

fn tags(rule: &ImageRule, reference: &str, sha: &str) -> Vec<String> {
    let default = ["{ref}".to_owned()];
    let patterns = if rule.image_tags.is_empty() { default.as_slice() } else { &rule.image_tags };
    // An image tag cannot hold what follows the plus of a version; builds write a dash.
    let reference = reference.replace('+', "-");
    patterns.iter().map(|tag| tag.replace("{ref}", &reference).replace("{sha}", sha)).collect()
}

fn begin(state: &mut State, job: Job) -> usize {
    state.services.jobs.push(job);
    state.services.jobs.len() - 1
}

/// Somebody starts a failed job again.
pub(crate) fn rerun(state: &mut State, rule: usize, images: Vec<Promoted>, failed: usize) {
    let Some(again) = state.services.jobs.get(failed).cloned() else { return };
    let takes = state.world.promotions.get(rule).map_or(0, |rule| rule.after_seconds);
    let now = state.now();
    let job = begin(state, Job { state: "pending", started: now, ..again });
    plan(state, now + seconds(takes), Task::Promote { rule, images, job: Some(job) });
}

/// The digests of manifest lines are copied where they are known, unless the job fails.
pub(crate) fn promote(state: &mut State, index: usize, images: Vec<Promoted>, job: Option<usize>) {
    let now = state.now();
    let Some(rule) = state.world.promotions.get_mut(index) else { return };
    let listed = job.and_then(|job| Some((job, state.services.jobs.get_mut(job)?)));
    if let Some((job, listed)) = listed {
        if rule.fails > 0 {
            rule.fails -= 1;
            listed.state = "failure";
            let at = now + seconds(rule.rerun_after_seconds);
            plan(state, at, Task::Rerun { rule: index, images, job });
            return;
        }
        listed.state = "success";
    }
    let rule = rule.clone();
    for line in images.iter().filter(|line| !rule.missing.contains(&line.image)) {
        let (from, to) = (format!("{}/{}", rule.from, line.image), format!("{}/{}", rule.to, line.image));
        state.registry.copy(&from, &to, &line.digest, &line.tags);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_read_line_by_line() {
        let text = "# comment\n- name: a\n  dmap:\n    \"sha256:11\": [ \"v1\" ]\n    \"sha256:22\": [\"v2\", \"latest\"]\n\
                    - name: empty\n  dmap: {}\n- name: b\n  dmap:\n    \"sha256:33\": []\n";
        let line = |image: &str, digest: &str, tags: &[&str]| Promoted {
            image: image.into(),
            digest: digest.into(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        };
        let expected = [
            line("a", "sha256:11", &["v1"]),
            line("a", "sha256:22", &["v2", "latest"]),
            line("b", "sha256:33", &[]),
        ];
        assert_eq!(parse(text), expected);
    }
}
