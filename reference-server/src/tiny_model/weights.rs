//! Random tensors with the names of real checkpoints.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
// `StdRng` may change its algorithm in any release; ChaCha8 guarantees the same stream.
use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, SafeTensorError, tensor::TensorView};

use super::settings::{
    HEADS, HIDDEN, INTERMEDIATE, KV_HEADS, LAYERS, MERGE, PATCH, TEMPORAL_PATCH, VISION_DEPTH,
    VISION_HIDDEN, VISION_INTERMEDIATE, VOCABULARY,
};

/// The constant in the first hidden channel, from which the head derives its bias: every embedding
/// sets it, and no layer writes to it.
const CONSTANT: f32 = 2.0;

pub(super) struct Weights {
    random: ChaCha8Rng,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Weights {
    pub(super) fn seeded(seed: u64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            tensors: BTreeMap::new(),
        }
    }

    /// Adds the language model; its head is biased by `bias` towards the ids marked in `favoured`.
    pub(super) fn language(&mut self, bias: f32, favoured: &[bool]) {
        self.random("model.embed_tokens.weight", &[VOCABULARY, HIDDEN], 1.0);
        self.column("model.embed_tokens.weight", HIDDEN, |_| CONSTANT);
        for layer in 0..LAYERS {
            let at = |name: &str| format!("model.layers.{layer}.{name}");
            self.decoder_layer(at, true);
            self.first_row(&at("self_attn.o_proj.weight"), HIDDEN, 0.0);
            self.first_row(&at("mlp.down_proj.weight"), INTERMEDIATE, 0.0);
        }
        self.ones("model.norm.weight", HIDDEN);
        self.random("lm_head.weight", &[VOCABULARY, HIDDEN], 0.25);
        // The norm leaves the constant near 1, so the logits differ by about 16 × bias.
        self.column("lm_head.weight", HIDDEN, |id| {
            if favoured[id] {
                8.0 * bias
            } else {
                -8.0 * bias
            }
        });
    }

    /// Adds an embedding model, whose published weights have no prefix.
    pub(super) fn embedding(&mut self) {
        self.random("embed_tokens.weight", &[VOCABULARY, HIDDEN], 1.0);
        for layer in 0..LAYERS {
            let at = |name: &str| format!("layers.{layer}.{name}");
            self.decoder_layer(at, false);
            self.ones(&at("self_attn.q_norm.weight"), HIDDEN / HEADS);
            self.ones(&at("self_attn.k_norm.weight"), HIDDEN / HEADS);
        }
        self.ones("norm.weight", HIDDEN);
    }

    /// Adds the tensors of a layer that all language models have.
    fn decoder_layer(&mut self, at: impl Fn(&str) -> String, has_bias: bool) {
        let kv = HIDDEN / HEADS * KV_HEADS;
        self.ones(&at("input_layernorm.weight"), HIDDEN);
        self.ones(&at("post_attention_layernorm.weight"), HIDDEN);
        self.linear(&at("self_attn.q_proj"), HIDDEN, HIDDEN, has_bias);
        self.linear(&at("self_attn.k_proj"), kv, HIDDEN, has_bias);
        self.linear(&at("self_attn.v_proj"), kv, HIDDEN, has_bias);
        self.linear(&at("self_attn.o_proj"), HIDDEN, HIDDEN, false);
        self.linear(&at("mlp.gate_proj"), INTERMEDIATE, HIDDEN, false);
        self.linear(&at("mlp.up_proj"), INTERMEDIATE, HIDDEN, false);
        self.linear(&at("mlp.down_proj"), HIDDEN, INTERMEDIATE, false);
    }

    /// Adds the vision tower, which projects into the language model's hidden space.
    pub(super) fn vision(&mut self) {
        let patch = [VISION_HIDDEN, 3, TEMPORAL_PATCH, PATCH, PATCH];
        self.random("visual.patch_embed.proj.weight", &patch, 0.05);
        for block in 0..VISION_DEPTH {
            let at = |name: &str| format!("visual.blocks.{block}.{name}");
            self.ones(&at("norm1.weight"), VISION_HIDDEN);
            self.ones(&at("norm2.weight"), VISION_HIDDEN);
            self.linear(&at("attn.qkv"), 3 * VISION_HIDDEN, VISION_HIDDEN, true);
            self.linear(&at("attn.proj"), VISION_HIDDEN, VISION_HIDDEN, true);
            self.linear(
                &at("mlp.gate_proj"),
                VISION_INTERMEDIATE,
                VISION_HIDDEN,
                true,
            );
            self.linear(&at("mlp.up_proj"), VISION_INTERMEDIATE, VISION_HIDDEN, true);
            self.linear(
                &at("mlp.down_proj"),
                VISION_HIDDEN,
                VISION_INTERMEDIATE,
                true,
            );
        }
        let merged = VISION_HIDDEN * MERGE * MERGE;
        self.ones("visual.merger.ln_q.weight", VISION_HIDDEN);
        self.linear("visual.merger.mlp.0", merged, merged, true);
        self.linear("visual.merger.mlp.2", HIDDEN, merged, true);
        self.first_row("visual.merger.mlp.2.weight", merged, 0.0);
        self.first_row("visual.merger.mlp.2.bias", 1, CONSTANT);
    }

    /// The tensors by name, with their shapes.
    #[cfg(test)]
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&str, &[usize], &[f32])> {
        let tensors = self.tensors.iter();
        tensors.map(|(name, (shape, values))| (name.as_str(), shape.as_slice(), values.as_slice()))
    }

    pub(super) fn to_safetensors(&self) -> Result<Vec<u8>, SafeTensorError> {
        let bytes: BTreeMap<&String, Vec<u8>> = self
            .tensors
            .iter()
            .map(|(name, (_, values))| {
                (name, values.iter().flat_map(|v| v.to_le_bytes()).collect())
            })
            .collect();
        let mut views = BTreeMap::new();
        for (name, (shape, _)) in &self.tensors {
            let view = TensorView::new(Dtype::F32, shape.clone(), &bytes[name])?;
            views.insert(name, view);
        }
        safetensors::serialize(views, None)
    }

    /// Adds a linear layer that keeps the scale of its input.
    fn linear(&mut self, name: &str, output: usize, input: usize, bias: bool) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "layers are far smaller than 2^23"
        )]
        let scale = (3.0 / input as f32).sqrt();
        self.random(&format!("{name}.weight"), &[output, input], scale);
        if bias {
            self.random(&format!("{name}.bias"), &[output], 0.1);
        }
    }

    /// Adds a tensor with values distributed uniformly over `-scale..scale`.
    fn random(&mut self, name: &str, shape: &[usize], scale: f32) {
        let count = shape.iter().product();
        let values = (0..count)
            .map(|_| self.random.random_range(-scale..scale))
            .collect();
        self.tensors
            .insert(name.to_owned(), (shape.to_vec(), values));
    }

    fn ones(&mut self, name: &str, size: usize) {
        self.tensors
            .insert(name.to_owned(), (vec![size], vec![1.0; size]));
    }

    fn column(&mut self, name: &str, width: usize, value: impl Fn(usize) -> f32) {
        for (row, values) in self.values(name).chunks_exact_mut(width).enumerate() {
            values[0] = value(row);
        }
    }

    fn first_row(&mut self, name: &str, width: usize, value: f32) {
        self.values(name)[..width].fill(value);
    }

    fn values(&mut self, name: &str) -> &mut [f32] {
        let (_, values) = self
            .tensors
            .get_mut(name)
            .expect("the tensor was added before");
        values
    }
}
