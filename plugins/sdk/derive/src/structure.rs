//! `#[derive(Inputs)]`: a struct with named fields becomes the description and the reader of inputs.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::spanned::Spanned as _;
use syn::{Data, DeriveInput, Fields};

use crate::attribute::{Attributes, Fallback};
use crate::name;

/// What one field adds to the two functions.
struct Part {
    describe: TokenStream,
    read: TokenStream,
    build: TokenStream,
}

/// The implementations for a struct.
pub(crate) fn derive(item: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Struct(data) = &item.data else {
        return Err(syn::Error::new(
            item.span(),
            "`Inputs` is derived for a struct; for an enum derive `Choice`",
        ));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(syn::Error::new(item.span(), "inputs have names: expected a struct with named fields"));
    };
    let parts = fields.named.iter().enumerate().map(|(at, field)| part(at, field));
    let parts = parts.collect::<syn::Result<Vec<Part>>>()?;
    let describe = parts.iter().map(|part| &part.describe);
    let read = parts.iter().map(|part| &part.read);
    let build = parts.iter().map(|part| &part.build);
    let name = &item.ident;
    let (generics, arguments, condition) = item.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::castoff_sdk::inputs::Inputs for #name #arguments #condition {
            fn describe_into(description: &mut ::castoff_sdk::inputs::Description) {
                #(#describe)*
            }

            fn read_from(reader: &mut ::castoff_sdk::inputs::Reader<'_>) -> ::core::option::Option<Self> {
                #(#read)*
                ::core::option::Option::Some(Self { #(#build)* })
            }
        }

        impl #generics ::castoff_sdk::inputs::InputValue for #name #arguments #condition {
            const KIND: ::castoff_sdk::process::InputKind = ::castoff_sdk::process::InputKind::Table;

            fn from_value(
                value: &::castoff_sdk::inputs::Value,
            ) -> ::core::result::Result<Self, ::castoff_sdk::inputs::Faults> {
                ::castoff_sdk::inputs::read_table(value)
            }
        }
    })
}

fn part(at: usize, field: &syn::Field) -> syn::Result<Part> {
    let Some(ident) = &field.ident else {
        return Err(syn::Error::new(field.span(), "inputs have names"));
    };
    let attributes = Attributes::read(&field.attrs)?;
    let kind = &field.ty;
    let local = format_ident!("field_{at}");
    let build = quote! { #ident: #local?, };
    if attributes.flatten {
        return Ok(Part {
            describe: quote! { <#kind as ::castoff_sdk::inputs::Inputs>::describe_into(description); },
            read: quote! { let #local = <#kind as ::castoff_sdk::inputs::Inputs>::read_from(reader); },
            build,
        });
    }
    let docs = &attributes.docs;
    if docs.is_empty() {
        return Err(syn::Error::new(
            field.span(),
            "an input needs a doc comment: people read it in `plugin inspect`",
        ));
    }
    let name = attributes.rename.unwrap_or_else(|| name::of_field(ident));
    let example =
        attributes.example.map(|example| quote! { .example(::castoff_sdk::inputs::json!(#example)) });
    let (told, read) = match &attributes.fallback {
        Fallback::None => (None, quote! { reader.value::<#kind>(#name) }),
        Fallback::OfType => {
            (Some(quote! { .optional() }), quote! { reader.value_or_default::<#kind>(#name) })
        }
        Fallback::Value(value) => (
            Some(quote! { .default(::castoff_sdk::inputs::json!(#value)) }),
            quote! { reader.value_or::<#kind>(#name, || ::castoff_sdk::inputs::json!(#value)) },
        ),
    };
    Ok(Part {
        describe: quote! {
            description.add(::castoff_sdk::inputs::Described::of::<#kind>(#name, #docs) #told #example);
        },
        read: quote! { let #local = #read; },
        build,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_documented_structs_with_names_are_inputs() {
        let cases: [(DeriveInput, &str); 4] = [
            (
                syn::parse_quote!(
                    enum E {
                        A,
                    }
                ),
                "derive `Choice`",
            ),
            (
                syn::parse_quote!(
                    struct S(u8);
                ),
                "named fields",
            ),
            (
                syn::parse_quote!(
                    struct S {
                        a: u8,
                    }
                ),
                "doc comment",
            ),
            (
                syn::parse_quote!(
                    struct S {
                        #[doc = "a"]
                        #[input(flat)]
                        a: u8,
                    }
                ),
                "expected `default`",
            ),
        ];
        for (item, why) in cases {
            let error = derive(&item).expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
