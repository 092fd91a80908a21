//! `backup` and `restore`.

mod damage;
mod failures;
mod round_trip;

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use age::{secrecy::ExposeSecret, x25519::Identity};

use crate::sandbox::Sandbox;

const BACKUP: &str = "backup --output backup.age --recipients-file recipients.txt";
const VERIFY: &str = "restore --verify backup.age --identity key.txt";

/// A pair of keys: `key.txt` and `recipients.txt`.
fn write_identity(sandbox: &Sandbox) {
    let identity = Identity::generate();
    let recipient = identity.to_public();
    let identity = identity.to_string();
    let text = format!("# public key: {recipient}\n{}\n", identity.expose_secret());
    sandbox.write("key.txt", text);
    set_mode(sandbox, "key.txt", 0o600);
    sandbox.write("recipients.txt", format!("# ops\n\n{recipient}\n"));
}

fn set_mode(sandbox: &Sandbox, name: &str, mode: u32) {
    let mode = fs::Permissions::from_mode(mode);
    fs::set_permissions(sandbox.path(name), mode).unwrap();
}

/// A server with a key file, and a pair of keys.
fn small() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.key("a", "");
    sandbox.write("stockade.toml", "auth.keys_file = \"keys.yaml\"\n");
    write_identity(&sandbox);
    sandbox
}

/// Where a file of the sandbox is unpacked to.
fn restored(sandbox: &Sandbox, name: &str) -> PathBuf {
    let folder = fs::canonicalize(sandbox.path(".")).unwrap();
    let path = folder.join(name);
    sandbox
        .path("restored")
        .join(path.strip_prefix("/").unwrap())
}

/// All names in the folder of the sandbox, hidden ones included.
fn names(sandbox: &Sandbox) -> Vec<String> {
    let entries = fs::read_dir(sandbox.path(".")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
