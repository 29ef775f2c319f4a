//! Commits carried from one base to another, with the program's own `git rebase --onto` as the judge.

use super::*;
use crate::capability::git::{RebaseSpec, Rebased, Resolution, rebase};

/// A commit of an author and time of its own.
fn by(branch: &str, number: usize, changes: &str) -> String {
    let message = format!("change {number}\n\nWhy it is made.\n");
    format!(
        "commit refs/heads/{branch}\nauthor Author {} <a{}@example.org> {} +0{}30\n\
         committer Committer <c@example.org> {} +0000\ndata {}\n{message}\n{changes}\n",
        number % 7,
        number % 7,
        START + 86_400 * number as i64,
        number % 9,
        START + 86_400 * number as i64 + 5,
        message.len(),
    )
}

/// The lines of a file, some of them exchanged.
fn lines(file: usize, exchanged: &[(usize, String)]) -> String {
    let line = |at: usize| {
        let other = exchanged.iter().rev().find(|(line, _)| *line == at).map(|(_, text)| text.clone());
        other.unwrap_or_else(|| format!("file {file}, line {at}")) + "\n"
    };
    (0..120).map(line).collect()
}

fn path(file: usize) -> String {
    format!("pkg/p{}/f{file}.go", file % 6)
}

/// Upstream's old and new patch, and a fork of 94 commits on the old one: edits near upstream's and far from them, new files, a
/// folder deleted that upstream goes on changing, a file renamed that upstream edits, one renamed upstream, modes and links,
/// a change that upstream has made as well.
fn story() -> String {
    let base: String = (0..30).map(|file| put(&path(file), &lines(file, &[]))).collect::<String>()
        + &(0..5).map(|n| put(&format!("legacy/aws/x{n}.go"), &lines(n, &[]))).collect::<String>()
        + &put("renamed/upstream.go", &lines(100, &[]))
        + &put("same.txt", "one\n");
    let mut upstream = String::new();
    for file in (0..30).filter(|file| file % 2 == 0) {
        upstream += &put(&path(file), &lines(file, &[(3, "upstream".into()), (90, "upstream too".into())]));
    }
    upstream += &put("legacy/aws/x1.go", &lines(1, &[(5, "patched".into())]));
    upstream += "R renamed/upstream.go renamed/elsewhere.go\n";
    upstream += &put("same.txt", "two\n");
    let mut text = commit("old", 0, "old", &[], &base)
        + &reset("new", "old")
        + &commit("new", 1, "new", &[], &upstream)
        + &reset("fork", "old");
    let mut edits: Vec<Vec<(usize, String)>> = vec![Vec::new(); 30];
    for number in 0..94 {
        let file = number * 7 % 30;
        let changes = match number {
            20 => "D legacy\n".to_owned(),
            30 => format!("R {} pkg/moved.go\n", path(28)),
            40 => put("same.txt", "two\n"),
            50 => put("renamed/upstream.go", &lines(100, &[(60, "fork".into())])),
            60 => put_mode(&path(4), "100755", &lines(4, &edits[4])),
            61 => put_mode("link", "120000", "pkg"),
            _ if number % 10 == 9 => put(&format!("embedded/n{number}.go"), "package embedded\n"),
            _ if file == 28 || (file == 4 && number > 60) => put(&format!("other/n{number}"), "x\n"),
            _ => {
                edits[file].push((8 + number % 75, format!("fork {number}")));
                put(&path(file), &lines(file, &edits[file]))
            }
        };
        text += &by("fork", number, &changes);
    }
    text
}

/// What `git rebase --onto` makes of it, a file that the fork deleted being removed wherever the program asks.
fn judged(world: &World, onto: &str, since: &str, last: &str) -> (PathBuf, String) {
    let place = world.place.path().join("judge");
    git(world.place.path(), &["clone", "--quiet", world.remote().to_str().unwrap(), "judge"], b"");
    git(&place, &["checkout", "--quiet", "--detach", &format!("origin/{last}")], b"");
    let run = |arguments: &[&str]| {
        let done = Command::new("git")
            .args(["-c", "user.name=Rel Ease", "-c", "user.email=rel@example.org"])
            .args(arguments)
            .current_dir(&place)
            .env("GIT_EDITOR", "true")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        done.status.success()
    };
    let name = |branch: &str| format!("origin/{branch}");
    let mut through = run(&["rebase", "--quiet", "--onto", &name(onto), &name(since), &name(last)]);
    for _ in 0..20 {
        if through {
            break;
        }
        for line in git(&place, &["status", "--porcelain"], b"").lines() {
            if let Some(path) = line.strip_prefix("UD ") {
                git(&place, &["rm", "--quiet", path], b"");
            }
        }
        through = run(&["rebase", "--continue"]);
    }
    assert!(through, "the program comes through");
    let head = git(&place, &["rev-parse", "HEAD"], b"");
    (place, head)
}

fn carry(world: &World, deletions_win: bool, resolutions: Vec<Resolution>) -> RebaseSpec {
    let id = |branch: &str| world.at_remote(&["rev-parse", branch]);
    RebaseSpec {
        onto: id("new"),
        since: id("old"),
        last: id("fork"),
        deletions_win,
        resolutions,
        identity: identity(),
        time: START,
    }
}

#[tokio::test]
async fn ninety_four_commits_give_the_tree_of_the_program() {
    let world = World::new();
    world.seed(&story()).await;
    let (rebased, built) = rebase(&world.git, &world.slug, &carry(&world, true, Vec::new())).await.unwrap();
    let Rebased::Done { commit, carried, dropped } = rebased else { panic!("{rebased:?}") };
    let (place, head) = judged(&world, "new", "old", "fork");
    assert_eq!(commit.tree, git(&place, &["rev-parse", &format!("{head}^{{tree}}")], b""));
    let told = ["log", "--reverse", "--format=%T %an %ae %ad %s|%b", "--date=raw"];
    let range = |head: &str| format!("{}..{head}", world.at_remote(&["rev-parse", "new"]));
    let log = |place: &Path, head: &str| git(place, &[&told[..], &[&range(head)]].concat(), b"");
    let own = log(&world.git.mirror(&world.slug), &commit.id);
    assert_eq!(own, log(&place, &head), "every tree, author, author's date and message");
    assert_eq!(
        (carried, built.len(), dropped.len()),
        (93, 93, 1),
        "what upstream has made as well is dropped"
    );
    assert!(own.contains("Author 3 <a3@example.org>") || own.contains("Author 3 a3@example.org"), "{own}");
    let committers = world.at_mirror(&["log", "--format=%cn %ct", &range(&commit.id)], b"");
    assert!(committers.lines().all(|line| line == format!("Rel Ease {START}")), "{committers}");
    let again = rebase(&world.git, &world.slug, &carry(&world, true, Vec::new())).await.unwrap();
    assert_eq!(again.1.last(), built.last(), "the same inputs give the same commits");
}

#[tokio::test]
async fn conflicts_are_handed_out_and_taken_in_again() {
    let world = World::new();
    let base = put("a", "1\n2\n3\n") + &put("gone", "x\n") + &put("kept", "y\n") + &put("b", "b\n");
    let upstream = put("a", "1\nnew\n3\n") + "D gone\n" + &put("kept", "patched\n") + &put("c", "upstream\n");
    let fork = put("a", "1\nfork\n3\n") + &put("gone", "z\n") + "D kept\n" + &put("c", "fork\n");
    let text = commit("old", 0, "old", &[], &base)
        + &reset("new", "old")
        + &commit("new", 1, "new", &[], &upstream)
        + &reset("fork", "old")
        + &by("fork", 1, &fork)
        + &by("fork", 2, &put("b", "fork\n"));
    world.seed(&text).await;
    let (stopped, _) = rebase(&world.git, &world.slug, &carry(&world, false, Vec::new())).await.unwrap();
    let Rebased::Stopped { commit, tip, paths } = stopped else { panic!("{stopped:?}") };
    assert_eq!((commit.subject(), tip.subject()), ("change 1", "new"));
    let told: Vec<(&str, &str)> =
        paths.iter().map(|path| (path.path.as_str(), path.reason.as_str())).collect();
    assert_eq!(
        told,
        [
            ("a", "both sides changed it"),
            ("c", "both sides added it"),
            ("gone", "the new base deleted it, the carried commit changes it"),
            ("kept", "the carried commit deletes it, the new base changed it"),
        ]
    );
    let text = String::from_utf8(paths[0].content.clone().unwrap()).unwrap();
    assert_eq!(text, "1\n<<<<<<< new base\nnew\n=======\nfork\n>>>>>>> carried commit\n3\n");
    let settle = |path: &str, content: Option<&str>| Resolution {
        commit: commit.id.clone(),
        path: path.into(),
        content: content.map(|content| content.as_bytes().to_vec()),
    };
    let mut settled = vec![settle("a", Some("1\nboth\n3\n")), settle("c", Some("c\n")), settle("gone", None)];
    // With the policy of the fork, its deletion is no question.
    let (done, _) = rebase(&world.git, &world.slug, &carry(&world, true, settled.clone())).await.unwrap();
    let Rebased::Done { commit: first, carried: 2, .. } = done else { panic!("{done:?}") };
    let (stopped, _) = rebase(&world.git, &world.slug, &carry(&world, false, settled.clone())).await.unwrap();
    let Rebased::Stopped { paths, .. } = stopped else { panic!("{stopped:?}") };
    assert_eq!(paths.len(), 1, "only what is not settled is asked again");
    settled.push(settle("kept", None));
    let (done, _) = rebase(&world.git, &world.slug, &carry(&world, false, settled)).await.unwrap();
    let Rebased::Done { commit: second, .. } = done else { panic!("{done:?}") };
    assert_eq!(first.tree, second.tree);
    let listed = world.at_mirror(&["ls-tree", "-r", "--name-only", &second.id], b"");
    assert_eq!(listed, "a\nb\nc");
}

#[tokio::test]
async fn merges_are_refused_and_what_is_in_place_stays() {
    let world = World::new();
    let text = commit("old", 0, "old", &[], &put("a", "1\n"))
        + &reset("new", "old")
        + &reset("fork", "old")
        + &by("fork", 1, &put("b", "1\n"))
        + &reset("side", "old")
        + &by("side", 2, &put("c", "1\n"));
    world.seed(&text).await;
    let in_place = rebase(&world.git, &world.slug, &carry(&world, true, Vec::new())).await.unwrap();
    assert!(in_place.1.is_empty(), "the fork is on the new base already");
    let who = format!("A U Thor <a@example.org> {START} +0000");
    let merge = format!(
        "commit refs/heads/fork\nauthor {who}\ncommitter {who}\ndata 5\nmerge\nfrom refs/heads/fork^0\nmerge refs/heads/side\n\n"
    );
    git(&world.remote(), &["fast-import", "--quiet"], merge.as_bytes());
    world.git.open(&world.slug).await.unwrap();
    let refused = rebase(&world.git, &world.slug, &carry(&world, true, Vec::new())).await;
    assert!(refused.unwrap_err().to_string().contains("is a merge"));
}
