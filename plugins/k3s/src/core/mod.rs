//! The rules of a k3s release, pure: text in, text or a refusal out.

pub mod artefact;
pub mod bump;
pub mod channel_server;
pub mod channels;
pub mod component;
pub mod data_json;
pub mod fork_tag;
pub mod go_version;
pub mod lint;
pub mod modsync;
pub mod note;
pub mod regsync;
pub mod settlement;
pub mod version;
pub mod yaml;
