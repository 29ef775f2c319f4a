//! Names of jobs, versions inside their texts, and the parts of a job that depend on different things.

use std::collections::BTreeMap;

/// Which loop of the generator a job comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Loop {
    /// Pull jobs of one repository.
    Pull,
    /// Periodic jobs of deployments.
    Periodic,
    /// Periodic jobs of sidecars built from master.
    Canary,
}

/// How a job's Kubernetes version relates to its deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Relation {
    Same,
    NewerKubernetes,
    OlderKubernetes,
    Master,
    /// No deployment version.
    Release,
}

/// A job of the version matrix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct JobId {
    pub(super) source: Loop,
    pub(super) alpha: bool,
    /// `-test` or nothing.
    pub(super) suffix: String,
    /// None for canary jobs.
    pub(super) deployment: Option<String>,
    /// None for master.
    pub(super) kubernetes: Option<String>,
}

/// Jobs that share one text but for versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Family {
    pub(super) source: Loop,
    pub(super) alpha: bool,
    pub(super) suffix: String,
    pub(super) relation: Relation,
}

/// `1.30` as numbers.
pub(super) fn number(version: &str) -> Option<(u64, u64)> {
    let (major, minor) = version.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits(major) && digits(minor) { Some((major.parse().ok()?, minor.parse().ok()?)) } else { None }
}

impl JobId {
    /// Reads `pull-kubernetes-csi-<repo>[-alpha]-1-30[-test]-on-kubernetes-1-30` and `ci-kubernetes-csi[-alpha]-…`.
    pub(super) fn parse(name: &str, repository: Option<&str>) -> Option<Self> {
        let (pull, rest) = match name.strip_prefix("ci-kubernetes-csi-") {
            Some(rest) => (false, rest),
            None => (
                true,
                name.strip_prefix("pull-kubernetes-csi-")?.strip_prefix(repository?)?.strip_prefix('-')?,
            ),
        };
        let (alpha, rest) = rest.strip_prefix("alpha-").map_or((false, rest), |rest| (true, rest));
        let (place, kubernetes) = rest.split_once("-on-kubernetes-")?;
        let kubernetes = if kubernetes == "master" { None } else { Some(dotted(kubernetes)?) };
        if let Some(suffix) = place.strip_prefix("canary").filter(|_| !pull) {
            return Some(Self {
                source: Loop::Canary,
                alpha,
                suffix: suffix.to_owned(),
                deployment: None,
                kubernetes,
            });
        }
        let second_hyphen = place.match_indices('-').map(|(at, _)| at).nth(1).unwrap_or(place.len());
        let (version, suffix) = place.split_at(second_hyphen);
        let source = if pull { Loop::Pull } else { Loop::Periodic };
        let deployment = Some(dotted(version)?);
        Some(Self { source, alpha, suffix: suffix.to_owned(), deployment, kubernetes })
    }

    pub(super) fn family(&self) -> Family {
        let relation = match (&self.deployment, &self.kubernetes) {
            (_, None) => Relation::Master,
            (None, Some(_)) => Relation::Release,
            (Some(deployment), Some(kubernetes)) => match number(kubernetes).cmp(&number(deployment)) {
                std::cmp::Ordering::Equal => Relation::Same,
                std::cmp::Ordering::Greater => Relation::NewerKubernetes,
                std::cmp::Ordering::Less => Relation::OlderKubernetes,
            },
        };
        Family { source: self.source, alpha: self.alpha, suffix: self.suffix.clone(), relation }
    }

    /// The version by which `env` entries are chosen; master jobs have none.
    pub(super) fn kubernetes_number(&self) -> Option<(u64, u64)> {
        self.kubernetes.as_deref().and_then(number)
    }

    /// A text of this job turned into the text of `other`, a job of the same family.
    pub(super) fn retarget(&self, text: &str, other: &Self) -> String {
        let pairs = [(&self.deployment, &other.deployment), (&self.kubernetes, &other.kubernetes)];
        let known = pairs.into_iter().filter_map(|(from, to)| Some((from.as_deref()?, to.as_deref()?)));
        replace_versions(text, &known.collect::<Vec<_>>())
    }

    /// Name for messages.
    pub(super) fn describe(&self) -> String {
        let dashed = |version: &str| version.replace('.', "-");
        let place = self.deployment.as_deref().map_or("canary".to_owned(), dashed);
        let alpha = if self.alpha { "alpha-" } else { "" };
        let kubernetes = self.kubernetes.as_deref().map_or("master".to_owned(), dashed);
        format!("{alpha}{place}{}-on-kubernetes-{kubernetes}", self.suffix)
    }
}

fn dotted(text: &str) -> Option<String> {
    let version = text.replacen('-', ".", 1);
    number(&version).map(|_| version)
}

/// Replaces versions in one pass, so that 1.27 → 1.29 and 1.29 → 1.31 do not chain. Both `1.27` and `1-27` are replaced, but not as
/// a part of a longer number or of a tag such as `v1.27.0`.
pub(super) fn replace_versions(text: &str, pairs: &[(&str, &str)]) -> String {
    let forms: Vec<(String, String)> = pairs
        .iter()
        .flat_map(|(from, to)| {
            [((*from).to_owned(), (*to).to_owned()), (from.replace('.', "-"), to.replace('.', "-"))]
        })
        .collect();
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    let mut previous: Option<char> = None;
    while let Some(character) = rest.chars().next() {
        let free = !previous.is_some_and(|c| c.is_ascii_alphanumeric() || c == '.');
        let hit = forms.iter().filter(|_| free).find(|(from, _)| {
            rest.strip_prefix(from.as_str())
                .is_some_and(|tail| !tail.starts_with(|c: char| c.is_ascii_alphanumeric()))
        });
        let length = match hit {
            Some((from, to)) => {
                result.push_str(to);
                from.len()
            }
            None => {
                result.push(character);
                character.len_utf8()
            }
        };
        previous = rest.get(..length).and_then(|part| part.chars().last());
        rest = rest.get(length..).unwrap_or_default();
    }
    result
}

/// A job's text in the three parts that depend on different things: lines before `env`, the entries of `env`, lines after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub(super) head: &'a str,
    pub(super) env: &'a str,
    pub(super) tail: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let mut start = None;
        let mut end = 0;
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            let body = line.trim();
            offset += line.len();
            if start.is_none() {
                if body == "env:" {
                    (start, end) = (Some(offset), offset);
                }
                continue;
            }
            if body.starts_with("value:") || body.starts_with("- name:") {
                end = offset;
            } else if !(body.is_empty() || body.starts_with('#')) {
                break;
            }
        }
        let start = start.unwrap_or(text.len());
        let end = end.max(start);
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        Self { head: part(0, start), env: part(start, end), tail: part(end, text.len()) }
    }
}

/// Entries of `env`: name → the entry's text with comments above it, in order.
pub(super) fn env_entries(env: &str) -> Vec<(String, String)> {
    let mut entries: Vec<(String, String)> = Vec::new();
    let mut pending = String::new();
    for line in env.split_inclusive('\n') {
        pending.push_str(line);
        let body = line.trim();
        if let Some(name) = body.strip_prefix("- name:") {
            entries.push((name.trim().to_owned(), std::mem::take(&mut pending)));
        } else if body.starts_with("value:")
            && let Some((_, text)) = entries.last_mut()
        {
            text.push_str(&std::mem::take(&mut pending));
        }
    }
    if let Some((_, text)) = entries.last_mut() {
        text.push_str(&pending);
    }
    entries
}

/// Looks up one entry.
pub(super) fn env_entry(env: &str, name: &str) -> Option<String> {
    env_entries(env).into_iter().collect::<BTreeMap<_, _>>().remove(name)
}

/// The lines of the last `resources:` in `text`, with all that is indented below it.
pub(super) fn resources(text: &str) -> Option<(usize, usize)> {
    let mut offset = 0;
    let mut found: Option<(usize, usize, usize)> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        match &mut found {
            _ if line.trim() == "resources:" => found = Some((offset, offset + line.len(), indent)),
            Some((_, end, level)) if *end == offset && indent > *level => *end += line.len(),
            _ => {}
        }
        offset += line.len();
    }
    found.map(|(start, end, _)| (start, end))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_names() {
        let cases = [
            ("pull-kubernetes-csi-one-two-1-30-on-kubernetes-1-30", Some("1-30-on-kubernetes-1-30")),
            (
                "pull-kubernetes-csi-one-two-alpha-1-30-test-on-kubernetes-master",
                Some("alpha-1-30-test-on-kubernetes-master"),
            ),
            ("pull-kubernetes-csi-one-two-unit", None),
            ("pull-kubernetes-csi-other-1-30-on-kubernetes-1-30", None),
            ("ci-kubernetes-csi-1-29-on-kubernetes-1-30", Some("1-29-on-kubernetes-1-30")),
            (
                "ci-kubernetes-csi-alpha-canary-test-on-kubernetes-master",
                Some("alpha-canary-test-on-kubernetes-master"),
            ),
            ("ci-kubernetes-csi-1-29", None),
        ];
        for (name, expected) in cases {
            let seen = JobId::parse(name, Some("one-two")).map(|id| id.describe());
            assert_eq!(seen.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn replaces_versions_once_and_only_whole() {
        let pairs = [("1.27", "1.29"), ("1.29", "1.31")];
        let cases = [
            ("1.27 1.29 1-27-on-1-29", "1.29 1.31 1-29-on-1-31"),
            ("\"1.27.0\" release-1.27 kubernetes-1.27", "\"1.29.0\" release-1.29 kubernetes-1.29"),
            ("v1.27.0 11.27 1.270 1.27x 0.1.27", "v1.27.0 11.27 1.270 1.27x 0.1.27"),
        ];
        for (text, expected) in cases {
            assert_eq!(replace_versions(text, &pairs), expected);
        }
    }

    #[test]
    fn splits_a_job_into_its_parts() {
        let text = "  - name: j\n    optional: true\n        env:\n        # why\n        - name: A\n          value: \"1\"\n        - name: B\n          value: x\n        # privileged\n        securityContext:\n          privileged: true\n      resources:\n        requests:\n          # much\n          cpu: 1\n";
        let parts = Parts::of(text);
        assert_eq!(format!("{}{}{}", parts.head, parts.env, parts.tail), text);
        let names: Vec<String> = env_entries(parts.env).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["A", "B"]);
        assert!(env_entry(parts.env, "A").unwrap().starts_with("        # why\n"));
        assert!(parts.tail.starts_with("        # privileged\n"));
        let (start, end) = resources(parts.tail).unwrap();
        assert_eq!(
            &parts.tail[start..end],
            "      resources:\n        requests:\n          # much\n          cpu: 1\n"
        );
        assert_eq!(Parts::of("no entries\n").head, "no entries\n");
    }

    proptest! {
        #[test]
        fn parts_always_add_up(text in "([ ]{0,4}(env:|- name: A|value: 1|# c|x: y|)\n){0,12}") {
            let parts = Parts::of(&text);
            prop_assert_eq!(format!("{}{}{}", parts.head, parts.env, parts.tail), text.clone());
            let joined: String = env_entries(parts.env).into_iter().map(|(_, text)| text).collect();
            if parts.env.trim_start().starts_with("- name") {
                prop_assert_eq!(joined.len(), parts.env.len());
            }
        }
    }
}
