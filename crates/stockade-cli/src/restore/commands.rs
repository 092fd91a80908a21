//! The commands that put unpacked files into place.

use std::path::Path;

use crate::{
    CliError,
    backup::manifest::{Kind, Manifest},
    output,
};

/// Prints the commands. They run while the server is stopped.
pub(super) fn print(manifest: &Manifest, folder: &Path) -> Result<(), CliError> {
    output::note(
        "To put the files into place, stop the server, and run these commands as root. Then give the \
         files to the user of the server (`chown`).",
    );
    for entry in &manifest.files {
        let (from, to) = (folder.join(&entry.path), entry.original());
        let (from, to) = (quoted(&from.display().to_string()), quoted(&to));
        if entry.kind == Kind::Sqlite {
            // They belong to the file that is replaced, and would damage the new one.
            output::print(format_args!("rm -f {to}-wal {to}-shm"))?;
        }
        output::print(format_args!(
            "install -D -m {:04o} {from} {to}",
            entry.mode()
        ))?;
    }
    Ok(())
}

/// A word of a shell. Paths of a manifest have no control characters.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_words_of_a_shell() {
        for (text, word) in [
            ("/etc/stockade/keys.yaml", "/etc/stockade/keys.yaml"),
            ("a b", "'a b'"),
            ("$(reboot)", "'$(reboot)'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }
}
