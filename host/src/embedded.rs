//! The official plugins, built by `build.rs` and carried in the binary.

/// Name and component of each official plugin.
pub const PLUGINS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The component of an official plugin.
#[must_use]
pub fn plugin(name: &str) -> Option<&'static [u8]> {
    PLUGINS.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}
