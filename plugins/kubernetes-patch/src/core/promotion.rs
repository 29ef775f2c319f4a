//! The pull request of an image promotion, in the words that reviewers know from `kpromo`.

use super::version;

/// Branch of the pull request.
#[must_use]
pub fn branch(tags: &[String]) -> String {
    format!("kubernetes-{}-image-promotion", tags.first().map_or("", String::as_str))
}

/// Subject of the commit, title of the pull request.
#[must_use]
pub fn title(tags: &[String]) -> String {
    format!("releng: {}", subject(tags))
}

fn subject(tags: &[String]) -> String {
    format!("Image promotion for kubernetes {}", tags.join(" / "))
}

/// Body of the pull request. `fork` is the owner of the fork that the branch is on.
#[must_use]
pub fn body(tags: &[String], fork: Option<&str>, remarks: &[String]) -> String {
    let fork = fork.map(|fork| format!(" --fork {fork}")).unwrap_or_default();
    let flags: Vec<String> = tags.iter().map(|tag| format!(" --tag {tag}")).collect();
    let remarks: String = remarks.iter().map(|remark| format!("- {remark}\n")).collect();
    let remarks = if remarks.is_empty() { remarks } else { format!("{remarks}\n") };
    format!(
        "{}\nThis is an automated pull request; it holds what `kpromo` would promote:\n\n```\nkpromo pr{fork}{}\n```\n\n{remarks}/hold\ncc: \
         @kubernetes/release-engineering\n",
        subject(tags),
        flags.concat()
    )
}

/// Tags that are no versions with a `v` in front, which the staging registry does not know.
pub fn misspelt(tags: &[String]) -> impl Iterator<Item = &String> {
    tags.iter().filter(|tag| version::parse(tag).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let tags = ["v1.23.0-rc.0".to_owned(), "v1.24.0-alpha.0".to_owned()];
        assert_eq!(branch(&tags), "kubernetes-v1.23.0-rc.0-image-promotion");
        assert_eq!(title(&tags), "releng: Image promotion for kubernetes v1.23.0-rc.0 / v1.24.0-alpha.0");
        let body = body(&tags, Some("ann"), &[]);
        assert!(body.starts_with("Image promotion for kubernetes v1.23.0-rc.0 / v1.24.0-alpha.0\n"));
        assert!(body.contains("kpromo pr --fork ann --tag v1.23.0-rc.0 --tag v1.24.0-alpha.0\n"));
        assert!(body.contains("\n/hold\ncc: @kubernetes/release-engineering\n"));
        let odd = ["1.24.0".to_owned(), "v1.24".to_owned(), "v1.24.0".to_owned()];
        assert_eq!(misspelt(&odd).count(), 2);
    }
}
