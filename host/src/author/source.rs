//! Files of castoff's own tree that new projects are made of, carried in the binary by `build.rs`: the interfaces, the
//! SDK, the templates.

/// Path from the root of the tree, with `/`, and content.
pub(super) const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/author.rs"));

/// The files below a folder (`wit/`), with their paths from there.
pub(super) fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    FILES.iter().filter_map(move |(path, content)| Some((path.strip_prefix(folder)?, *content)))
}

/// One file.
pub(super) fn file(path: &str) -> &'static [u8] {
    FILES.iter().find(|(known, _)| *known == path).map(|(_, content)| *content).unwrap_or_default()
}
