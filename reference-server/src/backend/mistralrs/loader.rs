//! Loads a model and starts its engine.

use std::{io::Write, path::Path, sync::Arc};

use mistralrs::{
    EmbeddingModelBuilder, IsqType, Model, ModelDType, MultimodalModelBuilder, TextModelBuilder,
    TokenSource,
};
use tokenizers::Tokenizer;

use super::{
    Device, MistralRsConfig, ModelSource, Quantise,
    embedder::{Embedder, EmbedderInfo},
    embedding_dir::EmbeddingDir,
    engine::{Engine, ModelInfo},
    grammar::GrammarFactory,
    hub::Hub,
    logits_processor::EosTokens,
    model_dir::{LoadError, Modality, ModelDir, ModelFiles},
    quirks,
    reasoning::ReasoningSupport,
    supervise::LoadedEngine,
    think_filter,
    token_table::TokenTable,
    tool_prompt::ToolStyle,
};

const CPU: &str = "cpu";

/// Loads the model on a device of [`device_name`], and reports the progress. Blocks the thread.
///
/// # Errors
/// Returns a [`LoadError`] if the model cannot be found or loaded.
pub(super) async fn load(
    config: &MistralRsConfig,
    device: &str,
    report: &dyn Fn(String),
) -> Result<LoadedEngine, LoadError> {
    let path = match &config.model {
        ModelSource::Directory(path) => path.clone(),
        ModelSource::Hub(id) => {
            report(format!("looking up {id} on the Hub"));
            Hub::from_env().fetch(id, report)?
        }
    };
    let report = || report(format!("loading the weights in {}", path.display()));
    let engine = match ModelFiles::read(&path)? {
        ModelFiles::Chat(dir) => {
            let info = info(&dir, device)?;
            report();
            let model = built(&path, build(config, device, &dir).await)?;
            Engine::new(model, info).map(|engine| LoadedEngine::Chat(Arc::new(engine)))
        }
        ModelFiles::Embedding(dir) => {
            let info = embedder_info(&dir, device)?;
            report();
            let model = built(&path, build_embedder(config, device, &dir).await)?;
            Embedder::new(model, info).map(|engine| LoadedEngine::Embedding(Arc::new(engine)))
        }
    };
    engine.map_err(|error| format!("cannot start the engine: {error}"))
}

fn built(path: &Path, model: Result<Model, anyhow::Error>) -> Result<Model, LoadError> {
    model.map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        format!(
            "cannot load the model in {}: {first}; check that its files are complete and that \
             there is enough memory",
            path.display()
        )
    })
}

/// The device for a setting in this build: `cpu` or `cuda:0`.
pub(super) fn device_name(device: Device) -> &'static str {
    match device {
        Device::Auto if has_gpu() => "cuda:0",
        Device::Auto | Device::Cpu => CPU,
    }
}

#[cfg(feature = "cuda")]
fn has_gpu() -> bool {
    match mistralrs::best_device(false) {
        Ok(device) => device.is_cuda(),
        Err(error) => {
            tracing::warn!(%error, "cannot use the GPU; the model runs on the CPU");
            false
        }
    }
}

#[cfg(not(feature = "cuda"))]
fn has_gpu() -> bool {
    false
}

fn info(model_dir: &ModelDir, device: &str) -> Result<ModelInfo, LoadError> {
    let file = model_dir.path.join("tokenizer.json");
    let mut tokenizer = read_tokenizer(&file)?;
    let end = tokenizer.token_to_id(&model_dir.eos_token).ok_or_else(|| {
        format!(
            "{} lacks the EOS token {:?} of tokenizer_config.json: download the model again",
            file.display(),
            model_dir.eos_token
        )
    })?;
    let control = tokenizer.get_added_tokens_decoder().into_values();
    let unsupported = |error| {
        let file = file.display();
        format!("the tokenizer of {file} is not supported ({error}): use another model")
    };
    let tokens = TokenTable::new(&tokenizer).map_err(unsupported)?;
    let eos_tokens = EosTokens::new(end, &model_dir.eos_token_ids);
    let grammars = GrammarFactory::new(&tokenizer, &tokens, &eos_tokens).map_err(unsupported)?;
    tokenizer.set_encode_special_tokens(true);
    let template = &model_dir.chat_template;
    Ok(ModelInfo {
        modality: model_dir.modality,
        on_cpu: device == CPU,
        context: model_dir.context,
        eos_tokens,
        control_tokens: control
            .filter(|token| token.special && !token.content.is_empty())
            .map(|token| token.content)
            .collect(),
        pixels: model_dir.pixels,
        can_continue: !model_dir.fixed_template,
        text_from_replies: quirks::separates_channels(template),
        tool_style: if model_dir.fixed_template {
            ToolStyle::Messages
        } else {
            ToolStyle::of(template)
        },
        thinks: think_filter::uses_tags(template),
        reasoning: ReasoningSupport::of(template),
        tokens,
        grammars,
        tokenizer,
    })
}

fn embedder_info(dir: &EmbeddingDir, device: &str) -> Result<EmbedderInfo, LoadError> {
    let mut tokenizer = read_tokenizer(&dir.path.join("tokenizer.json"))?;
    tokenizer.set_encode_special_tokens(true);
    Ok(EmbedderInfo {
        on_cpu: device == CPU,
        context: dir.context,
        vocabulary: dir.vocabulary,
        matryoshka: dir.matryoshka.clone(),
        tokenizer,
    })
}

fn read_tokenizer(file: &Path) -> Result<Tokenizer, LoadError> {
    Tokenizer::from_file(file).map_err(|error| {
        format!(
            "cannot read {}: {error}; download the model again",
            file.display()
        )
    })
}

/// The builders have the same methods but no common trait.
macro_rules! configured {
    ($builder:expr, $config:expr, $device:expr) => {{
        let mut builder = $builder
            .with_token_source(TokenSource::None)
            .with_max_num_seqs($config.max_running.max(1));
        // Explicit, because the crate's default runs `nvidia-smi` and panics without it.
        builder = if $device == CPU {
            builder.with_force_cpu().with_dtype(ModelDType::F32)
        } else {
            builder.with_dtype(ModelDType::BF16)
        };
        if let Some(quantise) = $config.quantise {
            builder = builder.with_isq(match quantise {
                Quantise::Q8 => IsqType::Q8_0,
                Quantise::Q4 => IsqType::Q4K,
            });
        }
        builder.build().await
    }};
}

/// A builder of chat models in a directory.
macro_rules! with_template {
    ($builder:ident, $model_dir:expr, $template:expr) => {
        $builder::new($model_dir.path.display())
            .with_jinja_explicit($template)
            // Disabled: the time to first token would reveal whether another client has sent the
            // same prefix.
            .with_prefix_cache_n(None)
    };
}

async fn build(
    config: &MistralRsConfig,
    device: &str,
    model_dir: &ModelDir,
) -> Result<Model, anyhow::Error> {
    // The crate accepts a template only as a file with this extension.
    let mut template = tempfile::Builder::new().suffix(".jinja").tempfile()?;
    template.write_all(quirks::with_extensions(&model_dir.chat_template).as_bytes())?;
    let template = template.into_temp_path();
    let path = template.display().to_string();
    match model_dir.modality {
        Modality::Text => {
            let builder = with_template!(TextModelBuilder, model_dir, path);
            configured!(builder, config, device)
        }
        Modality::Vision => {
            let builder = with_template!(MultimodalModelBuilder, model_dir, path);
            configured!(builder, config, device)
        }
    }
}

async fn build_embedder(
    config: &MistralRsConfig,
    device: &str,
    dir: &EmbeddingDir,
) -> Result<Model, anyhow::Error> {
    let builder = EmbeddingModelBuilder::new(dir.path.display());
    let builder = builder.with_loader_type(dir.loader.clone());
    configured!(builder, config, device)
}
