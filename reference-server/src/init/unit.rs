//! The systemd unit.

use std::{env, path::Path};

use super::{Answers, folder::CONFIG, shell};
use crate::StartError;

pub(super) const NAME: &str = "stockade-server.service";

const TEMPLATE: &str = include_str!("stockade-server.service");

/// The unit that starts this program with the new configuration.
pub(super) fn render(answers: &Answers, user: &str) -> Result<String, StartError> {
    let program = env::current_exe()
        .map_err(|error| StartError::new(format!("cannot find this program: {error}")))?;
    let mut writable = quoted(&answers.dir)?;
    if let Some(audit) = &answers.audit {
        // The server creates it, so it may be missing at the start.
        writable.push_str(" -");
        writable.push_str(&quoted(audit)?);
    }
    let capabilities = match answers.listen.port() {
        1..1024 => "CAP_NET_BIND_SERVICE",
        _ => "",
    };
    let values = [
        ("{user}", user.to_owned()),
        ("{shell_dir}", shell::quoted(&answers.dir)),
        ("{shell_unit}", shell::quoted(&answers.dir.join(NAME))),
        ("{program}", quoted(&program)?),
        ("{config}", quoted(&answers.dir.join(CONFIG))?),
        ("{writable}", writable),
        ("{capabilities}", capabilities.to_owned()),
    ];
    let mut text = TEMPLATE.to_owned();
    for (name, value) in values {
        text = text.replace(name, &value);
    }
    Ok(text)
}

/// A path as one word of a unit: `%` starts a specifier there, and `$` a variable.
fn quoted(path: &Path) -> Result<String, StartError> {
    let text = path.display().to_string();
    if text.contains(|c: char| c.is_control() || "\"\\'$".contains(c)) {
        return Err(StartError::new(format!(
            "a systemd unit cannot have the path {text:?}: choose a path without quotes, \
             backslashes and dollar signs"
        )));
    }
    let text = text.replace('%', "%%");
    Ok(match text.contains(' ') {
        true => format!("\"{text}\""),
        false => text,
    })
}

/// Parses a user name that systemd accepts.
pub(super) fn user(text: &str) -> Result<String, String> {
    let is_name = |c: u8| c.is_ascii_alphanumeric() || b"_-".contains(&c);
    let starts = text
        .bytes()
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == b'_');
    match starts && text.len() <= 31 && text.bytes().all(is_name) {
        true => Ok(text.to_owned()),
        false => Err("a user name has letters, digits, `_` and `-`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_paths_and_refuses_those_that_units_cannot_have() {
        assert_eq!(quoted(Path::new("/a")).unwrap(), "/a");
        assert_eq!(quoted(Path::new("/a b/50%")).unwrap(), "\"/a b/50%%\"");
        for path in ["/a\nUser=root", "/a\"b", "/$HOME", "/a\\x20"] {
            assert!(quoted(Path::new(path)).is_err(), "{path:?}");
        }
    }

    #[test]
    fn accepts_only_user_names() {
        assert_eq!(user("stockade_1").unwrap(), "stockade_1");
        for text in ["", "1a", "a b", "root\nUser=a", "a:b"] {
            assert!(user(text).is_err(), "{text:?}");
        }
    }
}
