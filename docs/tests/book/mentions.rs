//! Names that the book mentions exist in the sources: threats that tests name, tests, and metrics.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{book, chapter::Chapter};

/// The folders with sources and tests.
const FOLDERS: [&str; 4] = ["benches", "crates", "reference-server", "tests"];
/// The start of the names of metrics, and of tables.
const METRIC: &str = "stockade_";

/// The words of comments and of code, and the names of tests, by the folder of a repository.
pub(crate) struct Sources {
    comments: BTreeSet<String>,
    code: BTreeSet<String>,
    tests: BTreeSet<String>,
}

impl Sources {
    pub(crate) fn read() -> Self {
        let mut sources = Self {
            comments: BTreeSet::new(),
            code: BTreeSet::new(),
            tests: BTreeSet::new(),
        };
        let repository = book().parent().expect("the book is in the repository");
        for folder in FOLDERS {
            sources.add(&repository.join(folder));
        }
        sources
    }

    fn add(&mut self, path: &Path) {
        if path.is_dir() {
            for entry in path.read_dir().unwrap() {
                self.add(&entry.unwrap().path());
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).unwrap();
            self.tests.extend(tests(&text).map(str::to_owned));
            for line in text.lines() {
                let (code, comment) = line.split_once("//").unwrap_or((line, ""));
                self.comments.extend(threats(comment).map(str::to_owned));
                self.code.extend(metrics(code).map(str::to_owned));
            }
        }
    }

    /// Asserts that a comment names each threat of the page. Returns the number of threats.
    pub(crate) fn assert_tested(&self, chapter: &Chapter) -> usize {
        let named: BTreeSet<_> = threats(&chapter.text).collect();
        let is_tested = |threat: &&&str| self.comments.contains(**threat);
        let untested: Vec<_> = named.iter().filter(|threat| !is_tested(threat)).collect();
        let name = &chapter.name;
        assert!(
            untested.is_empty(),
            "docs/src/{name}: no test names {untested:?}"
        );
        named.len()
    }

    /// Asserts that each row of a table with the column `tests` names tests that exist, or begins
    /// that cell with a dash and the reason why there is none. Returns the number of tests.
    pub(crate) fn assert_rows_tested(&self, chapter: &Chapter) -> usize {
        let name = &chapter.name;
        let mut named = BTreeSet::new();
        for cell in cells(&chapter.text, "tests") {
            let names: Vec<_> = cell.split('`').skip(1).step_by(2).collect();
            assert!(
                !names.is_empty() || cell.starts_with("– "),
                "docs/src/{name}: no test, and no reason: {cell}"
            );
            named.extend(names);
        }
        let exists = |test: &&&str| self.tests.contains(**test);
        let unknown: Vec<_> = named.iter().filter(|test| !exists(test)).collect();
        assert!(
            unknown.is_empty(),
            "docs/src/{name}: no source has the tests {unknown:?}"
        );
        named.len()
    }

    /// Asserts that each metric and table of the page exists. Returns the number of names.
    pub(crate) fn assert_named(&self, chapter: &Chapter) -> usize {
        let named: BTreeSet<_> = metrics(&chapter.text).collect();
        let exists = |metric: &&&str| self.code.contains(**metric);
        let unknown: Vec<_> = named.iter().filter(|metric| !exists(metric)).collect();
        let name = &chapter.name;
        assert!(
            unknown.is_empty(),
            "docs/src/{name}: no source has {unknown:?}"
        );
        named.len()
    }
}

/// Words of one or two capital letters and two digits.
fn threats(text: &str) -> impl Iterator<Item = &str> {
    words(text).filter(|word| {
        let digits = word.trim_start_matches(|one: char| one.is_ascii_uppercase());
        let letters = word.len() - digits.len();
        (1..=2).contains(&letters)
            && digits.len() == 2
            && digits.bytes().all(|one| one.is_ascii_digit())
    })
}

fn metrics(text: &str) -> impl Iterator<Item = &str> {
    // A name that ends with `_` is the start of several.
    words(text).filter(|word| word.starts_with(METRIC) && !word.ends_with('_'))
}

/// The names of functions with an attribute `test`, of the standard library or of tokio.
fn tests(text: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    text.lines().filter_map(move |line| {
        let line = line.trim_start();
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, rest)) = line.split_once("fn ")
            && is_test
        {
            is_test = false;
            return rest.split('(').next();
        }
        None
    })
}

/// The cells of a column of all tables that have it.
fn cells<'t>(text: &'t str, column: &str) -> impl Iterator<Item = &'t str> {
    let mut index = None;
    text.lines().filter_map(move |line| {
        let Some(row) = line
            .strip_prefix("| ")
            .and_then(|row| row.strip_suffix(" |"))
        else {
            // The line below the names of the columns belongs to the table.
            index = index.filter(|_| line.starts_with("|-"));
            return None;
        };
        let mut cells = row.split(" | ").map(str::trim);
        match index {
            Some(index) => cells.nth(index),
            None => {
                // `usize::MAX` marks a table without the column.
                index = Some(cells.position(|name| name == column).unwrap_or(usize::MAX));
                None
            }
        }
    })
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|one: char| !(one.is_ascii_alphanumeric() || one == '_'))
}

#[test]
fn threats_are_letters_and_two_digits() {
    let text = "`A03`, FA03; FOO03 03 A3 A033 Ax3 (B10)";
    let found: Vec<_> = threats(text).collect();
    assert_eq!(found, ["A03", "FA03", "B10"]);
}

#[test]
fn tests_have_an_attribute() {
    let text = "#[test]\nfn one() {}\nfn helper() {}\n#[tokio::test(start_paused = true)]\n\
                #[cfg(unix)]\nasync fn two() {}\n    #[tokio::test]\n    pub fn three() {}\n";
    let found: Vec<_> = tests(text).collect();
    assert_eq!(found, ["one", "two", "three"]);
}

#[test]
fn cells_are_those_of_the_named_column() {
    let text = "| a | b |\n|---|---|\n| 1 | 2 |\n\n| a | tests |\n|---|---|\n| 1 | x |\n\
                | 2 | y |\n\n| tests |\n|---|\n| z |\n";
    let found: Vec<_> = cells(text, "tests").collect();
    assert_eq!(found, ["x", "y", "z"]);
}

/// Checks a page with this cell.
fn check_cell(cell: &str) -> usize {
    let sources = Sources {
        comments: BTreeSet::new(),
        code: BTreeSet::new(),
        tests: ["a_test".to_owned()].into(),
    };
    sources.assert_rows_tested(&Chapter {
        name: "faults.md".to_owned(),
        text: format!("| fault | tests |\n|---|---|\n| slow | {cell} |\n"),
    })
}

#[test]
fn rows_name_tests_or_a_reason() {
    assert_eq!(check_cell("`a_test`"), 1);
    assert_eq!(check_cell("– does not apply"), 0);
}

#[test]
#[should_panic(expected = "no source has the tests [\"no_test\"]")]
fn rows_name_no_tests_that_do_not_exist() {
    check_cell("`a_test`, `no_test`");
}

#[test]
#[should_panic(expected = "no test, and no reason")]
fn rows_have_a_reason_without_a_test() {
    check_cell("later");
}
