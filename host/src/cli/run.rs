//! `castoff run`: a release in the world.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use castoff::clock::Clock;
use castoff::journal::{Identity, Journal, World};
use castoff::operation::GitHubArea;
use castoff::policy::{Policy, Power};
use castoff::site::{Beginning, Prepared, Site, run_name};

use super::args::{IdentityArgs, RunArgs, StartArgs};
use super::drive::{Drive, engine_limits};
use super::error::CommandError;
use super::exit::Exit;
use super::instance::Instance;
use super::time::SystemClock;
use super::{App, Done, planned, starter, text, train, world};

/// A release that can begin in the world.
pub(super) struct Start {
    /// The site with the policy's limits.
    pub(super) site: Site,
    /// The release file, understood.
    pub(super) prepared: Prepared,
    /// Its policy.
    pub(super) policy: Arc<Policy>,
    /// In whose name it writes.
    pub(super) identity: Identity,
    /// Where.
    pub(super) instance: Instance,
}

impl Start {
    /// Reads everything that a release begins with; nothing has happened yet.
    pub(super) async fn read(app: &App, file: &Path, args: &StartArgs) -> Result<Self, CommandError> {
        let prepared = app.site()?.prepare(file, args.policy.as_deref()).await?;
        let Some(policy) = prepared.policy.clone() else {
            return Err(refuse(app, &prepared, file));
        };
        let identity = identity(&prepared, &policy, &args.identity)?;
        let instance = Instance::parse(args.forge.as_deref())?;
        let site = app.site_with(engine_limits(Some(&policy)))?;
        Ok(Self { site, prepared, policy, identity, instance })
    }

    /// A run of it, with the present moment.
    pub(super) fn beginning(&self) -> Beginning {
        let pinned = SystemClock.now();
        let salt = format!("{} {}", std::process::id(), pinned.timestamp_nanos_opt().unwrap_or_default());
        let identity = self.identity.clone();
        Beginning {
            run: run_name(&self.prepared.graph.title, pinned, salt.as_bytes()),
            pinned,
            started_by: identity.login.clone().unwrap_or_else(|| identity.name.clone()),
            identity,
            world: World::Live,
            forge: self.instance.address(),
            plan: None,
            confirm: true,
        }
    }
}

pub(super) async fn run(app: &App, args: RunArgs) -> Done {
    if train::is_file(&args.file) {
        return train::run(app, args).await;
    }
    let start = Start::read(app, &args.file, &args.start).await?;
    need_token(app, &start.prepared.plugin.manifest().name, &start.policy)?;
    warn(app, &start.prepared, &start.policy);
    let (begin, plan) = match &args.plan {
        Some(name) => {
            let plan = start.site.find_plan(name)?;
            planned::check(app, &start, &args.file, &plan).await?;
            (planned::beginning(&plan), Some(plan))
        }
        None => (start.beginning(), None),
    };
    let by = begin.started_by.clone();
    let (site, prepared) = (&start.site, &start.prepared);
    let created = if args.again { site.create(prepared, begin) } else { site.claim(prepared, begin) };
    let (stored, journal) = created?;
    world::keep_policy_folder(&stored, &start.policy)?;
    if let Some(plan) = &plan {
        stored.keep_plan(plan)?;
    }
    announce(app, &start.prepared.graph.title, &journal, args.driving.json)?;
    let journal = app.armed(journal, 1);
    let plugin = start.site.plugin_of(journal.state()?.header())?;
    Drive { app, stored: &stored, plugin, args: &args.driving, by, webhooks: None }.go(journal).await
}

/// The name of the run first: whatever happens next, it can be found again. With `--json` it is in the first event.
pub(super) fn announce(app: &App, title: &str, journal: &Journal, json: bool) -> Result<(), CommandError> {
    if json {
        for record in journal.events()? {
            app.ui.json(&record)?;
        }
    } else {
        app.ui.data(&text::line(&journal.state()?.header().run));
    }
    app.ui.say(&app.ui.talk_paint().bold(&text::line(title)));
    if let Some(forge) = &journal.state()?.header().forge {
        app.ui.say(&format!("at {}, not at github.com", text::line(forge)));
    }
    Ok(())
}

/// Without a policy nothing is allowed: prints one to start from.
pub(super) fn refuse(app: &App, prepared: &Prepared, file: &Path) -> CommandError {
    app.ui.data(starter::policy(prepared.plugin.manifest(), prepared.plugin.digest()).trim_end());
    let command = PathBuf::from(file);
    CommandError::new(Exit::Denied, "a run in the world needs a policy, and the release file names none")
        .hint("standard output holds one that grants exactly what the plugin asks: read it, then")
        .hint(format!(
            "castoff run {0} > policy.toml; castoff run {0} --policy policy.toml",
            command.display()
        ))
}

pub(super) fn identity(
    prepared: &Prepared,
    policy: &Policy,
    args: &IdentityArgs,
) -> Result<Identity, CommandError> {
    given_identity(prepared, Some(policy), args)?.ok_or_else(|| {
        CommandError::usage("nobody is named as author of what the run writes")
            .hint("add as = { name = \"…\", email = \"…\" } to the grant in the policy")
            .hint("or give --name and --email")
    })
}

/// Whom the arguments name, otherwise whom the policy names.
pub(super) fn given_identity(
    prepared: &Prepared,
    policy: Option<&Policy>,
    args: &IdentityArgs,
) -> Result<Option<Identity>, CommandError> {
    let (plugin, process) = (&prepared.plugin, &prepared.release.process);
    let known = policy.and_then(|policy| policy.identity(&plugin.manifest().name, plugin.digest(), process));
    let (Some(name), Some(email)) = (&args.name, &args.email) else { return Ok(known.cloned()) };
    // These are written into commit and tag objects, where angle brackets and line ends delimit.
    let fine = |text: &str| {
        !text.trim().is_empty() && !text.chars().any(|c| c.is_control() || matches!(c, '<' | '>'))
    };
    if !fine(name) || !fine(email) {
        return Err(CommandError::usage(
            "name and email are not empty and hold no control characters or angle brackets",
        ));
    }
    let login = known.and_then(|known| known.login.clone());
    Ok(Some(Identity { name: name.clone(), email: email.clone(), login }))
}

/// A run that writes to GitHub needs a token: better said before anything is begun.
pub(super) fn need_token(app: &App, plugin: &str, policy: &Policy) -> Result<(), CommandError> {
    let writes = |power: &Power| match power {
        Power::GitPush(..) => true,
        Power::GitHub(area, _) => *area != GitHubArea::Read,
        _ => false,
    };
    let mut grants = policy.grants().iter().filter(|grant| grant.plugin == plugin);
    let wanted = grants.any(|grant| grant.powers.iter().any(|granted| writes(&granted.power)));
    if wanted && app.environment.token().is_none() {
        return Err(CommandError::usage("there is no token for GitHub")
            .hint("set GITHUB_TOKEN or GH_TOKEN; the plugin never sees it"));
    }
    Ok(())
}

/// What in the policy does not do what it says.
pub(super) fn warn(app: &App, prepared: &Prepared, policy: &Policy) {
    for warning in policy.check(prepared.plugin.manifest(), prepared.plugin.digest()) {
        app.ui.say(&format!("warning: {}:{}: {}", policy.file(), warning.line, text::line(&warning.message)));
    }
}
