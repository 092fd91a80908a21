//! Damaged backups.

use std::{collections::BTreeSet, fs, path::Path};

use clap::Parser;
use stockade_cli::{Cli, CliError, Outcome};

use super::{BACKUP, small};
use crate::sandbox::Sandbox;

/// The size of an encrypted chunk: 64 KiB and a tag.
const CHUNK: usize = (64 << 10) + 16;

/// Verifies a backup in this process, which is faster than a process for each.
fn verify(sandbox: &Sandbox, backup: &[u8]) -> Result<Outcome, CliError> {
    let (path, identity) = (sandbox.path("damaged.age"), sandbox.path("key.txt"));
    fs::write(&path, backup).unwrap();
    let args: [&Path; 6] = [
        "stockade".as_ref(),
        "restore".as_ref(),
        "--verify".as_ref(),
        &path,
        "--identity".as_ref(),
        &identity,
    ];
    stockade_cli::run(Cli::try_parse_from(args).unwrap())
}

/// The length of the header and the nonce.
fn payload_at(backup: &[u8]) -> usize {
    let mac = backup.windows(5).position(|bytes| bytes == b"\n--- ");
    let rest = &backup[mac.unwrap() + 1..];
    let line = rest.iter().position(|byte| *byte == b'\n').unwrap();
    backup.len() - rest.len() + line + 1 + 16
}

#[test]
fn finds_a_changed_byte_anywhere() {
    let sandbox = small();
    sandbox.run_ok(BACKUP);
    let backup = fs::read(sandbox.path("backup.age")).unwrap();
    assert_eq!(verify(&sandbox, &backup).unwrap(), Outcome::Success);
    let payload = payload_at(&backup);
    let mut positions: BTreeSet<_> = (0..payload).collect();
    positions.extend((payload..backup.len()).step_by(61));
    positions.insert(backup.len() - 1);
    for at in positions {
        let mut damaged = backup.clone();
        damaged[at] ^= 1;
        assert!(verify(&sandbox, &damaged).is_err(), "byte {at}");
    }
}

/// A server with a backup of several chunks.
fn large() -> (Sandbox, Vec<u8>) {
    let sandbox = small();
    let config = sandbox.read("stockade.toml");
    sandbox.write(
        "stockade.toml",
        format!("{config}#{}\n", "x".repeat(200_000)),
    );
    sandbox.run_ok(BACKUP);
    let backup = fs::read(sandbox.path("backup.age")).unwrap();
    (sandbox, backup)
}

#[test]
fn finds_a_missing_or_an_additional_end() {
    let (sandbox, backup) = large();
    let payload = payload_at(&backup);
    assert!(backup.len() > payload + 3 * CHUNK);
    let chunks = (0..=3).map(|chunk| payload + chunk * CHUNK);
    for length in chunks.chain([0, 10, payload - 1, backup.len() - 1]) {
        assert!(
            verify(&sandbox, &backup[..length]).is_err(),
            "{length} bytes"
        );
    }
    assert!(verify(&sandbox, &[&*backup, b"\0"].concat()).is_err());
    assert_eq!(verify(&sandbox, &backup).unwrap(), Outcome::Success);
}

#[test]
fn refuses_other_files_and_identities() {
    let sandbox = small();
    sandbox.run_ok(BACKUP);
    let backup = fs::read(sandbox.path("backup.age")).unwrap();
    let error = verify(&sandbox, b"not a backup").unwrap_err();
    assert!(error.to_string().contains("is not a backup"), "{error}");
    let other = small();
    let error = verify(&other, &backup).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("not encrypted for this identity"),
        "{error}"
    );
    sandbox
        .run("restore --verify backup.age")
        .assert_failed(2, "--identity");
    sandbox.write("key.txt", "AGE-SECRET-KEY-1HUNTER2\n");
    let error = verify(&sandbox, &backup).unwrap_err();
    assert!(error.to_string().contains("line 1"), "{error}");
    assert!(!error.to_string().contains("HUNTER2"), "{error}");
}

// What is damaged is found at the end only, but leaves nothing behind.
#[test]
fn leaves_no_folder_of_a_damaged_backup() {
    let (sandbox, backup) = large();
    sandbox.write("damaged.age", &backup[..backup.len() - 1]);
    let before = super::names(&sandbox);
    sandbox
        .run("restore damaged.age --identity key.txt --to restored")
        .assert_failed(1, "the backup is damaged or truncated");
    assert_eq!(super::names(&sandbox), before);
}
