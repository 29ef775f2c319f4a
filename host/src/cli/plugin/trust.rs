//! Whose signature counts for a plugin that is added or updated: keys of the command line, of the policy, or those that
//! counted before. Nothing counts by itself, and that nothing shall count has to be said.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use castoff::policy::{Manifest, ManifestError, Policy, manifest};
use castoff::supply::evidence::endorsed;
use castoff::supply::{Offer, TrustedKey};

use crate::cli::args::TrustArgs;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;

/// What the arguments say of trust, read from disk.
pub(super) struct Trust {
    keys: Vec<TrustedKey>,
    unsigned: bool,
    /// The policy, and where it is.
    pub(super) policy: Option<(PathBuf, Arc<Policy>)>,
}

/// An offer that may be used.
pub(super) struct Accepted {
    /// What it asks.
    pub(super) manifest: Manifest,
    /// Keys that counted; none: it was taken unsigned.
    pub(super) keys: Vec<TrustedKey>,
    /// Who signed it.
    pub(super) signed: Option<String>,
}

impl Trust {
    /// Reads keys and policy.
    pub(super) fn read(args: &TrustArgs) -> Result<Self, CommandError> {
        let keys = args.key.iter().map(|key| read_key(key)).collect::<Result<_, _>>()?;
        let policy = args.policy.as_ref().map(|path| {
            let text = std::fs::read_to_string(path).map_err(|error| CommandError::file(path, &error))?;
            let policy = Policy::parse(&path.display().to_string(), &text);
            let policy = policy.map_err(|error| CommandError::from(castoff::site::SiteError::from(error)))?;
            Ok::<_, CommandError>((path.clone(), Arc::new(policy)))
        });
        Ok(Self { keys, unsigned: args.unsigned, policy: policy.transpose()? })
    }

    /// The source that the policy names for a plugin.
    pub(super) fn source(&self, plugin: &str) -> Option<String> {
        let (_, policy) = self.policy.as_ref()?;
        policy.trust(plugin)?.source.as_ref().map(ToString::to_string)
    }

    /// Checks an offer before anything of it is used: that it is a plugin at all, its source, its signature. `before` are
    /// the keys that counted for its last version; `None`: it has none.
    pub(super) fn accept(
        &self,
        name: &str,
        offer: &Offer,
        before: Option<Vec<TrustedKey>>,
    ) -> Result<Accepted, CommandError> {
        let manifest = manifest::read(&offer.component).map_err(|error| wrong(name, &error))?;
        let wanted = self.policy.as_ref().and_then(|(_, policy)| policy.trust(&manifest.name));
        if let (Some(trust), Some((path, _))) = (wanted, &self.policy) {
            trust.admit(&offer.component, &offer.source, &offer.evidence).map_err(|error| {
                let message = format!("{name} is not what {}:{} wants: {error}", path.display(), trust.line);
                CommandError::new(Exit::Denied, message)
            })?;
        }
        let by_policy = wanted.map(|trust| trust.signers.clone()).filter(|keys| !keys.is_empty());
        let given = Some(self.keys.clone()).filter(|keys| !keys.is_empty());
        let last_was_unsigned = before.as_ref().is_some_and(Vec::is_empty);
        let before = before.filter(|keys| !keys.is_empty());
        let Some(keys) = given.or(by_policy).or(before.filter(|_| !self.unsigned)) else {
            if self.unsigned || last_was_unsigned {
                return Ok(Accepted { manifest, keys: Vec::new(), signed: None });
            }
            return Err(CommandError::new(
                Exit::Denied,
                format!("{name}: it is not said whose signature counts"),
            )
            .hint("--key KEY (minisign, SSH or cosign; a file, or the key itself), or [plugins.NAME] signers in --policy")
            .hint("--unsigned relies on the digest alone: whatever the source gives now is what will be run"));
        };
        let key = endorsed(&offer.component, &offer.evidence, &keys).map_err(|error| {
            CommandError::new(Exit::Denied, format!("{name}: {error}"))
                .hint("nothing of it was compiled or kept")
        })?;
        let signed = Some(key.id());
        Ok(Accepted { manifest, keys, signed })
    }
}

/// A component that is no plugin.
fn wrong(name: &str, error: &ManifestError) -> CommandError {
    CommandError::usage(format!("{name}: {error}")).hint("nothing of it was compiled or kept")
}

/// A key: the text of one, or the file that holds it.
fn read_key(text: &str) -> Result<TrustedKey, CommandError> {
    let path = Path::new(text);
    let content = if path.is_file() {
        std::fs::read_to_string(path).map_err(|error| CommandError::file(path, &error))?
    } else {
        text.to_owned()
    };
    TrustedKey::parse(&content).map_err(|error| {
        CommandError::usage(format!("{text:?}: {error}")).hint(
            "--key takes a public key of minisign, of ssh-keygen -t ed25519 or of cosign, or a file with one",
        )
    })
}
