//! The sizes of images that a model is given: those of its files, narrowed by the settings and by
//! what the device can compute.

use std::path::Path;

use serde_json::Value;
use stockade_server_config::model_files::available_memory;

use super::{
    MistralRsConfig,
    model_dir::{LoadError, json, malformed},
    quirks,
    size_rule::SizeRule,
};

/// The images that a model can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImageLimits {
    pub(super) sizes: SizeRule,
    /// The maximum number of tokens of all images of a chat: the vision model sees them together.
    pub(super) chat_tokens: usize,
}

/// What the files of a vision model say about images.
#[derive(Clone, Copy, Debug)]
pub(super) struct ImageFiles {
    pub(super) sizes: SizeRule,
    /// The number of attention heads of the vision model.
    heads: u64,
}

/// The name of the file with the rule.
pub(super) const PREPROCESSOR: &str = "preprocessor_config.json";

impl ImageFiles {
    /// Reads the files of a model; `config` is its `config.json`.
    ///
    /// # Errors
    /// Returns a [`LoadError`] if a file or a field is missing or malformed.
    pub(super) fn read(path: &Path, config: &Value) -> Result<Self, LoadError> {
        let preprocessor = json(path, PREPROCESSOR)?;
        let invalid = |field: &str| malformed(path, PREPROCESSOR, field);
        let (min_pixels, max_pixels) = pixels(&preprocessor).map_err(invalid)?;
        let side = |name: &str| {
            let side = preprocessor[name].as_u64().filter(|side| *side > 0);
            let side = side.and_then(|side| u32::try_from(side).ok());
            side.ok_or_else(|| invalid(name))
        };
        let factor = side("patch_size")?.saturating_mul(side("merge_size")?);
        let sizes = SizeRule {
            factor,
            min_pixels,
            max_pixels,
        };
        if max_pixels < min_pixels.max(sizes.tile()) {
            return Err(invalid("max_pixels"));
        }
        let heads = config["vision_config"]["num_heads"].as_u64();
        Ok(Self {
            sizes,
            heads: heads.unwrap_or(16),
        })
    }

    /// The limits with these settings on this device.
    ///
    /// # Errors
    /// Returns a [`LoadError`] if a setting is not within the bounds of the model.
    pub(super) fn limits(
        &self,
        config: &MistralRsConfig,
        on_cpu: bool,
    ) -> Result<ImageLimits, LoadError> {
        self.check(config)?;
        let limits = self.capped(config, on_cpu, available(on_cpu));
        let asked = config.max_pixels.unwrap_or(self.sizes.max_pixels);
        let SizeRule {
            factor,
            min_pixels,
            max_pixels,
        } = limits.sizes;
        if max_pixels < asked {
            tracing::warn!(
                max_pixels,
                model_max_pixels = asked,
                "larger images need more than this device has: they are scaled down"
            );
        }
        let chat_tokens = limits.chat_tokens;
        tracing::info!(max_pixels, min_pixels, factor, chat_tokens, "image sizes");
        Ok(limits)
    }

    /// The images with the most work that a chat can have: their number, and the pixels of each.
    pub(super) fn largest(&self, config: &MistralRsConfig, on_cpu: bool) -> (u64, u64) {
        let limits = self.capped(config, on_cpu, available(on_cpu));
        let max_pixels = limits.sizes.max_pixels;
        let chat_tokens = u64::try_from(limits.chat_tokens).unwrap_or(u64::MAX);
        let all = chat_tokens.saturating_mul(limits.sizes.tile());
        match quirks::MAX_IMAGES as u64 {
            max_images if max_pixels.saturating_mul(max_images) <= all => (max_images, max_pixels),
            // Together they have no more than this.
            _ => (1, all),
        }
    }

    /// Checks the settings against the files.
    ///
    /// # Errors
    /// Returns a [`LoadError`] with the remedy.
    pub(super) fn check(&self, config: &MistralRsConfig) -> Result<(), LoadError> {
        let SizeRule {
            min_pixels,
            max_pixels,
            ..
        } = self.sizes;
        for (name, value) in [
            ("max_pixels", config.max_pixels),
            ("min_pixels", config.min_pixels),
        ] {
            let Some(value) = value else { continue };
            if value > max_pixels {
                return Err(format!(
                    "{name} = {value} is over the {max_pixels} pixels of the model: set at most \
                     {max_pixels}, or remove it"
                ));
            }
            if value < min_pixels {
                return Err(format!(
                    "{name} = {value} is under the {min_pixels} pixels of the model: set at least \
                     {min_pixels}, or remove it"
                ));
            }
        }
        Ok(())
    }

    /// The limits of the device. `memory` is what it has available, in bytes.
    fn capped(&self, config: &MistralRsConfig, on_cpu: bool, memory: Option<u64>) -> ImageLimits {
        let mut sizes = self.sizes;
        let tile = sizes.tile();
        let mut chat_tokens = match (config.max_pixels, memory) {
            // What the operator sets is not checked against the memory.
            (Some(pixels), _) => {
                sizes.max_pixels = pixels;
                u64::MAX
            }
            (None, Some(memory)) => self.affordable_tokens(memory / 2),
            (None, None) => u64::MAX,
        };
        if !on_cpu {
            chat_tokens = chat_tokens.min(quirks::MAX_CUDA_IMAGE_TOKENS);
        }
        chat_tokens = chat_tokens.max(sizes.min_pixels / tile);
        sizes.max_pixels = sizes.max_pixels.min(chat_tokens.saturating_mul(tile));
        if let Some(min) = config.min_pixels {
            sizes.min_pixels = min.min(sizes.max_pixels);
        }
        ImageLimits {
            sizes,
            chat_tokens: usize::try_from(chat_tokens).unwrap_or(usize::MAX),
        }
    }

    /// The number of tokens of images whose attention fits into this memory.
    fn affordable_tokens(&self, memory: u64) -> u64 {
        // In 32 bits, for each pair of patches: the scores of all heads twice, since each step
        // makes a new tensor, and two masks. A token has four patches.
        let per_pair = 4 * (2 * self.heads + 2);
        let tokens = (memory / per_pair).isqrt() / 4;
        // In steps, because the available memory varies a little with each start.
        tokens / 256 * 256
    }
}

/// The memory that limits images, in bytes.
fn available(on_cpu: bool) -> Option<u64> {
    let memory = available_memory().filter(|_| on_cpu)?;
    Some(memory.bytes)
}

/// The minimum and maximum number of pixels of a preprocessor; the error is the name of the missing
/// field.
pub(super) fn pixels(preprocessor: &Value) -> Result<(u64, u64), &'static str> {
    // transformers 5 writes other names.
    let field = |old: &'static str, new: &str| {
        let old_value = preprocessor[old].as_u64();
        old_value
            .or_else(|| preprocessor["size"][new].as_u64())
            .ok_or(old)
    };
    Ok((
        field("min_pixels", "shortest_edge")?,
        field("max_pixels", "longest_edge")?,
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::backend::ModelSource;

    const GIB: u64 = 1 << 30;

    fn files(heads: u64) -> ImageFiles {
        ImageFiles {
            sizes: SizeRule {
                factor: 28,
                min_pixels: 3_136,
                max_pixels: 12_845_056,
            },
            heads,
        }
    }

    #[test]
    fn the_rule_comes_from_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let read = |preprocessor: Value| {
            fs::write(dir.path().join(PREPROCESSOR), preprocessor.to_string()).unwrap();
            ImageFiles::read(dir.path(), &json!({})).map(|files| files.sizes)
        };
        let old =
            json!({"min_pixels": 3136, "max_pixels": 50_000, "patch_size": 14, "merge_size": 2});
        let new = json!({
            "size": {"shortest_edge": 3136, "longest_edge": 50_000},
            "max_pixels": null, "patch_size": 14, "merge_size": 2,
        });
        let rule = SizeRule {
            factor: 28,
            min_pixels: 3_136,
            max_pixels: 50_000,
        };
        assert_eq!((read(old.clone()), read(new)), (Ok(rule), Ok(rule)));
        for (name, value) in [
            ("max_pixels", json!("many")),
            ("max_pixels", json!(3_000)),
            ("patch_size", json!(0)),
            ("merge_size", Value::Null),
        ] {
            let mut wrong = old.clone();
            wrong[name] = value;
            let error = read(wrong).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }

    fn config(max_pixels: Option<u64>, min_pixels: Option<u64>) -> MistralRsConfig {
        let mut config = MistralRsConfig::new(ModelSource::Hub("a/b".to_owned()));
        (config.max_pixels, config.min_pixels) = (max_pixels, min_pixels);
        config
    }

    #[test]
    fn settings_narrow_the_bounds_of_the_model() {
        let narrow = config(Some(1_003_520), Some(200_704));
        let sizes = files(16).limits(&narrow, false).unwrap().sizes;
        assert_eq!((sizes.min_pixels, sizes.max_pixels), (200_704, 1_003_520));
        for (max, min, text) in [
            (Some(12_845_057), None, "max_pixels = 12845057 is over"),
            (Some(3_000), None, "set at least 3136"),
            (None, Some(784), "min_pixels = 784 is under"),
        ] {
            let error = files(16).limits(&config(max, min), true).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }

    // Fault 7 of `quirks`.
    #[test]
    fn a_gpu_has_a_limit() {
        let on_gpu = |max| files(16).capped(&config(max, None), false, None);
        for asked in [None, Some(12_000_000)] {
            let limits = on_gpu(asked);
            assert_eq!(limits.sizes.max_pixels, 8_192 * 784);
            assert_eq!(limits.chat_tokens, 8_192);
        }
        assert_eq!(on_gpu(Some(50_000)).sizes.max_pixels, 50_000);
    }

    // I05
    #[test]
    fn the_attention_of_images_fits_into_half_of_the_memory() {
        let limits = |heads, memory, asked| files(heads).capped(&config(asked, None), true, memory);
        let max = |heads, memory| limits(heads, memory, None).sizes.max_pixels;
        assert_eq!(max(16, Some(4_096 * GIB)), 12_845_056);
        assert_eq!(max(16, None), 12_845_056);
        let small = limits(16, Some(16 * GIB), None);
        let patches = 4 * small.chat_tokens as u64;
        assert_eq!(small.sizes.max_pixels, patches * 196);
        assert!(patches * patches * 34 * 4 <= 8 * GIB);
        assert!(max(2, Some(16 * GIB)) > small.sizes.max_pixels);
        assert_eq!(max(16, Some(1_000)), 3_136);
        // What the operator sets applies.
        let asked = limits(16, Some(GIB), Some(9_000_000));
        assert_eq!(asked.sizes.max_pixels, 9_000_000);
    }
}
