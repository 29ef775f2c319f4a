//! What `hack/release-helper.sh` prints, line by line, for those who read it by habit. The second form names the commit
//! and pushes all tags at once: the branch name in the script's commands was the local one, and put tags on commits that
//! never were on `main`.

/// The warning of the document, and of the script.
const WARNING: [&str; 3] = [
    "After a tag has been set, it cannot be moved!",
    "The Go module proxy caches the hash of the first tag and will refuse any update.",
    "If you mess up, you need to restart the tagging with the next patch version.",
];

/// Standard output of the script at the commit of July 2024 for a tag, folders of `src` in glob order.
#[must_use]
pub fn seed_output(tag: &str, folders: &[String]) -> String {
    let mut lines = vec![
        format!("The intput release tag: {tag}"),
        "The follow git commands can be used to do release tags.".to_owned(),
    ];
    lines.push(format!("{}IMPORTANT{}", "*".repeat(29), "*".repeat(44)));
    lines.extend(WARNING.map(str::to_owned));
    lines.push("*".repeat(82));
    for folder in folders {
        lines.push(format!("git tag src/{folder}/{tag} main"));
        lines.push(format!("git push origin src/{folder}/{tag}"));
    }
    lines.join("\n") + "\n"
}

/// The same commands as they are safe: at a commit, in dependency order, pushed together or not at all.
#[must_use]
pub fn commands(tag: &str, folders: &[String], commit: &str) -> String {
    let tags: Vec<String> = folders.iter().map(|folder| format!("src/{folder}/{tag}")).collect();
    let mut lines: Vec<String> = vec![format!("The input release tag: {tag}")];
    lines.extend(WARNING.map(|line| format!("    {line}")));
    lines.extend(tags.iter().map(|tag| format!("git tag {tag} {commit}")));
    lines.push(format!("git push --atomic origin {}", tags.join(" ")));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_repeated_to_the_letter() {
        let folders = ["cloud-api-adaptor", "cloud-providers"].map(str::to_owned);
        let expected = "The intput release tag: v0.8.0\nThe follow git commands can be used to do release tags.\n*****************************IMPORTANT********************************************\nAfter a tag has been set, it cannot be moved!\nThe Go module proxy caches the hash of the first tag and will refuse any update.\nIf you mess up, you need to restart the tagging with the next patch version.\n**********************************************************************************\ngit tag src/cloud-api-adaptor/v0.8.0 main\ngit push origin src/cloud-api-adaptor/v0.8.0\ngit tag src/cloud-providers/v0.8.0 main\ngit push origin src/cloud-providers/v0.8.0\n";
        assert_eq!(seed_output("v0.8.0", &folders), expected);
        let safe = commands("v0.8.0", &folders, &"a".repeat(40));
        assert!(!safe.contains(" main") && safe.matches("git push --atomic").count() == 1, "{safe}");
    }
}
