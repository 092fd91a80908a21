//! What is written, and where: answers to standard output, remarks to standard error.
//!
//! Colours are left out where nobody sees them, and where `NO_COLOR` says so.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use tabled::{
    builder::Builder,
    settings::{Padding, object::Columns},
};

use crate::escape::escape_json;

/// What matters most on a page: a new key.
pub(crate) const BOLD: Style = Style::new().bold();
/// What works.
pub(crate) const SUCCESS: Style = AnsiColor::Green.on_default();
/// What will not work for long, or should be looked at.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default();
/// What does not work.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default();

/// Writes a part of the answer, and the end of its line.
pub(crate) fn print(text: impl Display) -> io::Result<()> {
    writeln!(anstream::stdout(), "{text}")
}

/// Writes the answer as JSON that is safe on a terminal, too.
pub(crate) fn print_json(value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    print(escape_json(&text))
}

/// Writes a table as the answer: its first row are the headings.
pub(crate) fn print_table(rows: Builder) -> io::Result<()> {
    let mut table = rows.build();
    table
        .with(tabled::settings::Style::empty())
        .with(Padding::new(0, 2, 0, 0))
        .modify(Columns::last(), Padding::zero());
    // What is left of the last column's width would wrap narrow terminals for nothing.
    let table = table.to_string();
    let lines: Vec<_> = table.lines().map(str::trim_end).collect();
    print(lines.join("\n"))
}

/// Remarks on what was done.
pub(crate) fn note(text: impl Display) {
    write_stderr(text);
}

/// Says what the reader should look at.
pub(crate) fn warn(text: impl Display) {
    write_stderr(format_args!("{WARNING}warning:{WARNING:#} {text}"));
}

/// Says why nothing came of it.
pub(crate) fn error(text: impl Display) {
    write_stderr(format_args!("{ERROR}error:{ERROR:#} {text}"));
}

/// Whether there is somebody who can be asked.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn write_stderr(text: impl Display) {
    // Where standard error cannot be written, there is nobody to be told so.
    let _ = writeln!(anstream::stderr(), "{text}");
}
