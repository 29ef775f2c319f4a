//! `castoff doctor`: a check-up before a bad day. Reads only; every check is a line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use castoff::capability::command::{self, CommandBackend, CommandConfig, Confinement, Pin};
use castoff::capability::github::{Account, GitHubBackend, GitHubConfig, Permission, Setup};
use castoff::capability::mail::{MailBackend, MailConfig};
use castoff::capability::wire::Sleep;
use castoff::capability::{CapabilityError, Slug};
use castoff::clock::Clock;
use castoff::operation::GitHubArea;
use castoff::policy::{Policy, Power, SecretSource};
use castoff::site::Prepared;
use serde_json::json;

use super::args::DoctorArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::instance::Instance;
use super::time::SystemClock;
use super::{App, Done, text};

/// The oldest git that atomic pushes and everything else were tried with.
const GIT: (u32, u32) = (2, 39);
/// Seconds by which the clocks may differ.
const SKEW: i64 = 60;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// As it should be.
    Good,
    /// Worth a look.
    Look,
    /// To be mended first.
    Bad,
}

/// One line.
struct Check {
    name: String,
    mark: Mark,
    words: String,
    hint: Option<String>,
}

impl Check {
    fn new(name: &str, mark: Mark, words: impl Into<String>) -> Self {
        Self { name: name.to_owned(), mark, words: words.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

pub(super) async fn run(app: &App, args: &DoctorArgs) -> Done {
    let instance = Instance::parse(args.forge.as_deref())?;
    let mut worst = Mark::Good;
    let mut show = |check: Check| -> Result<(), CommandError> {
        if check.mark == Mark::Bad || worst == Mark::Good {
            worst = check.mark;
        }
        print(app, args.json, &check)
    };
    show(git())?;
    show(state_folder(app))?;
    let sandbox = Sandbox::look(app).await;
    show(sandbox.check())?;
    let prepared = match &args.file {
        Some(file) => {
            let (check, prepared) = release(app, file, args.policy.as_deref()).await?;
            show(check)?;
            prepared
        }
        None => None,
    };
    let github = github(app, &instance)?;
    for check in account(app, &github, &instance).await {
        show(check)?;
    }
    if let Some(prepared) = &prepared {
        for check in policy(app, prepared, args.policy.as_deref()) {
            show(check)?;
        }
        for check in tools(app, prepared, &sandbox).await {
            show(check)?;
        }
        let (repositories, patterns) = granted(prepared);
        for pattern in patterns {
            show(Check::new(
                &pattern,
                Mark::Look,
                "granted by a pattern: its repositories are not looked at",
            ))?;
        }
        for (slug, writes) in repositories {
            show(repository(&github, &slug, writes).await)?;
        }
    }
    if worst == Mark::Bad {
        app.ui.say("what is marked ✗ has to be mended first");
        return Ok(Exit::Failed);
    }
    let next = args
        .file
        .as_ref()
        .map_or("castoff rehearse FILE".to_owned(), |file| format!("castoff plan {}", file.display()));
    app.ui.next(&next);
    Ok(Exit::Done)
}

fn print(app: &App, as_json: bool, check: &Check) -> Result<(), CommandError> {
    let (mark, word) = match check.mark {
        Mark::Good => (app.ui.data_paint().green("✓"), "good"),
        Mark::Look => (app.ui.data_paint().yellow("!"), "look"),
        Mark::Bad => (app.ui.data_paint().red("✗"), "bad"),
    };
    if as_json {
        return app.ui.json(&json!({
            "check": check.name, "mark": word, "words": check.words, "hint": check.hint,
        }));
    }
    app.ui.data(&format!("{mark} {}: {}", text::line(&check.name), text::line(&check.words)));
    if let Some(hint) = &check.hint {
        app.ui.data(&format!("    {}", text::line(hint)));
    }
    Ok(())
}

fn git() -> Check {
    let said = Command::new("git").arg("--version").output();
    let said = match said {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(error) => {
            return Check::new("git", Mark::Bad, format!("the program cannot be started: {error}"))
                .hint(format!("install git {}.{} or newer", GIT.0, GIT.1));
        }
    };
    match version(&said) {
        Some(found) if found >= GIT => Check::new("git", Mark::Good, said),
        _ => Check::new("git", Mark::Bad, said).hint(format!("git {}.{} or newer is needed", GIT.0, GIT.1)),
    }
}

/// Major and minor number in what `git --version` says.
fn version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.strip_prefix("git version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn state_folder(app: &App) -> Check {
    let folder = match app.state_folder() {
        Ok(folder) => folder,
        Err(error) => {
            return Check::new("state", Mark::Bad, error.message).hint("--state DIR, or CASTOFF_STATE");
        }
    };
    // It is made by the first run; until then its nearest parent decides.
    let there = folder.ancestors().find(|parent| parent.is_dir()).unwrap_or_else(|| Path::new("."));
    match tempfile::tempfile_in(there) {
        Ok(_) => Check::new("state", Mark::Good, format!("{} can be written", folder.display())),
        Err(error) => Check::new("state", Mark::Bad, format!("{}: {error}", there.display()))
            .hint("--state DIR, or CASTOFF_STATE, names another folder"),
    }
}

/// What the kernel offers to confine programs with; plugins are confined by WebAssembly, whatever it says.
struct Sandbox {
    /// Parts that are missing, with the reason.
    missing: BTreeMap<Confinement, String>,
}

impl Sandbox {
    async fn look(app: &App) -> Self {
        let Some(launcher) = app.environment.program() else {
            let why = "this program does not know where it is".to_owned();
            return Self { missing: [(Confinement::Landlock, why)].into() };
        };
        let found = command::look(launcher).await;
        Self { missing: found.into_iter().filter_map(|(part, found)| Some((part, found.err()?))).collect() }
    }

    fn check(&self) -> Check {
        if self.missing.is_empty() {
            return Check::new(
                "sandbox",
                Mark::Good,
                "the kernel has Landlock, namespaces and seccomp: programs can be confined",
            );
        }
        let missing: Vec<String> =
            self.missing.iter().map(|(part, why)| format!("no {}: {why}", part.word())).collect();
        let words = format!("{}; plugins do not need it, programs that steps run do", missing.join("; "));
        Check::new("sandbox", Mark::Look, words)
    }
}

/// Programs that the policy grants to steps, and the mail server.
async fn tools(app: &App, prepared: &Prepared, sandbox: &Sandbox) -> Vec<Check> {
    let Some(policy) = prepared.policy.as_deref() else { return Vec::new() };
    let plugin = &prepared.plugin.manifest().name;
    let grants = policy
        .grants()
        .iter()
        .filter(|grant| &grant.plugin == plugin && grant.processes.include(&prepared.release.process));
    let powers = || grants.clone().flat_map(|grant| &grant.powers).map(|granted| &granted.power);
    let names: BTreeSet<&str> = powers()
        .filter_map(|power| match power {
            Power::Command(_, program, _) => Some(program.as_str()),
            _ => None,
        })
        .collect();
    let mut checks = Vec::new();
    if !names.is_empty() {
        checks.extend(sandbox.missing.keys().map(|part| unconfined(*part, policy)));
    }
    let backend = CommandBackend::new(CommandConfig {
        launcher: app.environment.program().cloned(),
        programs: policy.programs().clone(),
        accept_missing: policy.accept_missing().to_vec(),
    });
    for name in names {
        let title = format!("program {name}");
        checks.push(match (backend.check(name).await, policy.programs().get(name)) {
            (Ok(()), Some(program)) => {
                let pin = match &program.pin {
                    Pin::Sha256(_) => "has the pinned digest",
                    Pin::Version { .. } => "says the pinned version",
                    Pin::Any => "is whatever stands there: it is not pinned",
                };
                let mark = if program.pin == Pin::Any { Mark::Look } else { Mark::Good };
                Check::new(&title, mark, format!("{} {pin}", program.path.display()))
            }
            (Ok(()), None) => Check::new(&title, Mark::Bad, "the policy does not say where it is"),
            (Err(error), _) => Check::new(&title, Mark::Bad, error.to_string()),
        });
    }
    if let (Some(mail), true) = (policy.mail(), powers().any(|power| matches!(power, Power::Mail(_)))) {
        checks.push(server(app, policy, mail).await);
    }
    checks
}

fn unconfined(part: Confinement, policy: &Policy) -> Check {
    let accepted = policy.accept_missing().contains(&part);
    let (mark, words) = match accepted {
        true => (Mark::Look, "missing here, and the policy accepts that: programs are less confined"),
        false => (Mark::Bad, "missing here: programs are refused"),
    };
    let check = Check::new(part.word(), mark, words);
    if accepted { check } else { check.hint("run castoff on a kernel that has it") }
}

/// Whether the mail server lets this machine in; nothing is sent.
async fn server(app: &App, policy: &Policy, mail: &MailConfig) -> Check {
    let mut secrets = BTreeMap::new();
    if let Some(account) = &mail.account
        && let Some(SecretSource::Env(variable)) = policy.secrets().get(&account.secret)
        && let Some(value) = app.environment.secret(variable)
    {
        secrets.insert(account.secret.clone(), value);
    }
    let place = format!("{}:{}", mail.host, mail.port);
    if mail.account.as_ref().is_some_and(|account| !secrets.contains_key(&account.secret)) {
        return Check::new(
            "mail",
            Mark::Look,
            format!("{place} is not tried: its password is not at hand here"),
        );
    }
    match MailBackend::new(Some(mail.clone())).check(&secrets).await {
        Ok(()) => Check::new("mail", Mark::Good, format!("{place} lets this account in")),
        Err(error) => Check::new("mail", Mark::Bad, format!("{place}: {error}")),
    }
}

/// The release file, read as a run would read it.
async fn release(
    app: &App,
    file: &Path,
    policy: Option<&Path>,
) -> Result<(Check, Option<Prepared>), CommandError> {
    match app.site()?.prepare(file, policy).await {
        Ok(prepared) => {
            let steps = prepared.graph.steps.len();
            let words = format!("{}: {}, {steps} steps", file.display(), prepared.graph.title);
            Ok((Check::new("release", Mark::Good, words), Some(prepared)))
        }
        Err(error) => {
            let error = CommandError::from(error);
            let mut check =
                Check::new("release", Mark::Bad, format!("{}: {}", file.display(), error.message));
            check.hint = error.hints.first().cloned();
            Ok((check, None))
        }
    }
}

fn github(app: &App, instance: &Instance) -> Result<GitHubBackend, CommandError> {
    let mut config = GitHubConfig::new(instance.api()?, Arc::new(Sleep), Arc::new(SystemClock));
    config.token = app.environment.token().cloned();
    // A person waits: two attempts tell enough.
    config.patience.attempts = 2;
    Ok(GitHubBackend::new(config)?)
}

async fn account(app: &App, github: &GitHubBackend, instance: &Instance) -> Vec<Check> {
    let place = instance.address().unwrap_or_else(|| "github.com".to_owned());
    if app.environment.token().is_none() {
        let check = Check::new("token", Mark::Bad, format!("there is none for {place}"));
        return vec![check.hint("set GITHUB_TOKEN or GH_TOKEN; plugins never see it")];
    }
    match github.account().await {
        Ok(account) => {
            let words = format!("{} at {place}, {}", account.login, scopes(&account));
            let token = Check::new("token", Mark::Good, words);
            [Some(token), account.date.map(skew)].into_iter().flatten().collect()
        }
        Err(error @ CapabilityError::Forbidden { .. }) => {
            let check = Check::new("token", Mark::Bad, format!("{place} does not accept it: {error}"));
            vec![check.hint("make a new one; a fine-grained token needs the repositories the policy names")]
        }
        Err(error) => vec![Check::new("forge", Mark::Bad, format!("{place}: {error}"))],
    }
}

fn scopes(account: &Account) -> String {
    match account.scopes.as_deref() {
        None => "no scopes are told: a fine-grained token or an App".to_owned(),
        Some([]) => "a classic token without scopes".to_owned(),
        Some(scopes) => format!("a classic token with {}", scopes.join(", ")),
    }
}

fn skew(theirs: chrono::DateTime<chrono::Utc>) -> Check {
    let seconds = (SystemClock.now() - theirs).num_seconds();
    match seconds.abs() <= SKEW {
        true => Check::new("clock", Mark::Good, "agrees with the forge"),
        false => Check::new("clock", Mark::Look, format!("differs by {seconds} s from the forge"))
            .hint("commits and tags carry this clock's time; waits are measured with it"),
    }
}

fn policy(app: &App, prepared: &Prepared, given: Option<&Path>) -> Vec<Check> {
    let Some(policy) = &prepared.policy else {
        let check = Check::new("policy", Mark::Look, "there is none: a run in the world needs one");
        return vec![check.hint(format!("castoff plugin policy {}", prepared.release.plugin))];
    };
    let warnings = policy.check(prepared.plugin.manifest(), prepared.plugin.digest());
    let mut checks: Vec<Check> = warnings
        .iter()
        .map(|warning| {
            Check::new(
                "policy",
                Mark::Look,
                format!("{}:{}: {}", policy.file(), warning.line, warning.message),
            )
        })
        .collect();
    if checks.is_empty() {
        checks.push(Check::new("policy", Mark::Good, format!("{}: every line takes effect", policy.file())));
    }
    let file = given.map(Path::to_owned).unwrap_or_else(|| PathBuf::from(policy.file()));
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    checks.extend(policy.secrets().iter().map(|(name, source)| secret(app, name, source, folder)));
    checks
}

/// Whether a secret has a value; the value itself goes nowhere.
fn secret(app: &App, name: &str, source: &SecretSource, folder: &Path) -> Check {
    let (place, held) = match source {
        SecretSource::Env(variable) => {
            (format!("the variable {variable}"), app.environment.secret(variable).is_some())
        }
        SecretSource::File(path) => {
            let path = folder.join(path);
            let held = std::fs::read_to_string(&path).is_ok_and(|text| !text.trim().is_empty());
            (path.display().to_string(), held)
        }
    };
    let name = format!("secret {name}");
    match held {
        true => Check::new(&name, Mark::Good, format!("{place} has a value")),
        false => Check::new(&name, Mark::Bad, format!("{place} has no value"))
            .hint("the policy names it as the source of the secret"),
    }
}

/// Repositories that the policy grants to the plugin, each with whether something there is written; and the patterns.
fn granted(prepared: &Prepared) -> (BTreeMap<Slug, bool>, BTreeSet<String>) {
    let (mut found, mut patterns) = (BTreeMap::new(), BTreeSet::new());
    let policy: Option<&Policy> = prepared.policy.as_deref();
    let plugin = &prepared.plugin.manifest().name;
    let grants = policy
        .into_iter()
        .flat_map(Policy::grants)
        .filter(|grant| &grant.plugin == plugin && grant.processes.include(&prepared.release.process));
    for power in grants.flat_map(|grant| &grant.powers) {
        let (pattern, writes) = match &power.power {
            Power::GitRead(pattern) => (pattern, false),
            Power::GitPush(pattern, _) => (pattern, true),
            Power::GitHub(area, pattern) => (pattern, needs_push(*area)),
            _ => continue,
        };
        match Slug::parse(&pattern.to_string()) {
            Ok(slug) => *found.entry(slug).or_insert(false) |= writes,
            Err(_) => drop(patterns.insert(pattern.to_string())),
        }
    }
    (found, patterns)
}

/// Parts of the API that GitHub gives to those only who may push.
fn needs_push(area: GitHubArea) -> bool {
    matches!(area, GitHubArea::Merge | GitHubArea::Releases | GitHubArea::Dispatch)
}

async fn repository(github: &GitHubBackend, slug: &Slug, writes: bool) -> Check {
    let name = slug.to_string();
    let setup = match github.setup(slug).await {
        Ok(Some(setup)) => setup,
        Ok(None) => {
            return Check::new(&name, Mark::Bad, "it does not exist, or the token may not see it")
                .hint("a fine-grained token names the repositories it is for");
        }
        Err(error) => return Check::new(&name, Mark::Bad, error.to_string()),
    };
    let words = words(&setup);
    match setup {
        Setup { archived: true, .. } if writes => Check::new(&name, Mark::Bad, format!("archived; {words}")),
        Setup { permission, .. } if writes && permission < Permission::Write => {
            Check::new(&name, Mark::Bad, words)
                .hint("the policy grants changes here that need write permission")
        }
        Setup { protection: None, .. } if writes => Check::new(&name, Mark::Look, words),
        _ => Check::new(&name, Mark::Good, words),
    }
}

fn words(setup: &Setup) -> String {
    let permission = serde_json::to_value(setup.permission).unwrap_or_default();
    let branch = &setup.default_branch;
    let protection = match &setup.protection {
        None => format!("{branch} is not protected as far as is told"),
        Some(protection) => {
            let (checks, reviews) = (protection.required_checks.len(), protection.required_reviews);
            let locked = if protection.locked { " and locked" } else { "" };
            format!("{branch} is protected{locked}, {checks} required checks, {reviews} reviews")
        }
    };
    let releases = match setup.immutable_releases {
        Some(true) => "releases are immutable",
        Some(false) => "releases can be changed",
        None => "nothing is told of immutable releases",
    };
    format!("permission {}; {protection}; {releases}", permission.as_str().unwrap_or("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_git() {
        for (said, expected) in [
            ("git version 2.39.5", Some((2, 39))),
            ("git version 2.50.1 (Apple Git-155)", Some((2, 50))),
            ("git version 3.0", Some((3, 0))),
            ("git version two", None),
            ("", None),
        ] {
            assert_eq!(version(said), expected, "{said}");
        }
    }
}
