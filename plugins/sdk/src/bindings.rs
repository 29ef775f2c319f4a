//! The generated bindings of the world `castoff:process/plugin`, made once for every plugin.
#![allow(
    missing_docs,
    clippy::all,
    unreachable_pub,
    reason = "generated from wit/, which documents every item"
)]

wit_bindgen::generate!({
    path: [
        "../../wit/types",
        "../../wit/log",
        "../../wit/files",
        "../../wit/http",
        "../../wit/git",
        "../../wit/github",
        "../../wit/command",
        "../../wit/mail",
        "../../wit/process",
    ],
    world: "castoff:process/plugin",
    pub_export_macro: true,
    export_macro_name: "export_plugin",
    default_bindings_module: "castoff_sdk::bindings",
    additional_derives: [PartialEq, Clone],
    generate_all,
});
