//! What is computed: versions, files, texts, requests. Nothing here reads or changes the world.

pub mod boards;
pub mod cloud_build;
pub mod date;
pub mod history;
pub mod images;
pub mod mail;
pub mod promotion;
pub mod provenance;
pub mod schedule;
pub mod thread;
pub mod ticket;
pub mod version;
pub mod yaml;
