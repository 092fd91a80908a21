//! Tests of the book: the programs run, the commands print what the book shows, and the
//! configurations load.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    reason = "test helpers; clippy exempts only test functions"
)]

mod block;
mod chapter;
mod config;
mod dependencies;
mod glob;
mod mentions;
mod session;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use chapter::chapters;
use mentions::Sources;
use session::Session;

/// The folder of the book.
fn book() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Builds the `stockade` command and returns the folder of all programs.
fn programs() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--package", "stockade-cli"])
        .status()
        .expect("cargo starts");
    assert!(built.success(), "stockade-cli does not build");
    let program = Path::new(env!("CARGO_BIN_EXE_book-quick-start"));
    let folder = program.parent().expect("it is in a folder").to_owned();
    let command = folder.join("stockade");
    assert!(command.is_file(), "missing: {}", command.display());
    folder
}

#[test]
fn every_page_is_in_the_summary() {
    let listed: Vec<_> = chapters().into_iter().map(|chapter| chapter.name).collect();
    for entry in book().join("src").read_dir().unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "SUMMARY.md" || listed.contains(&name),
            "SUMMARY.md does not list {name}"
        );
    }
}

#[test]
fn rust_blocks_are_programs_that_are_compiled() {
    let mut programs = 0;
    for chapter in chapters() {
        for block in chapter.blocks() {
            if block.language() == "rust" {
                assert!(
                    block.program().is_some() || block.is_excerpt(&chapter),
                    "{}: include a program of docs/programs",
                    block.place(&chapter)
                );
                programs += usize::from(block.program().is_some());
            }
        }
    }
    assert!(programs > 10, "only {programs} programs");
}

#[test]
fn requests_are_in_blocks_that_are_run() {
    for chapter in chapters() {
        for block in chapter.blocks() {
            assert!(
                block.language() == "console" || !block.text.contains("curl "),
                "{}: mark it as `console`, so that its output is compared",
                block.place(&chapter)
            );
        }
    }
}

#[test]
fn configurations_load_without_errors() {
    let all = chapters();
    let base = config::base(&all);
    let mut loaded = 0;
    for chapter in &all {
        for block in chapter.blocks() {
            if block.language() == "toml" && !block.is_manifest() {
                config::assert_loads(&block, &base, &block.place(chapter));
                loaded += 1;
            }
        }
    }
    assert!(loaded > 10, "only {loaded} configurations");
}

#[test]
fn programs_use_the_crates_that_their_chapter_adds() {
    let mut compared = 0;
    for chapter in chapters() {
        compared += dependencies::assert_complete(&chapter);
    }
    assert!(compared > 10, "only {compared} programs");
}

#[test]
fn threats_tests_and_metrics_exist() {
    let sources = Sources::read();
    let (mut threats, mut tests, mut metrics) = (0, 0, 0);
    for chapter in chapters() {
        if chapter.name == "threat-model.md" {
            threats += sources.assert_tested(&chapter);
        }
        if chapter.name == "faults.md" {
            tests += sources.assert_rows_tested(&chapter);
        }
        metrics += sources.assert_named(&chapter);
    }
    assert!(threats > 30, "only {threats} threats");
    assert!(tests > 60, "only {tests} tests");
    assert!(metrics > 30, "only {metrics} metrics");
}

/// One test, because all programs listen on the same port.
#[test]
fn commands_print_what_the_book_shows() {
    let programs = programs();
    let mut commands = 0;
    for chapter in chapters() {
        commands += Session::run(&chapter, &programs);
    }
    assert!(commands > 30, "only {commands} commands");
}
