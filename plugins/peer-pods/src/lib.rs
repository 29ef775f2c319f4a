//! Releases of the peer pods of Confidential Containers (cloud-api-adaptor).
//!
//! [`core`] decides; `step` reads the world, asks people and has the effects done.
pub mod core;
