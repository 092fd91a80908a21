//! Compares the `cargo add` commands of a page with its programs.

use std::{collections::BTreeMap, fs};

use toml::{Table, Value};

use crate::{book, chapter::Chapter};

/// Asserts that the page adds each crate that its programs use, with the features of Stockade's
/// crates that they need. Returns the number of programs.
pub(crate) fn assert_complete(chapter: &Chapter) -> usize {
    let manifest: Table = fs::read_to_string(book().join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let known = manifest["dependencies"].as_table().unwrap();
    let added = added(chapter);
    for name in added.keys() {
        assert!(
            known.contains_key(name),
            "{}: no program of the book uses {name}",
            chapter.name
        );
    }
    let mut programs = 0;
    for name in chapter.blocks().iter().filter_map(|block| block.program()) {
        let text = fs::read_to_string(book().join(format!("programs/{name}.rs"))).unwrap();
        for (used, dependency) in known.iter().filter(|(used, _)| is_used(&text, used)) {
            let features = added.get(used).unwrap_or_else(|| {
                panic!(
                    "{}: {name}.rs uses {used}, but no `cargo add` adds it",
                    chapter.name
                )
            });
            if used.starts_with("stockade") {
                for feature in features_of(dependency) {
                    assert!(
                        features.iter().any(|added| added == feature),
                        "{}: `cargo add {used}` lacks the feature {feature}",
                        chapter.name
                    );
                }
            }
        }
        programs += 1;
    }
    programs
}

/// The crates that the `cargo add` commands of the page add, with their features.
fn added(chapter: &Chapter) -> BTreeMap<String, Vec<String>> {
    let mut added = BTreeMap::new();
    for block in chapter.blocks() {
        for command in block.text.lines() {
            let Some(arguments) = command.strip_prefix("cargo add ") else {
                continue;
            };
            let (names, features) = arguments
                .split_once(" --features ")
                .unwrap_or((arguments, ""));
            let features: Vec<_> = features.split(',').map(str::to_owned).collect();
            for name in names.split(' ') {
                added.insert(name.to_owned(), features.clone());
            }
        }
    }
    added
}

/// Whether the program has a path into this crate.
fn is_used(program: &str, name: &str) -> bool {
    let path = format!("{}::", name.replace('-', "_"));
    program.lines().any(|line| {
        let line = line.trim_start().trim_start_matches("use ");
        line.starts_with(&path) || line.contains(&format!("[{path}"))
    })
}

fn features_of(dependency: &Value) -> impl Iterator<Item = &str> {
    let features = dependency.get("features").and_then(Value::as_array);
    features.into_iter().flatten().filter_map(Value::as_str)
}
