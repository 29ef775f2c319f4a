//! The list of pre-built kind images in `CSI_PROW_KIND_IMAGES`: one pinned image a line, the newest Kubernetes minor first.

/// Puts images into a list: each takes the place of its minor's image, a new minor goes above the older ones. Every other line stays.
pub(super) fn merged(list: &str, wanted: &[String]) -> String {
    let mut lines: Vec<String> = list.split('\n').map(str::to_owned).collect();
    for image in wanted {
        let image = image.trim();
        let minor = minor(image);
        if let Some(same) = lines.iter_mut().find(|line| minor.is_some() && self::minor(line) == minor) {
            image.clone_into(same);
            continue;
        }
        let lower = |line: &String| self::minor(line).is_some_and(|other| Some(other) < minor);
        let at = lines.iter().position(lower).unwrap_or_else(|| {
            lines.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1)
        });
        lines.insert(at, image.to_owned());
    }
    if list.is_empty() {
        lines.retain(|line| !line.is_empty());
    }
    lines.join("\n")
}

/// Kubernetes minor of `kindest/node:v1.32.0@sha256:…`.
fn minor(image: &str) -> Option<(u64, u64)> {
    let (name, _) = image.trim().split_once('@').unwrap_or((image.trim(), ""));
    let version = semver::Version::parse(name.rsplit_once(":v")?.1).ok()?;
    Some((version.major, version.minor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_image_takes_the_place_of_its_minor() {
        let list = "k/n:v1.10.1@sha256:a\nk/n:v1.9.3@sha256:b";
        let cases: [(&str, &[&str], &str); 6] = [
            (
                list,
                &["k/n:v1.11.0@sha256:c"],
                "k/n:v1.11.0@sha256:c\nk/n:v1.10.1@sha256:a\nk/n:v1.9.3@sha256:b",
            ),
            (list, &["k/n:v1.10.2@sha256:c"], "k/n:v1.10.2@sha256:c\nk/n:v1.9.3@sha256:b"),
            (
                list,
                &["k/n:v1.8.0@sha256:c"],
                "k/n:v1.10.1@sha256:a\nk/n:v1.9.3@sha256:b\nk/n:v1.8.0@sha256:c",
            ),
            ("k/n:v1.9.3@sha256:b\n", &["k/n:v1.8.0@sha256:c"], "k/n:v1.9.3@sha256:b\nk/n:v1.8.0@sha256:c\n"),
            ("", &["k/n:v1.8.0@sha256:c"], "k/n:v1.8.0@sha256:c"),
            (list, &[], list),
        ];
        for (list, wanted, expected) in cases {
            let wanted: Vec<String> = wanted.iter().map(|image| (*image).to_owned()).collect();
            let seen = merged(list, &wanted);
            assert_eq!(seen, expected);
            assert_eq!(merged(&seen, &wanted), seen, "a second time changes nothing");
        }
    }

    proptest! {
        #[test]
        fn other_lines_stay(list in "(k/n:v1\\.[0-9]\\.0@sha256:[a-f]{2}\n|[a-z#]{0,9}\n){0,6}", new in 0u64..12) {
            let image = format!("k/n:v1.{new}.7@sha256:ff");
            let after = merged(&list, std::slice::from_ref(&image));
            prop_assert!(after.lines().any(|line| line == image));
            for line in list.lines().filter(|line| minor(line) != Some((1, new))) {
                prop_assert!(after.lines().any(|kept| kept == line), "{} is gone", line);
            }
        }
    }
}
