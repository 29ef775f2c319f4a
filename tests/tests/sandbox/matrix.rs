//! Every function of the interfaces, as `wit/` has them, with no grant, with grants for something else, and with exactly
//! the grants it needs: a typed denial that names the line, the back end untouched, the denial in the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use castoff::capability::Slug;
use castoff::capability::git::BranchRule;
use castoff::function::{Class, FUNCTIONS, by_short_name};
use castoff::gate::{CallError, CallResult, Gate, Repository, WantedRebase, WantedRef};
use castoff::policy::pattern::RefPattern;
use serde_json::{Value, json};
use wit_parser::{Resolve, WorldItem};

use crate::fake::COMMIT;
use crate::rig::{Rig, grants, usual};

/// Where each function of this process is allowed to go, and what is near to it and not allowed.
struct Row {
    function: &'static str,
    /// What it is called with.
    exact: Value,
    /// The same call elsewhere.
    elsewhere: Vec<Value>,
    /// All it needs, as a policy spells it.
    powers: Vec<&'static str>,
    /// What the back ends see of it once it is allowed.
    reaches: Vec<&'static str>,
}

fn row(function: &'static str, exact: Value, powers: &[&'static str], reaches: &[&'static str]) -> Row {
    Row { function, exact, elsewhere: Vec::new(), powers: powers.to_vec(), reaches: reaches.to_vec() }
}

impl Row {
    /// The call with one value changed.
    fn but(mut self, name: &str, value: impl Into<Value>) -> Self {
        let mut other = self.exact.clone();
        other[name] = value.into();
        self.elsewhere.push(other);
        self
    }

    /// Repositories that are not the one, some of which look like it.
    fn in_other_repositories(self) -> Self {
        ["acme/other", "other/tool", "acme/tool2", "acme/too", "tool/acme"]
            .into_iter()
            .fold(self, |row, repository| row.but("repository", repository))
    }

    fn argument(&self, call: &Value) -> String {
        let mut call = call.clone();
        call["function"] = self.function.into();
        call.to_string()
    }

    fn owned(&self) -> Vec<String> {
        self.powers.iter().map(|&power| power.to_owned()).collect()
    }
}

const READ: &str = "git.read acme/tool";

/// The gate finds the three commits that are named, and the back end's loop the new base again.
const REBASED: [&str; 6] =
    ["git.open", "git.resolve", "git.resolve", "git.resolve", "git.resolve", "git.log"];

fn git() -> Vec<Row> {
    let here = || json!({ "repository": "acme/tool" });
    let reads = [
        ("git.open", None),
        ("git.narrow", None),
        ("git.default-branch", Some("git.default_branch")),
        ("git.references", Some("git.references")),
        ("git.resolve", Some("git.resolve")),
        ("git.first-parents", Some("git.first_parents")),
        ("git.log", Some("git.log")),
        ("git.merge-base", Some("git.merge_base")),
        ("git.is-ancestor", Some("git.is_ancestor")),
        ("git.read", Some("git.read")),
        ("git.entries", Some("git.entries")),
        ("git.diff", Some("git.diff")),
        ("git.build-commit", Some("git.build_commit")),
    ];
    let reads = reads.into_iter().map(|(function, reached)| {
        let reaches: Vec<&str> = std::iter::once("git.open").chain(reached).collect();
        row(function, here(), &[READ], &reaches).in_other_repositories()
    });
    let rebase = row("git.rebase", here(), &[READ], &REBASED).in_other_repositories();
    let named = |name: &str| json!({ "repository": "acme/tool", "name": name });
    let branch = row(
        "git.ensure-branch",
        named("release-1.0"),
        &[READ, "git.push acme/tool refs/heads/release-1.0"],
        &["git.open", "git.remote_references", "git.remote_references", "git.push refs/heads/release-1.0"],
    );
    let branch =
        ["main", "release-1.1", "release-1.0/x", "release-1.0.lock", "x/../release-1.0", "RELEASE-1.0"]
            .into_iter()
            .fold(branch.in_other_repositories(), |row, name| row.but("name", name));
    let tag = row(
        "git.ensure-tag",
        named("v1.0.0"),
        &[READ, "git.push acme/tool refs/tags/v1.0.0"],
        &["git.open", "git.remote_references", "git.remote_references", "git.push refs/tags/v1.0.0"],
    );
    let tag = ["v1.0.1", "v1.0.0 ", "v1.0.0^{}", "../heads/main", "v1.0.0:refs/heads/main", "V1.0.0", "-d"]
        .into_iter()
        .fold(tag.in_other_repositories(), |row, name| row.but("name", name));
    let refs = row(
        "git.ensure-refs",
        json!({ "repository": "acme/tool", "names": ["refs/heads/release-1.0", "refs/tags/v1.0.0"] }),
        &[READ, "git.push acme/tool refs/heads/release-1.0", "git.push acme/tool refs/tags/v1.0.0"],
        &[
            "git.open",
            "git.remote_references",
            "git.remote_references",
            "git.push refs/heads/release-1.0 refs/tags/v1.0.0",
        ],
    );
    // One name among several that are granted is enough.
    let refs = refs
        .in_other_repositories()
        .but("names", json!(["refs/heads/release-1.0", "refs/tags/v1.0.0", "refs/heads/main"]))
        .but("names", json!(["refs/tags/v1.0.0", "refs/notes/x"]))
        .but("names", json!(["HEAD"]));
    reads.chain([rebase, branch, tag, refs]).collect()
}

fn github() -> Vec<Row> {
    let here = || json!({ "repository": "acme/tool", "name": "v1.0.0" });
    let table: &[(&str, &[&str], &[&str])] = &[
        ("github.viewer-permission", &["github.read acme/tool"], &["github.viewer_permission"]),
        ("github.pull-requests", &["github.read acme/tool"], &["github.pull_requests"]),
        ("github.find-pull-requests", &["github.read acme/tool"], &["github.find_pull_requests"]),
        ("github.find-issues", &["github.read acme/tool"], &["github.find_issues"]),
        ("github.release-of-tag", &["github.read acme/tool"], &["github.release_of_tag"]),
        ("github.releases", &["github.read acme/tool"], &["github.releases"]),
        ("github.checks", &["github.read acme/tool"], &["github.checks"]),
        ("github.branch-protection", &["github.read acme/tool"], &["github.branch_protection"]),
        (
            "github.ensure-pull-request",
            &["github.pulls acme/tool"],
            &["github.probe_pull_request", "github.put_pull_request"],
        ),
        ("github.merge-pull-request", &["github.merge acme/tool"], &["github.probe_merge", "github.merge"]),
        (
            "github.ensure-comment",
            &["github.comments acme/tool"],
            &["github.probe_comment", "github.put_comment"],
        ),
        ("github.ensure-issue", &["github.issues acme/tool"], &["github.probe_issue", "github.put_issue"]),
        (
            "github.ensure-release",
            &["github.releases acme/tool", "git.push acme/tool refs/tags/v1.0.0"],
            &["git.remote_references", "github.probe_release", "github.put_release"],
        ),
        (
            "github.ensure-prerelease",
            &["github.releases acme/tool"],
            &["github.release_of_tag", "github.put_prerelease"],
        ),
        ("github.dispatch", &["github.dispatch acme/tool"], &["github.dispatch"]),
    ];
    let mut rows: Vec<Row> = table
        .iter()
        .map(|(function, powers, reaches)| row(function, here(), powers, reaches).in_other_repositories())
        .map(|row| if row.function == "github.ensure-release" { row.but("name", "v1.0.1") } else { row })
        .collect();
    rows.push(row("github.viewer", json!({}), &[], &["github.viewer"]));
    rows
}

const ADDRESS: &str = "https://service.example/a/b";

fn http() -> Vec<Row> {
    let call = |method: &str| json!({ "method": method, "url": ADDRESS, "secret": "token" });
    let key = "secret token https://service.example";
    let fetch = row("http.fetch", call("GET"), &["http.get https://service.example/a/b", key], &["http.GET"])
        .but("method", "HEAD");
    let send =
        row("http.send", call("POST"), &["http.post https://service.example/a/b", key], &["http.POST"])
            .but("method", "DELETE");
    let mut ensure = row(
        "http.ensure",
        call("POST"),
        &["http.post https://service.example/a/b", key, "http.get https://service.example/look"],
        &["http.GET", "http.POST"],
    );
    ensure.exact["probe"] = "https://service.example/look".into();
    let ensure = ensure.but("method", "PUT").but("probe", "https://elsewhere.example/look");
    let elsewhere = [
        "https://service.example/a/c",
        "https://service.example/a/b/c",
        "https://service.example/a/%62",
        "https://service.example/a/../a/b/../c",
        "https://service.example//a/b",
        "https://elsewhere.example/a/b",
        "https://service.example.evil.example/a/b",
        "https://evil.service.example/a/b",
        "https://service.example:8443/a/b",
        "https://service.example@evil.example/a/b",
        "http://service.example/a/b",
        "http://169.254.169.254/latest/meta-data/",
    ];
    [fetch, send, ensure]
        .into_iter()
        .map(|row| elsewhere.into_iter().fold(row.but("secret", "other"), |row, url| row.but("url", url)))
        .collect()
}

fn files() -> Vec<Row> {
    vec![
        row("files.read", json!({}), &[], &[]),
        row("files.write", json!({}), &[], &[]),
        row("files.files", json!({}), &[], &[]),
        row("files.publish", json!({ "name": "note.txt" }), &["files.publish"], &["kept note.txt"]),
    ]
}

fn command() -> Vec<Row> {
    let exact = json!({ "line": "tool get x", "variables": { "TOKEN": "secret:token", "MODE": "fast" } });
    let table = [
        ("command.run", "command.run tool get x", "command.run tool get x"),
        ("command.fetch", "command.fetch tool get x", "command.fetch tool get x"),
        ("command.send", "command.send tool get x", "command.send tool get x"),
    ];
    let lines = [
        "tool get y",
        "tool get",
        "tool get x y",
        "tool get --force",
        "tool -c get x",
        "other get x",
        "tool get ../x",
    ];
    let variables = [
        json!({ "TOKEN": "secret:other", "MODE": "fast" }),
        json!({ "TOKEN": "secret:token", "MODE": "slow" }),
        json!({ "TOKEN": "secret:token", "MODE": "fast", "LD_PRELOAD": "evil.so" }),
        json!({ "OTHER": "secret:token" }),
    ];
    table
        .into_iter()
        .map(|(function, power, reached)| {
            let powers = [power, "command.env tool TOKEN=secret:token", "command.env tool MODE=fast"];
            let row = row(function, exact.clone(), &powers, &[reached]);
            let row = lines.into_iter().fold(row, |row, line| row.but("line", line));
            variables.iter().fold(row, |row, given| row.but("variables", given.clone()))
        })
        .collect()
}

fn mail_and_log() -> Vec<Row> {
    let send =
        row("mail.send", json!({ "to": "dev@example.org" }), &["mail.send dev@example.org"], &["mail.send"]);
    let send = [
        "ops@example.org",
        "dev@example.org.evil.example",
        "dev@evil.example",
        "dev@example.org,x@y.example",
    ]
    .into_iter()
    .fold(send, |row, to| row.but("to", to));
    vec![
        Row { reaches: vec!["mail.send", "kept mail"], ..send },
        row("mail.draft", json!({ "to": "anybody@anywhere.example" }), &["files.publish"], &["kept mail"]),
        row("log.emit", json!({}), &[], &[]),
        row("log.progress", json!({}), &[], &[]),
    ]
}

fn rows() -> Vec<Row> {
    [git(), github(), http(), files(), command(), mail_and_log()].into_iter().flatten().collect()
}

/// A call of every function that changes the world.
pub(crate) fn effects() -> Vec<Value> {
    let effect = |row: &Row| by_short_name(row.function).is_some_and(|function| function.class.is_effect());
    let call = |row: &Row| serde_json::from_str(&row.argument(&row.exact)).expect("what was just written");
    rows().iter().filter(|row| effect(row)).map(call).collect()
}

/// Functions that the world of plugins imports, by short name, with their description; read from `wit/` itself.
fn written() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let mut resolve = Resolve::default();
    let order = ["types", "log", "files", "http", "git", "github", "command", "mail", "process"];
    let mut process = None;
    for package in order {
        process = Some(resolve.push_dir(folder.join(package)).expect("the package can be read").0);
    }
    let packages = std::fs::read_dir(&folder).expect("wit/ is there").count();
    assert_eq!(packages, order.len(), "a package of wit/ is not read here");
    let packages = [process.expect("a package")];
    let world = resolve.select_world(&packages, Some("plugin")).expect("the world of plugins");
    let mut found = BTreeMap::new();
    for item in resolve.worlds[world].imports.values() {
        let WorldItem::Interface { id, .. } = item else { panic!("the world imports interfaces only") };
        let interface = &resolve.interfaces[*id];
        let package = interface.package.map(|id| resolve.packages[id].name.name.clone()).unwrap_or_default();
        for (name, function) in &interface.functions {
            let short = name.rsplit('.').next().unwrap_or(name);
            found.insert(format!("{package}.{short}"), function.docs.contents.clone().unwrap_or_default());
        }
    }
    found
}

#[test]
fn every_function_of_the_interfaces_has_a_row_and_a_class() {
    let written = written();
    assert!(written.len() > 40, "the reader of wit/ found {}", written.len());
    let rows: BTreeSet<String> = rows().iter().map(|row| row.function.to_owned()).collect();
    assert_eq!(written.keys().cloned().collect::<BTreeSet<_>>(), rows);
    assert_eq!(written.len(), FUNCTIONS.len());
    for (function, docs) in &written {
        let class = by_short_name(function).unwrap_or_else(|| panic!("{function} has no class")).class;
        let word = format!("Class: {}", format!("{class:?}").to_lowercase());
        assert!(docs.contains(&word), "{function} is {class:?} here; wit/ says: {docs}");
    }
}

#[test]
fn what_needs_no_power_is_a_short_list() {
    let free: BTreeSet<&str> =
        rows().iter().filter(|row| row.powers.is_empty()).map(|row| row.function).collect();
    // The login of the account, the step's own scratch directory, and words for people.
    let expected = ["files.files", "files.read", "files.write", "github.viewer", "log.emit", "log.progress"];
    assert_eq!(free, expected.into());
    for row in rows() {
        let class = by_short_name(row.function).expect("a function").class;
        assert!(
            !class.is_effect() || !row.powers.is_empty(),
            "{} changes the world without a power",
            row.function
        );
        let scoped = row.powers.iter().any(|power| *power != "files.publish");
        assert!(!scoped || !row.elsewhere.is_empty(), "{} is tried in one place only", row.function);
    }
}

/// What came of one call: the denied power or nothing, what the back ends saw, what was written down.
struct Seen {
    denied: Option<(String, String)>,
    error: Option<String>,
    reached: Vec<String>,
    journal: Vec<String>,
    intents: Vec<String>,
}

async fn called(row: &Row, call: &Value, asked: &[String], granted: &[String]) -> Seen {
    let rig = Rig::new(grants(asked, granted));
    let result = rig.act(usual(), "call", &row.argument(call)).await.expect("a denial is no crash");
    let mut reached = rig.fake.take();
    reached.extend(rig.kept().into_iter().map(|name| match name.starts_with("mail-") {
        true => "kept mail".to_owned(),
        false => format!("kept {name}"),
    }));
    let denied = result["denied"].as_object().map(|denied| {
        let text = |name: &str| denied[name].as_str().unwrap_or_default().to_owned();
        (text("power"), text("hint"))
    });
    Seen {
        denied,
        error: result["error"].as_str().map(str::to_owned),
        reached,
        journal: rig.book.denied(),
        intents: rig.book.intents(),
    }
}

/// Asks for everything there is, so that the policy alone decides.
fn everything() -> Vec<String> {
    let repositories = ["git.read */*", "git.push */* refs/**"].into_iter().map(str::to_owned);
    let areas = ["read", "pulls", "merge", "comments", "issues", "releases", "dispatch"];
    let areas = areas.into_iter().map(|area| format!("github.{area} */*"));
    let wide = [
        "http.get,head,post,put,delete https://service.example/**",
        "http.get,post https://elsewhere.example/**",
        "secret other https://service.example",
        "command.run tool **",
        "command.run tool ...",
        "command.fetch tool ...",
        "command.send tool ...",
        "command.env tool MODE=*",
        "command.env tool TOKEN=secret:other",
        "mail.send *@*",
    ];
    let wide = wide.into_iter().map(str::to_owned);
    let rest = rows().into_iter().flat_map(|row| row.owned());
    repositories.chain(areas).chain(wide).chain(rest).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Nothing but the opening of a repository that is granted may have happened before a denial.
fn assert_untouched(seen: &Seen, what: &str) {
    let touched: Vec<&String> = seen.reached.iter().filter(|call| *call != "git.open").collect();
    assert!(touched.is_empty(), "{what}: {touched:?}");
    assert!(seen.intents.is_empty(), "{what}: an intent was journalled: {:?}", seen.intents);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_grant_nothing_is_reached_and_the_named_lines_are_exactly_what_is_needed() {
    let everything = everything();
    let mut denials = 0;
    for row in rows() {
        // The lines that the denials name are added one after the other, until nothing more is denied.
        let mut lines: Vec<String> = Vec::new();
        loop {
            let asked = [everything.clone(), lines.clone()].concat();
            let seen = called(&row, &row.exact, &asked, &lines).await;
            let what = format!("{} with {lines:?}", row.function);
            let Some((power, hint)) = seen.denied.clone() else {
                assert_eq!(seen.error, None, "{what}");
                let mut reaches: Vec<&str> = row.reaches.clone();
                let mut reached: Vec<&str> = seen.reached.iter().map(String::as_str).collect();
                reaches.sort_unstable();
                reached.sort_unstable();
                assert_eq!(reached, reaches, "{what}: the back ends see it once");
                assert!(seen.journal.is_empty(), "{what}");
                let is_effect =
                    by_short_name(row.function).is_some_and(|function| function.class.is_effect());
                assert_eq!(seen.intents, if is_effect { vec![row.function] } else { Vec::new() }, "{what}");
                break;
            };
            denials += 1;
            assert_untouched(&seen, &what);
            assert_eq!(seen.journal, std::slice::from_ref(&power), "{what}: the denial is journalled");
            assert!(hint.contains(&format!("add {power:?}")), "{what}: {hint}");
            assert!(!lines.contains(&power), "{what}: {power} was named and does not help");
            lines.push(power);
        }
        lines.sort();
        let mut powers = row.owned();
        powers.sort();
        assert_eq!(lines, powers, "{}", row.function);
    }
    println!("{denials} denials of {} functions, each named the line that was missing", rows().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_for_something_else_do_not_help() {
    let everything = everything();
    let mut denials = 0;
    for row in rows() {
        for call in &row.elsewhere {
            let seen = called(&row, call, &everything, &row.owned()).await;
            let what = format!("{} {call}", row.function);
            // What is no name or address at all is refused as such.
            let malformed = seen.error.as_deref().is_some_and(|error| error.starts_with("Error::Invalid"));
            assert!(seen.denied.is_some() || malformed, "{what}: {:?} {:?}", seen.error, seen.reached);
            assert_untouched(&seen, &what);
            assert_eq!(seen.journal.len(), usize::from(seen.denied.is_some()), "{what}");
            denials += usize::from(seen.denied.is_some());
        }
        // Each line is needed.
        for missing in 0..row.powers.len() {
            let mut rest = row.owned();
            let missing = rest.remove(missing);
            let seen = called(&row, &row.exact, &everything, &rest).await;
            assert_eq!(seen.denied.as_ref().map(|(power, _)| power), Some(&missing), "{}", row.function);
            assert_untouched(&seen, row.function);
            denials += 1;
        }
    }
    println!("{denials} calls beside their grants denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grants_of_one_function_are_of_no_use_to_another() {
    let everything = everything();
    let rows = rows();
    let sets: BTreeSet<Vec<String>> = rows.iter().map(Row::owned).collect();
    for powers in &sets {
        for row in &rows {
            let seen = called(row, &row.exact, &everything, powers).await;
            let allowed = row.powers.iter().all(|power| powers.iter().any(|own| own == power));
            assert_eq!(seen.denied.is_none(), allowed, "{} with {powers:?}: {:?}", row.function, seen.denied);
            if !allowed {
                assert_untouched(&seen, row.function);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_manifest_does_not_ask_for_no_policy_can_grant() {
    for row in rows().iter().filter(|row| !row.powers.is_empty()) {
        for missing in 0..row.powers.len() {
            let mut asked = row.owned();
            asked.remove(missing);
            let seen = called(row, &row.exact, &asked, &row.owned()).await;
            let (_, hint) = seen.denied.as_ref().unwrap_or_else(|| panic!("{} is allowed", row.function));
            assert!(hint.contains("no policy can allow it"), "{}: {hint}", row.function);
            assert_untouched(&seen, row.function);
        }
    }
}

/// Calls a function on a handle that nobody opened: what a fault in the translation, or a handle kept over a change of
/// grants, would amount to.
async fn on_forged_handle(gate: &Gate, function: &str) -> CallResult<()> {
    let slug = Slug::parse("acme/tool").expect("a repository");
    let forged = Repository { slug, narrowed: Vec::new() };
    let all = RefPattern::parse("refs/**").expect("a pattern");
    match function {
        "default-branch" => gate.default_branch(&forged).await.map(drop),
        "references" => gate.references(&forged, &all).await.map(drop),
        "resolve" => gate.resolve(&forged, COMMIT).await.map(drop),
        "first-parents" => gate.first_parents(&forged, None, COMMIT, 1).await.map(drop),
        "log" => gate.log(&forged, None, COMMIT, 1).await.map(drop),
        "merge-base" => gate.merge_base(&forged, COMMIT, COMMIT).await.map(drop),
        "is-ancestor" => gate.is_ancestor(&forged, COMMIT, COMMIT).await.map(drop),
        "read" => gate.read_file(&forged, COMMIT, "README.md").await.map(drop),
        "entries" => gate.entries(&forged, COMMIT, "", true).await.map(drop),
        "diff" => gate.diff(&forged, COMMIT, COMMIT, &[]).await.map(drop),
        "build-commit" => gate.build_commit(&forged, Vec::new(), Vec::new(), "m", false).await.map(drop),
        "rebase" => {
            let wanted = WantedRebase {
                onto: COMMIT.into(),
                since: COMMIT.into(),
                last: COMMIT.into(),
                deletions_win: false,
                resolutions: Vec::new(),
            };
            gate.rebase(&forged, wanted).await.map(drop)
        }
        "ensure-branch" => gate.ensure_branch(&forged, "main", COMMIT, &BranchRule::FastForward).await,
        "ensure-tag" => gate.ensure_tag(&forged, "v1.0.0", COMMIT, Some("annotated")).await,
        "ensure-refs" => {
            let wanted =
                WantedRef { name: "refs/tags/v1.0.0".into(), commit: COMMIT.into(), annotation: None };
            gate.ensure_refs(&forged, vec![wanted]).await
        }
        other => panic!("{other} is not tried on a forged handle"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_is_no_authority_by_itself() {
    let methods = FUNCTIONS.iter().filter(|function| function.name.starts_with("[method]"));
    for function in
        methods.filter(|function| function.class != Class::Pure || function.short() != "git.narrow")
    {
        let short = function.short();
        let rig = Rig::new(grants(&everything(), &[]));
        let ended = on_forged_handle(&rig.gate(), short.trim_start_matches("git.")).await;
        assert!(
            matches!(&ended, Err(CallError::Denied(denial)) if denial.power == READ),
            "{short}: {ended:?}"
        );
        assert!(rig.fake.take().is_empty(), "{short}");
        assert_eq!(rig.book.denied(), [READ], "{short}");
    }
}
