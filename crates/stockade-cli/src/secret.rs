//! Reads secrets from a file, from standard input, or from a prompt without echo. Secrets are
//! never arguments: every process on the machine can read the command line.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::Path,
};

use stockade_key_auth::Pepper;
use zeroize::Zeroizing;

#[cfg(unix)]
use crate::output;
use crate::{CliError, prompt};

/// The maximum length of a secret or token, in bytes.
const MAX_LEN: u64 = 64 << 10;

const ONE_LINE: &str = "pass one key or token on standard input, for example \
                        `stockade keys verify < key.txt`";

/// Prompts for a secret on a terminal, or reads it from standard input.
pub(crate) fn prompt_or_stdin(question: &str) -> Result<Zeroizing<String>, CliError> {
    if io::stdin().is_terminal() {
        return prompt::secret(question);
    }
    let bytes = read(io::stdin().lock())
        .map_err(|error| CliError::failed(format_args!("cannot read standard input: {error}")))?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| CliError::usage("standard input is not UTF-8").with_help(ONE_LINE))?
        .trim_ascii();
    match text.lines().count() {
        0 => Err(CliError::usage("standard input is empty").with_help(ONE_LINE)),
        1 => Ok(Zeroizing::new(text.to_owned())),
        _ => Err(CliError::usage("standard input has more than one line").with_help(ONE_LINE)),
    }
}

/// Reads a secret file, without the line ending that editors append.
pub(crate) fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let failed = |error: io::Error| {
        CliError::failed(format_args!("cannot read {}: {error}", path.display()))
    };
    let file = File::open(path).map_err(failed)?;
    warn_if_readable_by_others(path);
    let mut bytes = read(file).map_err(failed)?;
    for end in *b"\n\r" {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    Ok(bytes)
}

/// Reads a pepper file in the same way as a server.
pub(crate) fn read_pepper(path: &Path) -> Result<Pepper, CliError> {
    let shown = path.display();
    warn_if_readable_by_others(path);
    Pepper::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => CliError::failed(format_args!("{shown}: {error}")),
        _ => CliError::failed(format_args!("cannot read {shown}: {error}")),
    })
}

fn read(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // A reallocation would leave a copy of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LEN as usize + 1));
    from.take(MAX_LEN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_LEN {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "the secret is longer than 64 KiB",
        ));
    }
    Ok(bytes)
}

#[cfg(unix)]
fn warn_if_readable_by_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let open = |metadata: std::fs::Metadata| {
        metadata.is_file() && metadata.permissions().mode() & 0o077 != 0
    };
    if path.metadata().is_ok_and(open) {
        let path = path.display();
        output::warn(format_args!("other users can read {path}"));
        output::help(format_args!("chmod 600 {path}"));
    }
}

#[cfg(not(unix))]
fn warn_if_readable_by_others(_path: &Path) {}
