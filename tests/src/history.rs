//! A repository of Go modules with a past like that of cloud-api-adaptor: as many versions, laid out like them, with every
//! fault that their tags have. What an audit has to find is listed beside it.

use std::collections::BTreeMap;

use castoff::forge::World;
use castoff::forge::world::{Branch, File, FileSpec, SeedCommit, Tag};

/// The repository.
pub const NAME: &str = "acme/adaptor";
const MODULES: [&str; 6] =
    ["cloud-api-adaptor", "cloud-providers", "csi-wrapper", "peerpod-ctrl", "webhook", "peerpodconfig-ctrl"];
const PSEUDO: &str = "v0.0.0-00010101000000-000000000000";

/// How large it is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Commits between two versions.
    pub commits: usize,
    /// Files of a tree besides those of the modules.
    pub files: usize,
}

/// What the audit says of each version with faults, in its order.
#[must_use]
pub fn faults() -> BTreeMap<String, Vec<String>> {
    let off_main = |count: usize| std::iter::repeat_n("off-main", count);
    let table: Vec<(&str, Vec<&str>)> = vec![
        ("v0.5.0-alpha", vec!["moved-tag"]),
        ("v0.7.0", vec!["moved-tag"]),
        ("v0.8.0", vec!["not-one-commit"]),
        ("v0.8.1", vec!["missing-ref"]),
        ("v0.9.0-alpha1", vec!["version-grammar"]),
        ("v0.9.0-alpha1-alpha.1", vec!["version-grammar"]),
        ("v0.9.0-alpha.3", vec!["require-mismatch", "not-one-commit"]),
        (
            "v0.10.0-alpha.1",
            ["require-mismatch"].into_iter().chain(off_main(5)).chain(["not-one-commit"]).collect(),
        ),
        ("v0.10.0", ["require-mismatch"].into_iter().chain(off_main(5)).chain(["not-one-commit"]).collect()),
        ("v0.21.0", vec!["not-one-commit"]),
        ("v0.21.1", vec!["missing-ref"]),
    ];
    let owned = |codes: Vec<&str>| -> Vec<String> { codes.into_iter().map(str::to_owned).collect() };
    table.into_iter().map(|(version, codes)| (version.to_owned(), owned(codes))).collect()
}

/// A world with the repository in it.
#[must_use]
pub fn world(size: Size) -> World {
    let mut story = Story { size, commits: Vec::new(), tags: Vec::new(), head: String::new() };
    story.tell();
    let mut world = World::from_toml(
        "now = \"2026-08-22T00:00:00Z\"\nuser = \"ann\"\n[[account]]\nlogin = \"ann\"\ntoken = \"t0ken\"\n\
         permissions = { \"acme/*\" = \"admin\" }\n[[repository]]\nname = \"acme/adaptor\"\n",
    )
    .unwrap_or_default();
    if let Some(repository) = world.repositories.first_mut() {
        repository.default_branch = Some("main".into());
        repository.branches = vec![Branch { name: "main".into(), at: story.head.clone() }];
        repository.commits = story.commits;
        repository.tags = story.tags;
    }
    world
}

struct Story {
    size: Size,
    commits: Vec<SeedCommit>,
    tags: Vec<Tag>,
    head: String,
}

type Files = BTreeMap<String, FileSpec>;

impl Story {
    fn tell(&mut self) {
        let mut start: Files = (0..self.size.files)
            .map(|n| (format!("pkg/p{}/f{n}.go", n % 40), FileSpec::from(format!("package p // {n}\n"))))
            .collect();
        start.insert("go.mod".into(), "module github.com/acme/adaptor\n".into());
        start.insert("LICENSE".into(), "Apache\n".into());
        self.commit(start);
        self.root("v0.5.0-alpha");
        self.between();
        self.root("v0.7.0");
        self.between();
        // What the proxy saw before the tags were moved.
        let sums = "github.com/acme/adaptor v0.5.0-alpha h1:seen=\ngithub.com/acme/adaptor v0.7.0 h1:before=\n\
                    github.com/acme/adaptor v0.7.0/go.mod h1:mod=\nexample.org/other v1.0.0 h1:other=\n";
        self.commit([("peerpod-ctrl/go.sum".to_owned(), sums.into())].into());
        self.tag("peerpod-ctrl/v0.7.0");
        self.between();
        self.root("v0.8.0");
        self.between();
        self.commit([("go.mod".to_owned(), gone())].into());
        let six = &MODULES[..];
        self.bump(six, "v0.8.0");
        self.modules(six, "v0.8.0");
        for version in
            ["v0.8.1-alpha.1", "v0.8.1", "v0.8.2", "v0.9.0-alpha1", "v0.9.0-alpha1-alpha.1", "v0.9.0-alpha.2"]
        {
            self.between();
            self.bump(six, version);
            self.modules(six, version);
            if version != "v0.8.1" {
                self.root(version);
            }
        }
        // One behind: its own bump is missing.
        self.between();
        self.modules(six, "v0.9.0-alpha.3");
        self.bump(six, "v0.9.0-alpha.3");
        self.root("v0.9.0-alpha.3");
        for version in ["v0.9.0-alpha.4", "v0.9.0"] {
            self.between();
            self.bump(six, version);
            self.release(six, version);
        }
        // Somebody's own branch, tagged twice.
        let fork_point = self.head.clone();
        let five = &MODULES[..5];
        self.commit([("src/peerpodconfig-ctrl/go.mod".to_owned(), gone())].into());
        self.between();
        for version in ["v0.10.0-alpha.1", "v0.10.0"] {
            self.modules(five, version);
        }
        self.head = fork_point;
        self.commit([("src/peerpodconfig-ctrl/go.mod".to_owned(), gone())].into());
        for (version, required) in [("v0.10.0-alpha.1", "v0.10.0-alpha1"), ("v0.10.0", "v0.10.0")] {
            self.between();
            self.bump(five, required);
            self.root(version);
        }
        for minor in 11..=16 {
            let version = format!("v0.{minor}.0");
            self.between();
            self.bump(five, &version);
            self.release(five, &version);
        }
        self.bump(five, PSEUDO);
        for minor in 17..=20 {
            self.between();
            self.release(five, &format!("v0.{minor}.0"));
        }
        self.modules(five, "v0.21.0");
        self.between();
        self.root("v0.21.0");
        self.between();
        self.root("v0.21.1");
        self.commit([("src/csi-wrapper/go.mod".to_owned(), gone())].into());
        self.between();
        self.release(&["cloud-api-adaptor", "cloud-providers", "peerpod-ctrl", "webhook"], "v0.22.0");
        self.between();
    }

    fn commit(&mut self, files: Files) {
        let id = format!("c{}", self.commits.len());
        let parents = if self.head.is_empty() { Vec::new() } else { vec![self.head.clone()] };
        self.commits.push(SeedCommit {
            message: format!("change {id}\n"),
            id: id.clone(),
            parents,
            files,
            ..SeedCommit::default()
        });
        self.head = id;
    }

    /// Work that has nothing to do with releases.
    fn between(&mut self) {
        for _ in 0..self.size.commits.max(1) {
            let n = self.commits.len();
            self.commit([(format!("pkg/p{}/f{n}.go", n % 40), format!("package p // {n}\n").into())].into());
        }
    }

    /// The modules require each other at a version, replaced by the folders beside them.
    fn bump(&mut self, modules: &[&str], version: &str) {
        let files = modules.iter().map(|module| {
            let needed: &[&str] = match *module {
                "cloud-api-adaptor" => &["cloud-providers", "peerpod-ctrl"],
                "csi-wrapper" => &["cloud-api-adaptor"],
                "peerpod-ctrl" => &["cloud-providers"],
                _ => &[],
            };
            let path = |name: &str| format!("github.com/acme/adaptor/src/{name}");
            let lines: String = needed
                .iter()
                .map(|to| format!("\nrequire {0} {version}\n\nreplace {0} => ../{to}\n", path(to)))
                .collect();
            let text = format!("module {}\n\ngo 1.21\n{lines}", path(module));
            (format!("src/{module}/go.mod"), FileSpec::from(text))
        });
        self.commit(files.collect());
    }

    fn tag(&mut self, name: &str) {
        self.tags.push(Tag { name: name.to_owned(), at: self.head.clone(), ..Tag::default() });
    }

    fn root(&mut self, version: &str) {
        self.tag(version);
    }

    fn modules(&mut self, modules: &[&str], version: &str) {
        for module in modules {
            self.tag(&format!("src/{module}/{version}"));
        }
    }

    fn release(&mut self, modules: &[&str], version: &str) {
        self.modules(modules, version);
        self.root(version);
    }
}

fn gone() -> FileSpec {
    FileSpec::File(File { delete: true, ..Default::default() })
}
