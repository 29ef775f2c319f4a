//! Tags: the nine checks that come before them, and the refs they lead to. Seven of twenty-five versions carry faulty or
//! missing module tags because a script tagged whatever the local `main` was; none of these checks looks at a local ref.

use std::collections::{BTreeMap, BTreeSet};

use castoff_sdk::module_hash::ZipFault;

use super::module::{ModuleFault, ModuleSet};
use super::version::{self, ReleaseVersion, VersionFault, next_free};

/// What is known about a commit that shall be tagged.
#[derive(Debug)]
pub struct TagFacts<'a> {
    /// The version as given.
    pub version: &'a str,
    /// The version may be outside the grammar, and sort anywhere.
    pub nonstandard: bool,
    /// The commit.
    pub commit: &'a str,
    /// Head of the remote branch.
    pub head: &'a str,
    /// Whether the commit is the head or before it.
    pub on_main: bool,
    /// Commits since the freeze that are no release commits, in words.
    pub foreign: &'a [String],
    /// The modules at the commit.
    pub modules: &'a ModuleSet,
    /// Folders below `src` that are to be tagged; all when empty.
    pub wanted: &'a [String],
    /// All tags of the remote, without `refs/tags/`, with their commits.
    pub tags: &'a BTreeMap<String, String>,
    /// Modules of which the proxy already knows this version.
    pub known_to_proxy: &'a BTreeSet<String>,
    /// What Go would refuse in a module's zip.
    pub zip_faults: &'a BTreeMap<String, Vec<ZipFault>>,
    /// Images of the commit that the registry does not have.
    pub missing_images: &'a [String],
}

/// Why nothing is tagged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagFault {
    /// Check 1.
    #[error(
        "{commit} is not the head of the branch, which is {head}; tag what was merged last, or say why not"
    )]
    NotHead {
        /// The commit asked for.
        commit: String,
        /// The head.
        head: String,
    },
    /// Check 2.
    #[error("{0} is not on the branch: it never was merged")]
    OffMain(String),
    /// Since the freeze something else came in.
    #[error(
        "the freeze was broken by {}; test what is there now and release it as {next}, the next free version",
        .commits.join("; ")
    )]
    Foreign {
        /// The commits, in words.
        commits: Vec<String>,
        /// What can be released instead.
        next: String,
    },
    /// Check 3.
    #[error("the modules {} would be left without a tag", .0.join(", "))]
    Incomplete(Vec<String>),
    /// Check 4.
    #[error("{file} requires {sibling} {found}, expected {wanted}")]
    Requires {
        /// The `go.mod`.
        file: String,
        /// The sibling.
        sibling: String,
        /// The version found.
        found: String,
        /// The version to be tagged.
        wanted: String,
    },
    /// Check 5.
    #[error(
        "the tag {name} is there at {found} and not at {wanted}; a tag is never moved: the next free version is {next}"
    )]
    Elsewhere {
        /// The tag.
        name: String,
        /// Where it is.
        found: String,
        /// Where it would have to be.
        wanted: String,
        /// What can be released instead.
        next: String,
    },
    /// Check 6.
    #[error(transparent)]
    Version(#[from] VersionFault),
    /// Check 7.
    #[error(
        "the module proxy knows {module} {version} already, perhaps from a tag that was deleted; the next free version is {next}"
    )]
    KnownToProxy {
        /// The module.
        module: String,
        /// The version.
        version: String,
        /// What can be released instead.
        next: String,
    },
    /// Check 8.
    #[error("Go would refuse the module {module}: {fault}")]
    Zip {
        /// The module.
        module: String,
        /// Why.
        fault: ZipFault,
    },
    /// Check 9.
    #[error(
        "the images {} do not exist; run their workflow again, or mend it and release the next free version, {next}",
        .images.join(", ")
    )]
    Images {
        /// The images.
        images: Vec<String>,
        /// What can be released instead.
        next: String,
    },
    /// The modules themselves are wrong.
    #[error(transparent)]
    Module(#[from] ModuleFault),
}

/// What to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagPlan {
    /// Module tags without `refs/tags/`, in dependency order, those that exist already among them.
    pub all: Vec<String>,
    /// Of those, the ones to create.
    pub create: Vec<String>,
    /// The tag of the release itself.
    pub root: String,
    /// What a person should know.
    pub remarks: Vec<String>,
}

/// Every check at once; a person sees all that is wrong.
///
/// # Errors
/// All faults.
pub fn decide(facts: &TagFacts<'_>) -> Result<TagPlan, Vec<TagFault>> {
    let mut faults = Vec::new();
    let mut plan = TagPlan { root: facts.version.to_owned(), ..TagPlan::default() };
    let order = facts.modules.order().unwrap_or_else(|fault| {
        faults.push(fault.into());
        Vec::new()
    });
    let left_out: Vec<String> = order
        .iter()
        .filter(|name| !facts.wanted.is_empty() && !facts.wanted.contains(name))
        .cloned()
        .collect();
    if !left_out.is_empty() {
        faults.push(TagFault::Incomplete(left_out));
    }
    plan.all = order.iter().map(|name| format!("src/{name}/{}", facts.version)).collect();
    plan.create = plan.all.iter().filter(|name| !facts.tags.contains_key(*name)).cloned().collect();
    let done = plan.create.is_empty() && facts.tags.contains_key(&plan.root);
    check_place(facts, done, &mut faults);
    check_version(facts, &plan, &mut faults);
    if facts.nonstandard && ReleaseVersion::parse(facts.version).is_err() {
        plan.remarks.push(format!(
            "{} is outside the grammar; Go will sort it where nobody expects it",
            facts.version
        ));
    }
    for (file, requires) in facts.modules.mismatches(facts.version) {
        for (sibling, found) in requires {
            let wanted = facts.version.to_owned();
            faults.push(TagFault::Requires { file: file.clone(), sibling, found, wanted });
        }
    }
    for (module, found) in facts.zip_faults {
        faults
            .extend(found.iter().map(|fault| TagFault::Zip { module: module.clone(), fault: fault.clone() }));
    }
    if !facts.missing_images.is_empty() {
        faults.push(TagFault::Images { images: facts.missing_images.to_vec(), next: next(facts) });
    }
    if faults.is_empty() { Ok(plan) } else { Err(faults) }
}

/// Checks 1 and 2, and the freeze. Where every tag is there already the branch may have gone on.
fn check_place(facts: &TagFacts<'_>, done: bool, faults: &mut Vec<TagFault>) {
    if !facts.on_main {
        faults.push(TagFault::OffMain(facts.commit.to_owned()));
    } else if facts.commit != facts.head && !done {
        faults.push(TagFault::NotHead { commit: facts.commit.to_owned(), head: facts.head.to_owned() });
    }
    if !facts.foreign.is_empty() && !done {
        faults.push(TagFault::Foreign { commits: facts.foreign.to_vec(), next: next(facts) });
    }
}

/// The version that can be released when this one cannot.
fn next(facts: &TagFacts<'_>) -> String {
    let all = facts.tags.keys().map(|name| name.rsplit('/').next().unwrap_or(name).to_owned());
    match ReleaseVersion::parse(facts.version) {
        Ok(version) => {
            next_free(version, &all.chain([facts.version.to_owned()]).collect::<BTreeSet<_>>()).to_string()
        }
        Err(_) => "one of the form vX.Y.Z".to_owned(),
    }
}

/// Checks 5, 6 and 7.
fn check_version(facts: &TagFacts<'_>, plan: &TagPlan, faults: &mut Vec<TagFault>) {
    let names: BTreeSet<&String> = plan.all.iter().chain([&plan.root]).collect();
    let others = facts.tags.keys().filter(|name| !names.contains(name));
    let existing: BTreeSet<String> =
        others.map(|name| name.rsplit('/').next().unwrap_or(name).to_owned()).collect();
    let next = next(facts);
    for name in names {
        if let Some(found) = facts.tags.get(name).filter(|found| *found != facts.commit) {
            faults.push(TagFault::Elsewhere {
                name: name.clone(),
                found: found.clone(),
                wanted: facts.commit.to_owned(),
                next: next.clone(),
            });
        }
    }
    if let Err(fault) = version::check(facts.version, &existing).map(|_| ())
        && !facts.nonstandard
    {
        faults.push(fault.into());
    }
    for module in facts.known_to_proxy {
        let tag = format!("src/{module}/{}", facts.version);
        if !facts.tags.contains_key(&tag) {
            faults.push(TagFault::KnownToProxy {
                module: module.clone(),
                version: facts.version.to_owned(),
                next: next.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::module::Module;

    const COMMIT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn modules(version: &str) -> ModuleSet {
        let one = "module x.org/src/one\n".to_owned();
        let two = format!(
            "module x.org/src/two\nrequire x.org/src/one {version}\nreplace x.org/src/one => ../one\n"
        );
        ModuleSet::new(vec![
            Module { name: "two".into(), file: "src/two/go.mod".into(), text: two },
            Module { name: "one".into(), file: "src/one/go.mod".into(), text: one },
        ])
    }

    /// Decides over good facts with one change.
    fn with(change: impl FnOnce(&mut World)) -> Result<TagPlan, Vec<TagFault>> {
        let mut world =
            World { version: "v0.9.0", head: COMMIT, on_main: true, requires: "v0.9.0", ..World::default() };
        change(&mut world);
        decide(&TagFacts {
            version: world.version,
            nonstandard: world.nonstandard,
            commit: COMMIT,
            head: world.head,
            on_main: world.on_main,
            foreign: &world.foreign,
            modules: &modules(world.requires),
            wanted: &world.wanted,
            tags: &world.tags.iter().map(|(name, at)| ((*name).to_owned(), (*at).to_owned())).collect(),
            known_to_proxy: &world.known,
            zip_faults: &world.zip,
            missing_images: &world.images,
        })
    }

    #[derive(Default)]
    struct World {
        version: &'static str,
        head: &'static str,
        on_main: bool,
        requires: &'static str,
        nonstandard: bool,
        foreign: Vec<String>,
        wanted: Vec<String>,
        tags: Vec<(&'static str, &'static str)>,
        known: BTreeSet<String>,
        zip: BTreeMap<String, Vec<ZipFault>>,
        images: Vec<String>,
    }

    fn said(change: impl FnOnce(&mut World)) -> String {
        with(change).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn tags_come_in_dependency_order() {
        let plan = with(|_| {}).unwrap();
        assert_eq!(plan.create, ["src/one/v0.9.0", "src/two/v0.9.0"]);
        assert_eq!(plan.root, "v0.9.0");
        let again = with(|world| {
            world.tags = vec![("src/one/v0.9.0", COMMIT), ("src/two/v0.9.0", COMMIT), ("v0.9.0", COMMIT)];
            world.head = "bbbb";
        });
        assert!(again.unwrap().create.is_empty(), "what is done stays done, wherever the branch went");
    }

    #[test]
    fn each_of_the_nine_checks_refuses() {
        let cases: Vec<(String, &str)> = vec![
            (said(|world| world.head = "bbbb"), "not the head of the branch, which is bbbb"),
            (said(|world| world.on_main = false), "never was merged"),
            (said(|world| world.wanted = vec!["one".into()]), "two would be left without a tag"),
            (said(|world| world.requires = "v0.9.0-alpha1"), "src/two/go.mod requires one v0.9.0-alpha1"),
            (said(|world| world.tags = vec![("src/one/v0.9.0", "cccc")]), "at cccc and not at aaaa"),
            (said(|world| world.tags = vec![("src/one/v0.9.0", "cccc")]), "the next free version is v0.9.1"),
            (said(|world| world.version = "v0.9.0-alpha1"), "did you mean v0.9.0-alpha.1?"),
            (said(|world| world.known = BTreeSet::from(["one".into()])), "the module proxy knows one v0.9.0"),
            (
                said(|world| {
                    world.zip = BTreeMap::from([("one".into(), vec![ZipFault::Path("a\\b".into())])])
                }),
                "Go would refuse the module one",
            ),
            (
                said(|world| world.images = vec!["q.io/a:1".into()]),
                "the images q.io/a:1 do not exist; run their workflow again, or mend it and release the next free version, v0.9.1",
            ),
            (
                said(|world| world.foreign = vec!["abc slips in".into()]),
                "broken by abc slips in; test what is there now and release it as v0.9.1",
            ),
        ];
        for (said, expected) in cases {
            assert!(said.contains(expected), "{expected:?} is not in {said:?}");
        }
    }

    #[test]
    fn a_version_outside_the_grammar_needs_permission() {
        let plan = with(|world| {
            world.version = "v0.9.0-alpha1";
            world.requires = "v0.9.0-alpha1";
            world.nonstandard = true;
        });
        assert!(plan.unwrap().remarks[0].contains("outside the grammar"));
    }
}
