//! A published Go module at another version, in every module that requires it: one line of `go.mod`, two of `go.sum`.
//!
//! What `go get module@version && go mod tidy` does beyond that is computed as far as it is certain (requirements that the
//! new version raises, by minimal version selection) and otherwise left to a real `go`: a line of `go.sum` is never
//! guessed.

use std::collections::BTreeMap;

use castoff_sdk::go_mod::{GoMod, compare_versions, set_require};
use castoff_sdk::go_sum;
use castoff_sdk::module_hash::ModuleHashes;

/// The module and where it goes.
#[derive(Clone, Debug)]
pub struct Move<'a> {
    /// Module path.
    pub module: &'a str,
    /// The version to require.
    pub version: &'a str,
    /// Its hashes.
    pub hashes: &'a ModuleHashes,
    /// Text of its `go.mod`, where known.
    pub go_mod: Option<&'a str>,
}

/// What changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// New texts by path; only files that change.
    pub files: BTreeMap<String, String>,
    /// Requirements raised besides the module itself, by `go.mod`: only `go mod tidy` knows their `go.sum` lines.
    pub raised: BTreeMap<String, Vec<String>>,
    /// Whether the hash of the module's `go.mod` changed: else nothing but these lines can change.
    pub graph_changed: bool,
}

/// Moves a module in the given files (`go.mod` and `go.sum` by path). Modules that replace it by a folder, or do not
/// require it, stay as they are.
#[must_use]
pub fn move_module(files: &BTreeMap<String, String>, wanted: &Move<'_>) -> Moved {
    let mut moved = Moved::default();
    for (path, text) in files.iter().filter(|(path, _)| path.rsplit('/').next() == Some("go.mod")) {
        let own = GoMod::parse(text);
        let Some(old) = own.require.iter().find(|require| require.path == wanted.module) else { continue };
        if own.local_replacements().any(|(path, _)| path == wanted.module) {
            continue;
        }
        let mut edited = set_require(text, wanted.module, wanted.version);
        let sum_path = format!("{}go.sum", path.strip_suffix("go.mod").unwrap_or_default());
        let sum = files.get(&sum_path).cloned().unwrap_or_default();
        let known = |line: &&go_sum::SumLine| {
            line.module == wanted.module && line.go_mod && line.version == old.version
        };
        let before = go_sum::parse(&sum).iter().find(known).map(|line| line.hash.clone());
        if before.as_deref() != Some(&wanted.hashes.go_mod_h1) {
            moved.graph_changed = true;
            edited = raise(edited, &own, wanted, moved.raised.entry(path.clone()).or_default());
        }
        let new_sum =
            go_sum::exchange(&sum, wanted.module, Some(&old.version), wanted.version, wanted.hashes);
        if edited != *text {
            moved.files.insert(path.clone(), edited);
        }
        if new_sum != sum {
            moved.files.insert(sum_path, new_sum);
        }
    }
    moved.raised.retain(|_, raised| !raised.is_empty());
    moved
}

/// Minimal version selection over the direct requirements of the new version: whatever is listed lower is raised.
fn raise(mut text: String, own: &GoMod, wanted: &Move<'_>, raised: &mut Vec<String>) -> String {
    let replaced = |path: &str, version: &str| own.replacement_of(path, version).is_some();
    for require in GoMod::parse(wanted.go_mod.unwrap_or_default()).require {
        let Some(listed) = own.require.iter().find(|listed| listed.path == require.path) else { continue };
        let lower = compare_versions(&listed.version, &require.version).is_lt();
        if lower && !replaced(&listed.path, &listed.version) {
            text = set_require(&text, &require.path, &require.version);
            raised.push(format!("{} {} => {}", require.path, listed.version, require.version));
        }
    }
    text
}

/// Raises every listed requirement to the version that the whole graph selects; nothing is added and nothing lowered. What was
/// raised is told.
#[must_use]
pub fn raise_listed<'a>(
    text: &str,
    selected: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> (String, Vec<String>) {
    let own = GoMod::parse(text);
    let selected: BTreeMap<&str, &str> = selected.into_iter().collect();
    let (mut edited, mut raised) = (text.to_owned(), Vec::new());
    for listed in
        own.require.iter().filter(|listed| own.replacement_of(&listed.path, &listed.version).is_none())
    {
        let Some(version) = selected.get(listed.path.as_str()) else { continue };
        if compare_versions(&listed.version, version).is_lt() {
            edited = set_require(&edited, &listed.path, version);
            raised.push(format!("{} {} => {version}", listed.path, listed.version));
        }
    }
    (edited, raised)
}

/// Path of the `go.mod` of a folder named from beside another: `../x` of `src/a/go.mod` is `src/x/go.mod`. None outside of the
/// repository.
#[must_use]
pub fn beside(go_mod: &str, folder: &str) -> Option<String> {
    let mut parts: Vec<&str> = go_mod.split('/').collect();
    parts.pop();
    for part in folder.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    parts.push("go.mod");
    (!folder.starts_with('/')).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_requirements_follow_the_whole_graph() {
        let text = "module x.org/a\n\nrequire (\n\tl.org/l v1.2.0 // why\n\tm.org/m v1.9.0\n\tr.org/r v1.0.0\n)\n\nreplace r.org/r => ../r\n";
        let selected =
            [("l.org/l", "v1.10.0"), ("m.org/m", "v1.8.0"), ("n.org/n", "v1.0.0"), ("r.org/r", "v9.0.0")];
        let (edited, raised) = raise_listed(text, selected);
        assert_eq!(edited, text.replace("l.org/l v1.2.0", "l.org/l v1.10.0"));
        assert_eq!(raised, ["l.org/l v1.2.0 => v1.10.0"]);
        assert_eq!(raise_listed(&edited, selected).0, edited, "twice is once");
    }

    #[test]
    fn folders_are_named_from_beside() {
        let table = [
            ("src/a/go.mod", "../b", Some("src/b/go.mod")),
            ("src/a/go.mod", "./sub/", Some("src/a/sub/go.mod")),
            ("go.mod", "./x", Some("x/go.mod")),
            ("go.mod", "../x", None),
            ("src/a/go.mod", "/x", None),
        ];
        for (path, folder, wanted) in table {
            assert_eq!(beside(path, folder).as_deref(), wanted, "{path} {folder}");
        }
    }

    fn hashes(go_mod: &str) -> ModuleHashes {
        ModuleHashes { h1: "h1:new=".into(), go_mod_h1: go_mod.into() }
    }

    fn files() -> BTreeMap<String, String> {
        let go_mod =
            "module x.org/a\n\nrequire (\n\tk.org/kata v0.0.0-1-a\n\tl.org/l v1.2.0\n\tm.org/m v1.9.0\n)\n";
        let go_sum =
            "k.org/kata v0.0.0-1-a h1:old=\nk.org/kata v0.0.0-1-a/go.mod h1:mod=\nl.org/l v1.2.0 h1:l=\n";
        let local = "module x.org/b\n\nrequire k.org/kata v0.0.0-1-a\n\nreplace k.org/kata => ../kata\n";
        [
            ("src/a/go.mod", go_mod),
            ("src/a/go.sum", go_sum),
            ("src/b/go.mod", local),
            ("src/c/go.mod", "module x.org/c\n"),
        ]
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
        .into()
    }

    #[test]
    fn with_the_same_go_mod_three_lines_change() {
        let hashes = hashes("h1:mod=");
        let wanted = Move {
            module: "k.org/kata",
            version: "v0.0.0-2-b",
            hashes: &hashes,
            go_mod: Some("require l.org/l v9.0.0\n"),
        };
        let moved = move_module(&files(), &wanted);
        assert!(!moved.graph_changed && moved.raised.is_empty());
        assert_eq!(moved.files.keys().collect::<Vec<_>>(), ["src/a/go.mod", "src/a/go.sum"]);
        assert_eq!(
            moved.files["src/a/go.sum"],
            "k.org/kata v0.0.0-2-b h1:new=\nk.org/kata v0.0.0-2-b/go.mod h1:mod=\nl.org/l v1.2.0 h1:l=\n"
        );
        let after: BTreeMap<String, String> = files().into_iter().chain(moved.files).collect();
        assert!(move_module(&after, &wanted).files.is_empty());
    }

    #[test]
    fn with_another_go_mod_listed_requirements_rise_and_no_sum_is_guessed() {
        let hashes = hashes("h1:other=");
        let new = "module k.org/kata\nrequire (\n\tl.org/l v1.10.0\n\tm.org/m v1.2.0\n\tn.org/n v1.0.0\n)\n";
        let moved = move_module(
            &files(),
            &Move { module: "k.org/kata", version: "v0.0.0-2-b", hashes: &hashes, go_mod: Some(new) },
        );
        assert!(moved.graph_changed);
        assert_eq!(moved.raised["src/a/go.mod"], ["l.org/l v1.2.0 => v1.10.0"]);
        assert!(moved.files["src/a/go.mod"].contains("\tl.org/l v1.10.0\n\tm.org/m v1.9.0\n"));
        assert!(moved.files["src/a/go.sum"].contains("l.org/l v1.2.0 h1:l="));
    }
}
