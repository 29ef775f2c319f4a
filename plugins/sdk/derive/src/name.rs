//! Names of inputs and choices: those of Rust in kebab-case.

use syn::ext::IdentExt as _;

/// Name of a field: `build_version` is `build-version`, `r#type` is `type`.
pub(crate) fn of_field(field: &syn::Ident) -> String {
    field.unraw().to_string().replace('_', "-")
}

/// Name of a variant: `CloudBuild` is `cloud-build`.
pub(crate) fn of_variant(variant: &syn::Ident) -> String {
    let mut name = String::new();
    for letter in variant.unraw().to_string().chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case() {
        for (rust, expected) in [("build_version", "build-version"), ("tag", "tag"), ("r#type", "type")] {
            let ident = syn::parse_str::<syn::Ident>(rust)
                .or_else(|_| syn::parse::Parser::parse_str(syn::Ident::parse_any, rust));
            assert_eq!(of_field(&ident.expect(rust)), expected);
        }
        for (rust, expected) in [("CloudBuild", "cloud-build"), ("Rc", "rc"), ("AllOfIt", "all-of-it")] {
            assert_eq!(of_variant(&syn::parse_str(rust).expect(rust)), expected);
        }
    }
}
