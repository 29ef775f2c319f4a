//! Which pushes a remote accepts: the rules that `git push --atomic` with leases follows.

use super::state::Refs;
use crate::capability::git::RefUpdate;
use crate::capability::{CapabilityError, Result, Slug};

/// Refuses the whole push when one of its refs may not be set. `held` is what the remote holds. A ref that names its
/// object already is fine, whatever was expected.
pub(super) fn judge(repository: &Slug, updates: &[RefUpdate], held: &Refs) -> Result<()> {
    for update in updates {
        let current = held.get(&update.name).map(|reference| reference.object.as_str());
        if current == Some(update.object.as_str()) {
            continue;
        }
        let why = match (current, &update.expected) {
            (Some(_), None) if update.name.starts_with("refs/tags/") => Some("[rejected] (already exists)"),
            (current, expected) if current != expected.as_deref() => Some("[rejected] (stale info)"),
            (None, _) if blocked(&update.name, updates, held) => {
                Some("[remote rejected] (a ref that would be its folder, or the reverse, is in the way)")
            }
            _ => None,
        };
        if let Some(why) = why {
            return Err(CapabilityError::conflict(format!("{} of {repository}: {why}", update.name)));
        }
    }
    Ok(())
}

/// `a` and `a/b` cannot both be refs.
fn blocked(name: &str, updates: &[RefUpdate], held: &Refs) -> bool {
    let below = |long: &str, short: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with('/'));
    let others = held.keys().map(String::as_str).chain(updates.iter().map(|update| update.name.as_str()));
    others.into_iter().any(|other| below(other, name) || below(name, other))
}
