//! Provenance: the in-toto statement that a stage writes about everything it made, and that a release writes, with the same
//! predicate, about everything it published.
//!
//! Three forms of the predicate are read: SLSA 0.1 (2021), 0.2 (what `krel` writes) and 1.

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::version::Kind;

/// A statement.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Statement {
    #[serde(rename = "_type", default)]
    kind: String,
    #[serde(rename = "predicateType", default)]
    predicate_type: String,
    #[serde(default)]
    subject: Vec<Subject>,
    #[serde(default)]
    predicate: Value,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Subject {
    name: String,
    #[serde(default)]
    digest: std::collections::BTreeMap<String, String>,
}

/// What a statement has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected<'a> {
    /// Type of the cut.
    pub kind: Kind,
    /// Branch.
    pub branch: &'a str,
    /// Build version.
    pub build_version: &'a str,
    /// What is released, `owner/name`.
    pub repository: &'a str,
    /// What the name of everything begins with.
    pub place: &'a str,
}

/// Why a statement proves nothing, or something else.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No statement.
    #[error("it is no provenance: {0}")]
    Form(String),
    /// A word of the build is another one.
    #[error("it is of a build with {name} {found:?}, expected {wanted:?}")]
    Argument {
        /// Which.
        name: &'static str,
        /// In the statement.
        found: String,
        /// Of the cut.
        wanted: String,
    },
    /// No commit, or several.
    #[error("it does not name one commit of {0}")]
    Commit(String),
    /// Nothing was made.
    #[error("it is about nothing")]
    Empty,
    /// Something elsewhere.
    #[error("it is about {name}, which is not below {place}")]
    Elsewhere {
        /// What.
        name: String,
        /// Where it should be.
        place: String,
    },
    /// Something without a digest.
    #[error("{0} has no sha256")]
    Digest(String),
}

impl Statement {
    /// Reads a statement.
    ///
    /// # Errors
    /// [`Refusal::Form`].
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let read: Self = serde_json::from_str(text).map_err(|error| Refusal::Form(error.to_string()))?;
        if !read.kind.contains("in-toto.io/Statement") || !read.predicate_type.contains("slsa.dev/provenance")
        {
            return Err(Refusal::Form(format!("{} about {}", read.kind, read.predicate_type)));
        }
        Ok(read)
    }

    /// An argument of the build; empty when it has none.
    fn argument(&self, name: &str) -> String {
        let places = ["/invocation/parameters", "/recipe/arguments", "/buildDefinition/externalParameters"];
        let spelt = [name.to_owned(), format!("--{name}="), format!("--{name}")];
        let found = places.iter().filter_map(|place| self.predicate.pointer(place));
        let mut values = found.flat_map(|all| spelt.iter().filter_map(move |name| all.get(name)));
        match values.next() {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(flag)) => flag.to_string(),
            _ => String::new(),
        }
    }

    /// Commits of a repository that went into the build.
    fn commits(&self, repository: &str) -> Vec<&str> {
        let places = ["/materials", "/buildDefinition/resolvedDependencies"];
        let all = places.iter().filter_map(|place| self.predicate.pointer(place)?.as_array()).flatten();
        let of = all.filter(|material| {
            let uri = material.get("uri").and_then(Value::as_str).unwrap_or_default();
            let uri = uri.split('@').next().unwrap_or_default().trim_end_matches(".git");
            uri.ends_with(&format!("github.com/{repository}"))
        });
        of.filter_map(|material| {
            let digest = material.get("digest")?;
            digest.get("sha1").or_else(|| digest.get("gitCommit"))?.as_str()
        })
        .collect()
    }

    /// Digest of the one thing whose name ends so; none when there is none.
    #[must_use]
    pub fn digest(&self, end: &str) -> Option<&str> {
        let subject = self.subject.iter().find(|subject| subject.name.ends_with(end))?;
        subject.digest.get("sha256").map(String::as_str)
    }

    /// The commit that it was made from, when all else is as expected.
    ///
    /// # Errors
    /// The first thing that is not.
    pub fn made_from(&self, expected: &Expected<'_>) -> Result<String, Refusal> {
        let wanted = [
            ("type", expected.kind.to_string()),
            ("branch", expected.branch.to_owned()),
            ("build-version", expected.build_version.to_owned()),
            ("nomock", "true".to_owned()),
        ];
        for (name, wanted) in wanted {
            let found = self.argument(name);
            if found != wanted {
                return Err(Refusal::Argument { name, found, wanted });
            }
        }
        if self.subject.is_empty() {
            return Err(Refusal::Empty);
        }
        for Subject { name, digest } in &self.subject {
            if !name.starts_with(expected.place) {
                return Err(Refusal::Elsewhere { name: name.clone(), place: expected.place.to_owned() });
            }
            let good = |digest: &String| digest.len() == 64 && is_hex(digest);
            if !digest.get("sha256").is_some_and(good) {
                return Err(Refusal::Digest(name.clone()));
            }
        }
        match self.commits(expected.repository).as_slice() {
            [one] if one.len() == 40 && is_hex(one) => Ok((*one).to_owned()),
            _ => Err(Refusal::Commit(expected.repository.to_owned())),
        }
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    const HEAD: &str = "94db9bed6b7c56420e722d1b15db4610c9cacd3f";
    const SUM: &str = "a9ac55b2fe04c940d1755bd63e0be95565930046a9f79207ac2a6b7a375788a5";
    const BUILD: &str = "v1.35.0-47+1c8457462e868c";

    fn expected() -> Expected<'static> {
        Expected {
            kind: Kind::Official,
            branch: "release-1.35",
            build_version: BUILD,
            repository: "kubernetes/kubernetes",
            place: "gs://bucket/stage/",
        }
    }

    fn statement(predicate: &Value, subjects: &Value) -> String {
        json!({
            "_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://slsa.dev/provenance/v0.2",
            "subject": subjects, "predicate": predicate,
        })
        .to_string()
    }

    fn words() -> Value {
        json!({ "type": "official", "branch": "release-1.35", "build-version": BUILD, "nomock": "true" })
    }

    fn material() -> Value {
        json!([{ "uri": "git+https://github.com/kubernetes/kubernetes", "digest": { "sha1": HEAD } }])
    }

    fn made() -> Value {
        json!([{ "name": "gs://bucket/stage/src.tar.gz", "digest": { "sha256": SUM } }])
    }

    #[test]
    fn every_form_of_the_predicate_is_read() {
        let old = json!({ "--type=": "official", "--branch=": "release-1.35", "--build-version=": BUILD, "--nomock": true });
        let deep = json!([{ "uri": "git+https://github.com/kubernetes/kubernetes.git@refs/heads/x",
            "digest": { "gitCommit": HEAD } }]);
        let table = [
            json!({ "invocation": { "parameters": words() }, "materials": material() }),
            json!({ "recipe": { "arguments": old }, "materials": material() }),
            json!({ "buildDefinition": { "externalParameters": words(), "resolvedDependencies": deep } }),
        ];
        for predicate in table {
            let statement = Statement::parse(&statement(&predicate, &made())).unwrap();
            assert_eq!(statement.made_from(&expected()).as_deref(), Ok(HEAD), "{predicate}");
            assert_eq!(statement.digest("/src.tar.gz"), Some(SUM));
            assert_eq!(statement.digest("/kubectl"), None);
        }
    }

    #[test]
    fn what_proves_nothing_is_refused() {
        let with = |name: &str, value: &str| {
            let mut words = words();
            words[name] = json!(value);
            json!({ "invocation": { "parameters": words }, "materials": material() })
        };
        let good = json!({ "invocation": { "parameters": words() }, "materials": material() });
        let from =
            |materials: Value| json!({ "invocation": { "parameters": words() }, "materials": materials });
        let other = json!([{ "uri": "git+https://github.com/evil/kubernetes", "digest": { "sha1": HEAD } }]);
        let twice = json!([material()[0], material()[0]]);
        let short =
            json!([{ "uri": "git+https://github.com/kubernetes/kubernetes", "digest": { "sha1": "94db" } }]);
        let elsewhere = json!([{ "name": "gs://other/stage/x", "digest": { "sha256": SUM } }]);
        let bare = json!([{ "name": "gs://bucket/stage/x", "digest": { "sha512": SUM } }]);
        let table = [
            (with("build-version", "v1.35.0-46+aaaaaaaaaaaaaa"), made(), "build-version"),
            (with("type", "rc"), made(), "type \"rc\""),
            (with("branch", "release-1.34"), made(), "branch"),
            (with("nomock", ""), made(), "nomock"),
            (from(json!([])), made(), "one commit"),
            (from(other), made(), "one commit"),
            (from(twice), made(), "one commit"),
            (from(short), made(), "one commit"),
            (good.clone(), json!([]), "about nothing"),
            (good.clone(), elsewhere, "not below"),
            (good, bare, "no sha256"),
        ];
        for (predicate, subjects, why) in table {
            let statement = Statement::parse(&statement(&predicate, &subjects)).unwrap();
            let said = statement.made_from(&expected()).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
        for text in [
            "",
            "[]",
            "{}",
            r#"{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://spdx.dev/Document"}"#,
        ] {
            assert!(matches!(Statement::parse(text), Err(Refusal::Form(_))), "{text}");
        }
    }
}
