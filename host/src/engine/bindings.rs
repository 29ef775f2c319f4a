//! The host side of the world `castoff:process/plugin`, generated from `wit/`.
#![allow(
    missing_docs,
    clippy::all,
    unreachable_pub,
    reason = "generated from wit/, which documents every item"
)]

wasmtime::component::bindgen!({
    path: [
        "../wit/types",
        "../wit/log",
        "../wit/files",
        "../wit/http",
        "../wit/git",
        "../wit/github",
        "../wit/command",
        "../wit/mail",
        "../wit/process",
    ],
    world: "castoff:process/plugin",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "castoff:git/repositories.repository": crate::gate::Repository,
    },
    require_store_data_send: true,
});
