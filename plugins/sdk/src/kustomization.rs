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

    proptest::proptest! {
        #[test]
        fn pins_only_the_wanted_tag(
            tags in proptest::collection::vec("[a-z0-9][a-z0-9._-]{0,8}", 1..5),
            wanted in 0_usize..5,
            tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}",
            layout in proptest::num::u8::ANY,
        ) {
            let wanted = wanted % tags.len();
            let end = if layout & 1 == 0 { "\n" } else { "\r\n" };
            let indent = if layout & 2 == 0 { "" } else { "  " };
            let gap = if layout & 4 == 0 { " " } else { "\t" };
            let comment = if layout & 8 == 0 { "" } else { "\t# newTag: latest" };
            let quote = if layout & 16 == 0 { "\"" } else { "'" };
            let line = |at: usize, tag: &str| {
                format!(
                    "{indent}- name:{gap}image{at}{comment}{end}{indent}  # pinned{end}{indent}  \
                     newTag: {quote}{tag}{quote}{comment}{end}{indent}  newName: q.io/image{at}"
                )
            };
            let file = |tags: &[String]| {
                let lines: Vec<String> = tags.iter().enumerate().map(|(at, tag)| line(at, tag)).collect();
                let last = if layout & 32 == 0 { end } else { "" };
                format!("resources:{end}- a.yaml{end}images:{comment}{end}{}{last}", lines.join(end))
            };
            let text = file(&tags);
            let found: Vec<Option<String>> = images(&text).into_iter().map(|image| image.new_tag).collect();
            proptest::prop_assert_eq!(found, tags.iter().cloned().map(Some).collect::<Vec<_>>());
            let pinned = set_new_tag(&text, &format!("image{wanted}"), &tag).unwrap();
            let mut expected = tags.clone();
            expected[wanted].clone_from(&tag);
            proptest::prop_assert_eq!(&pinned, &file(&expected));
            let name = format!("image{wanted}");
            proptest::prop_assert_eq!(set_new_tag(&pinned, &name, &tag), Ok(pinned.clone()), "twice is once");
            proptest::prop_assert_eq!(set_new_tag(&pinned, &name, &tags[wanted]), Ok(text), "there and back");
        }
    }
}
