//! Writes results to standard output, and everything else to standard error.
//!
//! Colours are used on terminals only, unless `NO_COLOR` or `CLICOLOR_FORCE` is set.

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

use crate::escape::{escape, escape_json};

/// Emphasis.
pub(crate) const BOLD: Style = Style::new().bold();
/// A positive state.
pub(crate) const SUCCESS: Style = AnsiColor::Green.on_default();
/// A state that needs attention.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default();
/// A negative state.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default();

/// Writes a line of the result to standard output.
pub(crate) fn print(text: impl Display) -> io::Result<()> {
    writeln!(anstream::stdout(), "{text}")
}

/// Writes the result as JSON, escaped for a terminal.
pub(crate) fn print_json(value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    print(escape_json(&text))
}

/// Writes the result as a table; the first row holds the headings.
pub(crate) fn print_table(rows: Builder) -> io::Result<()> {
    let mut table = rows.build();
    table
        .with(tabled::settings::Style::empty())
        .with(Padding::new(0, 2, 0, 0))
        .modify(Columns::last(), Padding::zero());
    // Padding of the last column would wrap on narrow terminals.
    let table = table.to_string();
    let lines: Vec<_> = table.lines().map(str::trim_end).collect();
    print(lines.join("\n"))
}

/// Writes a note to standard error.
pub(crate) fn note(text: impl Display) {
    write_stderr(text);
}

/// Writes a warning to standard error.
pub(crate) fn warn(text: impl Display) {
    write_stderr(format_args!("{WARNING}warning:{WARNING:#} {text}"));
}

/// Writes an error to standard error.
pub(crate) fn error(text: impl Display) {
    write_stderr(format_args!("{ERROR}error:{ERROR:#} {text}"));
}

/// Writes the remedy of the error or warning before it, escaped for a terminal.
pub(crate) fn help(text: impl Display) {
    write_stderr(format_args!("  help: {}", escape(&text.to_string())));
}

/// `1 error`, `0 errors`, `2 errors`.
pub(crate) fn plural(count: impl Into<u64>, noun: &str) -> String {
    match count.into() {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

/// Whether prompts can be shown and answered.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn write_stderr(text: impl Display) {
    // A failure to write to standard error cannot be reported.
    let _ = writeln!(anstream::stderr(), "{text}");
}
