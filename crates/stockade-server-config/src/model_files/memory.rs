//! Estimates the memory that a model needs.
//!
//! 1. Weights: the elements of all tensors at the precision of the device, or in the blocks of the
//!    quantisation; those of a GGUF file as they are, and its embeddings in single precision.
//! 2. KV cache: `layers × KV heads × head size × 2 × precision` for each token of a chat, times the
//!    number of running chats.
//! 3. Images: the vision tower holds the scores of all pairs of patches twice for each head, and
//!    two masks: `(2 × heads + 2) × patches² × precision`. All images of a chat count together. The
//!    activations of the patches are added: `(4 × hidden + 3 × intermediate) × precision` for each.
//!
//! Left out: the activations of the text during the prefill, the engine's own memory, and what a
//! GPU's libraries take, which is a few hundred MiB together for models of this size.

use std::{fs, io, path::Path};

use serde_json::Value;

use super::{GgufFile, Tensor, find_gguf, format_bytes, safetensors, vision::Vision};
use crate::QuantiseConfig;

/// The precision of the weights and of all calculations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// 32 bits, on a CPU.
    Single,
    /// 16 bits, on a GPU.
    Half,
}

impl Precision {
    pub(super) fn bytes(self) -> u64 {
        match self {
            Self::Single => 4,
            Self::Half => 2,
        }
    }
}

/// How a model is loaded, and the largest requests that it gets.
#[derive(Clone, Copy, Debug)]
pub struct MemoryNeeds {
    /// The precision of the device.
    pub precision: Precision,
    /// The quantisation of the weights while they are loaded.
    pub quantise: Option<QuantiseConfig>,
    /// The maximum number of chats that run at the same time.
    pub running: u64,
    /// The maximum number of tokens of a chat; the model's context is a limit, too.
    pub chat_tokens: u64,
    /// The maximum number of images of a chat.
    pub images: u64,
    /// The maximum number of pixels of an image.
    pub max_pixels: u64,
}

/// The memory that a model needs, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryEstimate {
    /// The weights, which are always in memory.
    pub weights: u64,
    /// The KV cache of the maximum number of running chats, each of the maximum length.
    pub kv_cache: u64,
    /// The vision tower at work on the largest images of a chat.
    pub images: u64,
    /// The weights in each quantisation, unless the model is quantised.
    quantised: Vec<(&'static str, u64)>,
    chat_tokens: u64,
    running: u64,
    vision: Option<Vision>,
}

impl MemoryEstimate {
    /// Estimates the memory of the model in a directory, or in a GGUF file.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read, or lacks a value of the estimate.
    pub fn read(path: &Path, needs: &MemoryNeeds) -> io::Result<Self> {
        let gguf = match path.is_dir() {
            true => find_gguf(path)?,
            false => Some(path.to_owned()),
        };
        match gguf {
            Some(file) => Self::of_gguf(&GgufFile::read(&file)?, needs),
            None => Self::of_directory(path, needs),
        }
    }

    fn of_gguf(file: &GgufFile, needs: &MemoryNeeds) -> io::Result<Self> {
        let number = |name| {
            let number = file.dimension(name);
            number.ok_or_else(|| missing(&format!("{name} in the metadata")))
        };
        let heads = number("attention.head_count")?;
        let head = match file.dimension("attention.key_length") {
            Some(length) => length,
            None => number("embedding_length")? / heads.max(1),
        };
        let layers = number("block_count")?;
        let kv_heads = file.dimension("attention.head_count_kv").unwrap_or(heads);
        let context = number("context_length")?;
        let embeddings = file.tensors.iter().find(|t| t.name == "token_embd.weight");
        let stored: u64 = file.tensors.iter().map(|tensor| tensor.bytes).sum();
        Ok(Self {
            // The engine keeps the embeddings in single precision.
            weights: stored + embeddings.map_or(0, |tensor| tensor.elements() * 4),
            quantised: Vec::new(),
            ..Self::chats(layers * kv_heads * head, context, needs)
        })
    }

    fn of_directory(path: &Path, needs: &MemoryNeeds) -> io::Result<Self> {
        let config: Value = serde_json::from_slice(&fs::read(path.join("config.json"))?)?;
        let tensors = safetensors::read_directory(path)?;
        let text = &config["text_config"];
        let optional = |name: &str| {
            let values = [&config[name], &text[name]];
            values.iter().find_map(|value| value.as_u64())
        };
        let number =
            |name: &str| optional(name).ok_or_else(|| missing(&format!("{name} in config.json")));
        let heads = number("num_attention_heads")?;
        let head = match optional("head_dim") {
            Some(length) => length,
            None => number("hidden_size")? / heads.max(1),
        };
        let layers = number("num_hidden_layers")?;
        let kv_heads = optional("num_key_value_heads").unwrap_or(heads);
        let context = number("max_position_embeddings")?;
        let is_tied = config["tie_word_embeddings"] == true;
        let weights = |quantise| weights(&tensors, needs.precision, quantise, is_tied);
        let quantised = match needs.quantise {
            Some(_) => Vec::new(),
            None => [("q8", QuantiseConfig::Q8), ("q4", QuantiseConfig::Q4)]
                .map(|(name, quantise)| (name, weights(Some(quantise))))
                .into(),
        };
        let vision = Vision::read(&config["vision_config"], needs);
        // An embedding model has no KV cache.
        let elements = match path.join("modules.json").exists() {
            true => 0,
            false => layers * kv_heads * head,
        };
        Ok(Self {
            weights: weights(needs.quantise),
            images: vision.map_or(0, |vision| vision.bytes(needs.max_pixels)),
            quantised,
            vision,
            ..Self::chats(elements, context, needs)
        })
    }

    /// The KV cache, of which a token has `elements` keys and as many values.
    fn chats(elements: u64, context: u64, needs: &MemoryNeeds) -> Self {
        let chat_tokens = needs.chat_tokens.min(context);
        let token = elements.saturating_mul(2 * needs.precision.bytes());
        Self {
            weights: 0,
            kv_cache: token
                .saturating_mul(chat_tokens)
                .saturating_mul(needs.running),
            images: 0,
            quantised: Vec::new(),
            chat_tokens,
            running: needs.running,
            vision: None,
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights
            .saturating_add(self.kv_cache)
            .saturating_add(self.images)
    }

    /// The changes of settings that make the model fit into `available` bytes, the largest part
    /// first; empty if it fits.
    pub fn remedies(&self, available: u64) -> Vec<String> {
        let mut remedies = Vec::new();
        let Some(left) = available.checked_sub(self.weights) else {
            let fits = |(_, weights): &&(&str, u64)| *weights <= available;
            match self.quantised.iter().find(fits) {
                Some((name, weights)) => {
                    let weights = format_bytes(*weights);
                    remedies.push(format!("set quantise = {name:?} ({weights} of weights)"));
                }
                None => remedies.push(
                    "use a smaller or quantised model, or a machine with more memory".to_owned(),
                ),
            }
            return remedies;
        };
        if self.total() <= available {
            return remedies;
        }
        let left_for_images = left.saturating_sub(self.kv_cache);
        let vision = self.vision.filter(|_| self.images > left_for_images);
        if let Some(pixels) = vision.and_then(|vision| vision.max_pixels(left_for_images)) {
            remedies.push(format!("set max_pixels = {pixels}"));
        }
        let left_for_chats = left.saturating_sub(self.images);
        if self.kv_cache > left_for_chats {
            let chat = self.kv_cache / self.running.max(1);
            let running = left_for_chats.checked_div(chat).unwrap_or(0);
            if (1..self.running).contains(&running) {
                remedies.push(format!("set max_running = {running}"));
            }
            let share = u128::from(left_for_chats) * u128::from(self.chat_tokens);
            let context = share.checked_div(self.kv_cache.into()).unwrap_or(0);
            // Shorter ones hold no chat.
            if context >= 256 {
                remedies.push(format!("set context = {context}"));
            }
        }
        for (name, weights) in &self.quantised {
            let saved = self.weights.saturating_sub(*weights);
            if self.total().saturating_sub(saved) <= available {
                remedies.push(format!("set quantise = {name:?}"));
                break;
            }
        }
        if remedies.is_empty() {
            remedies.push("lower max_pixels, context and max_running, or set quantise".to_owned());
        }
        remedies
    }
}

/// The size of the weights in memory.
fn weights(
    tensors: &[Tensor],
    precision: Precision,
    quantise: Option<QuantiseConfig>,
    is_tied: bool,
) -> u64 {
    let size = |tensor: &Tensor, is_quantised| match quantise {
        Some(quantise) if is_quantised => {
            // A block of 32 weights: Q8_0 has 34 bytes, and Q4_K 18 (144 for 256).
            let block = match quantise {
                QuantiseConfig::Q8 => 34,
                QuantiseConfig::Q4 => 18,
            };
            tensor.elements().div_ceil(32).saturating_mul(block)
        }
        _ => tensor.elements().saturating_mul(precision.bytes()),
    };
    let sizes = tensors
        .iter()
        .map(|tensor| size(tensor, is_projection(tensor)));
    let sum = sizes.fold(0, u64::saturating_add);
    // The head shares the embeddings, unless it is quantised.
    let head = tensors
        .iter()
        .find(|tensor| tensor.name.ends_with("embed_tokens.weight"))
        .filter(|_| is_tied && quantise.is_some())
        .map_or(0, |tensor| size(tensor, true));
    sum.saturating_add(head)
}

/// Whether the engine quantises a tensor: the projections of the language model and its head.
fn is_projection(tensor: &Tensor) -> bool {
    let is_of_layer = tensor.name.contains("layers.") && tensor.name.contains("proj");
    tensor.shape.len() >= 2 && (is_of_layer || tensor.name.ends_with("lm_head.weight"))
}

fn missing(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it has no {what}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    const NEEDS: MemoryNeeds = MemoryNeeds {
        precision: Precision::Half,
        quantise: None,
        running: 8,
        chat_tokens: 16_384,
        images: 1,
        max_pixels: 1_003_520,
    };

    /// A directory with the dimensions of Qwen2.5-VL-7B.
    fn holo() -> tempfile::TempDir {
        let config = serde_json::json!({
            "hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4,
            "num_hidden_layers": 28, "max_position_embeddings": 128_000,
            "tie_word_embeddings": false,
            "vision_config": {
                "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "patch_size": 14,
            },
        });
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let mut tensors = vec![
            ("model.embed_tokens.weight".to_owned(), vec![152_064, 3584]),
            ("lm_head.weight".to_owned(), vec![152_064, 3584]),
            // All parameters of the vision tower in one tensor.
            ("visual.merger.mlp.0.weight".to_owned(), vec![676_000_000]),
        ];
        for layer in 0..28 {
            for (name, shape) in [
                ("self_attn.q_proj", [3584, 3584]),
                ("self_attn.k_proj", [512, 3584]),
                ("self_attn.v_proj", [512, 3584]),
                ("self_attn.o_proj", [3584, 3584]),
                ("mlp.gate_proj", [18_944, 3584]),
                ("mlp.up_proj", [18_944, 3584]),
                ("mlp.down_proj", [3584, 18_944]),
            ] {
                tensors.push((format!("model.layers.{layer}.{name}.weight"), shape.into()));
            }
        }
        let views: Vec<_> = tensors
            .iter()
            .map(|(name, shape)| (name.as_str(), "BF16", shape.as_slice()))
            .collect();
        let bytes = safetensors::tests::file(&views);
        fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        folder
    }

    #[test]
    fn estimates_a_model_of_seven_billion_weights() {
        let folder = holo();
        let read = |needs: &MemoryNeeds| MemoryEstimate::read(folder.path(), needs).unwrap();
        let half = read(&NEEDS);
        // As the published model, but for its norms and biases.
        let parameters = 8_291_283_200;
        assert_eq!(half.weights, parameters * 2);
        assert_eq!(half.kv_cache, 28 * 4 * 128 * 2 * 2 * 16_384 * 8);
        let patches = 5120;
        let activations = patches * (4 * 1280 + 3 * 3420) * 2;
        assert_eq!(half.images, 34 * patches * patches * 2 + activations);

        let single = MemoryNeeds {
            precision: Precision::Single,
            ..NEEDS
        };
        let single = read(&single);
        assert_eq!(single.total(), half.total() * 2);

        let q4 = read(&MemoryNeeds {
            quantise: Some(QuantiseConfig::Q4),
            ..NEEDS
        });
        assert!(q4.weights < 7 * GIB && q4.weights > 5 * GIB, "{q4:?}");
        assert_eq!(q4.kv_cache, half.kv_cache);
    }

    #[test]
    fn the_images_of_a_chat_count_together() {
        let folder = holo();
        let images = |images| {
            let needs = MemoryNeeds { images, ..NEEDS };
            MemoryEstimate::read(folder.path(), &needs).unwrap().images
        };
        let factor = images(2) / images(1);
        assert!((3..=4).contains(&factor), "{factor}");
    }

    #[test]
    fn the_context_of_the_model_limits_a_chat() {
        let folder = holo();
        let long = MemoryNeeds {
            chat_tokens: u64::MAX,
            ..NEEDS
        };
        let estimate = MemoryEstimate::read(folder.path(), &long).unwrap();
        assert_eq!(estimate.kv_cache, 28 * 4 * 128 * 2 * 2 * 128_000 * 8);
    }

    #[test]
    fn remedies_make_the_model_fit() {
        let folder = holo();
        let read = |needs: &MemoryNeeds| MemoryEstimate::read(folder.path(), needs).unwrap();
        let estimate = read(&NEEDS);
        assert!(estimate.remedies(estimate.total()).is_empty());
        assert_eq!(
            estimate.remedies(10 * GIB),
            ["set quantise = \"q8\" (9.2 GiB of weights)"]
        );
        assert!(estimate.remedies(GIB)[0].contains("smaller or quantised model"));

        let remedies = estimate.remedies(20 * GIB);
        let value = |name: &str| -> Option<u64> {
            let prefix = format!("set {name} = ");
            let value = remedies.iter().find_map(|r| r.strip_prefix(&*prefix))?;
            value.parse().ok()
        };
        let running = MemoryNeeds {
            running: value("max_running").unwrap(),
            ..NEEDS
        };
        assert!(read(&running).total() <= 20 * GIB, "{remedies:?}");
        let context = MemoryNeeds {
            chat_tokens: value("context").unwrap(),
            ..NEEDS
        };
        assert!(read(&context).total() <= 20 * GIB, "{remedies:?}");

        let large = MemoryNeeds {
            max_pixels: 12_845_056,
            running: 1,
            ..NEEDS
        };
        let remedies = read(&large).remedies(24 * GIB);
        let pixels = remedies[0].strip_prefix("set max_pixels = ").unwrap();
        let lower = MemoryNeeds {
            max_pixels: pixels.parse().unwrap(),
            ..large
        };
        assert!(read(&lower).total() <= 24 * GIB, "{remedies:?}");
    }

    #[test]
    fn a_gguf_file_has_its_own_sizes() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = super::super::gguf::tests::file(
            &[
                ("qwen2.attention.head_count", 4),
                ("qwen2.attention.head_count_kv", 2),
                ("qwen2.embedding_length", 64),
                ("qwen2.block_count", 2),
                ("qwen2.context_length", 4096),
            ],
            &[("token_embd.weight", &[64, 32], 8)],
        );
        fs::write(folder.path().join("a.gguf"), bytes).unwrap();
        let estimate = MemoryEstimate::read(folder.path(), &NEEDS).unwrap();
        assert_eq!(estimate.weights, 64 * 34 + 64 * 32 * 4);
        assert_eq!(estimate.kv_cache, 2 * 2 * 16 * 2 * 2 * 4096 * 8);
        assert_eq!(estimate.images, 0);
    }

    #[test]
    fn names_what_is_missing() {
        let folder = holo();
        fs::write(folder.path().join("config.json"), "{}").unwrap();
        let error = MemoryEstimate::read(folder.path(), &NEEDS).unwrap_err();
        assert!(error.to_string().contains("num_attention_heads"), "{error}");
    }
}
