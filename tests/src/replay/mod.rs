//! Historical changes of public repositories, done again by the real plugins and compared with what was published.
//!
//! - [`case`]: what a case folder says.
//! - [`seed`]: the world a case starts from.
//! - [`drive`]: one run of a process against that world.
//! - [`judge`]: what came out, compared with what should have.
//! - [`kind`]: for each kind of case the process, its inputs, and what counts.
//! - [`report`]: all cases below a folder, one line each.

pub mod case;
pub mod drive;
pub mod judge;
pub mod kind;
pub mod report;
pub mod seed;
