//! What is computed: versions, files, texts, requests. Nothing here reads or changes the world.

pub mod date;
pub mod images;
pub mod promotion;
pub mod schedule;
pub mod version;
pub mod yaml;
