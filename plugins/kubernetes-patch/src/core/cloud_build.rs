//! Builds of Kubernetes in Google Cloud Build: the request that `krel` would submit, and what the service answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::version::{self, Kind};

/// What a build does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Builds and stages.
    Stage,
    /// Publishes what was staged.
    Release,
}

impl Phase {
    /// The build's tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Stage => "STAGE",
            Self::Release => "RELEASE",
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Release => "release",
        }
    }
}

/// Where builds run, and with which tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Workshop {
    /// Project of the builds.
    pub project: String,
    /// Region and pool of workers.
    pub region: String,
    /// Private pool of workers.
    pub pool: String,
    /// Ref of kubernetes/release that the build uses.
    pub tool_ref: String,
    /// Its version, as `krel version` says.
    pub tool_version: String,
    /// Mail address of who submits.
    pub user: String,
}

impl Default for Workshop {
    fn default() -> Self {
        Self {
            project: "k8s-release".to_owned(),
            region: "us-central1".to_owned(),
            pool: "c3-highcpu-44".to_owned(),
            tool_ref: "master".to_owned(),
            tool_version: "castoff".to_owned(),
            user: String::new(),
        }
    }
}

/// A build to submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order<'a> {
    /// Stage or release.
    pub phase: Phase,
    /// Whether it makes what users get.
    pub nomock: bool,
    /// Type of the cut.
    pub kind: Kind,
    /// Branch.
    pub branch: &'a str,
    /// Build version, chosen once for all builds of the cut.
    pub build_version: &'a str,
    /// The version that names the release.
    pub prime: &'a str,
    /// Version of the cross build image.
    pub kube_cross: &'a str,
    /// A tag that no other build has.
    pub marker: &'a str,
}

/// Bucket behind dl.k8s.dev, where mock releases go (kubernetes/k8s.io, infra/gcp/terraform and infra/fastly/terraform).
const TEST_BUCKET: &str = "5d7373bbdcb8270361b96548387bf2a9ad0d48758c35";
/// Bucket behind dl.k8s.io (the same places).
pub const PRODUCTION_BUCKET: &str = "767373bbdcb8270361b96548387bf2a9ad0d48758c35";

/// Characters that tags may have, and no more than these.
fn tag(text: &str) -> String {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
    let safe: String = text.chars().map(|char| if fits(char) { char } else { '-' }).take(127).collect();
    safe.trim_start_matches(['-', '.']).to_owned()
}

/// `jane.doe@example.org` as a tag.
fn user_tag(address: &str) -> String {
    tag(&address.replace('@', "-at-").replace('.', "-").to_lowercase())
}

/// A marker: unlike any other build's tag.
#[must_use]
pub fn marker(run: &str, step: &str, attempt: usize) -> String {
    tag(&format!("castoff-{run}-{step}-{attempt}"))
}

impl Workshop {
    /// The tag of builds that this user submitted.
    #[must_use]
    pub fn user_tag(&self) -> String {
        user_tag(&self.user)
    }
}

impl Order<'_> {
    /// Arguments with which `krel` submits the same build.
    #[must_use]
    pub fn krel(&self) -> Vec<String> {
        let mut arguments = vec![self.phase.command().to_owned()];
        arguments.push(format!("--type={}", self.kind));
        arguments.push(format!("--branch={}", self.branch));
        // A stage chooses its build version itself.
        arguments.extend(
            (self.phase == Phase::Release).then(|| format!("--build-version={}", self.build_version)),
        );
        arguments.extend(self.nomock.then(|| "--nomock".to_owned()));
        arguments
    }

    /// Whether a build does what is ordered, whoever submitted it.
    #[must_use]
    pub fn is_same(&self, build: &Build) -> bool {
        let nomock = !build.substitution("_NOMOCK").is_empty();
        build.tags.iter().any(|tag| tag == self.phase.tag()) && nomock == self.nomock
    }

    /// The substitutions of the build.
    #[must_use]
    pub fn substitutions(&self, shop: &Workshop) -> Map<String, Value> {
        let version = version::parse(self.prime);
        let part = |part: fn(&semver::Version) -> u64| {
            version.as_ref().map(|v| part(v).to_string()).unwrap_or_default()
        };
        let mut pairs = vec![
            ("_TOOL_ORG", "kubernetes".to_owned()),
            ("_TOOL_REPO", "release".to_owned()),
            ("_TOOL_REF", shop.tool_ref.clone()),
            ("_FORCE_BUILD_KREL", String::new()),
            ("_K8S_ORG", "kubernetes".to_owned()),
            ("_K8S_REPO", "kubernetes".to_owned()),
            ("_K8S_REF", "master".to_owned()),
            ("_GCP_USER_TAG", user_tag(&shop.user)),
            ("_TYPE", self.kind.to_string()),
            ("_TYPE_TAG", self.kind.to_string()),
            ("_RELEASE_BRANCH", self.branch.to_owned()),
            ("_KUBE_CROSS_VERSION", self.kube_cross.to_owned()),
            ("_BUILDVERSION", self.build_version.to_owned()),
            ("_MAJOR_VERSION_TAG", part(|v| v.major)),
            ("_MINOR_VERSION_TAG", part(|v| v.minor)),
            ("_PATCH_VERSION_TAG", part(|v| v.patch)),
            ("_KUBERNETES_VERSION_TAG", self.prime.trim_start_matches('v').to_owned()),
            ("_LOG_LEVEL", "info".to_owned()),
            ("_GIT_TAG", shop.tool_version.clone()),
        ];
        if self.nomock {
            pairs.extend([("_NOMOCK_TAG", "nomock".to_owned()), ("_NOMOCK", "--nomock".to_owned())]);
        }
        if self.phase == Phase::Release {
            let bucket = if self.nomock { PRODUCTION_BUCKET } else { TEST_BUCKET };
            let (build, prime) = (self.build_version, self.prime);
            pairs.push((
                "_KUBERNETES_GCS_BUCKET",
                format!("gs://{bucket}/stage/{build}/{prime}/gcs-stage/{prime}"),
            ));
            let service = if self.nomock { "dl.k8s.io" } else { "dl.k8s.dev" };
            pairs.push(("_FASTLY_SERVICE_NAME", service.to_owned()));
        }
        pairs.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
    }

    /// Tags of the build: the index by which people and tools find it.
    #[must_use]
    pub fn tags(&self, shop: &Workshop) -> Vec<String> {
        let prime = self.prime.trim_start_matches('v');
        let mut numbers = prime.split(['.', '-']);
        let mut number = || numbers.next().unwrap_or_default().to_owned();
        let mock = if self.nomock { "nomock" } else { "" };
        let all = [
            user_tag(&shop.user),
            self.branch.to_owned(),
            mock.to_owned(),
            self.phase.tag().to_owned(),
            shop.tool_version.clone(),
            self.kind.to_string(),
            number(),
            number(),
            number(),
            prime.to_owned(),
            self.marker.to_owned(),
        ];
        all.iter().map(|text| tag(text)).filter(|tag| !tag.is_empty()).collect()
    }

    /// The body of the request.
    #[must_use]
    pub fn body(&self, shop: &Workshop) -> Value {
        let secrets = [
            ("github-token", "GITHUB_TOKEN"),
            ("dockerhub-token", "DOCKERHUB_TOKEN"),
            ("obs-password", "OBS_PASSWORD"),
            ("fastly-purge-token", "FASTLY_API_TOKEN"),
        ];
        let versions: Vec<Value> = secrets
            .iter()
            .map(|(name, env)| {
                let version = format!("projects/{}/secrets/{name}/versions/latest", shop.project);
                json!({ "versionName": version, "env": env })
            })
            .collect();
        let project = &shop.project;
        json!({
            "timeout": "14400s",
            "availableSecrets": { "secretManager": versions },
            "steps": self.steps(),
            "tags": self.tags(shop),
            "options": {
                "substitutionOption": "ALLOW_LOOSE",
                "pool": {
                    "name": format!("projects/{project}/locations/{}/workerPools/{}", shop.region, shop.pool),
                },
            },
            "substitutions": self.substitutions(shop),
        })
    }

    fn steps(&self) -> Vec<Value> {
        let git = |dir: &str, args: &[&str]| json!({ "name": "gcr.io/cloud-builders/git", "dir": dir, "args": args });
        let image = "gcr.io/k8s-staging-releng/k8s-cloud-builder:${_KUBE_CROSS_VERSION}";
        let tool = "go/src/k8s.io/release";
        let env = ["TOOL_ORG", "TOOL_REPO", "TOOL_REF", "K8S_ORG", "K8S_REPO", "K8S_REF"]
            .map(|name| format!("{name}=${{_{name}}}"));
        let run = |args: &[&str], secrets: &[&str]| {
            json!({
                "name": image, "dir": tool, "env": env, "args": args, "secretEnv": secrets,
            })
        };
        let command = self.phase.command();
        let flags = [
            "--log-level=${_LOG_LEVEL}",
            "--type=${_TYPE}",
            "--branch=${_RELEASE_BRANCH}",
            "--build-version=${_BUILDVERSION}",
        ];
        let mut krel = vec!["bin/krel", command, "--submit=false"];
        let mut obs = vec!["bin/krel", "obs", command, "--submit=false"];
        for args in [&mut krel, &mut obs] {
            args.extend(self.nomock.then_some("--nomock"));
            args.extend(flags);
        }
        let mut steps = vec![
            git("go/src/k8s.io", &["clone", "https://github.com/${_TOOL_ORG}/${_TOOL_REPO}"]),
            git(tool, &["checkout", "${_TOOL_REF}"]),
            run(&["./hack/get-krel"], &[]),
        ];
        if self.phase == Phase::Release {
            steps.push(run(
                &["bin/krel", "sign", "blobs", "--log-level=${_LOG_LEVEL}", "${_KUBERNETES_GCS_BUCKET}"],
                &[],
            ));
        }
        steps.push(run(&krel, &["GITHUB_TOKEN", "DOCKERHUB_TOKEN", "FASTLY_API_TOKEN"]));
        steps.push(run(&obs, &["OBS_PASSWORD"]));
        steps
    }
}

/// A build as the service tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Build {
    /// Its id.
    pub id: String,
    /// `QUEUED`, `WORKING`, `SUCCESS`, `FAILURE`, …
    pub status: String,
    /// Page of its log.
    pub log_url: String,
    /// When it began.
    pub start_time: String,
    /// When it ended.
    pub finish_time: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its substitutions.
    pub substitutions: std::collections::BTreeMap<String, String>,
}

impl Build {
    /// Whether nothing more will become of it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !matches!(self.status.as_str(), "" | "STATUS_UNKNOWN" | "PENDING" | "QUEUED" | "WORKING")
    }

    /// Whether it did what it should.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status == "SUCCESS"
    }

    /// A substitution; empty when there is none.
    #[must_use]
    pub fn substitution(&self, name: &str) -> &str {
        self.substitutions.get(name).map_or("", String::as_str)
    }

    /// Why a release must not be made of this stage; none when all fits.
    #[must_use]
    pub fn unfit_stage(&self, order: &Order<'_>) -> Option<String> {
        if !self.succeeded() {
            return Some(format!("its stage {} is {}, not SUCCESS", self.id, self.status));
        }
        let mock = if order.nomock { "nomock" } else { "" };
        let kind = order.kind.to_string();
        let wanted = [
            ("_BUILDVERSION", order.build_version),
            ("_TYPE", kind.as_str()),
            ("_RELEASE_BRANCH", order.branch),
            ("_NOMOCK_TAG", mock),
        ];
        let differs = wanted.into_iter().find(|(name, wanted)| self.substitution(name) != *wanted);
        let stage = !self.tags.iter().any(|tag| tag == Phase::Stage.tag());
        let other = differs.map(|(name, wanted)| {
            format!("its stage {} has {name} {:?}, expected {wanted:?}", self.id, self.substitution(name))
        });
        other.or_else(|| stage.then(|| format!("{} is no stage", self.id)))
    }
}

/// The build with a marker in an answer: to its submission, or to a question for builds.
#[must_use]
pub fn marked(answer: &[u8], marker: &str) -> Option<Build> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    let submitted = value.pointer("/metadata/build").cloned();
    let listed = value.get("builds").and_then(Value::as_array).cloned().unwrap_or_default();
    let builds =
        submitted.into_iter().chain(listed).filter_map(|build| serde_json::from_value::<Build>(build).ok());
    builds.into_iter().find(|build| build.tags.iter().any(|tag| tag == marker))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn order(phase: Phase, nomock: bool) -> Order<'static> {
        Order {
            phase,
            nomock,
            kind: Kind::Official,
            branch: "release-1.35",
            build_version: "v1.35.0-47+1c8457462e868c",
            prime: "v1.35.1",
            kube_cross: "v1.35.0-go1.25.5-bullseye.0",
            marker: "castoff-r-s-1",
        }
    }

    fn shop() -> Workshop {
        Workshop { user: "Jane.Doe@example.org".to_owned(), ..Workshop::default() }
    }

    #[test]
    fn every_build_of_a_cut_gets_the_same_build_version() {
        let table = [
            (Phase::Stage, false, 19),
            (Phase::Stage, true, 21),
            (Phase::Release, false, 21),
            (Phase::Release, true, 23),
        ];
        for (phase, nomock, count) in table {
            let body = order(phase, nomock).body(&shop());
            let substitutions = body["substitutions"].as_object().unwrap();
            assert_eq!(substitutions.len(), count, "{phase:?} {nomock}");
            assert_eq!(substitutions["_BUILDVERSION"], "v1.35.0-47+1c8457462e868c");
            assert_eq!(substitutions["_KUBERNETES_VERSION_TAG"], "1.35.1");
            assert_eq!(substitutions["_GCP_USER_TAG"], "jane-doe-at-example-org");
            let tags: Vec<&str> = body["tags"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!(tags.contains(&"nomock"), nomock);
            for tag in ["release-1.35", phase.tag(), "official", "1", "35", "1.35.1", "castoff-r-s-1"] {
                assert!(tags.contains(&tag), "{tag}");
            }
            assert!(tags.iter().all(|tag| !tag.is_empty() && tag.len() < 128));
            let text = body.to_string();
            assert!(!text.contains("\"--nomock\"],"));
            assert!(text.contains("workerPools/c3-highcpu-44") && text.contains("ALLOW_LOOSE"));
        }
        let release = order(Phase::Release, true).substitutions(&shop());
        let bucket = release["_KUBERNETES_GCS_BUCKET"].as_str().unwrap();
        assert!(bucket.starts_with("gs://767373bb"), "{bucket}");
        assert!(bucket.ends_with("/stage/v1.35.0-47+1c8457462e868c/v1.35.1/gcs-stage/v1.35.1"), "{bucket}");
    }

    #[test]
    fn a_release_is_bound_to_its_stage() {
        let order = order(Phase::Release, true);
        let body = Order { phase: Phase::Stage, ..order.clone() }.body(&shop());
        let stage: Build = serde_json::from_value(body).unwrap();
        let good = Build { id: "b".to_owned(), status: "SUCCESS".to_owned(), ..stage };
        assert_eq!(good.unfit_stage(&order), None);
        let with = |name: &str, value: &str| {
            let mut other = good.clone();
            other.substitutions.insert(name.to_owned(), value.to_owned());
            other
        };
        let table = [
            (Build { status: "FAILURE".to_owned(), ..good.clone() }, "not SUCCESS"),
            (with("_BUILDVERSION", "v1.35.0-46+aaaaaaaaaaaaaa"), "_BUILDVERSION"),
            (with("_TYPE", "rc"), "_TYPE"),
            (with("_RELEASE_BRANCH", "release-1.34"), "_RELEASE_BRANCH"),
            (with("_NOMOCK_TAG", ""), "_NOMOCK_TAG"),
            (Build { tags: Vec::new(), ..good.clone() }, "no stage"),
        ];
        for (build, why) in table {
            let said = build.unfit_stage(&order).unwrap();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn krel_gets_the_build_version_where_it_takes_one() {
        let table = [
            (Phase::Stage, false, "stage --type=official --branch=release-1.35"),
            (
                Phase::Release,
                true,
                "release --type=official --branch=release-1.35 --build-version=v1.35.0-47+1c8457462e868c --nomock",
            ),
        ];
        for (phase, nomock, line) in table {
            assert_eq!(order(phase, nomock).krel().join(" "), line);
        }
    }

    #[test]
    fn builds_are_found_by_their_marker() {
        let operation = br#"{"name": "o", "metadata": {"build": {"id": "a", "tags": ["m1"]}}}"#;
        let list =
            br#"{"builds": [{"id": "b", "tags": ["m2"]}, {"id": "c", "status": "SUCCESS", "tags": ["m1"]}]}"#;
        assert_eq!(marked(operation, "m1").unwrap().id, "a");
        assert_eq!(marked(list, "m1").unwrap().id, "c");
        assert!(marked(list, "m3").is_none() && marked(b"", "m1").is_none());
        assert_eq!(marker("a b/c", "stage", 2), "castoff-a-b-c-stage-2");
    }
}
