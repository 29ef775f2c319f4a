//! Files are read, and edits change one word.
use proptest::strategy::Strategy;

use super::*;

const SAMPLE: &str = "module example.org/tool/v3\n\ngo 1.22.3\n\ntoolchain go1.22.4\n\nrequire example.org/one v1.2.3\n\nrequire (\n\texample.org/two v0.4.0 // indirect\n\t\"example.org/three\" v2.0.0+incompatible\n)\n\nreplace example.org/one => example.org/fork v1.2.4\n\nreplace (\n\texample.org/two v0.4.0 => ./two\n)\n";

#[test]
fn reads_single_lines_and_blocks() {
    let file = GoMod::parse(SAMPLE);
    assert_eq!((file.module.as_str(), file.go.as_deref()), ("example.org/tool/v3", Some("1.22.3")));
    let required: Vec<_> = file.require.iter().map(|r| (r.path.as_str(), r.indirect)).collect();
    assert_eq!(
        required,
        [("example.org/one", false), ("example.org/two", true), ("example.org/three", false)]
    );
    assert_eq!(file.version_of("example.org/one"), Some("v1.2.4"));
    assert_eq!(file.version_of("example.org/two"), Some("v0.4.0"));
    assert_eq!(file.version_of("example.org/none"), None);
    assert_eq!(file.replacement_of("example.org/two", "v0.4.0").map(|r| r.to.as_str()), Some("./two"));
    assert_eq!(file.replacement_of("example.org/two", "v0.5.0"), None);
}

#[test]
fn compares_path_and_major_version() {
    let cases = [
        ("m/tool", 1, false),
        ("m/tool", 0, false),
        ("m/tool/v5", 5, false),
        ("m/tool/v5", 6, true),
        ("m/tool", 2, true),
    ];
    for (module, major, faulty) in cases {
        let file = GoMod::parse(&format!("module {module}\n"));
        assert_eq!(file.path_fault(major).is_some(), faulty, "{module} {major}");
    }
}

#[test]
fn knows_when_the_graph_is_pruned() {
    for (text, pruned) in [("go 1.16\n", false), ("go 1.17\n", true), ("go 1.22.3\n", true), ("", false)] {
        assert_eq!(GoMod::parse(text).is_pruned(), pruned, "{text}");
    }
}

#[test]
fn orders_versions_like_go() {
    let sorted = [
        "v0.0.0-20190101000000-aaaaaaaaaaaa",
        "v0.0.0-20200101000000-000000000000",
        "v0.9.0",
        "v0.10.0-rc.1",
        "v0.10.0",
        "v2.0.0+incompatible",
    ];
    for pair in sorted.windows(2) {
        assert_eq!(compare_versions(pair[0], pair[1]), Ordering::Less, "{pair:?}");
    }
}

#[test]
fn edits_change_one_word() {
    let text = "module m // v1\n\ngo 1.22\n\nrequire a.org/x v1.0.0\n\nrequire (\n\ta.org/y v1.0.0 // indirect; v1.0.0\n\ta.org/yy v1.0.0\n)\n\nreplace (\n\ta.org/y v1.0.0 => b.org/y v1.0.0\n\ta.org/x => ../x\n)\n";
    let cases = [
        (set_require(text, "a.org/x", "v2.0.0"), "require a.org/x v2.0.0\n"),
        (set_require(text, "a.org/y", "v1.1.0"), "\ta.org/y v1.1.0 // indirect; v1.0.0\n"),
        (set_replacement_version(text, "a.org/y", "v1.1.0"), "\ta.org/y v1.0.0 => b.org/y v1.1.0\n"),
        (set_replacement(text, "a.org/y", "c.org/y", "v3.0.0"), "\ta.org/y v1.0.0 => c.org/y v3.0.0\n"),
        (set_directive(text, "go", "1.23.1"), "go 1.23.1\n"),
    ];
    for (edited, line) in cases {
        let new: Vec<&str> = edited.split_inclusive('\n').filter(|line| !text.contains(*line)).collect();
        assert_eq!(new, [line]);
    }
    for same in [set_require(text, "a.org/z", "v9.0.0"), set_replacement_version(text, "a.org/x", "v9.0.0")] {
        assert_eq!(same, text);
    }
    assert_eq!(GoMod::parse(text).local_replacements().collect::<Vec<_>>(), [("a.org/x", "../x")]);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read(text in "(module|require|replace|go|\\(|\\)|=>|//|[a-z/.]{1,6}|v1\\.0\\.[0-9]| |\n){0,30}") {
        let file = GoMod::parse(&text);
        for require in &file.require {
            proptest::prop_assert!(file.version_of(&require.path).is_some());
        }
    }

    #[test]
    fn edits_change_one_word_of_any_file(file in file(), version in "v[0-9]\\.[0-9]{1,2}\\.[0-9](-rc\\.[0-9])?") {
        let text = file.text();
        let read = GoMod::parse(&text);
        proptest::prop_assert_eq!(&read.require, &file.require);
        for (at, require) in file.require.iter().enumerate() {
            let edited = set_require(&text, &require.path, &version);
            proptest::prop_assert_eq!(set_require(&edited, &require.path, &version), edited.clone(), "twice is once");
            let back = set_require(&edited, &require.path, &require.version);
            proptest::prop_assert_eq!(&back, &text, "there and back");
            let mut expected = file.clone();
            version.clone_into(&mut expected.require[at].version);
            proptest::prop_assert_eq!(edited, expected.text());
        }
        for (at, replace) in file.replace.iter().enumerate() {
            let edited = set_replacement(&text, &replace.path, "other.org/x", &version);
            let mut expected = file.clone();
            let changed = &mut expected.replace[at];
            if changed.to_version.is_some() {
                (changed.to, changed.to_version) = ("other.org/x".to_owned(), Some(version.clone()));
            }
            proptest::prop_assert_eq!(&edited, &expected.text());
            proptest::prop_assert_eq!(set_replacement_version(&edited, &replace.path, &version), edited);
        }
        let edited = set_directive(&text, "go", "1.99");
        proptest::prop_assert_eq!(edited, text.replacen("go 1.22", "go 1.99", 1));
    }
}

/// A file as somebody may have written it.
#[derive(Clone, Debug)]
struct File {
    require: Vec<Require>,
    replace: Vec<Replace>,
    /// How it is laid out; taken in turn.
    taste: Vec<u8>,
}

impl File {
    fn text(&self) -> String {
        let mut tastes = self.taste.iter().copied().cycle();
        let mut taste = move |of: u8| tastes.next().unwrap_or(0) % of;
        let end = ["\n", "\r\n"][usize::from(taste(2))];
        let mut text = format!("module example.org/m // v1.0.0{end}{end}go 1.22{end}");
        let mut lines = Vec::new();
        for require in &self.require {
            let comment = match require.indirect {
                true => [" // indirect", "\t//indirect; v1.0.0"][usize::from(taste(2))],
                false => ["", " // indirectly v1.0.0", " //"][usize::from(taste(3))],
            };
            let gap = [" ", "\t", "   "][usize::from(taste(3))];
            let quote = ["", "\""][usize::from(taste(2))];
            lines.push((
                "require",
                format!("{quote}{}{quote}{gap}{}{comment}", require.path, require.version),
            ));
        }
        for replace in &self.replace {
            let old = replace.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
            let new = replace.to_version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
            lines.push(("replace", format!("{}{old} => {}{new}", replace.path, replace.to)));
        }
        for (name, line) in lines {
            match taste(4) {
                0 => text.push_str(&format!("{name} {line}{end}")),
                1 => text.push_str(&format!("{name}({end}\t{line}{end}){end}")),
                2 => text.push_str(&format!(
                    "{end}{name} ( // why{end}\t// a.org/v0 v0.0.0{end}{end}  {line}{end}){end}"
                )),
                _ => text.push_str(&format!("\t{name}\t{line} {end}")),
            }
        }
        if taste(2) == 0 {
            text.truncate(text.trim_end().len());
        }
        text
    }
}

fn file() -> impl Strategy<Value = File> {
    let version = || "v[0-9]\\.[0-9]\\.[0-9](\\+incompatible)?";
    let require = (version(), proptest::bool::ANY);
    let replace = (proptest::option::of(version()), proptest::option::of(version()));
    let parts = (
        proptest::collection::vec(require, 0..4),
        proptest::collection::vec(replace, 0..4),
        proptest::collection::vec(proptest::num::u8::ANY, 1..12),
    );
    parts.prop_map(|(require, replace, taste)| File {
        require: (0..)
            .zip(require)
            .map(|(at, (version, indirect))| Require { path: format!("a.org/v{at}"), version, indirect })
            .collect(),
        replace: (0..)
            .zip(replace)
            .map(|(at, (version, to_version))| Replace {
                path: format!("b.org/{at}"),
                version,
                to: if to_version.is_some() { format!("v{at}") } else { format!("../v{at}") },
                to_version,
            })
            .collect(),
        taste,
    })
}
