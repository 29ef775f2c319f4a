//! Cloud Build: builds are submitted, listed and read; what they leave behind follows the world's rules.

use serde_json::{Map, Value, json};

use super::Received;
use super::git;
use super::people::{Task, plan, seconds};
use super::reply::{Call, Reply};
use super::rest::shape;
use super::service;
use super::settle;
use super::state::State;
use super::world::{BuildRule, Document};

/// Where the service lives.
pub(crate) const HOST: &str = "cloudbuild.googleapis.com";

/// Whose pushes a build's are.
const ROBOT: &str = "cloud-build";

/// A build.
#[derive(Debug, Clone)]
pub(crate) struct Build {
    pub(crate) id: String,
    /// As submitted.
    body: Value,
    rule: Option<usize>,
    status: &'static str,
    created: chrono::DateTime<chrono::Utc>,
    finished: Option<chrono::DateTime<chrono::Utc>>,
}

impl Build {
    /// Its tags.
    pub(crate) fn tags(&self) -> Vec<String> {
        texts(self.body.get("tags"))
    }
}

/// Answers for the service.
pub(crate) fn answer(state: &mut State, call: &Call) -> Reply {
    if !call.header("authorization").starts_with("Bearer ") {
        return error(401, "UNAUTHENTICATED", "Request is missing required authentication credential.");
    }
    let segments = call.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (call.method.as_str(), parts.as_slice()) {
        ("POST", ["v1", "projects", project, "locations", _, "builds"]) => create(state, call, project),
        ("GET", ["v1", "projects", _, "locations", _, "builds"]) => list(state, call),
        ("GET", ["v1", "projects", _, "locations", _, "builds", id]) => {
            match state.services.builds.iter().find(|build| build.id == *id) {
                Some(build) => Reply::json(200, &shown(build)),
                None => error(404, "NOT_FOUND", "Requested entity was not found."),
            }
        }
        _ => error(404, "NOT_FOUND", "Requested entity was not found."),
    }
}

fn error(code: u16, status: &str, message: &str) -> Reply {
    Reply::json(code, &json!({ "error": { "code": code, "message": message, "status": status } }))
}

fn create(state: &mut State, call: &Call, project: &str) -> Reply {
    let body = match call.json() {
        Ok(body) => body,
        Err(_) => return error(400, "INVALID_ARGUMENT", "Invalid JSON payload received."),
    };
    let steps = body.get("steps").and_then(Value::as_array);
    if steps.is_none_or(Vec::is_empty) {
        return error(400, "INVALID_ARGUMENT", "invalid build: build must contain at least one step");
    }
    state.received.push(Received {
        method: call.method.clone(),
        host: call.host.clone(),
        path: call.path.clone(),
        body: call.body.clone(),
    });
    let operation = submit(state, body, project);
    Reply::json(200, &operation)
}

/// A build that a program submits: its tags and substitutions, with the commits of a template in them.
pub(super) fn by_program(state: &mut State, build: &super::world::SubmittedBuild) {
    let fill = |text: &String| service::fill(state, text);
    let tags: Vec<String> = build.tags.iter().map(fill).collect();
    let substitutions: Map<String, Value> =
        build.substitutions.iter().map(|(name, value)| (name.clone(), json!(fill(value)))).collect();
    submit(state, json!({ "tags": tags, "substitutions": substitutions }), "");
}

/// Takes a build; the operation that its submitter is answered.
fn submit(state: &mut State, body: Value, project: &str) -> Value {
    let count = state.services.builds.len() + 1;
    let tags = texts(body.get("tags"));
    let rules = state.world.build_rules.iter();
    let rule = rules.enumerate().find(|(_, rule)| rule.tags.iter().all(|tag| tags.contains(tag)));
    let (rule, takes) = (rule.as_ref().map(|(at, _)| *at), rule.map_or(0, |(_, rule)| rule.after_seconds));
    let build = Build {
        id: format!("00000000-0000-4000-8000-{count:012}"),
        body,
        rule,
        status: "WORKING",
        created: state.now(),
        finished: None,
    };
    let operation = json!({
        "name": format!("operations/build/{project}/{}", build.id), "done": false,
        "metadata": {
            "@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata", "build": shown(&build),
        },
    });
    state.services.builds.push(build);
    let at = state.now() + seconds(takes);
    plan(state, at, Task::FinishBuild { build: count - 1 });
    operation
}

/// `tags="a" AND tags="b"`; other conditions let everything through. Newest first, in pages.
fn list(state: &State, call: &Call) -> Reply {
    let filter = call.param("filter").unwrap_or_default();
    let wanted: Vec<&str> =
        filter.split("tags=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let fits = |build: &&Build| {
        let tags = texts(build.body.get("tags"));
        wanted.iter().all(|wanted| tags.iter().any(|tag| tag == wanted))
    };
    let size = call.number("pageSize").and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
    let from = call.param("pageToken").and_then(|token| token.parse().ok()).unwrap_or(0usize);
    let found: Vec<Value> = state.services.builds.iter().rev().filter(fits).map(shown).collect();
    let size = size.unwrap_or(100);
    let page: Vec<&Value> = found.iter().skip(from).take(size).collect();
    let mut body = Map::new();
    if !page.is_empty() {
        body.insert("builds".into(), json!(page));
    }
    if from + size < found.len() {
        body.insert("nextPageToken".into(), json!((from + size).to_string()));
    }
    Reply::json(200, &Value::Object(body))
}

fn shown(build: &Build) -> Value {
    let mut value = build.body.clone();
    let start = shape::time(build.created);
    let log = format!("https://console.cloud.google.com/cloud-build/builds;region=us-central1/{}", build.id);
    let more = json!({ "id": build.id, "status": build.status, "createTime": start, "startTime": start, "logUrl": log });
    shape::merge(&mut value, more);
    if let Some(finished) = build.finished.map(shape::time) {
        let timing = json!({ "BUILD": { "startTime": start, "endTime": finished } });
        shape::merge(&mut value, json!({ "finishTime": finished, "timing": timing }));
    }
    value
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A build's time is over.
pub(crate) fn finish(state: &mut State, at: usize) {
    let now = state.now();
    let Some(build) = state.services.builds.get_mut(at) else { return };
    build.finished = Some(now);
    build.status = "SUCCESS";
    let Some(index) = build.rule else { return };
    let substitutions =
        build.body.get("substitutions").and_then(Value::as_object).cloned().unwrap_or_default();
    let Some(rule) = state.world.build_rules.get_mut(index) else { return };
    if rule.fails > 0 {
        rule.fails -= 1;
        build.status = "FAILURE";
        return;
    }
    let rule = filled(rule, &substitutions);
    for image in &rule.images {
        for tag in &rule.image_tags {
            state.registry.push(image, tag, &rule.platforms);
        }
    }
    // What a template names is as it is now, before the release moves it.
    let ready = |document: &Document| match document.template {
        true => Document { body: service::fill(state, &document.body), template: false, ..document.clone() },
        false => document.clone(),
    };
    let documents: Vec<Document> = rule.documents.iter().map(ready).collect();
    state.world.documents.extend(documents);
    if !rule.repository.is_empty() && tag(state, &rule).is_err() {
        // The real build fails when it cannot push, too.
        if let Some(build) = state.services.builds.get_mut(at) {
            build.status = "FAILURE";
        }
    }
}

/// A rule with the substitutions of a build in its texts.
fn filled(rule: &BuildRule, substitutions: &Map<String, Value>) -> BuildRule {
    let fill = |text: &str| {
        substitutions.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), value.as_str().unwrap_or_default())
        })
    };
    let all = |texts: &[String]| texts.iter().map(|text| fill(text)).collect();
    BuildRule {
        images: all(&rule.images),
        image_tags: all(&rule.image_tags),
        repository: fill(&rule.repository),
        branch: fill(&rule.branch),
        git_tags: all(&rule.git_tags),
        documents: rule
            .documents
            .iter()
            .map(|document| Document {
                // As addresses spell it.
                path: fill(&document.path).replace('+', "%2B"),
                body: fill(&document.body),
                ..document.clone()
            })
            .collect(),
        ..rule.clone()
    }
}

/// The commit and tags of a release.
fn tag(state: &mut State, rule: &BuildRule) -> Result<(), Reply> {
    let key = rule.repository.to_lowercase();
    let (default_branch, git) = {
        let repo = state.repo(&key)?;
        (repo.default_branch.clone(), repo.git()?)
    };
    let head = git::branch(&git, &rule.branch).or_else(|| git::branch(&git, &default_branch));
    let parent = git.find_commit(head.ok_or_else(Reply::not_found)?)?;
    let signature = git::signature("Anago GCB", "nobody@k8s.io", state.now())?;
    let name = rule.git_tags.first().map_or("", String::as_str);
    let message = format!("Release commit for Kubernetes {name}\n");
    let id = git.commit(None, &signature, &signature, &message, &parent.tree()?, &[&parent])?;
    let target = git.find_object(id, None)?;
    for tag in &rule.git_tags {
        git.tag(tag, &target, &signature, &format!("Kubernetes release {tag}\n"), false)?;
    }
    git.reference(&format!("refs/heads/{}", rule.branch), id, true, "release")?;
    settle::settle(state, &key, ROBOT)
}
