//! Loads a model and starts its engine.

use std::{path::Path, sync::Arc};

use stockade_server_config::model_files::writable_files;
use tokenizers::Tokenizer;

use super::{
    MistralRsConfig, ModelSource, checksum,
    embedder::{Embedder, EmbedderInfo},
    embedding_dir::EmbeddingDir,
    engine::{Engine, ModelInfo},
    grammar::GrammarFactory,
    hub::Hub,
    logits_processor::EosTokens,
    memory,
    model_dir::{LoadError, Modality, ModelDir},
    model_files::ModelFiles,
    pipeline::{self, Built, Settings},
    placement::Placement,
    quirks,
    reasoning::ReasoningSupport,
    reserved_text::ReservedText,
    supervise::LoadedEngine,
    think_filter,
    token_table::TokenTable,
    tool_prompt::ToolStyle,
};
use crate::backend::{ByteProgress, MemoryReport};

/// What happens while a model is loaded.
pub(super) enum LoadEvent {
    /// A stage has begun.
    Stage(String),
    /// The stage has progressed.
    Bytes(ByteProgress),
    /// The memory that the model needs.
    Memory(MemoryReport),
}

/// Loads the model, and reports the progress. Blocks the thread.
///
/// # Errors
/// Returns a [`LoadError`] if the model cannot be found or loaded.
pub(super) async fn load(
    config: &MistralRsConfig,
    placement: &Placement,
    report: &dyn Fn(LoadEvent),
) -> Result<LoadedEngine, LoadError> {
    let stage = |text| report(LoadEvent::Stage(text));
    let path = match &config.model {
        ModelSource::Directory(path) => path.clone(),
        ModelSource::Hub(id) => Hub::from_env().fetch(id, report)?,
    };
    let files = ModelFiles::read(&path)?;
    files.check_quantise(config.quantise)?;
    warn_about_permissions(&path);
    memory::check(config, &path, &files, placement, report)?;
    checksum::verify(&path, report)?;
    let settings = Settings {
        config,
        placement,
        layers: files.layers()?,
        paged_tokens: paged_tokens(config, placement, &files),
    };
    let loading = || stage(format!("loading the weights in {}", path.display()));
    let engine = match files {
        ModelFiles::Chat(dir) => {
            // Before the weights, so that an unsupported tokenizer fails early.
            let early = dir.tokenizer_file().map(|file| {
                let tokenizer = read_tokenizer(&file)?;
                info(config, &dir, tokenizer, placement)
            });
            let early = early.transpose()?;
            loading();
            let Built { model, tokenizer } = built(&path, pipeline::chat(settings, &dir).await)?;
            let info = match (early, tokenizer) {
                (Some(info), _) => info,
                (None, Some(tokenizer)) => {
                    info(config, &dir, Tokenizer::clone(&tokenizer), placement)?
                }
                (None, None) => return Err(format!("{} has no tokenizer", path.display())),
            };
            Engine::new(model, info).map(|engine| LoadedEngine::Chat(Arc::new(engine)))
        }
        ModelFiles::Embedding(dir) => {
            let info = embedder_info(config, &dir, placement)?;
            loading();
            let Built { model, .. } = built(&path, pipeline::embedding(settings, &dir).await)?;
            Embedder::new(model, info).map(|engine| LoadedEngine::Embedding(Arc::new(engine)))
        }
    };
    engine.map_err(|error| format!("cannot start the engine: {error}"))
}

fn built(path: &Path, model: anyhow::Result<Built>) -> Result<Built, LoadError> {
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

/// Warns if another user can replace the weights or the chat template.
fn warn_about_permissions(path: &Path) {
    let writable = writable_files(path);
    if let Some(first) = writable.first() {
        tracing::warn!(
            path = %first.path.display(),
            by = %first.by,
            files = writable.len(),
            "other users can change the model: chmod -R go-w, or chown to the server's user"
        );
    }
}

/// The number of tokens in a paged KV cache: a chat of the maximum length for each slot. `None`
/// without one, as for all but text models on a GPU.
fn paged_tokens(
    config: &MistralRsConfig,
    placement: &Placement,
    files: &ModelFiles,
) -> Option<usize> {
    let ModelFiles::Chat(dir) = files else {
        return None;
    };
    let is_supported =
        mistralrs::paged_attn_supported() && !placement.is_cpu() && dir.modality == Modality::Text;
    if !config.paged_attention || !is_supported {
        return None;
    }
    let context = config.limit_context(dir.context);
    let request = config.request_tokens.map(usize::try_from);
    let request = request.and_then(Result::ok).unwrap_or(usize::MAX);
    Some(
        context
            .min(request)
            .saturating_mul(config.max_running.max(1)),
    )
}

fn info(
    config: &MistralRsConfig,
    model_dir: &ModelDir,
    mut tokenizer: Tokenizer,
    placement: &Placement,
) -> Result<ModelInfo, LoadError> {
    let file = model_dir.path.join("tokenizer.json");
    let end = match &model_dir.eos_token {
        Some(token) => tokenizer.token_to_id(token),
        None => model_dir.eos_token_ids.first().copied(),
    };
    let end = end.ok_or_else(|| {
        format!(
            "{} lacks the EOS token {:?} of tokenizer_config.json: download the model again",
            file.display(),
            model_dir.eos_token.as_deref().unwrap_or_default()
        )
    })?;
    let reserved = ReservedText::of(&tokenizer);
    let unsupported = |error| {
        let file = file.display();
        format!("the tokenizer of {file} is not supported ({error}): use another model")
    };
    let tokens = TokenTable::new(&tokenizer).map_err(unsupported)?;
    let eos_tokens = EosTokens::new(end, &model_dir.eos_token_ids);
    let grammars = GrammarFactory::new(&tokenizer, &tokens, &eos_tokens).map_err(unsupported)?;
    tokenizer.set_encode_special_tokens(true);
    let template = &model_dir.chat_template;
    let images = model_dir
        .images
        .map(|images| images.limits(config, placement.is_cpu()));
    let images = images.transpose()?;
    Ok(ModelInfo {
        modality: model_dir.modality,
        on_cpu: placement.is_cpu(),
        context: config.limit_context(model_dir.context),
        eos_tokens,
        reserved,
        images,
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

fn embedder_info(
    config: &MistralRsConfig,
    dir: &EmbeddingDir,
    placement: &Placement,
) -> Result<EmbedderInfo, LoadError> {
    let mut tokenizer = read_tokenizer(&dir.path.join("tokenizer.json"))?;
    tokenizer.set_encode_special_tokens(true);
    Ok(EmbedderInfo {
        on_cpu: placement.is_cpu(),
        context: config.limit_context(dir.context),
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
