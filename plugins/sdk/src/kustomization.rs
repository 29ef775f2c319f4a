//! Image entries of `kustomization.yaml`, read and pinned in place. `kustomize edit set image` marshals the whole file
//! anew (comments go, `bases:` becomes `resources:`); this keeps every other byte.

use crate::yaml::{self, YamlError};

/// An entry of `images:`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The image as the manifests name it.
    pub name: String,
    /// The image that takes its place, when another.
    pub new_name: Option<String>,
    /// The tag.
    pub new_tag: Option<String>,
}

impl Image {
    /// The image that is deployed, without tag.
    #[must_use]
    pub fn target(&self) -> &str {
        self.new_name.as_deref().unwrap_or(&self.name)
    }
}

/// The images of a kustomization; none where it has no such list.
#[must_use]
pub fn images(text: &str) -> Vec<Image> {
    let items = yaml::items(text, "images").unwrap_or_default();
    let image = |values: Vec<(String, String)>| {
        let value = |key: &str| values.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        Some(Image { name: value("name")?, new_name: value("newName"), new_tag: value("newTag") })
    };
    items.into_iter().filter_map(image).collect()
}

/// The text with another `newTag` for an image.
///
/// # Errors
/// [`YamlError`] when the image is not listed or has no `newTag`.
pub fn set_new_tag(text: &str, image: &str, tag: &str) -> Result<String, YamlError> {
    yaml::set(text, &format!("images[name={image}].newTag"), tag)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_image_is_pinned_and_nothing_else_changes() {
        for indent in ["", "  "] {
            let text = format!(
                "bases:\n- ../../yamls\n\nimages:\n{indent}- name: app\n{indent}  newName: q.io/o/app # change image if needed\n\
                 {indent}  newTag: latest\n{indent}- name: other\n{indent}  newTag: latest\n\ngeneratorOptions:\n  \
                 disableNameSuffixHash: true\n"
            );
            let pinned = set_new_tag(&text, "app", "abc").unwrap();
            assert_eq!(pinned, text.replacen("newTag: latest", "newTag: abc", 1));
            let found = images(&pinned);
            assert_eq!((found[0].target(), found[0].new_tag.as_deref()), ("q.io/o/app", Some("abc")));
            assert_eq!(found[1].new_tag.as_deref(), Some("latest"));
        }
        assert!(set_new_tag("images:\n- name: app\n", "app", "x").is_err());
        assert!(images("resources: []\n").is_empty());
    }
}
