//! Runs release processes as sandboxed WebAssembly components.
//!
//! The library never prints, exits, reads the environment or the system clock: the command line does.

pub mod author;
pub mod ballot;
pub mod capability;
pub mod clock;
pub mod draft;
pub mod embedded;
pub mod engine;
pub mod evidence;
pub mod forge;
pub mod function;
pub mod gate;
pub mod journal;
pub mod operation;
pub mod parcel;
pub mod plan;
pub mod policy;
pub mod rehearsal;
pub mod release;
pub mod run;
pub mod schema;
pub mod signature;
pub mod site;
pub mod supply;
pub mod train;
pub mod webhook;
