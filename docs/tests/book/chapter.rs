//! The pages of the book.

use std::fs;

use crate::{block::Block, book};

pub(crate) struct Chapter {
    /// The file in `src/`.
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Chapter {
    /// The fenced blocks, in order.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (number, line) in (1..).zip(self.text.lines()) {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(info)) => open = Some(Block::new(info, number)),
                (Some(_), Some("")) => blocks.extend(open.take()),
                (Some(block), _) => block.push(line),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: an open block", self.name);
        blocks
    }
}

/// The pages that `SUMMARY.md` lists, in order.
pub(crate) fn chapters() -> Vec<Chapter> {
    let folder = book().join("src");
    let summary = fs::read_to_string(folder.join("SUMMARY.md")).unwrap();
    let names = summary.lines().filter_map(|line| {
        let (_, rest) = line.split_once("](")?;
        rest.strip_suffix(')').map(str::to_owned)
    });
    let read = |name: String| Chapter {
        text: fs::read_to_string(folder.join(&name)).unwrap_or_else(|e| panic!("{name}: {e}")),
        name,
    };
    let chapters: Vec<_> = names.map(read).collect();
    assert!(chapters.len() > 10, "only {} chapters", chapters.len());
    chapters
}
