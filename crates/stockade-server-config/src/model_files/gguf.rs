//! Reads the headers of GGUF files: metadata and tensors.
//!
//! Lengths come from the file, so each is checked before memory is allocated for it.
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use super::Tensor;

/// The maximum number of tensors, of values, and of dimensions of a tensor.
const MAX_TENSORS: u64 = 1 << 16;
const MAX_VALUES: u64 = 1 << 16;
const MAX_DIMENSIONS: u32 = 4;
/// The maximum length of a string. Chat templates have a few kilobytes.
const MAX_STRING: u64 = 1 << 20;
/// The maximum number of elements of an array. Vocabularies have a few hundred thousand.
const MAX_ARRAY: u64 = 1 << 22;

/// The header of a GGUF file.
#[derive(Clone, Debug)]
pub struct GgufFile {
    /// The metadata.
    pub values: HashMap<String, GgufValue>,
    /// The tensors.
    pub tensors: Vec<Tensor>,
}

/// A value of the metadata.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GgufValue {
    /// A whole number or a Boolean.
    Integer(i128),
    /// A floating-point number.
    Float(f64),
    /// A text.
    Text(String),
    /// An array, by its length.
    Array(u64),
}

impl GgufFile {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, is malformed, or has a quantisation that the
    /// engine does not support.
    pub fn read(path: &Path) -> io::Result<Self> {
        Self::parse(BufReader::new(File::open(path)?))
    }

    fn parse(input: impl Read) -> io::Result<Self> {
        let mut reader = Reader(input);
        if reader.bytes::<4>()? != *b"GGUF" {
            return Err(invalid("it does not start with GGUF"));
        }
        let version = reader.u32()?;
        if !(2..=3).contains(&version) {
            return Err(invalid(format!("version {version} is not supported")));
        }
        let tensors = reader.length(MAX_TENSORS)?;
        let values = reader.length(MAX_VALUES)?;
        let values = (0..values)
            .map(|_| {
                let name = reader.string()?;
                let kind = reader.u32()?;
                Ok((name, reader.value(kind)?))
            })
            .collect::<io::Result<_>>()?;
        let tensors = (0..tensors)
            .map(|_| reader.tensor())
            .collect::<io::Result<_>>()?;
        Ok(Self { values, tensors })
    }

    /// A text of the metadata.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name)? {
            GgufValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number that is not negative, or the length of an array.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.values.get(name)? {
            GgufValue::Integer(number) => (*number).try_into().ok(),
            GgufValue::Array(length) => Some(*length),
            _ => None,
        }
    }

    /// The architecture, such as `qwen2`.
    pub fn architecture(&self) -> Option<&str> {
        self.text("general.architecture")
    }

    /// A number of the architecture, such as `block_count` for `qwen2.block_count`.
    pub fn dimension(&self, name: &str) -> Option<u64> {
        self.number(&format!("{}.{name}", self.architecture()?))
    }
}

/// The only GGUF file of a directory; `None` if it has none, or also safetensors.
///
/// # Errors
/// Returns an error if the directory cannot be read or has several GGUF files.
pub fn find_gguf(directory: &Path) -> io::Result<Option<PathBuf>> {
    let mut found = None;
    for entry in fs::read_dir(directory)? {
        let file = entry?.path();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("safetensors") => return Ok(None),
            Some("gguf") if found.is_some() => {
                return Err(invalid("it has several GGUF files"));
            }
            Some("gguf") => found = Some(file),
            _ => {}
        }
    }
    Ok(found)
}

struct Reader<R>(R);

impl<R: Read> Reader<R> {
    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> io::Result<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> io::Result<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn length(&mut self, max: u64) -> io::Result<u64> {
        let length = self.u64()?;
        if length > max {
            return Err(invalid(format!("a length of {length} is over {max}")));
        }
        Ok(length)
    }

    fn string(&mut self) -> io::Result<String> {
        let length = self.length(MAX_STRING)?;
        let mut bytes = Vec::new();
        self.0.by_ref().take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        String::from_utf8(bytes).map_err(|_| invalid("a text is not UTF-8"))
    }

    fn value(&mut self, kind: u32) -> io::Result<GgufValue> {
        use GgufValue::{Array, Float, Integer, Text};
        Ok(match kind {
            0 | 7 => Integer(u8::from_le_bytes(self.bytes()?).into()),
            1 => Integer(i8::from_le_bytes(self.bytes()?).into()),
            2 => Integer(u16::from_le_bytes(self.bytes()?).into()),
            3 => Integer(i16::from_le_bytes(self.bytes()?).into()),
            4 => Integer(self.u32()?.into()),
            5 => Integer(i32::from_le_bytes(self.bytes()?).into()),
            6 => Float(f32::from_le_bytes(self.bytes()?).into()),
            8 => Text(self.string()?),
            9 => {
                let kind = self.u32()?;
                let length = self.length(MAX_ARRAY)?;
                // Arrays of arrays do not occur, and would need a limit of the depth.
                if kind == 9 {
                    return Err(invalid("it has an array of arrays"));
                }
                for _ in 0..length {
                    self.value(kind)?;
                }
                Array(length)
            }
            10 => Integer(self.u64()?.into()),
            11 => Integer(i64::from_le_bytes(self.bytes()?).into()),
            12 => Float(f64::from_le_bytes(self.bytes()?)),
            kind => return Err(invalid(format!("a value has the unknown type {kind}"))),
        })
    }

    fn tensor(&mut self) -> io::Result<Tensor> {
        let name = self.string()?;
        let dimensions = self.u32()?;
        if dimensions > MAX_DIMENSIONS {
            return Err(invalid(format!("{name} has {dimensions} dimensions")));
        }
        let shape = (0..dimensions).map(|_| self.u64());
        let shape = shape.collect::<io::Result<Vec<_>>>()?;
        let kind = self.u32()?;
        let _offset = self.u64()?;
        let (block, size) = block(kind).ok_or_else(|| {
            invalid(format!(
                "{name} has the quantisation type {kind}, which the engine does not support: use \
                 F16, BF16, Q8_0, Q6_K, Q5_K or Q4_K"
            ))
        })?;
        let mut tensor = Tensor {
            name,
            shape,
            bytes: 0,
        };
        tensor.bytes = tensor.elements().div_ceil(block).saturating_mul(size);
        Ok(tensor)
    }
}

/// The number of elements in a block, and the size of a block in bytes, of a type of tensors.
fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 => (1, 4),      // F32
        1 | 30 => (1, 2), // F16, BF16
        2 => (32, 18),    // Q4_0
        3 => (32, 20),    // Q4_1
        6 => (32, 22),    // Q5_0
        7 => (32, 24),    // Q5_1
        8 => (32, 34),    // Q8_0
        9 => (32, 36),    // Q8_1
        10 => (256, 84),  // Q2_K
        11 => (256, 110), // Q3_K
        12 => (256, 144), // Q4_K
        13 => (256, 176), // Q5_K
        14 => (256, 210), // Q6_K
        15 => (256, 292), // Q8_K
        _ => return None,
    })
}

fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
pub(super) mod tests {
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
    }

    /// A file with an architecture, numbers, and tensors of a type, without data.
    pub(crate) fn file(numbers: &[(&str, u32)], tensors: &[(&str, &[u64], u32)]) -> Vec<u8> {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend((tensors.len() as u64).to_le_bytes());
        bytes.extend((numbers.len() as u64 + 2).to_le_bytes());
        bytes.extend(text("general.architecture"));
        bytes.extend(8u32.to_le_bytes());
        bytes.extend(text("qwen2"));
        bytes.extend(text("tokenizer.ggml.tokens"));
        bytes.extend(9u32.to_le_bytes());
        bytes.extend(8u32.to_le_bytes());
        bytes.extend(2u64.to_le_bytes());
        bytes.extend(text("a"));
        bytes.extend(text("b"));
        for (name, number) in numbers {
            bytes.extend(text(name));
            bytes.extend(4u32.to_le_bytes());
            bytes.extend(number.to_le_bytes());
        }
        for (name, shape, kind) in tensors {
            bytes.extend(text(name));
            bytes.extend((shape.len() as u32).to_le_bytes());
            bytes.extend(shape.iter().flat_map(|side| side.to_le_bytes()));
            bytes.extend(kind.to_le_bytes());
            bytes.extend(0u64.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn reads_values_and_sizes() {
        let bytes = file(
            &[("qwen2.block_count", 2)],
            &[
                ("a", &[64, 3], 0),
                ("b", &[64, 3], 8),
                ("c", &[256, 2], 12),
                ("d", &[7], 30),
            ],
        );
        let file = GgufFile::parse(&bytes[..]).unwrap();
        assert_eq!(file.architecture(), Some("qwen2"));
        assert_eq!(file.dimension("block_count"), Some(2));
        assert_eq!(file.number("tokenizer.ggml.tokens"), Some(2));
        let sizes: Vec<_> = file.tensors.iter().map(|tensor| tensor.bytes).collect();
        assert_eq!(sizes, [768, 204, 288, 14]);
    }

    #[test]
    fn names_an_unsupported_quantisation() {
        let bytes = file(&[], &[("blk.0.attn_q.weight", &[256], 20)]);
        let error = GgufFile::parse(&bytes[..]).unwrap_err().to_string();
        assert!(error.contains("blk.0.attn_q.weight"), "{error}");
        assert!(error.contains("type 20"), "{error}");
    }

    #[test]
    fn malformed_files_are_errors_and_allocate_little() {
        let bytes = file(&[("n", 1)], &[("a", &[1], 0)]);
        for end in 0..bytes.len() {
            assert!(GgufFile::parse(&bytes[..end]).is_err(), "{end}");
        }
        // Lengths that would need terabytes.
        for at in [8, 16, 24] {
            let mut bytes = bytes.clone();
            bytes[at..at + 8].fill(0xff);
            assert!(GgufFile::parse(&bytes[..]).is_err(), "{at}");
        }
    }

    #[test]
    fn finds_the_only_file_of_a_directory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(find_gguf(path).unwrap().is_none());
        fs::write(path.join("a.gguf"), "").unwrap();
        assert_eq!(find_gguf(path).unwrap(), Some(path.join("a.gguf")));
        fs::write(path.join("b.gguf"), "").unwrap();
        assert!(find_gguf(path).is_err());
    }
}
