//! What went wrong, as a person sees it: one shape for everything that reaches the edge.

use std::error::Error;
use std::ops::Range;

use castoff::capability::CapabilityError;
use castoff::engine::{LoadError, StepFault};
use castoff::journal::{JournalError, Refusal, Violation};
use castoff::parcel::ParcelError;
use castoff::run::RunError;
use castoff::site::{Changed, SiteError};
use castoff::supply::{LockError, RegistryError, StoreError, SupplyError};

use super::exit::Exit;
use super::plugin::words;

/// An error of a command.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// What kind it is; also the exit code.
    pub(crate) exit: Exit,
    /// What went wrong.
    pub(crate) message: String,
    /// Why, from the outside in.
    pub(crate) causes: Vec<String>,
    /// What to do.
    pub(crate) hints: Vec<String>,
    /// Where in a file that a person wrote.
    pub(crate) place: Option<Place>,
}

/// A place in a file.
#[derive(Debug)]
pub(crate) struct Place {
    /// Name of the file.
    pub(crate) file: String,
    /// Its text.
    pub(crate) text: String,
    /// The bytes.
    pub(crate) span: Range<usize>,
}

impl CommandError {
    /// An error of a kind.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), causes: Vec::new(), hints: Vec::new(), place: None }
    }

    /// Wrong arguments, files or inputs.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A bug.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::Internal, message)
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::usage(format!("{}: {error}", path.display()))
    }

    /// Adds something to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// A component that the policy's grants are not for, with what it would gain.
    fn changed(error: &SiteError, changed: &Changed) -> Self {
        let words = match &changed.difference {
            Some(difference) => {
                words::difference(difference).unwrap_or("It asks for the same powers.".into())
            }
            None => {
                "The component that the grants are for is not kept here: what changes cannot be shown.".into()
            }
        };
        let Changed { name, policy, line, digest, .. } = changed;
        let made = Self::new(Exit::Denied, format!("{error}\n{words}"));
        if changed.locked {
            return made.hint(format!("castoff plugin update {name} --policy {policy} --agree {digest}"));
        }
        made.hint(format!("castoff plugin inspect {name} shows all that it asks"))
            .hint(format!("if you agree, write digest = \"{digest}\" in {policy}:{line}"))
    }

    /// The message of an error and the messages of its sources.
    fn of(exit: Exit, error: &dyn Error) -> Self {
        let mut made = Self::new(exit, error.to_string());
        let mut source = error.source();
        while let Some(error) = source {
            let cause = error.to_string();
            // Transparent errors repeat what they wrap.
            if !made.message.contains(&cause) {
                made.causes.push(cause);
            }
            source = error.source();
        }
        made
    }
}

impl From<SiteError> for CommandError {
    fn from(error: SiteError) -> Self {
        match error {
            SiteError::Release { path, text, error } => {
                let file = path.display().to_string();
                let mut made = match error.span {
                    Some(_) => Self::usage(error.message),
                    None => Self::usage(format!("{file}: {}", error.message)),
                };
                made.hints.extend(error.hint);
                made.place = error.span.map(|span| Place { file, text, span });
                made
            }
            SiteError::Policy(error) => {
                let mut made = Self::usage(error.message);
                made.hints.extend(error.hint);
                made.place = Some(Place { file: error.file, text: error.text.to_string(), span: error.span });
                made
            }
            SiteError::Plugin { name, error: inner } => {
                let mut made = Self::from(inner);
                made.message = format!("{name}: {}", made.message);
                made
            }
            SiteError::Steps(fault) => Self::from(fault),
            SiteError::Journal(error) => Self::from(error),
            SiteError::Unfinished { ref run } => Self::of(Exit::Held, &error)
                .hint(format!(
                    "castoff resume {run} goes on with it, castoff status {run} shows where it stands"
                ))
                .hint(format!("castoff abort {run} --reason … ends it for good"))
                .hint("--again begins another run beside it"),
            SiteError::Supply(error) => Self::from(error),
            SiteError::Lock(error) => Self::from(error),
            SiteError::Store(error) => Self::from(error),
            SiteError::Changed(ref changed) => Self::changed(&error, changed),
            SiteError::Untrusted { .. } => {
                Self::of(Exit::Denied, &error).hint("nothing of it was compiled or run")
            }
            SiteError::Drifted { ref name, .. } => Self::of(Exit::Conflict, &error)
                .hint(format!("castoff plugin update {name} shows what changes")),
            SiteError::NotLocked { ref reference } => {
                Self::of(Exit::Usage, &error).hint(format!("castoff plugin add {reference} --key KEY"))
            }
            SiteError::NoRun { ref known, .. } => {
                let hint = match known.as_slice() {
                    [] => "nothing has been run yet: castoff run FILE".to_owned(),
                    known => format!("the newest runs: {}", known.join(", ")),
                };
                Self::of(Exit::Usage, &error).hint(hint)
            }
            SiteError::NoMember { ref known, .. } => {
                Self::of(Exit::Usage, &error).hint(format!("it has: {}", known.join(", ")))
            }
            SiteError::NotBegun { ref train, .. } => {
                Self::of(Exit::Usage, &error).hint(format!("castoff status {train} shows what it waits for"))
            }
            error => Self::of(Exit::Usage, &error),
        }
    }
}

impl From<LockError> for CommandError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Wrong { .. } => Self::of(Exit::Damaged, &error)
                .hint("take it from version control again, or remove it and add its plugins anew"),
            error => Self::of(Exit::Usage, &error),
        }
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged { ref path, .. } => {
                let hint =
                    format!("remove {}: it is fetched again where a lock says from where", path.display());
                Self::of(Exit::Damaged, &error).hint(hint)
            }
            error => Self::of(Exit::Usage, &error),
        }
    }
}

impl From<SupplyError> for CommandError {
    fn from(error: SupplyError) -> Self {
        match error {
            SupplyError::Registry(error) => Self::from(error),
            error @ SupplyError::File { .. } => Self::of(Exit::Usage, &error),
        }
    }
}

impl From<RegistryError> for CommandError {
    fn from(error: RegistryError) -> Self {
        let of = |exit: Exit| Self::of(exit, &error);
        match &error {
            RegistryError::Unreachable { .. }
            | RegistryError::Limited { .. }
            | RegistryError::Cut { .. }
            | RegistryError::Failed { .. } => of(Exit::Unavailable).hint("try again; nothing was changed"),
            RegistryError::Refused { host, .. } => of(Exit::Denied).hint(format!("docker login {host}")),
            RegistryError::Missing { .. } | RegistryError::Unpinned(_) => of(Exit::Usage),
            RegistryError::Taken { .. } => of(Exit::Conflict).hint("push it under a tag of its own"),
            RegistryError::Nonsense { .. }
            | RegistryError::Digest { .. }
            | RegistryError::TooLarge { .. }
            | RegistryError::NotAPlugin { .. }
            | RegistryError::Redirect { .. }
            | RegistryError::Describe(_) => of(Exit::Failed),
        }
    }
}

impl From<LoadError> for CommandError {
    fn from(error: LoadError) -> Self {
        let exit = if matches!(error, LoadError::Engine(_)) { Exit::Internal } else { Exit::Usage };
        Self::of(exit, &error)
    }
}

impl From<StepFault> for CommandError {
    fn from(fault: StepFault) -> Self {
        match fault {
            StepFault::Reported(error) if error.kind == "invalid" => Self::usage(error.message),
            StepFault::Reported(ref error) => Self::of(Exit::of_error(&error.kind), &fault),
            StepFault::Guest(_) => Self::of(Exit::Fault, &fault).hint("this is a bug of the plugin"),
            StepFault::Host(_) => Self::of(Exit::Internal, &fault),
        }
    }
}

impl From<JournalError> for CommandError {
    fn from(error: JournalError) -> Self {
        let exit = match &error {
            JournalError::Held { .. } => Exit::Held,
            JournalError::Corrupt { .. } | JournalError::Parted { .. } => Exit::Damaged,
            JournalError::Illegal(_) => Exit::Usage,
            JournalError::Missing { .. } | JournalError::Newer { .. } | JournalError::Exists { .. } => {
                Exit::Usage
            }
            JournalError::ReadOnly | JournalError::Killed => Exit::Internal,
            JournalError::NoSpace { .. }
            | JournalError::TooLarge(_)
            | JournalError::Io { .. }
            | JournalError::Mirror { .. } => Exit::Failed,
        };
        if let JournalError::Illegal(illegal) = &error {
            if let Violation::Refused(refusal) = &illegal.why {
                return Self::from(refusal.clone());
            }
            return Self::new(exit, format!("that is not possible now: {}", illegal.why));
        }
        Self::of(exit, &error)
    }
}

impl From<ParcelError> for CommandError {
    fn from(error: ParcelError) -> Self {
        if let ParcelError::Journal(error) = error {
            return Self::from(error);
        }
        let exit = match &error {
            ParcelError::Damaged { .. } => Exit::Damaged,
            ParcelError::Held { .. } | ParcelError::Overtaken { .. } => Exit::Held,
            _ => Exit::Failed,
        };
        Self::of(exit, &error)
    }
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        let exit = if refusal.is_about_person() { Exit::Denied } else { Exit::Usage };
        Self::new(exit, refusal.to_string())
    }
}

impl From<RunError> for CommandError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Journal(error) => Self::from(error),
            RunError::Scratch(_) => Self::of(Exit::Failed, &error),
            RunError::Task(_) => Self::of(Exit::Internal, &error),
        }
    }
}

impl From<CapabilityError> for CommandError {
    fn from(error: CapabilityError) -> Self {
        let exit = match &error {
            CapabilityError::Invalid { .. } => Exit::Usage,
            CapabilityError::Conflict { .. } => Exit::Conflict,
            CapabilityError::Unavailable { .. } | CapabilityError::RateLimited { .. } => Exit::Unavailable,
            _ => Exit::Failed,
        };
        Self::of(exit, &error)
    }
}
