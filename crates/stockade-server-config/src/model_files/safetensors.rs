//! Reads the headers of safetensors files.
//!
//! The format: the length of the header as `u64`, the header as JSON, and the data.
//! <https://github.com/huggingface/safetensors#format>

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use super::Tensor;

/// The maximum length of a header, as in the reference implementation.
const MAX_HEADER: u64 = 100_000_000;

#[derive(Deserialize)]
struct Entry {
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The tensors of all safetensors files of a directory; of those in the index, if there is one.
///
/// # Errors
/// Returns an error if a file cannot be read or is malformed.
pub(super) fn read_directory(path: &Path) -> io::Result<Vec<Tensor>> {
    let mut tensors = Vec::new();
    for file in files(path)? {
        tensors.extend(read(&file)?);
    }
    Ok(tensors)
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let index = path.join("model.safetensors.index.json");
    if index.is_file() {
        let index: Value = serde_json::from_slice(&fs::read(&index)?)?;
        let listed = index["weight_map"].as_object().into_iter().flatten();
        let mut files: Vec<_> = listed
            .filter_map(|(_, file)| Some(path.join(file.as_str()?)))
            .collect();
        files.sort();
        files.dedup();
        return Ok(files);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        if file.extension().is_some_and(|e| e == "safetensors") {
            files.push(file);
        }
    }
    Ok(files)
}

fn read(path: &Path) -> io::Result<Vec<Tensor>> {
    let mut file = File::open(path)?;
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header)?;
    let mut header: BTreeMap<String, Value> = serde_json::from_slice(&header)?;
    // Free text, in place of a tensor.
    header.remove("__metadata__");
    let tensor = |(name, entry)| {
        let Entry {
            shape,
            data_offsets: (start, end),
        } = serde_json::from_value(entry)?;
        Ok(Tensor {
            name,
            shape,
            bytes: end.saturating_sub(start),
        })
    };
    header.into_iter().map(tensor).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
pub(super) mod tests {
    use super::*;

    /// A file with these tensors, and without data.
    pub(in super::super) fn file(tensors: &[(&str, &str, &[u64])]) -> Vec<u8> {
        let mut at = 0;
        let entries: serde_json::Map<_, _> = tensors
            .iter()
            .map(|(name, dtype, shape)| {
                let size = if *dtype == "F32" { 4 } else { 2 };
                let start = at;
                at += shape.iter().product::<u64>() * size;
                let entry = serde_json::json!({
                    "dtype": dtype, "shape": shape, "data_offsets": [start, at],
                });
                ((*name).to_owned(), entry)
            })
            .collect();
        let header = Value::Object(entries).to_string();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.into_bytes());
        bytes
    }

    #[test]
    fn reads_tensors_of_the_indexed_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let (a, b) = (file(&[("a", "BF16", &[2, 3])]), file(&[("b", "F32", &[5])]));
        fs::write(path.join("a.safetensors"), a).unwrap();
        fs::write(path.join("b.safetensors"), b).unwrap();
        let mut tensors = read_directory(path).unwrap();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let sizes: Vec<_> = tensors.iter().map(|t| (t.elements(), t.bytes)).collect();
        assert_eq!(sizes, [(6, 12), (5, 20)]);

        let index = r#"{ "weight_map": { "a": "a.safetensors" } }"#;
        fs::write(path.join("model.safetensors.index.json"), index).unwrap();
        assert_eq!(read_directory(path).unwrap().len(), 1);
    }

    #[test]
    fn malformed_headers_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        for bytes in [
            &b"short"[..],
            b"\xff\xff\xff\xff\xff\xff\xff\xff{}",
            b"\x02\0\0\0\0\0\0\0[]",
        ] {
            fs::write(&path, bytes).unwrap();
            assert!(read_directory(folder.path()).is_err(), "{bytes:?}");
        }
    }
}
