//! Compares the `cargo add` commands of a page with its programs.

use std::fs;

use toml::Table;

use crate::{book, chapter::Chapter};

/// Asserts that the page adds each crate that its programs use, with features that exist.
/// Returns the number of programs.
pub(crate) fn assert_complete(chapter: &Chapter) -> usize {
    let manifest: Table = fs::read_to_string(book().join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let known = manifest["dependencies"].as_table().unwrap();
    let blocks = chapter.blocks();
    let added: Vec<_> = blocks
        .iter()
        .flat_map(|block| block.text.lines())
        .filter_map(|line| line.strip_prefix("cargo add "))
        .flat_map(|rest| rest.split(" --").next().unwrap_or_default().split(' '))
        .collect();
    for name in &added {
        assert!(
            known.contains_key(*name) || name.starts_with("stockade"),
            "{}: no program of the book uses {name}",
            chapter.name
        );
    }
    let mut programs = 0;
    for name in blocks.iter().filter_map(|block| block.program()) {
        let text = fs::read_to_string(book().join(format!("programs/{name}.rs"))).unwrap();
        for used in known.keys() {
            let path = format!("{}::", used.replace('-', "_"));
            let is_used = text.lines().any(|line| {
                let line = line.trim_start().trim_start_matches("use ");
                line.starts_with(&path) || line.contains(&format!("[{path}"))
            });
            assert!(
                !is_used || added.contains(&used.as_str()),
                "{}: {name}.rs uses {used}, but no `cargo add` adds it",
                chapter.name
            );
        }
        programs += 1;
    }
    programs
}
