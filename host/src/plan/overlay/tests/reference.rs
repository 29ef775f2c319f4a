//! Random pushes are accepted and refused by a plan as by a bare repository.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use tempfile::TempDir;
use url::Url;

use super::{Scene, identity, kind, moment, spec, tool, update};
use crate::capability::git::{CommitSpec, Git, GitBackend, GitConfig, RefUpdate};
use crate::gate::Capabilities;
use crate::plan::overlay::{Overlay, Settings};

const NAMES: &[&str] = &[
    "refs/heads/main",
    "refs/heads/main/below",
    "refs/heads/a",
    "refs/heads/a/b",
    "refs/tags/a",
    "refs/tags/a/b",
    "refs/tags/t",
];

/// Which object a ref is to name or is expected to name.
#[derive(Debug, Clone, Copy)]
enum Which {
    /// Nothing.
    None,
    /// One of the objects.
    Object(usize),
    /// What it names.
    Current,
}

type Wanted = (&'static str, usize, Which);

fn wanted() -> impl Strategy<Value = Wanted> {
    let expected = prop_oneof![
        3 => Just(Which::None),
        1 => (0..4usize).prop_map(Which::Object),
        3 => Just(Which::Current),
    ];
    (select(NAMES), 0..4usize, expected)
}

/// Git over a bare repository of one commit.
struct Remote {
    place: TempDir,
    git: GitBackend,
}

impl Remote {
    fn new() -> Self {
        let place = TempDir::new().unwrap();
        let bare = place.path().join("remote/acme/tool.git");
        seed(&bare);
        let base = Url::from_directory_path(place.path().join("remote")).unwrap();
        let git = GitBackend::new(GitConfig::new(place.path().join("cache"), base)).unwrap();
        Self { place, git }
    }

    fn refs(&self) -> Vec<(String, String)> {
        let bare = git2::Repository::open_bare(self.place.path().join("remote/acme/tool.git")).unwrap();
        let refs = bare.references().unwrap().map(|reference| {
            let reference = reference.unwrap();
            (reference.name().unwrap().to_owned(), reference.target().unwrap().to_string())
        });
        let mut refs: Vec<_> = refs.collect();
        refs.sort();
        refs
    }
}

fn seed(bare: &Path) {
    let repository = git2::Repository::init_bare(bare).unwrap();
    let who = git2::Signature::new("A", "a@example.org", &git2::Time::new(1_700_000_000, 0)).unwrap();
    let tree = repository.treebuilder(None).unwrap().write().unwrap();
    let tree = repository.find_tree(tree).unwrap();
    repository.commit(Some("refs/heads/main"), &who, &who, "first\n", &tree, &[]).unwrap();
}

/// Two children of the first commit, the first commit and a tag object.
async fn objects(git: &dyn Git) -> Vec<String> {
    git.open(&tool()).await.unwrap();
    let first = git.resolve(&tool(), "refs/heads/main").await.unwrap().unwrap().id;
    let mut objects = vec![first.clone()];
    for name in ["x", "y"] {
        let child: CommitSpec = spec(&first, name, name);
        objects.push(git.build_commit(&tool(), &child).await.unwrap().id);
    }
    let time = moment().timestamp();
    objects.push(git.build_tag(&tool(), "t", &first, "t\n", &identity(), time).await.unwrap());
    objects
}

/// Pushes to both and compares, step by step.
async fn compare(live: &Capabilities, pushes: Vec<Vec<Wanted>>) {
    let (real, below) = (Remote::new(), Remote::new());
    let before = below.refs();
    let world = Capabilities { git: Arc::new(below.git.clone()), ..live.clone() };
    let overlay = Overlay::new(world, Settings { pinned: moment(), login: None }).unwrap();
    let planned = overlay.capabilities().git;
    let built = objects(planned.as_ref()).await;
    assert_eq!(built, objects(&real.git).await);
    for push in pushes {
        let held = real.refs();
        let current = |name: &str| held.iter().find(|(held, _)| held == name).map(|(_, id)| id.clone());
        let updates: Vec<RefUpdate> = push
            .iter()
            .map(|(name, object, expected)| {
                let expected = match expected {
                    Which::None => None,
                    Which::Object(at) => Some(built[*at].clone()),
                    Which::Current => current(name),
                };
                update(name, &built[*object], expected.as_deref())
            })
            .collect();
        let (plan, truth) = (planned.push(&tool(), &updates).await, real.git.push(&tool(), &updates).await);
        assert_eq!(kind(&plan), kind(&truth), "{updates:?} over {held:?}: {plan:?} {truth:?}");
        planned.open(&tool()).await.unwrap();
        let seen = planned.references(&tool()).await.unwrap();
        let seen: Vec<_> = seen.into_iter().map(|reference| (reference.name, reference.object)).collect();
        assert_eq!(seen, real.refs(), "after {updates:?}");
        let names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            planned.remote_references(&tool(), &names).await.unwrap(),
            real.git.remote_references(&tool(), &names).await.unwrap()
        );
    }
    assert_eq!(below.refs(), before, "nothing left the plan");
}

#[test]
fn random_pushes() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let scene = runtime.block_on(Scene::new());
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    let pushes = prop::collection::vec(prop::collection::vec(wanted(), 1..3), 1..6);
    proptest::test_runner::TestRunner::new(config)
        .run(&pushes, |pushes| {
            runtime.block_on(compare(&scene.live, pushes));
            Ok(())
        })
        .unwrap();
}
