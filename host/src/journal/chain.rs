//! The hash chain: every row's hash covers its number, its text and the hash of the row before it.
//!
//! The canonical bytes of an event are the very bytes that are stored, so that a reader never has to serialise
//! anything to check them. The chain shows that a journal was changed; who changed it, it cannot show, and somebody who
//! rewrites every row and the head consistently is only found by a head that was noted elsewhere.

use sha2::{Digest, Sha256};

/// A link of the chain.
pub type Hash = [u8; 32];

/// What the first row links to.
pub const GENESIS: Hash = [0; 32];

/// The hash of row `seq` with text `body` after a row with hash `previous`.
#[must_use]
pub fn link(previous: &Hash, seq: u64, body: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(seq.to_be_bytes());
    hash.update(body);
    hash.finalize().into()
}

/// A row as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub seq: u64,
    /// Its text.
    pub body: String,
    /// Its hash as stored.
    pub hash: Vec<u8>,
}

/// Where and why a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// Number of the first row that is wrong.
    pub at: u64,
    /// What is wrong with it.
    pub why: String,
}

/// Follows the chain over all rows in order and returns the last hash.
///
/// # Errors
/// The first row whose number or hash is wrong.
pub fn follow<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Result<(u64, Hash), Break> {
    let mut last = 0;
    let mut previous = GENESIS;
    for row in rows {
        let at = last + 1;
        if row.seq != at {
            return Err(Break { at, why: format!("row {at} is missing, row {} follows", row.seq) });
        }
        let hash = link(&previous, row.seq, row.body.as_bytes());
        if row.hash != hash {
            return Err(Break { at, why: "the hash does not match the text and the rows before it".into() });
        }
        last = at;
        previous = hash;
    }
    Ok((last, previous))
}
