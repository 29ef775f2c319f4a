//! The lock of the branch by the forge's own means, where that is told and granted: a ruleset of its own that lets nobody but
//! administrators update the branch. Whatever protection there was stays as it is, and taking the lock off cannot lose it. P12, P19.

use castoff_sdk::Error;
use castoff_sdk::http::{self, Header, HeaderValue, Probe, Request};
use castoff_sdk::step::words;
use serde::Deserialize;
use serde_json::{Value, json};

use super::checkout::warn;
use super::input::Inputs;

/// Name of the secret: a token that may administer the repository.
const SECRET: &str = "github-admin-token";
/// The role "repository administrator" in rulesets.
const ADMINISTRATOR: u64 = 5;

#[derive(Debug, Deserialize)]
struct Ruleset {
    id: u64,
    name: String,
    enforcement: String,
}

/// All pre-releases of a release share one lock.
fn name(inputs: &Inputs) -> String {
    let version = inputs.release_version().map(|version| version.release().to_string());
    format!("castoff freeze {}", version.unwrap_or_else(|_| inputs.version.clone()))
}

fn lifted(name: &str) -> String {
    format!("{name} (lifted)")
}

/// The ruleset that locks a branch.
fn ruleset(name: &str, branch: &str) -> Value {
    json!({
        "name": name,
        "target": "branch",
        "enforcement": "active",
        "conditions": { "ref_name": { "include": [format!("refs/heads/{branch}")], "exclude": [] } },
        "rules": [{ "type": "update" }],
        "bypass_actors": [
            { "actor_id": ADMINISTRATOR, "actor_type": "RepositoryRole", "bypass_mode": "always" },
        ],
    })
}

/// The own ruleset in a list of them, while it is in force.
fn own(list: &[u8], name: &str) -> Option<u64> {
    let rulesets: Vec<Ruleset> = serde_json::from_slice(list).ok()?;
    let found = rulesets.into_iter().find(|known| known.name == name && known.enforcement == "active");
    found.map(|known| known.id)
}

fn request(method: &str, url: String, body: Option<&Value>) -> Request {
    let header = |name: &str, value: HeaderValue| Header { name: name.to_owned(), value };
    let bearer = HeaderValue::Secret(("Bearer ".to_owned(), SECRET.to_owned(), String::new()));
    let mut headers = vec![header("authorization", bearer)];
    headers.push(header("accept", HeaderValue::Text("application/vnd.github+json".to_owned())));
    Request { method: method.to_owned(), url, headers, body: body.map(|body| body.to_string().into_bytes()) }
}

fn place(inputs: &Inputs) -> String {
    format!("{}/repos/{}/rulesets", inputs.github_api.trim_end_matches('/'), inputs.repository)
}

fn listed(inputs: &Inputs) -> Request {
    request("GET", format!("{}?per_page=100", place(inputs)), None)
}

fn held(inputs: &Inputs) -> Result<Option<u64>, Error> {
    let answer = http::fetch(&listed(inputs))?;
    match answer.status {
        200 => Ok(own(&answer.body, &name(inputs))),
        status => Err(Error::Unavailable(format!("{} answers {status}", place(inputs)))),
    }
}

/// Locks the branch. Not, where that is not told or not granted: a person is asked then.
pub(crate) fn lock(inputs: &Inputs, branch: &str) -> Result<bool, Error> {
    granted(inputs, || {
        if held(inputs)?.is_some() {
            return Ok(());
        }
        let name = name(inputs);
        let body = ruleset(&name, branch);
        let probe = Probe { request: listed(inputs), marker: format!("\"{name}\""), refusal: None };
        http::ensure("lock", &request("POST", place(inputs), Some(&body)), &probe).map(|_| ())
    })
}

/// Takes the own lock off.
pub(crate) fn unlock(inputs: &Inputs, branch: &str) -> Result<bool, Error> {
    granted(inputs, || {
        let Some(id) = held(inputs)? else { return Ok(()) };
        let lifted = lifted(&name(inputs));
        let mut body = ruleset(&lifted, branch);
        if let Some(body) = body.as_object_mut() {
            body.insert("enforcement".to_owned(), json!("disabled"));
        }
        let probe = Probe { request: listed(inputs), marker: format!("\"{lifted}\""), refusal: None };
        let url = format!("{}/{id}", place(inputs));
        http::ensure("unlock", &request("PUT", url, Some(&body)), &probe).map(|_| ())
    })
}

fn granted(inputs: &Inputs, act: impl FnOnce() -> Result<(), Error>) -> Result<bool, Error> {
    if !inputs.lock {
        return Ok(false);
    }
    match act() {
        Ok(()) => Ok(true),
        Err(error @ Error::Denied(_)) => {
            warn(&format!("the lock is left to a person: {}", words(&error)));
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(version: &str) -> Inputs {
        castoff_sdk::step::inputs(&format!("{{\"version\": {version:?}}}")).expect("inputs")
    }

    #[test]
    fn one_lock_for_all_pre_releases_of_a_release() {
        assert_eq!(name(&inputs("v0.9.0-alpha.3")), name(&inputs("v0.9.0")));
        assert_ne!(name(&inputs("v0.9.1")), name(&inputs("v0.9.0")));
    }

    #[test]
    fn the_own_ruleset_is_told_from_others_and_from_what_was_lifted() {
        let list = br#"[{"id": 1, "name": "others", "enforcement": "active"},
            {"id": 2, "name": "castoff freeze v0.9.0 (lifted)", "enforcement": "disabled"},
            {"id": 3, "name": "castoff freeze v0.9.0", "enforcement": "active"}]"#;
        assert_eq!(own(list, "castoff freeze v0.9.0"), Some(3));
        assert_eq!((own(list, "castoff freeze v0.8.0"), own(b"{}", "others")), (None, None));
        // The probe for one marker does not take the other for it.
        assert!(!lifted("castoff freeze v0.9.0").contains("\"castoff freeze v0.9.0\""));
        let body = ruleset("n", "main");
        assert_eq!(body["conditions"]["ref_name"]["include"][0], "refs/heads/main");
        assert_eq!(body["rules"][0]["type"], "update");
    }
}
