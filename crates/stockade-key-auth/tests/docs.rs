//! Documentation contains no usable secrets.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use stockade_key_auth::{KeyDigest, KeyHash};

/// Collects the files of the repository, except hidden ones and build output.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.starts_with('.') || name == "target" || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Returns the lines that readers copy: all lines of documents, examples and configuration, and
/// the doc comments of other code.
fn lines(path: &Path, text: &str) -> Vec<String> {
    let is_example = path.components().any(|part| part.as_os_str() == "examples");
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    let is_doc = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("//!") || line.starts_with("///")
    };
    let lines = text.lines();
    match extension {
        "rs" if !is_example => lines.filter(is_doc).map(str::to_owned).collect(),
        "rs" | "md" | "toml" | "yaml" | "yml" | "json" | "env" | "txt" => {
            lines.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the digests of all strings of one to three lowercase letters and digits.
fn short() -> HashSet<String> {
    let mut texts = vec![String::new()];
    let mut digests = HashSet::new();
    for _ in 0..3 {
        let mut longer = Vec::new();
        for text in &texts {
            let characters = ('a'..='z').chain('0'..='9');
            longer.extend(characters.map(|character| format!("{text}{character}")));
        }
        digests.extend(
            longer
                .iter()
                .map(|text| hex(KeyDigest::of(text.as_bytes()))),
        );
        texts = longer;
    }
    digests
}

fn hex(digest: KeyDigest) -> String {
    digest.to_string().replace("sha256:", "")
}

// FP04
#[test]
fn documents_contain_no_hash_of_a_well_known_or_short_secret() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut all = Vec::new();
    files(&root, &mut all);
    let short = short();
    let (mut seen, mut usable) = (0, Vec::new());
    for path in all {
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for line in lines(&path, &text) {
            seen += 1;
            let words = line.split(|character: char| !character.is_ascii_hexdigit());
            for word in words.filter(|word| word.len() == 64) {
                let word = word.to_ascii_lowercase();
                let hash: KeyHash = format!("sha256:{word}").parse().unwrap();
                if hash.is_of_known_secret() || short.contains(&word) {
                    usable.push(format!("{}: {line}", path.display()));
                }
            }
            let quoted = line.split(|character: char| " \"'`".contains(character));
            for word in quoted.filter(|word| word.starts_with("$2") || word.starts_with("$argon2"))
            {
                let hash = word.parse::<KeyHash>();
                let is = |secret: &str| {
                    let hash = hash.as_ref().ok();
                    hash.is_some_and(|hash| hash.verify(secret.as_bytes()) == Some(true))
                };
                if ["", "password", "secret", "changeme", "test", "admin"]
                    .into_iter()
                    .any(is)
                {
                    usable.push(format!("{}: {line}", path.display()));
                }
            }
        }
    }
    assert!(seen > 1_000, "only {seen} lines were found");
    assert!(usable.is_empty(), "{usable:#?}");
}
