//! The fenced blocks of a page.

use crate::chapter::Chapter;

/// Excerpts of sources that are no programs, by page.
const EXCERPTS: [&str; 1] = ["architecture.md"];

pub(crate) struct Block {
    info: String,
    line: usize,
    pub(crate) text: String,
}

impl Block {
    pub(crate) fn new(info: &str, line: usize) -> Self {
        Self {
            info: info.to_owned(),
            line,
            text: String::new(),
        }
    }

    pub(crate) fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub(crate) fn language(&self) -> &str {
        self.info.split(',').next().unwrap_or_default()
    }

    /// The page and line, for messages.
    pub(crate) fn place(&self, chapter: &Chapter) -> String {
        format!("docs/src/{}:{}", chapter.name, self.line)
    }

    /// The name of the program that the block includes.
    pub(crate) fn program(&self) -> Option<&str> {
        let (name, _) = self
            .text
            .strip_prefix("{{#include ../programs/")?
            .split_once(".rs")?;
        Some(name)
    }

    pub(crate) fn is_excerpt(&self, chapter: &Chapter) -> bool {
        self.info == "rust,ignore" && EXCERPTS.contains(&chapter.name.as_str())
    }

    /// Whether the block is a part of a `Cargo.toml`.
    pub(crate) fn is_manifest(&self) -> bool {
        self.text.starts_with("[dependencies]") || self.text.starts_with("[profile.")
    }

    /// The name of the file that the block shows: its first line is a comment with the name.
    pub(crate) fn file(&self) -> Option<&str> {
        let name = self.text.lines().next()?.strip_prefix("# ")?;
        let is_file = name.ends_with(".toml") || name.ends_with(".yaml");
        (is_file && !name.contains(' ')).then_some(name)
    }
}
