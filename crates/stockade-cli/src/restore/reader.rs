//! Reads an archive in one pass, and compares it with its manifest.

use std::{
    fs::File,
    io::{self, Read, Write},
};

use tar::{Archive, Entries, Entry as ArchiveEntry, EntryType};

use crate::{
    CliError,
    backup::{
        digest::Digesting,
        manifest::{self, Entry, Manifest},
    },
};

/// The maximum size of a manifest: 100,000 files.
const MAX_MANIFEST: u64 = 64 << 20;

/// Reads a whole archive. `visit` reads each file, whose digest is compared afterwards: what it has
/// done is valid only if this function succeeds.
///
/// # Errors
/// When an entry is missing, unexpected, not a regular file, or differs from the manifest; when the
/// stream is damaged or truncated; and those of `visit`.
pub(super) fn read(
    stream: impl Read,
    mut visit: impl FnMut(&Manifest, &Entry, &mut dyn Read) -> Result<(), CliError>,
) -> Result<Manifest, CliError> {
    let mut archive = Archive::new(stream);
    // Raw: extensions, such as long names, are entries of their own, which are refused.
    let mut entries = archive
        .entries()
        .map_err(|error| damaged(&error))?
        .raw(true);
    let (mut first, size) = next(&mut entries, manifest::NAME)?;
    if size > MAX_MANIFEST {
        return Err(unexpected(manifest::NAME, "is too large"));
    }
    let mut json = Vec::new();
    first
        .read_to_end(&mut json)
        .map_err(|error| damaged(&error))?;
    let manifest = Manifest::parse(&json)?;
    for entry in &manifest.files {
        let name = entry.name();
        let (contents, size) = next(&mut entries, &name)?;
        if size != entry.size {
            return Err(unexpected(&name, "has another size than in the manifest"));
        }
        let mut contents = Digesting::new(contents);
        visit(&manifest, entry, &mut contents)?;
        io::copy(&mut contents, &mut io::sink()).map_err(|error| damaged(&error))?;
        if contents.finish() != (entry.size, entry.sha256.clone()) {
            return Err(unexpected(&name, "differs from its digest in the manifest"));
        }
    }
    if let Some(entry) = entries.next() {
        entry.map_err(|error| damaged(&error))?;
        return Err(unexpected("an entry", "is not in the manifest"));
    }
    // The last bytes prove that the stream is complete. A second block of zeros may be left.
    let mut rest = archive.into_inner();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match rest.read(&mut buffer).map_err(|error| damaged(&error))? {
            0 => return Ok(manifest),
            read if buffer[..read].iter().all(|byte| *byte == 0) => {}
            _ => return Err(unexpected("data", "follows the last entry")),
        }
    }
}

/// The next entry, which must be this regular file, and its size.
fn next<'a, R>(
    entries: &mut Entries<'a, R>,
    name: &str,
) -> Result<(ArchiveEntry<'a, R>, u64), CliError>
where
    R: Read + 'a,
{
    let Some(entry) = entries.next() else {
        return Err(unexpected(name, "is missing"));
    };
    let entry = entry.map_err(|error| damaged(&error))?;
    if entry.header().entry_type() != EntryType::Regular {
        return Err(unexpected(name, "is not a regular file"));
    }
    if *entry.path_bytes() != *name.as_bytes() {
        return Err(unexpected(name, "is not where the manifest has it"));
    }
    let size = entry.size();
    Ok((entry, size))
}

/// Copies a file of a backup. `failed` makes the error of a copy that cannot be written.
pub(super) fn copy(
    contents: &mut dyn Read,
    copy: &mut File,
    failed: impl Fn(&io::Error) -> CliError,
) -> Result<(), CliError> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = contents
            .read(&mut buffer)
            .map_err(|error| damaged(&error))?;
        if read == 0 {
            return Ok(());
        }
        copy.write_all(&buffer[..read])
            .map_err(|error| failed(&error))?;
    }
}

/// The error of a stream that cannot be decrypted or read.
pub(super) fn damaged(error: &io::Error) -> CliError {
    CliError::failed(format_args!("the backup is damaged or truncated: {error}"))
        .with_help("use another copy of the backup")
}

fn unexpected(what: &str, problem: &str) -> CliError {
    CliError::failed(format_args!("the backup is invalid: {what} {problem}"))
        .with_help("use another backup")
}

#[cfg(test)]
mod tests {
    use tar::{Builder, Header};

    use super::*;
    use crate::backup::manifest::Kind;

    /// An archive with a manifest of these files, and these entries.
    fn archive(files: &[(&str, &str)], entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut manifest = Manifest::new("2026-01-31T12:00:00Z".to_owned(), None);
        for (path, text) in files {
            let mut digest = Digesting::new(text.as_bytes());
            io::copy(&mut digest, &mut io::sink()).unwrap();
            let (size, sha256) = digest.finish();
            manifest.files.push(Entry {
                path: (*path).to_owned(),
                kind: Kind::File,
                settings: Vec::new(),
                size,
                sha256,
                mode: "0600".to_owned(),
            });
        }
        let json = serde_json::to_string(&manifest).unwrap();
        let mut builder = Builder::new(Vec::new());
        let first = [(manifest::NAME, EntryType::Regular, &*json)];
        for (name, entry_type, text) in first.iter().chain(entries) {
            let mut header = Header::new_ustar();
            header.set_entry_type(*entry_type);
            header.set_size(text.len() as u64);
            // As an attacker writes it, without the checks of the library.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, text.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn read_all(bytes: &[u8]) -> Result<Vec<String>, CliError> {
        let mut texts = Vec::new();
        read(bytes, |_, _, contents| {
            let mut text = String::new();
            contents.read_to_string(&mut text).unwrap();
            texts.push(text);
            Ok(())
        })?;
        Ok(texts)
    }

    const REGULAR: EntryType = EntryType::Regular;

    #[test]
    fn reads_what_the_manifest_has() {
        let files = [("a", "one"), ("b/c", "")];
        let bytes = archive(
            &files,
            &[("files/a", REGULAR, "one"), ("files/b/c", REGULAR, "")],
        );
        assert_eq!(read_all(&bytes).unwrap(), ["one", ""]);
    }

    #[test]
    fn refuses_everything_else() {
        let a = ("files/a", REGULAR, "one");
        for (entries, text) in [
            (vec![], "is missing"),
            (vec![("files/a", REGULAR, "two")], "differs from its digest"),
            (vec![("files/a", REGULAR, "ones")], "another size"),
            (vec![("files/b", REGULAR, "one")], "not where the manifest"),
            (vec![("../a", REGULAR, "one")], "not where the manifest"),
            (vec![("/a", REGULAR, "one")], "not where the manifest"),
            (
                vec![("files/a", EntryType::Symlink, "one")],
                "not a regular file",
            ),
            (vec![("files/a", EntryType::Link, "")], "not a regular file"),
            (
                vec![("files/a", EntryType::Directory, "")],
                "not a regular file",
            ),
            (
                vec![("././@LongLink", EntryType::GNULongName, "files/a\0"), a],
                "not a regular file",
            ),
            (
                vec![("pax", EntryType::XHeader, "16 path=../a\n"), a],
                "not a regular file",
            ),
            (vec![a, a], "an entry is not in the manifest"),
        ] {
            let error = read_all(&archive(&[("a", "one")], &entries)).unwrap_err();
            assert!(error.to_string().contains(text), "{error}, not {text}");
        }
        for path in ["../a", "/a", "a/../../b"] {
            let name = format!("files/{path}");
            let bytes = archive(&[(path, "one")], &[(&name, REGULAR, "one")]);
            let error = read_all(&bytes).unwrap_err();
            assert!(error.to_string().contains("leaves the folder"), "{error}");
        }
    }

    #[test]
    fn refuses_data_after_the_end_and_a_missing_end() {
        let mut bytes = archive(&[("a", "one")], &[("files/a", REGULAR, "one")]);
        bytes.push(1);
        let error = read_all(&bytes).unwrap_err();
        assert!(error.to_string().contains("data follows"), "{error}");
        let error = read_all(&bytes[..1_600]).unwrap_err();
        assert!(
            error.to_string().contains("damaged or truncated"),
            "{error}"
        );
        assert!(read_all(b"").is_err());
    }
}
