//! From what a compiler made to what the host loads: a core module becomes a component, a component gets its manifest.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{Encoding, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding};

use super::AuthorError;
use crate::policy::{ManifestError, manifest};

/// The prefix of custom sections that say which world a core module was built for.
const WORLD_SECTION: &str = "component-type";

/// Makes a component of a core module of `wasm32-wasip1`. A component is returned as it is.
///
/// `interfaces` is the folder with the world that the module was built for; where the module says itself, as C's does, it is not
/// looked at.
///
/// # Errors
/// [`AuthorError::Module`], [`AuthorError::Interfaces`].
pub fn componentize(mut module: Vec<u8>, interfaces: &std::path::Path) -> Result<Vec<u8>, AuthorError> {
    let wrong = |why: String| AuthorError::Module(why);
    if is_component(&module) {
        return Ok(module);
    }
    if !says_its_world(&module)? {
        let (resolve, world) = super::binding::world(interfaces)?;
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .map_err(|error| wrong(format!("{error:#}")))?;
    }
    let mut encoder = ComponentEncoder::default();
    let adapted = encoder.validate(true).module(&module).and_then(|encoder| {
        encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
    });
    let encoder = adapted.map_err(|error| wrong(format!("{error:#}")))?;
    encoder.encode().map_err(|error| wrong(format!("{error:#}")))
}

fn is_component(bytes: &[u8]) -> bool {
    let first = Parser::new(0).parse_all(bytes).next();
    matches!(first, Some(Ok(Payload::Version { encoding: Encoding::Component, .. })))
}

fn says_its_world(module: &[u8]) -> Result<bool, AuthorError> {
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(|error| AuthorError::Module(error.to_string()))? {
            Payload::CustomSection(section) if section.name().starts_with(WORLD_SECTION) => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

/// The component with a manifest in it. One that carries the same manifest already, put there by its SDK, stays as it is.
///
/// # Errors
/// [`AuthorError::OtherManifest`], [`AuthorError::Module`].
pub fn with_manifest(mut component: Vec<u8>, text: &[u8]) -> Result<Vec<u8>, AuthorError> {
    match manifest::section(&component) {
        Ok(own) if own == text => return Ok(component),
        Ok(_) => return Err(AuthorError::OtherManifest),
        Err(ManifestError::Missing) => {}
        Err(error) => return Err(AuthorError::Module(error.to_string())),
    }
    let mut body = Vec::new();
    put_length(&mut body, manifest::SECTION.len());
    body.extend_from_slice(manifest::SECTION.as_bytes());
    body.extend_from_slice(text);
    // A custom section may stand anywhere.
    component.push(0);
    put_length(&mut component, body.len());
    component.extend(body);
    Ok(component)
}

/// An unsigned LEB128 number.
fn put_length(bytes: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        if length == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_put_in_once() {
        // Longer than one byte of length can say.
        let text =
            format!("version = 1\nname = \"p\"\nplugin-version = \"1\"\nsdk = \"{}\"\n", "x".repeat(300));
        let empty = b"\0asm\x0d\0\x01\0".to_vec();
        let once = with_manifest(empty, text.as_bytes()).expect("an empty component takes a manifest");
        assert_eq!(manifest::read(&once).map(|read| read.name), Ok("p".to_owned()));
        let twice = with_manifest(once.clone(), text.as_bytes()).expect("it has it already");
        assert_eq!(once, twice);
        assert!(matches!(with_manifest(once, b"version = 1"), Err(AuthorError::OtherManifest)));
    }

    #[test]
    fn what_is_no_module_is_refused_in_words() {
        for bytes in [&b""[..], b"\0asm", b"not wasm", b"\0asm\x01\0\0\0\x01"] {
            let made = componentize(bytes.to_vec(), std::path::Path::new("/nowhere"));
            assert!(
                matches!(made, Err(AuthorError::Module(_) | AuthorError::Interfaces { .. })),
                "{bytes:?}"
            );
        }
    }
}
