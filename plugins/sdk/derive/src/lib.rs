//! The derives of `castoff-sdk`, which re-exports them and says what they do: `Inputs` for a struct, `Choice` for an enum.
//!
//! Both read attributes of the form `#[input(…)]` and doc comments, and write an implementation of a trait of the SDK.

use proc_macro::TokenStream;

mod attribute;
mod choice;
mod name;
mod structure;

/// Describes and reads the inputs of a process. See `castoff_sdk::inputs`.
#[proc_macro_derive(Inputs, attributes(input))]
pub fn inputs(item: TokenStream) -> TokenStream {
    let item = syn::parse_macro_input!(item as syn::DeriveInput);
    structure::derive(&item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enum an input that holds one of a few words. See `castoff_sdk::inputs`.
#[proc_macro_derive(Choice, attributes(input))]
pub fn choice(item: TokenStream) -> TokenStream {
    let item = syn::parse_macro_input!(item as syn::DeriveInput);
    choice::derive(&item).unwrap_or_else(syn::Error::into_compile_error).into()
}
