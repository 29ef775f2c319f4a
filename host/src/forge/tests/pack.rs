//! What the forge sends and takes without a program, against what git's own programs make of it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use git2::{Buf, Indexer, Oid, Repository};
use tempfile::TempDir;

use super::super::packet::{FLUSH, packet, packets};
use super::super::{receive, upload};

/// A history of four commits on `refs/heads/main`, the second one tagged twice over, in a bare repository.
struct Place {
    folder: TempDir,
    git: Repository,
    commits: Vec<Oid>,
}

fn place() -> Place {
    let folder = TempDir::new().expect("a folder");
    let git = super::super::git::create(&folder.path().join("a.git"), "main").expect("a repository");
    let mut place = Place { folder, git, commits: Vec::new() };
    for number in 0..4 {
        let id = place.commit(&format!("{number}"));
        place.commits.push(id);
    }
    let by = by();
    let second = place.git.find_object(place.commits[1], None).expect("a commit");
    let tag = place.git.tag_annotation_create("inner", &second, &by, "inner").expect("a tag");
    let tag = place.git.find_object(tag, None).expect("a tag");
    place.git.tag("v1", &tag, &by, "outer", false).expect("a tag");
    let (head, reference) = (place.commits[3], "refs/heads/main");
    place.git.reference(reference, head, true, "").expect("a branch");
    drop((tag, second));
    place
}

fn by() -> git2::Signature<'static> {
    git2::Signature::new("a", "a@example.org", &git2::Time::new(0, 0)).expect("a signature")
}

impl Place {
    /// A commit with a file of its own on top of the last one.
    fn commit(&self, name: &str) -> Oid {
        let parent = self.commits.last().map(|id| self.git.find_commit(*id).expect("a commit"));
        let base = parent.as_ref().map(|parent| parent.tree().expect("a tree"));
        let blob = self.git.blob(format!("content of {name}\n").as_bytes()).expect("a blob");
        let mut tree = self.git.treebuilder(base.as_ref()).expect("a tree");
        tree.insert(name, blob, 0o100_644).expect("an entry");
        let tree = self.git.find_tree(tree.write().expect("a tree")).expect("a tree");
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        self.git.commit(None, &by(), &by(), name, &tree, &parents).expect("a commit")
    }

    fn fetch(&self, arguments: &[String]) -> Option<Vec<u8>> {
        let mut body = packet("command=fetch\n");
        body.extend(packet("agent=git/2.39\n"));
        body.extend_from_slice(b"0001");
        body.extend(arguments.iter().flat_map(|line| packet(line)));
        body.extend_from_slice(FLUSH);
        upload::answer(&self.git, &body).map(|reply| reply.body)
    }

    /// All that `git rev-list --objects` names.
    fn reachable(&self, revisions: &[&str]) -> BTreeSet<String> {
        let mut args = vec!["rev-list", "--objects"];
        args.extend(revisions);
        let output = super::super::git::run(self.git.path(), &args).expect("git lists");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
    }

    /// A push of a pack with everything from `old` to `new`.
    fn push(&self, commands: &[(Option<Oid>, Oid, &str)], pack: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        for (at, (old, new, name)) in commands.iter().enumerate() {
            let told = if at == 0 { "\0 report-status-v2 side-band-64k atomic agent=git/2.39" } else { "" };
            body.extend(packet(&format!("{} {new} {name}{told}", old.unwrap_or(Oid::ZERO_SHA1))));
        }
        body.extend_from_slice(FLUSH);
        body.extend_from_slice(pack);
        body
    }

    fn refs(&self) -> std::collections::BTreeMap<String, String> {
        super::super::git::refs(&self.git).expect("refs")
    }
}

/// The pack of an answer, taken out of its side band.
fn unwrapped(mut answer: &[u8]) -> Vec<u8> {
    let start = answer.windows(9).position(|window| window == b"packfile\n").expect("a pack") + 9;
    answer = &answer[start..];
    let mut pack = Vec::new();
    while !answer.starts_with(FLUSH) {
        let length = usize::from_str_radix(std::str::from_utf8(&answer[..4]).expect("hex"), 16).expect("hex");
        assert_eq!(answer[4], 1);
        pack.extend_from_slice(&answer[5..length]);
        answer = &answer[length..];
    }
    pack
}

/// The names of the objects in a pack, which is whole in itself.
fn named(pack: &[u8]) -> BTreeSet<String> {
    let folder = TempDir::new().expect("a folder");
    let git = Repository::init_bare(folder.path()).expect("a repository");
    let into = folder.path().join("objects/pack");
    let mut indexer = Indexer::new(None, &into, 0o444, false).expect("an indexer");
    indexer.write_all(pack).expect("a pack");
    indexer.commit().expect("an index");
    let mut found = BTreeSet::new();
    let odb = git.odb().expect("objects");
    odb.foreach(|id| {
        found.insert(id.to_string());
        true
    })
    .expect("objects");
    found
}

fn pack_of(git: &Repository, commit: Oid, without: &[Oid]) -> Vec<u8> {
    let mut builder = git.packbuilder().expect("a builder");
    let mut walk = git.revwalk().expect("a walk");
    walk.push(commit).expect("a commit");
    without.iter().for_each(|id| walk.hide(*id).expect("a commit"));
    builder.insert_walk(&mut walk).expect("objects");
    let mut pack = Buf::new();
    builder.write_buf(&mut pack).expect("a pack");
    pack.to_vec()
}

#[test]
fn what_is_sent_is_what_git_would_send() {
    let place = place();
    let [first, second, _, head] = place.commits[..] else { panic!("four") };
    let tag = place.refs()["refs/tags/v1"].clone();
    let line = |word: &str, id: &dyn std::fmt::Display| format!("{word} {id}\n");
    let done = || "done\n".to_owned();

    let all = place.fetch(&[line("want", &head), done()]).expect("an answer");
    assert_eq!(named(&unwrapped(&all)), place.reachable(&["main"]));

    let new = place.fetch(&[line("want", &head), line("have", &second), done()]).expect("an answer");
    let range = format!("{second}..main");
    assert_eq!(named(&unwrapped(&new)), place.reachable(&[&range]));

    let asked = [line("want", &head), "include-tag\n".into(), "ofs-delta\n".into(), done()];
    let tagged = place.fetch(&asked).expect("an answer");
    assert_eq!(named(&unwrapped(&tagged)), place.reachable(&["main", "v1"]));

    let by_tag = place.fetch(&[line("want", &tag), line("have", &first), done()]).expect("an answer");
    let without = format!("^{first}");
    assert_eq!(named(&unwrapped(&by_tag)), place.reachable(&["v1", &without]));
}

#[test]
fn what_both_have_is_found_in_rounds() {
    let place = place();
    let [first, .., head] = place.commits[..] else { panic!("four") };
    let unknown = "1".repeat(40);
    let line = |word: &str, id: &dyn std::fmt::Display| format!("{word} {id}\n");

    let nothing = place.fetch(&[line("want", &head), line("have", &unknown)]).expect("an answer");
    assert_eq!(packets(&nothing), Some((vec!["acknowledgments", "NAK"], b"".as_slice())));

    let found = place.fetch(&[line("want", &head), line("have", &unknown), line("have", &first)]);
    let found = found.expect("an answer");
    let text = String::from_utf8_lossy(&found);
    assert!(text.contains(&format!("ACK {first}\n")) && text.contains("ready\n"), "{text}");
    assert_eq!(named(&unwrapped(&found)), place.reachable(&[&format!("{first}..main")]));
}

#[test]
fn what_is_out_of_the_ordinary_is_left_to_git() {
    let place = place();
    let head = place.commits[3];
    let blob = place.git.blob(b"x").expect("a blob");
    let want = format!("want {head}\n");
    let others = [
        vec![format!("want {blob}\n"), "done\n".into()],
        vec![format!("want {}\n", "1".repeat(40)), "done\n".into()],
        vec![want.clone(), "deepen 1\n".into(), "done\n".into()],
        vec![want.clone(), format!("shallow {head}\n"), "done\n".into()],
        vec![want.clone(), "filter blob:none\n".into(), "done\n".into()],
        vec![want.clone(), "wait-for-done\n".into()],
        vec![want, "something new\n".into()],
        vec!["done\n".into()],
    ];
    for arguments in others {
        assert!(place.fetch(&arguments).is_none(), "{arguments:?}");
    }
}

#[test]
fn a_push_brings_objects_and_moves_all_its_refs() {
    let (place, source) = (place(), place());
    let head = place.commits[3];
    let new = source.commit("new");
    let pack = pack_of(&source.git, new, &[head]);
    let commands = [(Some(head), new, "refs/heads/main"), (None, new, "refs/tags/v2")];
    let reply = receive::answer(&place.git, &place.push(&commands, &pack)).expect("an answer");
    let report = "unpack ok\n|ok refs/heads/main\n|ok refs/tags/v2\n";
    let text = String::from_utf8_lossy(&reply.body);
    assert!(report.split('|').all(|line| text.contains(line)), "{text}");
    assert_eq!(place.refs()["refs/heads/main"], new.to_string());
    assert_eq!(place.refs()["refs/tags/v2"], new.to_string());
    super::super::git::run(place.git.path(), &["fsck", "--strict"]).expect("nothing is missing");

    // Nothing new, another name: an empty pack, or none at all.
    let empty = [b"PACK\0\0\0\x02\0\0\0\0".as_slice(), &[0; 20]].concat();
    let again = place.push(&[(None, head, "refs/heads/old")], &empty);
    assert!(receive::answer(&place.git, &again).is_some());
    assert_eq!(place.refs()["refs/heads/old"], head.to_string());
}

#[test]
fn a_push_that_git_would_refuse_changes_no_ref() {
    let (place, source) = (place(), place());
    let [first, .., head] = place.commits[..] else { panic!("four") };
    let new = source.commit("new");
    let pack = pack_of(&source.git, new, &[head]);
    let blob = place.git.blob(b"x").expect("a blob");
    let push = |commands: &[(Option<Oid>, Oid, &str)]| place.push(commands, &pack);
    let branch = (Some(head), new, "refs/heads/main");
    let mut signed = push(&[branch]);
    signed.splice(0..0, packet("push-cert\0report-status side-band-64k\n"));
    let refused = [
        // First, as those that bring a whole pack leave its objects behind.
        ("a pack that lacks the rest", place.push(&[branch], &pack_of_commit_alone(&source.git, new))),
        ("a ref that moved", push(&[(Some(first), new, "refs/heads/main")])),
        ("a ref that is there", push(&[(None, new, "refs/heads/main")])),
        ("a ref that is not there", push(&[(Some(head), new, "refs/heads/none")])),
        ("one of two", push(&[branch, (Some(first), new, "refs/heads/none")])),
        ("twice the same", push(&[branch, branch])),
        ("within another's name", push(&[(None, new, "refs/heads/main/x")])),
        ("within its own", push(&[(None, new, "refs/heads/y"), (None, new, "refs/heads/y/z")])),
        ("deleted", push(&[(Some(head), Oid::ZERO_SHA1, "refs/heads/main")])),
        ("hidden", push(&[(None, new, "refs/pull/1/head")])),
        ("no name", push(&[(None, new, "refs/heads/..")])),
        ("a branch of a blob", push(&[(None, blob, "refs/heads/blob")])),
        ("an unknown object", push(&[(None, Oid::from_bytes(&[1; 20]).expect("an id"), "refs/heads/x")])),
        ("signed", signed),
    ];
    let before = place.refs();
    for (what, body) in refused {
        assert!(receive::answer(&place.git, &body).is_none(), "{what}");
        assert_eq!(place.refs(), before, "{what}");
    }
    let whole = push(&[branch]);
    for length in 0..whole.len() {
        assert!(receive::answer(&place.git, &whole[..length]).is_none(), "cut off at {length}");
        assert_eq!(place.refs(), before, "cut off at {length}");
    }
    assert!(receive::answer(&place.git, &whole).is_some());
    assert!(locks(place.folder.path()).is_empty());
}

fn pack_of_commit_alone(git: &Repository, commit: Oid) -> Vec<u8> {
    let mut builder = git.packbuilder().expect("a builder");
    builder.insert_object(commit, None).expect("an object");
    let mut pack = Buf::new();
    builder.write_buf(&mut pack).expect("a pack");
    pack.to_vec()
}

/// Lock files that are left.
fn locks(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(locks(&path));
        } else if path.extension().is_some_and(|end| end == "lock") {
            found.push(path);
        }
    }
    found
}
