//! Reads the files of a model without an engine: its weights, the memory that it
//! needs, and who may change them.
//!
//! The server reads them before it loads a model, and `stockade check` reads those of local
//! directories.

mod available;
mod byte_size;
mod gguf;
mod memory;
mod permissions;
mod safetensors;
mod vision;

pub use available::{AvailableMemory, available_memory};
pub use byte_size::format_bytes;
pub use gguf::{GgufFile, GgufValue, find_gguf};
pub use memory::{MemoryEstimate, MemoryNeeds, Precision};
pub use permissions::{WritableFile, Writer, writable_files};

#[cfg(test)]
pub(crate) use gguf::tests::file as gguf_file;

/// A tensor of a file of weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The name in the file.
    pub name: String,
    /// The length of each dimension.
    pub shape: Vec<u64>,
    /// The size in the file.
    pub bytes: u64,
}

impl Tensor {
    /// The number of elements.
    pub fn elements(&self) -> u64 {
        self.shape
            .iter()
            .fold(1, |product, side| product.saturating_mul(*side))
    }
}
