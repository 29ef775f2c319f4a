//! What can be typed. The doc comment of each struct is the help of its command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Casts off releases: runs release processes as sandboxed plugins, writes down every effect, and goes on after
/// anything.
///
/// Data goes to standard output, everything else to standard error; the last line is what to do next.
#[derive(Debug, Parser)]
#[command(name = "castoff", version, disable_help_subcommand = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Where runs are kept [default: $CASTOFF_STATE, or castoff in $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) state: Option<PathBuf>,
    /// When to use colour; it never says anything that the words do not
    #[arg(long, value_enum, default_value_t = Color::Auto, global = true)]
    pub(crate) color: Color,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Rehearse(RehearseArgs),
    Plan(PlanArgs),
    Run(RunArgs),
    Ci(CiArgs),
    Step(StepArgs),
    Status(StatusArgs),
    Log(LogArgs),
    Resume(ResumeArgs),
    Approve(ApproveArgs),
    Retry(RetryArgs),
    Skip(SkipArgs),
    Abort(AbortArgs),
    Audit(AuditArgs),
    Verify(VerifyArgs),
    Doctor(DoctorArgs),
    Schema(SchemaArgs),
    Explain(ExplainArgs),
    Plugin(PluginArgs),
    Forge(ForgeArgs),
    Completions(CompletionsArgs),
}

/// Runs a release or a train against a forge inside this program: no token, no network, nothing outside is touched
///
/// The world file says what exists, and what people and robots will do. Simulated time passes at once. Without a policy
/// the plugin may do all that it asks.
#[derive(Debug, Args)]
pub(crate) struct RehearseArgs {
    /// The release file or train file
    pub(crate) file: PathBuf,
    /// The world, instead of the one the release file names
    #[arg(long, value_name = "FILE")]
    pub(crate) world: Option<PathBuf>,
    /// The policy, instead of the one the release file names
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Agree to every question that nobody in the world answers
    #[arg(long)]
    pub(crate) approve: bool,
    /// Keep the forge's repositories in the folder of the run
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    /// Only this step and what it needs; may be given more than once
    #[arg(long, value_name = "STEP")]
    pub(crate) only: Vec<String>,
    /// Print every event as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Shows what a release would do, without doing it: every effect, every file, the very commits that would be pushed
///
/// Reads the world, and lets the effects land in an overlay that later reads see. Takes for granted that people merge
/// its pull requests and agree at its gates. Where a step waits for what nobody can know yet, the plan ends; the next
/// one is made from the run. Exit code 0: nothing to do; 12: changes.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The release file or train file; or a run that has begun, to plan what is left of it
    #[arg(value_name = "FILE|RUN")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) start: StartArgs,
    /// Write the plan to a file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write the plan as one page of HTML, too
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Print the plan as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs a release in the world, or a train of several side by side
///
/// Prints the name of the run, then goes as far as it can. A run that has to wait for somebody parks: the exit code says
/// so, no process stays, and `castoff resume` goes on. Needs a policy; without one it prints one to start from.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The release file or train file
    pub(crate) file: PathBuf,
    /// Do only what this plan shows: its digest, at least eight digits of it, or its file
    #[arg(long, value_name = "DIGEST", conflicts_with_all = ["confirm", "name"])]
    pub(crate) plan: Option<String>,
    #[command(flatten)]
    pub(crate) start: StartArgs,
    /// Begin another run although an earlier one of the same release has not ended
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) driving: DrivingArgs,
}

/// Runs what is ready of a release or a train, and never waits: for a job of continuous integration
///
/// Begins the run of the file, or goes on with the one that has not ended; takes the answers that people gave on the
/// forge; ends with the exit code of where the run stands: 0 done, 10 waits for the world, 11 for a person. Steps that
/// cannot be undone want --confirm or --plan. On GitHub Actions it writes the job's summary, outputs and annotations.
#[derive(Debug, Args)]
pub(crate) struct CiArgs {
    /// The release file or train file
    pub(crate) file: PathBuf,
    /// Do only what this plan shows: its digest, at least eight digits of it, or its file
    #[arg(long, value_name = "DIGEST")]
    pub(crate) plan: Option<String>,
    #[command(flatten)]
    pub(crate) start: StartArgs,
    #[command(flatten)]
    pub(crate) carry: CarryArgs,
    /// Begin another run although there is one, ended or not
    #[arg(long)]
    pub(crate) again: bool,
    /// Confirm the steps that cannot be undone, by the version that is released; in a train by RELEASE=VERSION, more than once
    #[arg(long, value_name = "VERSION")]
    pub(crate) confirm: Vec<String>,
    /// How many steps may run at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) parallel: u8,
    /// Print every event as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs one step of a run if it is ready, and nothing else: for a job a step
///
/// A step that is done already is no error. One that is not ready is refused with the reason, and the exit code of what it
/// waits for.
#[derive(Debug, Args)]
pub(crate) struct StepArgs {
    /// The run: its name, the beginning of it, or @latest; a release of a train as TRAIN/RELEASE
    pub(crate) run: String,
    /// The step
    pub(crate) step: String,
    #[command(flatten)]
    pub(crate) carry: CarryArgs,
    /// Confirm the step, when it cannot be undone, by the version that is released
    #[arg(long, value_name = "VERSION")]
    pub(crate) confirm: Option<String>,
    /// Who sends the step back when it failed for a passing reason [default: the run's own identity]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) person: Option<String>,
    /// Print every event as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a run comes from one job to the next, and what is told of it.
#[derive(Debug, Args)]
pub(crate) struct CarryArgs {
    /// Take the run from this file, and keep it there before and after every effect
    #[arg(long, value_name = "FILE", conflicts_with = "state_bucket")]
    pub(crate) state_file: Option<PathBuf>,
    /// The same in a folder that is a bucket: an object each time, none ever replaced
    #[arg(long, value_name = "DIR")]
    pub(crate) state_bucket: Option<PathBuf>,
    /// Write a report in JUnit's format, a test case a step
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}

/// What a release in the world is begun with.
#[derive(Debug, Clone, Args)]
pub(crate) struct StartArgs {
    /// The policy, instead of the one the release file names
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Another GitHub than github.com: an Enterprise Server, or a forge of `castoff forge serve`
    ///
    /// The token is sent there. `resume` remembers it. A forge on loopback also answers for every other service.
    #[arg(long, value_name = "URL")]
    pub(crate) forge: Option<String>,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
}

/// In whose name commits and tags are made, instead of `as` in the policy.
#[derive(Debug, Clone, Args)]
pub(crate) struct IdentityArgs {
    /// Name of author, committer and tagger [default: `as` of the policy]
    #[arg(long, value_name = "NAME", requires = "email")]
    pub(crate) name: Option<String>,
    /// Their address
    #[arg(long, value_name = "ADDRESS", requires = "name")]
    pub(crate) email: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DrivingArgs {
    /// Stay and look again when what is waited for may have happened
    #[arg(long)]
    pub(crate) watch: bool,
    /// Confirm the steps that cannot be undone, by the version that is released; in a train by RELEASE=VERSION, more than once
    #[arg(long, value_name = "VERSION")]
    pub(crate) confirm: Vec<String>,
    /// Only this step and what it needs; may be given more than once
    #[arg(long, value_name = "STEP")]
    pub(crate) only: Vec<String>,
    /// Those of `only` without what they need.
    #[arg(skip)]
    pub(crate) alone: bool,
    /// How many steps may run at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) parallel: u8,
    /// Print every event as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Shows where a run stands: what is done, what waits on whom since when, what failed and what to do
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The run: its name, the beginning of it, or @latest; a release of a train as TRAIN/RELEASE
    #[arg(default_value = "@latest")]
    pub(crate) run: String,
    /// List all runs instead
    #[arg(long, conflicts_with = "run")]
    pub(crate) all: bool,
    /// Print the state as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// End with the exit code that `resume` would end with
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// Prints the journal of a run
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The run: its name, the beginning of it, or @latest; a release of a train as TRAIN/RELEASE
    #[arg(default_value = "@latest")]
    pub(crate) run: String,
    /// Print every event as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Goes on with a run: after a crash, after a wait, after an answer
///
/// Looks at everything that is waited for at once. Steps that failed for a reason that may have passed are tried again.
/// Nothing that was done is done twice.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The run: its name, the beginning of it, or @latest; a release of a train as TRAIN/RELEASE
    #[arg(default_value = "@latest")]
    pub(crate) run: String,
    /// What became of effects nobody can look up
    #[arg(long, value_enum)]
    pub(crate) assume: Option<Assume>,
    /// Go on with this plan: its digest, at least eight digits of it, or its file
    #[arg(long, value_name = "DIGEST")]
    pub(crate) plan: Option<String>,
    /// Who says so [default: the run's own identity]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) person: Option<String>,
    /// Take GitHub's webhooks at this address: whatever is delivered, the run looks at once
    ///
    /// A delivery is not believed, only heeded. The address of a proxy in front, or a loopback address.
    #[arg(long, value_name = "ADDRESS", requires = "watch")]
    pub(crate) listen: Option<std::net::SocketAddr>,
    /// Variable with the secret that deliveries are signed with; needed unless only this machine can deliver
    #[arg(long, value_name = "NAME", requires = "listen")]
    pub(crate) secret_env: Option<String>,
    #[command(flatten)]
    pub(crate) driving: DrivingArgs,
}

/// What a person says about an effect of which no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Assume {
    /// It happened
    Done,
    /// It did not happen
    NotDone,
}

/// Answers the question of a step: approves, chooses, edits
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The run: its name, the beginning of it, or @latest; a release of a train as TRAIN/RELEASE
    pub(crate) run: String,
    /// The step [default: the one that asks]
    pub(crate) step: Option<String>,
    /// The answer, one of those offered
    #[arg(long)]
    pub(crate) choice: Option<String>,
    /// Who answers; the policy says whose word counts [default: the run's own identity]
    #[arg(long = "as", value_name = "LOGIN")]
    pub(crate) person: Option<String>,
    /// A remark that is kept with the answer
    #[arg(long)]
    pub(crate) comment: Option<String>,
    /// The document as it shall be, instead of editing it
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Write the question to a file instead, for somebody who answers elsewhere and signs the answer
    ///
    /// They fill in `answer`, sign with `ssh-keygen -Y sign -n castoff -f KEY FILE`, and send both files back.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["choice", "person", "comment", "file", "answer"])]
    pub(crate) write_request: Option<PathBuf>,
    /// Take the answer from a signed file; the policy names the keys that count
    #[arg(long, value_name = "FILE", requires = "signature",
        conflicts_with_all = ["choice", "person", "comment", "file"])]
    pub(crate) answer: Option<PathBuf>,
    /// The signature of the file with the answer
    #[arg(long, value_name = "FILE", requires = "answer")]
    pub(crate) signature: Option<PathBuf>,
}

/// Sends a step back to its beginning; `castoff resume` then starts it
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// The run: its name, the beginning of it, or @latest; a release of a train as TRAIN/RELEASE
    pub(crate) run: String,
    /// The step
    pub(crate) step: String,
    /// Who decides [default: the run's own identity]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) person: Option<String>,
}

/// Declares a step not needed, for a reason that is kept
#[derive(Debug, Args)]
pub(crate) struct SkipArgs {
    /// The run: its name, the beginning of it, or @latest; a release of a train as TRAIN/RELEASE
    pub(crate) run: String,
    /// The step
    pub(crate) step: String,
    /// Why it is not needed
    #[arg(long)]
    pub(crate) reason: String,
    /// Who decides [default: the run's own identity]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) person: Option<String>,
}

/// Ends a run for good and lists what it leaves in the world
#[derive(Debug, Args)]
pub(crate) struct AbortArgs {
    /// The run: its name, the beginning of it, or @latest; a release of a train as TRAIN/RELEASE
    pub(crate) run: String,
    /// Why
    #[arg(long)]
    pub(crate) reason: String,
    /// Who decides [default: the run's own identity]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) person: Option<String>,
}

/// Follows the hash chain of a journal and exports it; signs it, or checks a signature
///
/// The export is lines of JSON. The first says what the whole amounts to, and with its line end it is what is signed, so that
/// `head -n 1` and `ssh-keygen -Y verify -n castoff` check it without this program. In every other line the text of `record`
/// is what the hash covers. A journal that goes on after it was signed still has that signature, over its first events.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The run: its name, the beginning of it, or @latest; a release of a train as TRAIN/RELEASE
    #[arg(default_value = "@latest")]
    pub(crate) run: String,
    /// Check this export instead of a run
    #[arg(long, value_name = "EXPORT", conflicts_with_all = ["run", "out"])]
    pub(crate) file: Option<PathBuf>,
    /// Where the export goes [default: standard output]
    #[arg(long, value_name = "FILE", conflicts_with = "verify")]
    pub(crate) out: Option<PathBuf>,
    /// Sign with this private key: one of `ssh-keygen -t ed25519` or of minisign, without a passphrase
    #[arg(long, value_name = "KEY", conflicts_with = "verify")]
    pub(crate) sign: Option<PathBuf>,
    /// Where the signature goes [default: beside the export]
    #[arg(long, value_name = "FILE", requires = "sign")]
    pub(crate) signature: Option<PathBuf>,
    /// Check this signature; exports nothing
    #[arg(long, value_name = "SIGNATURE")]
    pub(crate) verify: Option<PathBuf>,
    /// The public key whose signature is accepted
    #[arg(long, value_name = "PUBLIC", requires = "verify", conflicts_with = "signers")]
    pub(crate) key: Option<PathBuf>,
    /// Keys whose signatures are accepted: the allowed signers of `ssh-keygen -Y verify`
    #[arg(long, value_name = "FILE", requires = "verify")]
    pub(crate) signers: Option<PathBuf>,
    /// Print what a signature proves as JSON
    #[arg(long, requires = "verify")]
    pub(crate) json: bool,
}

/// Looks at the world again: is everything that a run did still there?
///
/// Reads only. A branch may have moved on as long as it holds the commit, and may be gone when its pull request is merged; a
/// tag has to stand exactly where it was put.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The run: its name, the beginning of it, or @latest; a release of a train as TRAIN/RELEASE
    #[arg(default_value = "@latest")]
    pub(crate) run: String,
    /// Print what was found as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A check-up before a bad day: programs, token, clock, and with a release file all that it needs
///
/// Reads only. Every line is a check: `✓` as it should be, `!` worth a look, `✗` to be mended first.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The release file
    pub(crate) file: Option<PathBuf>,
    /// The policy, instead of the one the release file names
    #[arg(long, value_name = "FILE", requires = "file")]
    pub(crate) policy: Option<PathBuf>,
    /// Another GitHub than github.com: an Enterprise Server, or a forge of `castoff forge serve`
    #[arg(long, value_name = "URL")]
    pub(crate) forge: Option<String>,
    /// Print every check as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints the JSON Schema (draft 2020-12) of a file that people write, or of what this program prints
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Of what
    pub(crate) of: SchemaOf,
}

/// What has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// The release file, as TOML is read
    Release,
    /// The train file, as TOML is read
    Train,
    /// The policy file, as TOML is read
    Policy,
    /// A line of `log --json` and `run --json`, and `record` of an export with its number
    Event,
}

/// Explains an exit code, a kind of error or a kind of event, and what to do
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A number or a word, for example 21 or conflict; without: everything there is
    pub(crate) code: Option<String>,
}

/// Writes plugins, looks at them, compares them, locks those from elsewhere
#[derive(Debug, Args)]
pub(crate) struct PluginArgs {
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Makes a project: a small real process, its manifest, its scenarios
    ///
    /// The process proposes a version in a file, waits for the merge, asks, and tags the merge commit. It is the same in every
    /// language, so that whatever you know can be compared.
    New {
        /// Name of the plugin, and of its folder
        name: String,
        /// What to write it in
        #[arg(long, value_enum)]
        lang: Lang,
        /// The folder [default: NAME]
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
    /// Builds the component of a project: build/NAME.wasm
    ///
    /// Needs the compiler of the language and nothing else; says what is missing and how to get it.
    Build {
        /// The project
        #[arg(default_value = ".", value_name = "DIR")]
        project: PathBuf,
        /// Download nothing
        #[arg(long)]
        offline: bool,
    },
    /// Looks at a built plugin: imports against the world, manifest, classes of effects, steps, size
    ///
    /// Every line is a check: `✓` as it should be, `!` worth a look, `✗` to be mended first.
    Check {
        /// The project, or the path of a component
        #[arg(default_value = ".", value_name = "DIR|FILE")]
        target: PathBuf,
    },
    /// Plays the scenarios of a project against a forge inside this program, and compares what comes of them with what they
    /// expect
    Test {
        /// The project
        #[arg(default_value = ".", value_name = "DIR")]
        project: PathBuf,
        /// Only scenarios whose name holds this
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
        /// Print each scenario as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Shows what a plugin asks to be allowed and why, and the processes it has
    Inspect {
        /// An embedded plugin, one of castoff.lock in this folder, or the path of a component
        plugin: String,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Prints a policy to start from: exactly what the plugin asks, with its reasons
    Policy {
        /// An embedded plugin, one of castoff.lock in this folder, or the path of a component
        plugin: String,
    },
    Add(AddArgs),
    Update(UpdateArgs),
    List(ListArgs),
    Remove(RemoveArgs),
    Push(PushArgs),
    /// Shows which powers a newer version of a plugin gains and loses, without running either
    ///
    /// Exit code 0: the new version asks for nothing that the old one did not; 12: it asks for more.
    Diff {
        /// The version in use: an embedded plugin, or the path of a component
        old: String,
        /// The newer version
        new: String,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
}

/// A language to write a plugin in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    /// Rust, with castoff's SDK
    Rust,
    /// Go as it comes
    Go,
    /// Python, by componentize-py
    Python,
    /// JavaScript, by componentize-qjs
    Js,
    /// C, by clang and wasi-libc
    C,
}

/// Where the lock is.
#[derive(Debug, Args)]
pub(crate) struct LockArgs {
    /// The lock, beside the release files that use it
    #[arg(long, value_name = "FILE", default_value = "castoff.lock")]
    pub(crate) lock: PathBuf,
}

/// Whose signature counts.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// A public key whose signature counts: of minisign, SSH or cosign, or a file with one; may be given more than once
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) key: Vec<String>,
    /// Take it without a signature: its digest is all that is checked
    #[arg(long, conflicts_with = "key")]
    pub(crate) unsigned: bool,
    /// The policy, whose [plugins.NAME] says where it comes from and whose signature counts
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}

/// Locks a plugin from a registry or a file: checks its signature, writes its digest and what it asks into castoff.lock
///
/// Nothing of it is compiled or run. A release file in the lock's folder then says `plugin = "NAME"`. It may do nothing
/// until a policy grants it something. Signatures: those of `castoff plugin push --sign` or `cosign sign --key` in a
/// registry; FILE.minisig or FILE.sig (`ssh-keygen -Y sign -n castoff`) beside a file.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// oci://HOST/NAME:TAG, with or without @sha256:…; the path of a component; or the name that the policy has a source for
    pub(crate) source: String,
    /// What release files call it [default: its own name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) lock: LockArgs,
}

/// Looks for another version of a locked plugin, shows which powers it gains and loses, and takes it when you agree
///
/// The keys that counted before count again. Grants are bound to a component: with --policy those of the old one are bound
/// to the new one, without it they no longer count. Exit code 11: you are to agree.
#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// The plugin, as the lock calls it
    pub(crate) name: String,
    /// Another place or tag than the one it came from
    #[arg(long, value_name = "SOURCE")]
    pub(crate) to: Option<String>,
    /// Agree to the component with this digest, sha256:…
    #[arg(long, value_name = "DIGEST")]
    pub(crate) agree: Option<String>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) lock: LockArgs,
}

/// Lists the plugins of the lock: version, digest, source, signature
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) lock: LockArgs,
    /// Print each as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Takes a plugin out of the lock; runs that began with it keep its component
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The plugin, as the lock calls it
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) lock: LockArgs,
}

/// Pushes a component into a registry, with a signature if you name a key
///
/// The same component is always the same artefact; a tag that names another one is not moved. Accounts are those of
/// `docker login`.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The component
    pub(crate) file: PathBuf,
    /// oci://HOST/NAME:TAG
    pub(crate) reference: String,
    /// Sign with this private key: one of `ssh-keygen -t ed25519` or of minisign, without a passphrase
    #[arg(long, value_name = "KEY")]
    pub(crate) sign: Option<PathBuf>,
}

/// The forge that rehearsals run against
#[derive(Debug, Args)]
pub(crate) struct ForgeArgs {
    #[command(subcommand)]
    pub(crate) command: ForgeCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ForgeCommand {
    /// Serves a world on loopback until it is interrupted, and prints its address
    Serve {
        /// The world file
        world: PathBuf,
        /// The loopback port; 0: a free one
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
}

/// Prints completions for a shell
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}
