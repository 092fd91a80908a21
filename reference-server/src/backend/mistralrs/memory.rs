//! Compares the memory that a model needs with the memory that is available, before it is loaded.

use std::path::Path;

use stockade_server_config::{
    MemoryCheck, QuantiseConfig,
    model_files::{MemoryEstimate, MemoryNeeds, format_bytes},
};

use super::{
    MistralRsConfig, Quantise, loader::LoadEvent, model_dir::LoadError, model_files::ModelFiles,
    placement::Placement, quirks,
};
use crate::backend::MemoryReport;

/// The number of pixels that are one token.
const TOKEN_PIXELS: u64 = 28 * 28;

/// Estimates the memory of the model in `path`, and logs and reports it with the available memory.
///
/// # Errors
/// Returns a [`LoadError`] with remedies if the model does not fit.
pub(super) fn check(
    config: &MistralRsConfig,
    path: &Path,
    files: &ModelFiles,
    placement: &Placement,
    report: &dyn Fn(LoadEvent),
) -> Result<(), LoadError> {
    if config.memory_check == MemoryCheck::Off {
        return Ok(());
    }
    let estimate = match MemoryEstimate::read(path, &needs(config, files, placement)) {
        Ok(estimate) => estimate,
        Err(error) => {
            let path = path.display();
            tracing::warn!(%path, %error, "cannot estimate the memory that the model needs");
            return Ok(());
        }
    };
    let available = placement.available_memory();
    tracing::info!(
        device = placement.name,
        needed = format_bytes(estimate.total()),
        weights = format_bytes(estimate.weights),
        kv_cache = format_bytes(estimate.kv_cache),
        images = format_bytes(estimate.images),
        available = available.map_or_else(|| "unknown".to_owned(), format_bytes),
        "memory of the model"
    );
    report(LoadEvent::Memory(MemoryReport {
        needed: estimate.total(),
        weights: estimate.weights,
        kv_cache: estimate.kv_cache,
        images: estimate.images,
        available,
    }));
    match available.map(|available| fit(config.memory_check, &estimate, available, path)) {
        None | Some(Fit::Fits) => Ok(()),
        Some(Fit::Warns(text)) => {
            tracing::warn!("{text}");
            Ok(())
        }
        Some(Fit::Refused(text)) => Err(text),
    }
}

/// Whether a model fits.
#[derive(Debug, PartialEq, Eq)]
enum Fit {
    Fits,
    Warns(String),
    Refused(String),
}

fn fit(check: MemoryCheck, estimate: &MemoryEstimate, available: u64, path: &Path) -> Fit {
    if estimate.total() <= available {
        return Fit::Fits;
    }
    let needs_weights = estimate.weights > available;
    let (what, bytes) = match needs_weights {
        true => ("the weights of", estimate.weights),
        false => ("with the largest requests,", estimate.total()),
    };
    let text = format!(
        "{what} the model in {} need{} {}, but only {} are available: {}",
        path.display(),
        if needs_weights { "" } else { "s" },
        format_bytes(bytes),
        format_bytes(available),
        estimate.remedies(available).join(", or "),
    );
    let is_refused = match check {
        MemoryCheck::Weights => needs_weights,
        MemoryCheck::Enforce => true,
        _ => false,
    };
    match is_refused {
        true => Fit::Refused(format!(
            "{text}; memory_check = \"warn\" loads it nevertheless"
        )),
        false => Fit::Warns(text),
    }
}

fn needs(config: &MistralRsConfig, files: &ModelFiles, placement: &Placement) -> MemoryNeeds {
    let (images, max_pixels) = files.max_images(config, placement.is_cpu());
    let image_tokens = images * (max_pixels / TOKEN_PIXELS);
    // One chat runs at a time on the CPU.
    let running = match quirks::slots(false, placement.is_cpu(), usize::MAX) {
        1 => config.max_running.max(1),
        _ => 1,
    };
    let context = config.context.map_or(u64::MAX, |tokens| tokens as u64);
    let request_tokens = config.request_tokens.unwrap_or(u64::MAX);
    MemoryNeeds {
        precision: placement.precision(),
        quantise: config.quantise.map(|quantise| match quantise {
            Quantise::Q8 => QuantiseConfig::Q8,
            Quantise::Q4 => QuantiseConfig::Q4,
        }),
        running: running as u64,
        chat_tokens: request_tokens.saturating_add(image_tokens).min(context),
        images,
        max_pixels,
    }
}
