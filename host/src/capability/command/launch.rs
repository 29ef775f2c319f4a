//! The other side of `castoff __sandbox`: a process that confines itself and then becomes a program.
//!
//! Two stages, because a process enters a PID namespace only with its children. The first gives up network and view of
//! other processes, starts the second and waits; the second is the first process of the new namespace, so that the kernel
//! ends everything in it together with it. It sets limits, Landlock and a filter of system calls and replaces itself by the
//! program. The first one meanwhile adds up what all processes take together.
//!
//! Neither stage has the program's variables in its own environment: they travel under a prefix, so that `LD_PRELOAD`
//! and its kind take effect within the sandbox only.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use serde::{Deserialize, Serialize};

use super::watch::Watch;
use super::{Confinement, filter};

/// First argument of a process that shall confine itself.
pub const WORD: &str = "__sandbox";

/// Prefix of the program's variables on their way.
pub const PREFIX: &str = "CASTOFF_GIVEN_";

/// Exit code of a sandbox that could not be set up.
pub const REFUSED: u8 = 125;

/// What the sandbox says, behind the nonce, of a program that ran and was stopped by it.
pub const STOPPED: &str = "stopped: ";

/// Read and run by every program: where systems keep programs, libraries, certificates and time zones.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/gitconfig",
    "/etc/group",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/pki",
    "/etc/ssl",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
    "/proc/self",
];

/// Read by programs with a network.
const NETWORK: &[&str] =
    &["/etc/hosts", "/etc/resolv.conf", "/etc/host.conf", "/run/systemd/resolve", "/etc/services"];

/// What a sandbox is told. Holds no secret: every user of the machine can read arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// A text that nobody else knows, before whatever the sandbox itself says.
    pub nonce: String,
    /// Whether this is the second stage.
    pub inner: bool,
    /// Whether the program keeps the machine's network.
    pub network: bool,
    /// The only place that can be written.
    pub scratch: PathBuf,
    /// Read besides what every program may read.
    pub read: Vec<PathBuf>,
    /// Bytes of address space of a process, and of memory of all of them together.
    pub memory: u64,
    /// Bytes of a file.
    pub file: u64,
    /// Bytes of the scratch directory.
    pub disk: u64,
    /// Processes and threads.
    pub processes: u64,
    /// What may be missing.
    pub accept_missing: Vec<Confinement>,
}

/// Confines this process and becomes, or starts and awaits, the program. `arguments` are those after [`WORD`]: the
/// [`Spec`] as JSON, the program, its arguments. `environment` is the whole environment of this process.
///
/// # Errors
/// Why there is no sandbox or no program in it; for standard error, behind the nonce. The exit code is [`REFUSED`].
pub fn enter(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<u8, String> {
    let mut arguments = arguments.into_iter();
    let text = arguments.next().and_then(|text| text.into_string().ok()).unwrap_or_default();
    let spec: Spec = serde_json::from_str(&text).map_err(|error| format!("{WORD}: {error}"))?;
    let program = arguments.next().ok_or_else(|| format!("{WORD}: there is no program"))?;
    let rest: Vec<OsString> = arguments.collect();
    let ended = match spec.inner {
        false => outer(&spec, &program, &rest, environment),
        true => inner(&spec, &program, &rest, environment),
    };
    ended.map_err(|why| format!("{}{why}", spec.nonce))
}

type Environment = (OsString, OsString);

fn outer(
    spec: &Spec,
    program: &OsStr,
    rest: &[OsString],
    environment: impl IntoIterator<Item = Environment>,
) -> Result<u8, String> {
    let mut stage = Spec { inner: true, ..spec.clone() };
    match separate(spec.network) {
        Ok(()) => {}
        // Without a namespace of its own the kernel would count every process of this user.
        Err(_) if spec.accept_missing.contains(&Confinement::Namespaces) => stage.processes = u64::MAX,
        Err(why) => return Err(format!("the kernel gives no namespaces of their own to programs: {why}")),
    }
    let stage = serde_json::to_string(&stage).map_err(|error| error.to_string())?;
    // Not the path of this program: that may have been replaced since it was started.
    let own = Path::new("/proc/self/exe");
    let mut child = Command::new(own)
        .args([OsStr::new(WORD), OsStr::new(&stage), program])
        .args(rest)
        .env_clear()
        .envs(environment)
        .spawn()
        .map_err(|error| format!("the second stage cannot be started: {error}"))?;
    let mut watch = Watch::new(spec, child.id());
    let lost = |error: std::io::Error| format!("{STOPPED}it was lost sight of: {error}");
    let status = loop {
        if let Some(status) = child.try_wait().map_err(lost)? {
            break status;
        }
        if let Some(why) = watch.look() {
            // The first process of its namespace: the kernel ends all others with it.
            child.kill().and_then(|()| child.wait()).map_err(lost)?;
            return Err(format!("{STOPPED}{why}"));
        }
        std::thread::sleep(watch.pause());
    };
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(u8::try_from(code).unwrap_or(1))
}

/// Leaves the namespaces of the machine: those of users, of processes (with the next child) and, unless it is granted, of
/// the network.
fn separate(network: bool) -> Result<(), String> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let wanted = libc::CLONE_NEWPID | libc::CLONE_NEWIPC | if network { 0 } else { libc::CLONE_NEWNET };
    if unshare(wanted | libc::CLONE_NEWUSER).is_ok() {
        // The same names as outside: a program that looks who owns a file shall find what is true.
        let map =
            |file: &str, text: String| std::fs::write(file, text).map_err(|error| format!("{file}: {error}"));
        map("/proc/self/setgroups", "deny".into())?;
        map("/proc/self/uid_map", format!("{user} {user} 1"))?;
        return map("/proc/self/gid_map", format!("{group} {group} 1"));
    }
    unshare(wanted).map_err(|error| error.to_string())
}

fn unshare(flags: libc::c_int) -> std::io::Result<()> {
    // SAFETY: the call takes no pointer. Namespaces of users, processes, the network and IPC share no memory and no file
    // descriptors with anything this process holds; it has one thread.
    match unsafe { libc::unshare(flags) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

fn inner(
    spec: &Spec,
    program: &OsStr,
    rest: &[OsString],
    environment: impl IntoIterator<Item = Environment>,
) -> Result<u8, String> {
    // When the first stage is killed, so is this one, and with it everything it started.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| error.to_string())?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, spec.file)?;
    if spec.processes != u64::MAX {
        limit(Resource::Nproc, spec.processes)?;
    }
    confine(spec, Path::new(program))?;
    filter::install(&spec.accept_missing)?;
    let given = environment
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_str()?.strip_prefix(PREFIX)?.to_owned(), value)));
    // Last: this program is large, and maps itself before it becomes the other one.
    limit(Resource::As, spec.memory)?;
    let error = Command::new(program).args(rest).env_clear().envs(given).exec();
    Err(format!("{} cannot be started: {error}", Path::new(program).display()))
}

fn limit(resource: Resource, most: u64) -> Result<(), String> {
    // Whoever started the host may have set a lower one, which nobody can lift.
    let most = getrlimit(resource).maximum.map_or(most, |known| known.min(most));
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
        .map_err(|error| format!("a limit cannot be set: {error}"))
}

/// The newest rules known here; what the kernel does not know of them is left out, but never files altogether.
const NEWEST: ABI = ABI::V7;

fn confine(spec: &Spec, program: &Path) -> Result<(), String> {
    match landlock(spec, program) {
        Ok(RulesetStatus::NotEnforced) | Err(_) if spec.accept_missing.contains(&Confinement::Landlock) => {
            Ok(())
        }
        Ok(RulesetStatus::NotEnforced) => Err("the kernel has no Landlock".into()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("Landlock: {error}")),
    }
}

fn landlock(spec: &Spec, program: &Path) -> Result<RulesetStatus, landlock::RulesetError> {
    let read = AccessFs::from_read(NEWEST);
    let mut handled = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    if !spec.network {
        // Once more, for kernels that know ports and give no namespaces.
        handled = handled.handle_access(AccessNet::from_all(NEWEST))?;
    }
    let mut rules = handled.create()?;
    let network = NETWORK.iter().filter(|_| spec.network);
    let system = SYSTEM.iter().chain(network).map(PathBuf::from);
    for path in system.chain(spec.read.iter().cloned()).chain([program.to_owned()]) {
        rules = allow(rules, &path, read)?;
    }
    for device in ["/dev/null", "/dev/full"] {
        rules = allow(rules, Path::new(device), read | AccessFs::WriteFile)?;
    }
    // Everything but what makes devices: nothing in a scratch directory is one.
    let all = AccessFs::from_all(NEWEST) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    rules = allow(rules, &spec.scratch, all)?;
    Ok(rules.restrict_self()?.ruleset)
}

/// A rule for a path; none for one that is not there.
fn allow(
    rules: landlock::RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<landlock::RulesetCreated, landlock::RulesetError> {
    let Ok(opened) = PathFd::new(path) else { return Ok(rules) };
    // Rights on directories mean nothing on a file.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
    rules.add_rule(PathBeneath::new(opened, access))
}
