//! Verifies the files of a model before they are loaded.
//!
//! The expected checksums are those of `SHA256SUMS`, of `<name>.sha256`, and, in the cache of the
//! Hub, the names of the files to which its symbolic links lead.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{loader::LoadEvent, model_dir::LoadError};
use crate::backend::ByteProgress;

const MANIFEST: &str = "SHA256SUMS";
/// How much of a file is in memory at a time.
const BUFFER: usize = 1 << 20;

/// Verifies the files of a model's directory, or a GGUF file, for which a checksum is known.
///
/// # Errors
/// Returns a [`LoadError`] with the file and both checksums if one differs, or if a list of
/// checksums is malformed or lacks the weights.
pub(super) fn verify(path: &Path, report: &dyn Fn(LoadEvent)) -> Result<(), LoadError> {
    let expected = expected(path)?;
    let sizes = expected.keys().map(|file| file.metadata());
    let total = sizes.flatten().map(|file| file.len()).sum();
    let (mut done, count) = (0, expected.len());
    for (at, (file, expected)) in expected.iter().enumerate() {
        report(LoadEvent::Stage(format!(
            "verifying {} ({} of {})",
            name(file),
            at + 1,
            count
        )));
        let sum = sha256(file, &mut |bytes| {
            done += bytes;
            report(LoadEvent::Bytes(ByteProgress { done, total }));
        });
        let sum = sum.map_err(|error| unreadable(file, &error))?;
        if sum != *expected {
            return Err(format!(
                "{} has the SHA-256 checksum {sum}, but {expected} is expected: download the file \
                 again",
                file.display()
            ));
        }
    }
    Ok(())
}

/// The files with a known checksum.
fn expected(path: &Path) -> Result<BTreeMap<PathBuf, String>, LoadError> {
    let (folder, only) = match path.is_dir() {
        true => (path, None),
        false => (path.parent().unwrap_or(Path::new("")), Some(path)),
    };
    let mut expected = BTreeMap::new();
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    for entry in entries {
        let file = entry.map_err(|error| unreadable(folder, &error))?.path();
        let checksum = match separate_checksum(&file)? {
            Some(checksum) => Some(checksum),
            None => linked_checksum(&file),
        };
        expected.extend(checksum.map(|checksum| (file, checksum)));
    }
    let manifest = folder.join(MANIFEST);
    if manifest.is_file() {
        let text = fs::read_to_string(&manifest);
        let text = text.map_err(|error| unreadable(&manifest, &error))?;
        let listed = parse(&text).ok_or_else(|| malformed(&manifest))?;
        for (name, checksum) in listed {
            // Others were not downloaded. Names with a folder are those of modules.
            let file = folder.join(name);
            if file.is_file() {
                expected.insert(file, checksum);
            }
        }
        check_coverage(folder, only, &expected)?;
    }
    expected.retain(|file, _| only.is_none_or(|only| file == only));
    Ok(expected)
}

/// Checks that the list has all weights; otherwise one that it lacks would be loaded unverified.
fn check_coverage(
    folder: &Path,
    only: Option<&Path>,
    expected: &BTreeMap<PathBuf, String>,
) -> Result<(), LoadError> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut weights = entries.map(|entry| entry.path()).filter(|file| {
        let extension = file.extension().and_then(|e| e.to_str());
        matches!(extension, Some("safetensors" | "gguf")) && only.is_none_or(|only| file == only)
    });
    match weights.find(|file| !expected.contains_key(file)) {
        None => Ok(()),
        Some(file) => Err(format!(
            "{} is not in {MANIFEST}: add its checksum with sha256sum, or remove the file",
            file.display()
        )),
    }
}

/// The checksum in `<name>.sha256`.
fn separate_checksum(file: &Path) -> Result<Option<String>, LoadError> {
    let mut list = file.as_os_str().to_owned();
    list.push(".sha256");
    let list = PathBuf::from(list);
    if !list.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(&list).map_err(|error| unreadable(&list, &error))?;
    let first = text.split_whitespace().next().unwrap_or_default();
    match is_checksum(first) {
        true => Ok(Some(first.to_ascii_lowercase())),
        false => Err(malformed(&list)),
    }
}

/// The checksum in the name of the file to which a link in the cache of the Hub leads.
fn linked_checksum(file: &Path) -> Option<String> {
    let target = fs::read_link(file).ok()?;
    let name = target.file_name()?.to_str()?;
    is_checksum(name).then(|| name.to_ascii_lowercase())
}

/// Parses the output of `sha256sum`: a checksum, a space, a space or `*`, and the name.
fn parse(text: &str) -> Option<Vec<(&str, String)>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let line = |line: &'_ str| -> Option<(usize, String)> {
        let (checksum, name) = line.split_once(' ')?;
        let name = name.strip_prefix([' ', '*'])?;
        let is_safe = !Path::new(name).is_absolute() && !name.split('/').any(|part| part == "..");
        (is_checksum(checksum) && is_safe)
            .then(|| (line.len() - name.len(), checksum.to_ascii_lowercase()))
    };
    lines
        .map(|text| line(text).map(|(at, checksum)| (&text[at..], checksum)))
        .collect()
}

fn is_checksum(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The SHA-256 checksum of a file, in lower-case hex. Reports the number of bytes of each piece.
///
/// # Errors
/// Returns an error if the file cannot be read.
pub(super) fn sha256(path: &Path, report: &mut dyn FnMut(u64)) -> io::Result<String> {
    let mut hasher = Sha256::new();
    read(path, &mut |bytes| {
        hasher.update(bytes);
        report(bytes.len() as u64);
    })?;
    Ok(hex::encode(hasher.finalize()))
}

/// The SHA-1 checksum of a file of this size in Git, in lower-case hex.
///
/// # Errors
/// Returns an error if the file cannot be read.
pub(super) fn git_sha1(path: &Path, size: u64) -> io::Result<String> {
    use sha1::Digest as _;

    let mut hasher = Sha1::new();
    hasher.update(format!("blob {size}\0"));
    read(path, &mut |bytes| hasher.update(bytes))?;
    Ok(hex::encode(hasher.finalize()))
}

fn read(path: &Path, piece: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => piece(&buffer[..read]),
        }
    }
}

fn name(file: &Path) -> std::borrow::Cow<'_, str> {
    file.file_name().unwrap_or_default().to_string_lossy()
}

fn unreadable(path: &Path, error: &io::Error) -> LoadError {
    format!(
        "cannot read {}: {error}; make it readable for the server's user",
        path.display()
    )
}

fn malformed(path: &Path) -> LoadError {
    format!(
        "{} is malformed: create it with sha256sum, such as `sha256sum *.safetensors > {MANIFEST}`",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// The SHA-256 checksum of `abc` (FIPS 180-2, B.1).
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    /// A directory with `model.safetensors`, which has the text `abc`, and another file.
    fn model(other: &str, text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model.safetensors"), "abc").unwrap();
        fs::write(folder.path().join(other), text).unwrap();
        folder
    }

    fn error(folder: &tempfile::TempDir) -> String {
        verify(folder.path(), &|_| {}).unwrap_err()
    }

    #[test]
    fn files_without_a_checksum_are_not_read() {
        let folder = model("README.md", "text");
        let events = RefCell::new(0);
        verify(folder.path(), &|_| *events.borrow_mut() += 1).unwrap();
        assert_eq!(events.into_inner(), 0);
    }

    #[test]
    fn verifies_a_list() {
        for line in [
            format!("{ABC}  model.safetensors\n"),
            format!("{} *model.safetensors", ABC.to_uppercase()),
            format!("{ABC}  model.safetensors\n\n{ABC}  missing.md\n"),
        ] {
            let folder = model(MANIFEST, &line);
            let bytes = RefCell::new(None);
            let report = |event| {
                if let LoadEvent::Bytes(progress) = event {
                    *bytes.borrow_mut() = Some((progress.done, progress.total));
                }
            };
            verify(folder.path(), &report).unwrap();
            assert_eq!(bytes.into_inner(), Some((3, 3)));
        }
    }

    #[test]
    fn names_the_file_and_both_checksums() {
        let wrong = "0".repeat(64);
        for (name, text) in [
            (MANIFEST, format!("{wrong}  model.safetensors")),
            ("model.safetensors.sha256", wrong.clone()),
        ] {
            let error = error(&model(name, &text));
            for part in ["model.safetensors", ABC, &wrong] {
                assert!(error.contains(part), "{error}");
            }
        }
    }

    #[test]
    fn verifies_a_separate_checksum() {
        let folder = model("model.safetensors.sha256", &format!("{ABC}  x\n"));
        verify(folder.path(), &|_| {}).unwrap();
        verify(&folder.path().join("model.safetensors"), &|_| {}).unwrap();
    }

    #[test]
    fn refuses_weights_that_the_list_lacks() {
        let error = error(&model(MANIFEST, &format!("{ABC}  other.safetensors")));
        assert!(error.contains("model.safetensors is not in"), "{error}");
    }

    #[test]
    fn refuses_malformed_lists() {
        for line in [
            "abc  model.safetensors".to_owned(),
            ABC.to_owned(),
            format!("{ABC}  ../model.safetensors"),
            format!("{ABC}  /model.safetensors"),
        ] {
            let error = error(&model(MANIFEST, &line));
            assert!(error.contains("is malformed"), "{line}: {error}");
        }
        let error = error(&model("model.safetensors.sha256", "x"));
        assert!(error.contains("is malformed"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn verifies_links_of_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = folder.path().join("snapshot");
        fs::create_dir(&snapshot).unwrap();
        let link = |checksum: &str, text: &str| {
            fs::write(folder.path().join(checksum), text).unwrap();
            let file = snapshot.join("model.safetensors");
            let _ = fs::remove_file(&file);
            std::os::unix::fs::symlink(format!("../{checksum}"), file).unwrap();
            verify(&snapshot, &|_| {})
        };
        link(ABC, "abc").unwrap();
        let error = link(&"1".repeat(64), "abc").unwrap_err();
        assert!(error.contains(ABC), "{error}");
    }

    #[test]
    fn computes_checksums_of_git() {
        let folder = model("README.md", "what is up, doc?");
        let file = folder.path().join("README.md");
        // The example of the book "Pro Git", section 10.2.
        let sum = git_sha1(&file, 16).unwrap();
        assert_eq!(sum, "bd9dbf5aae1a3862dd1526723246b20206e5fc37");
    }
}
