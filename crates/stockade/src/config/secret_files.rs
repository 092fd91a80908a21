//! Secrets in files of their own: `store.redis_file` sets `store.redis`.
//!
//! Docker, Kubernetes and systemd provide secrets as files; a variable would be visible in
//! `/proc/PID/environ`, and the configuration file may be public.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use zeroize::Zeroizing;

use super::{
    ConfigError, ConfigWarning, Remedy, SettingFile,
    node::{Node, Table, Value},
    schema::{self, Schema},
};

/// The maximum size of a secret.
const MAX_BYTES: u64 = 64 << 10;

/// Reads the files of secrets, relative to `folder`, and sets the secrets. A variable takes
/// precedence over the file, whichever of the two forms each of them has. Returns the files, as the
/// settings name them.
///
/// # Errors
/// When a file cannot be read, or one source sets both the secret and its file.
pub(super) fn read_all(
    table: &mut Table,
    schema: &Schema,
    folder: &Path,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<Vec<SettingFile>, ConfigError> {
    let mut files = Vec::new();
    for secret in schema.secrets() {
        let setting = schema::file_of(secret);
        let Some(node) = table.remove(&setting.split('.').collect::<Vec<_>>()) else {
            continue;
        };
        let path: Vec<_> = secret.split('.').collect();
        if let Some(other) = table.at(&path) {
            match [&node, other].map(|node| node.origin.as_variable().is_some()) {
                [false, true] => continue,
                [true, false] => {}
                _ => {
                    let error = format!("cannot be combined with {secret}");
                    return Err(ConfigError::setting(&setting, error)
                        .at(node.origin)
                        .help(format!("remove {secret} or {setting}")));
                }
            }
        }
        let secret = read(&setting, &node, folder, warnings)?;
        files.extend(SettingFile::of(setting, &node));
        // The parent is a section, because it had the file.
        let _ = table.set(&path, secret);
    }
    Ok(files)
}

fn read(
    setting: &str,
    node: &Node,
    folder: &Path,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<Node, ConfigError> {
    let fault = |text: String| ConfigError::setting(setting, text).at(node.origin.clone());
    let (Value::Text(name) | Value::Untyped(name)) = &node.value else {
        return Err(fault(format!("expected a path, found {}", node.kind())));
    };
    let path = folder.join(name);
    let shown = path.display();
    let text = read_text(&path).map_err(|error| {
        fault(format!("cannot read {shown}: {error}"))
            .help("use a file that the server's user can read")
    })?;
    let secret = text.trim();
    if secret.is_empty() {
        return Err(fault(format!("{shown} is empty")));
    }
    if is_world_accessible(&path) {
        let chmod = format!("chmod 600 {shown}");
        let text = format!("every user of the machine can read or change the secret in {shown}");
        let warning = ConfigWarning::new(node.origin.clone(), text);
        warnings.push(warning.with_remedy(Remedy::text(&chmod).run(&chmod)));
    }
    Ok(Node {
        value: Value::Text(secret.to_owned()),
        origin: node.origin.clone(),
    })
}

fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is larger than 64 KiB"));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(io::Error::other("it is not UTF-8")),
    }
}

/// Group access is allowed, since secrets are often shared with a group.
#[cfg(unix)]
fn is_world_accessible(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    path.metadata()
        .is_ok_and(|metadata| metadata.permissions().mode() & 0o006 != 0)
}

#[cfg(not(unix))]
fn is_world_accessible(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests;
