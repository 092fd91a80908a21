//! Builds the engine of a model with the loaders of mistral.rs, which accept a device; its builders
//! do not (see [`Placement`]).

use std::{io::Write, num::NonZeroUsize, sync::Arc};

use mistralrs::{
    DefaultSchedulerMethod, IsqType, MemoryGpuConfig, Model, PagedAttentionConfig, PagedCacheType,
    SchedulerConfig, TokenSource,
    core::{
        AddModelConfig, EmbeddingLoaderBuilder, EmbeddingSpecificConfig, EngineConfig,
        GGUFLoaderBuilder, GGUFSpecificConfig, Loader, MultimodalLoaderBuilder,
        MultimodalSpecificConfig, NormalLoaderBuilder, NormalSpecificConfig,
    },
    model_builder_trait::build_model_from_pipeline,
};
use tempfile::TempPath;
use tokenizers::Tokenizer;

use super::{
    MistralRsConfig, Quantise,
    embedding_dir::EmbeddingDir,
    model_dir::{Modality, ModelDir},
    placement::Placement,
    quirks,
};

/// A model whose engine runs.
pub(super) struct Built {
    pub(super) model: Model,
    /// The tokenizer of the engine.
    pub(super) tokenizer: Option<Arc<Tokenizer>>,
}

/// How a model is built.
pub(super) struct Settings<'a> {
    pub(super) config: &'a MistralRsConfig,
    pub(super) placement: &'a Placement,
    /// The number of layers of the model.
    pub(super) layers: usize,
    /// The number of tokens in a paged KV cache; `None` for the usual one.
    pub(super) paged_tokens: Option<usize>,
}

/// Builds the engine of a chat model.
pub(super) async fn chat(settings: Settings<'_>, dir: &ModelDir) -> anyhow::Result<Built> {
    let template = template_file(dir)?;
    let template = Some(template.display().to_string());
    let id = dir.path.display().to_string();
    let loader = match (&dir.gguf, dir.modality) {
        (Some(file), _) => {
            // Without one, the engine converts the tokenizer of the GGUF file.
            let tokenizer = dir.tokenizer_file().map(|_| id.clone());
            let config = GGUFSpecificConfig::default();
            let files = vec![file.clone()];
            GGUFLoaderBuilder::new(None, tokenizer, id, files, config, false, template).build()
        }
        (None, Modality::Text) => {
            let config = NormalSpecificConfig::default();
            NormalLoaderBuilder::new(config, None, None, Some(id), false, template).build(None)?
        }
        (None, Modality::Vision) => {
            let config = MultimodalSpecificConfig::default();
            MultimodalLoaderBuilder::new(config, None, None, Some(id), template).build(None)
        }
    };
    build(settings, &*loader).await
}

/// Builds the engine of an embedding model.
pub(super) async fn embedding(settings: Settings<'_>, dir: &EmbeddingDir) -> anyhow::Result<Built> {
    let id = dir.path.display().to_string();
    let config = EmbeddingSpecificConfig::default();
    let loader =
        EmbeddingLoaderBuilder::new(config, None, Some(id)).build(Some(dir.loader.clone()));
    build(settings, &*loader).await
}

/// The chat template in a file: the crate accepts it only as one with this extension.
fn template_file(dir: &ModelDir) -> anyhow::Result<TempPath> {
    let mut template = tempfile::Builder::new().suffix(".jinja").tempfile()?;
    template.write_all(quirks::with_extensions(&dir.chat_template).as_bytes())?;
    Ok(template.into_temp_path())
}

async fn build(settings: Settings<'_>, loader: &dyn Loader) -> anyhow::Result<Built> {
    let Settings {
        config,
        placement,
        layers,
        paged_tokens,
    } = settings;
    let quantise = config.quantise.map(|quantise| match quantise {
        Quantise::Q8 => IsqType::Q8_0,
        Quantise::Q4 => IsqType::Q4K,
    });
    let paged = paged_tokens.map(|tokens| {
        let memory = MemoryGpuConfig::ContextSize(tokens);
        PagedAttentionConfig::new(None, memory, PagedCacheType::Auto)
    });
    let pipeline = loader.load_model_from_hf(
        None,
        TokenSource::None,
        &placement.dtype(),
        placement.first(),
        true,
        placement.device_map(layers),
        quantise,
        paged.transpose()?,
    )?;
    let (tokenizer, cache) = {
        let pipeline = pipeline.lock().await;
        let metadata = pipeline.get_metadata();
        (pipeline.tokenizer(), metadata.cache_config.clone())
    };
    let running = config.max_running.max(1);
    let scheduler = match cache.filter(|_| paged_tokens.is_some()) {
        Some(config) => SchedulerConfig::PagedAttentionMeta {
            max_num_seqs: running,
            config,
        },
        None => SchedulerConfig::DefaultScheduler {
            method: DefaultSchedulerMethod::Fixed(
                NonZeroUsize::new(running).unwrap_or(NonZeroUsize::MIN),
            ),
        },
    };
    let engine = EngineConfig {
        throughput_logging_enabled: false,
        // FA17: the time to first token would reveal whether another client has sent the same
        // prefix. This also disables the shared blocks of a paged KV cache.
        no_prefix_cache: true,
        ..EngineConfig::default()
    };
    let model = build_model_from_pipeline(pipeline, scheduler, AddModelConfig::new(engine)).await;
    Ok(Built { model, tokenizer })
}
