//! What a run would do, known before it does it.

pub mod overlay;
