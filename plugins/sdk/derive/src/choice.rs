//! `#[derive(Choice)]`: an enum without data becomes one of a few words.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned as _;
use syn::{Data, DeriveInput, Fields};

use crate::attribute::Attributes;
use crate::name;

/// The implementations for an enum.
pub(crate) fn derive(item: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Enum(data) = &item.data else {
        return Err(syn::Error::new(item.span(), "`Choice` is derived for an enum"));
    };
    let mut names: Vec<String> = Vec::new();
    let mut variants = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(syn::Error::new(
                variant.span(),
                "a choice is a word: expected a variant without data",
            ));
        }
        let attributes = Attributes::read(&variant.attrs)?;
        let name = attributes.rename.unwrap_or_else(|| name::of_variant(&variant.ident));
        if names.contains(&name) {
            return Err(syn::Error::new(variant.span(), format!("two choices are named {name:?}")));
        }
        names.push(name);
        variants.push(&variant.ident);
    }
    if names.is_empty() {
        return Err(syn::Error::new(item.span(), "there is nothing to choose from"));
    }
    let name = &item.ident;
    Ok(quote! {
        impl ::castoff_sdk::inputs::Choice for #name {
            const NAMES: &'static [&'static str] = &[#(#names),*];

            fn name(&self) -> &'static str {
                match self { #(Self::#variants => #names),* }
            }

            fn named(name: &str) -> ::core::option::Option<Self> {
                match name {
                    #(#names => ::core::option::Option::Some(Self::#variants),)*
                    _ => ::core::option::Option::None,
                }
            }
        }

        impl ::castoff_sdk::inputs::InputValue for #name {
            const KIND: ::castoff_sdk::process::InputKind = ::castoff_sdk::process::InputKind::Text;

            fn choices() -> &'static [&'static str] {
                <Self as ::castoff_sdk::inputs::Choice>::NAMES
            }

            fn from_value(
                value: &::castoff_sdk::inputs::Value,
            ) -> ::core::result::Result<Self, ::castoff_sdk::inputs::Faults> {
                ::castoff_sdk::inputs::read_choice(value)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_enums_of_different_words_are_choices() {
        let cases: [(DeriveInput, &str); 4] = [
            (
                syn::parse_quote!(
                    struct S;
                ),
                "for an enum",
            ),
            (
                syn::parse_quote!(
                    enum E {
                        A(u8),
                    }
                ),
                "without data",
            ),
            (
                syn::parse_quote!(
                    enum E {
                        A,
                        #[input(rename = "a")]
                        B,
                    }
                ),
                "two choices",
            ),
            (
                syn::parse_quote!(
                    enum E {}
                ),
                "nothing to choose",
            ),
        ];
        for (item, why) in cases {
            let error = derive(&item).expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
