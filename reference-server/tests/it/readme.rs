//! Compares the server's README with the code.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Codes without an underscore, which are listed to distinguish them from other constants.
const ONE_WORD: [&str; 3] = ["BANNED", "OVERLOADED", "UNAVAILABLE"];

/// Crates without refusal codes.
const OTHERS: [&str; 3] = ["stockade-cli", "stockade-server-config", "stockade-testkit"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if OTHERS.contains(&&*name) || ["tests", "benches", "target", "tests.rs"].contains(&&*name)
        {
            continue;
        }
        match path.is_dir() {
            true => sources(&path, found),
            false if name.ends_with(".rs") => found.push(path),
            false => {}
        }
    }
}

/// The words between these marks that look like a code, such as `MODEL_TIMEOUT`.
fn codes(text: &str, mark: char) -> BTreeSet<String> {
    let is_code = |word: &&str| {
        let plain = word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        (plain && word.contains('_') && !word.starts_with('_')) || ONE_WORD.contains(word)
    };
    // Every second piece is between two marks; the others do not look like codes.
    let pieces = text.lines().flat_map(|line| line.split(mark));
    pieces.filter(is_code).map(str::to_owned).collect()
}

/// The codes of all refusals in the sources of the server and its crates.
fn codes_in_sources() -> BTreeSet<String> {
    let mut files = Vec::new();
    for folder in ["crates", "reference-server/src"] {
        sources(&root().join(folder), &mut files);
    }
    assert!(files.len() > 200, "{files:?}");
    let mut all = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
        // Only files that create refusals.
        if [
            "RefusalKind",
            "R::Invalid",
            "Refusal::",
            "-> Refusal",
            "FaultKind",
        ]
        .iter()
        .any(|name| text.contains(name))
        {
            let lines = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            all.extend(codes(&lines.collect::<Vec<_>>().join("\n"), '"'));
        }
    }
    all
}

// FP08
#[test]
fn the_table_lists_exactly_the_defined_codes() {
    let readme = fs::read_to_string(root().join("reference-server/README.md")).unwrap();
    let table = readme.split("| status | `code` | cause |").nth(1).unwrap();
    let table = table.split("\n\n").next().unwrap();
    let (documented, defined) = (codes(table, '`'), codes_in_sources());
    let missing: Vec<_> = defined.difference(&documented).collect();
    assert!(missing.is_empty(), "the README lacks {missing:?}");
    let wrong: Vec<_> = documented.difference(&defined).collect();
    assert!(wrong.is_empty(), "the code has no {wrong:?}");
}
