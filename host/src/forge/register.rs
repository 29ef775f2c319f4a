//! Ids and made-up accounts while several repositories are sown at once: each repository counts for itself, and what it counted
//! is entered in the order of the world.

use std::collections::BTreeMap;

use super::state::{Account, Repo, State};
use super::world::AccountKind;

/// What one repository that is being sown has taken.
pub(crate) struct Register<'s> {
    /// The accounts that were there before.
    known: &'s BTreeMap<String, Account>,
    /// Those that were made up since, by lower-case login.
    made: BTreeMap<String, Account>,
    /// The last id it took; ids begin with 1 until they are entered.
    last_id: u64,
}

impl<'s> Register<'s> {
    pub(crate) fn new(known: &'s BTreeMap<String, Account>) -> Self {
        Self { known, made: BTreeMap::new(), last_id: 0 }
    }

    pub(crate) fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// As [`State::ensure_account`].
    pub(crate) fn ensure_account(&mut self, login: &str, kind: AccountKind) -> Account {
        let key = login.to_lowercase();
        if let Some(account) = self.known.get(&key).or_else(|| self.made.get(&key)) {
            return account.clone();
        }
        let account = Account::made_up(self.fresh_id(), login, kind);
        self.made.insert(key, account.clone());
        account
    }

    /// What was taken, for [`Taken::enter`], which needs the accounts that this one has borrowed.
    pub(crate) fn close(self) -> Taken {
        Taken { made: self.made, last_id: self.last_id }
    }
}

/// What a repository took while it was sown.
pub(crate) struct Taken {
    made: BTreeMap<String, Account>,
    last_id: u64,
}

impl Taken {
    /// Enters it in the forge: ids go on from the forge's last one. An account that another repository made up, too, is there
    /// already.
    pub(crate) fn enter(self, state: &mut State, repo: &mut Repo) {
        repo.owner = state.ensure_account(&repo.owner, AccountKind::Organization).login;
        repo.id = state.fresh_id();
        let before = state.next_id;
        state.next_id += self.last_id;
        for (key, account) in self.made {
            state.accounts.entry(key).or_insert(Account { id: before + account.id, ..account });
        }
        renumber(repo, before);
    }
}

/// Adds to every id in a repository but its own.
fn renumber(repo: &mut Repo, by: u64) {
    repo.issues.values_mut().for_each(|issue| issue.id += by);
    repo.labels.iter_mut().for_each(|label| label.id += by);
    repo.milestones.iter_mut().for_each(|milestone| milestone.id += by);
    repo.statuses.iter_mut().for_each(|status| status.id += by);
    repo.check_runs.iter_mut().for_each(|run| run.id += by);
    repo.releases = std::mem::take(&mut repo.releases)
        .into_values()
        .map(|mut release| {
            release.id += by;
            release.assets.iter_mut().for_each(|asset| asset.id += by);
            (release.id, release)
        })
        .collect();
}
