//! Write a release process as a WebAssembly component.
//!
//! A plugin is a type that implements [`Plugin`]; [`plugin!`] exports it and puts its manifest into the component.
//! Steps call the capabilities in [`git`], [`github`], [`http`], [`command`], [`mail`], [`scratch`] and [`logging`]. Keep
//! the core of a process pure and its steps thin: natively compiled tests cannot call the host.

pub mod bindings;
pub mod command;
pub mod dependency;
pub mod go_mod;
pub mod go_sum;
pub mod image;
pub mod kustomization;
pub mod mail;
pub mod module_graph;
pub mod module_hash;
pub mod oci;
pub mod step;
pub mod testgrid;
pub mod tree;
pub mod version;
pub mod yaml;

pub use bindings::castoff::files::scratch;
pub use bindings::castoff::git::repositories as git;
pub use bindings::castoff::github::forge as github;
pub use bindings::castoff::http::client as http;
pub use bindings::castoff::log::logging;
pub use bindings::castoff::types::errors::{Denial, Error, RateLimit};
pub use bindings::exports::castoff::process::processes as process;
/// What a plugin implements: `describe`, `steps` and `run`.
pub use bindings::exports::castoff::process::processes::Guest as Plugin;

/// Exports a [`Plugin`] from a component and embeds its manifest (a path relative to the calling file).
///
/// Compiled natively, for tests of the pure core, it expands to nothing: exports of a component do not link there.
#[macro_export]
macro_rules! plugin {
    ($plugin:ident, manifest: $manifest:literal) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[used]
            #[unsafe(link_section = "castoff:manifest")]
            static MANIFEST: [u8; include_bytes!($manifest).len()] = *include_bytes!($manifest);
        };

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::export_plugin!($plugin with_types_in $crate::bindings);
    };
}
