//! What stands at a field or variant: `#[input(…)]` and the doc comment.

use syn::spanned::Spanned as _;
use syn::{Attribute, Expr, Lit, Meta, Token};

/// What a field has when it is left out.
#[derive(Default)]
pub(crate) enum Fallback {
    /// It must be given, where its type does not say otherwise.
    #[default]
    None,
    /// The default of its type, which the description does not tell.
    OfType,
    /// This value, written as a person would write it in a release file.
    Value(Box<Expr>),
}

/// The attributes of one field or variant.
#[derive(Default)]
pub(crate) struct Attributes {
    /// Another name than that of the field.
    pub(crate) rename: Option<String>,
    /// `default` and `default = …`.
    pub(crate) fallback: Fallback,
    /// A value that people may take as a model.
    pub(crate) example: Option<Expr>,
    /// The inputs of the field's type take the place of the field.
    pub(crate) flatten: bool,
    /// First paragraph of the doc comment in one line, without a full stop.
    pub(crate) docs: String,
}

impl Attributes {
    /// Reads the attributes.
    pub(crate) fn read(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut read = Self { docs: docs(attributes), ..Self::default() };
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("input")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("flatten") {
                    read.flatten = true;
                } else if meta.path.is_ident("default") {
                    read.fallback = match meta.input.peek(Token![=]) {
                        true => Fallback::Value(Box::new(meta.value()?.parse()?)),
                        false => Fallback::OfType,
                    };
                } else if meta.path.is_ident("rename") {
                    read.rename = Some(meta.value()?.parse::<syn::LitStr>()?.value());
                } else if meta.path.is_ident("example") {
                    read.example = Some(meta.value()?.parse()?);
                } else {
                    return Err(meta.error("expected `default`, `example`, `flatten` or `rename`"));
                }
                Ok(())
            })?;
            read.check(attribute)?;
        }
        Ok(read)
    }

    fn check(&self, attribute: &Attribute) -> syn::Result<()> {
        let other =
            self.rename.is_some() || self.example.is_some() || !matches!(self.fallback, Fallback::None);
        if self.flatten && other {
            let why = "`flatten` stands alone: the inputs of the type have names and defaults of their own";
            return Err(syn::Error::new(attribute.span(), why));
        }
        Ok(())
    }
}

/// The first paragraph of a doc comment in one line.
fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    let all = lines.collect::<Vec<_>>().join("\n");
    let lines =
        all.lines().map(str::trim).skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
    let joined = lines.collect::<Vec<_>>().join(" ");
    joined.strip_suffix('.').filter(|rest| !rest.ends_with('.')).unwrap_or(&joined).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docs_are_one_line() {
        let cases: [(syn::Field, &str); 4] = [
            (syn::parse_quote!(#[doc = " One line."] a: u8), "One line"),
            (
                syn::parse_quote!(#[doc = " Two"] #[doc = " lines"] #[doc = ""] #[doc = " more"] a: u8),
                "Two lines",
            ),
            (syn::parse_quote!(#[doc = " and so on..."] a: u8), "and so on..."),
            (syn::parse_quote!(a: u8), ""),
        ];
        for (field, expected) in cases {
            assert_eq!(docs(&field.attrs), expected);
        }
    }

    #[test]
    fn what_is_unknown_or_contradicts_is_refused() {
        let cases: [syn::Field; 3] = [
            syn::parse_quote!(#[input(kind = "text")] a: u8),
            syn::parse_quote!(#[input(flatten, default)] a: u8),
            syn::parse_quote!(#[input(rename = 1)] a: u8),
        ];
        for field in cases {
            assert!(Attributes::read(&field.attrs).is_err());
        }
    }
}
