//! The models that the server serves, by the names that clients send.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

#[cfg(feature = "mistralrs")]
use crate::backend::{MistralRs, MistralRsConfig};
use crate::{
    Config, ModelConfig, StartError,
    backend::{Backend, Phase, Status, Upstream},
    dialect::ChatLimits,
};

/// A served model.
pub(crate) struct Model {
    /// The name for clients.
    pub(crate) name: String,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) limits: ChatLimits,
    /// The names of models that answer when this one is unavailable, in order.
    pub(crate) fallbacks: Vec<String>,
}

impl Model {
    fn new(config: &ModelConfig, backend: Arc<dyn Backend>) -> Result<Self, StartError> {
        Ok(Self {
            name: config.api_name(),
            backend,
            limits: ChatLimits::new(config)?,
            fallbacks: config.fallback.clone(),
        })
    }
}

/// The served models. Cheap to clone.
#[derive(Clone)]
pub struct Models(Arc<Inner>);

struct Inner {
    models: Vec<Model>,
    /// Names and aliases, with the index of their model.
    names: HashMap<String, usize>,
}

impl Models {
    /// The models of a configuration: starts its engines, and creates the clients of its upstreams.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn start(config: &Config) -> Result<Self, StartError> {
        Self::new(config, |model| start_backend(model, config))
    }

    /// The models of a configuration; `start` creates the backend of each.
    ///
    /// # Errors
    /// Returns an error if there is no model, two have a name or alias in common, a setting is
    /// invalid, or a backend cannot be created.
    pub fn new<F>(config: &Config, mut start: F) -> Result<Self, StartError>
    where
        F: FnMut(&ModelConfig) -> Result<Arc<dyn Backend>, StartError>,
    {
        if config.models.is_empty() {
            return Err(StartError::new("the server has no model"));
        }
        let mut names = HashMap::new();
        let mut models = Vec::with_capacity(config.models.len());
        for (at, model) in config.models.iter().enumerate() {
            for name in model.aliases.iter().cloned().chain([model.api_name()]) {
                if names.insert(name.clone(), at).is_some() {
                    let text = format!("models: the name {name:?} is used twice");
                    return Err(StartError::new(text));
                }
            }
            models.push(Model::new(model, start(model)?)?);
        }
        Ok(Self(Arc::new(Inner { models, names })))
    }

    /// The model with this name or alias.
    pub(crate) fn get(&self, name: &str) -> Option<&Model> {
        let at = *self.0.names.get(name)?;
        self.0.models.get(at)
    }

    /// The phase for readiness: ready if any model is ready, or else loading if one still loads, or
    /// failed if one has failed.
    pub(crate) fn phase(&self) -> Phase {
        let phases = || self.iter().map(|model| model.backend.status().phase);
        let ready = phases().find(|phase| *phase == Phase::Ready);
        let loading = || phases().find(|phase| matches!(phase, Phase::Loading(_)));
        let failed = || phases().find(|phase| matches!(phase, Phase::Failed(_)));
        ready
            .or_else(loading)
            .or_else(failed)
            .or_else(|| phases().next())
            .unwrap_or(Phase::Ready)
    }

    /// The status at startup: loading until no model loads, failed if one has failed.
    pub(crate) fn startup_status(&self) -> Status {
        let statuses = || self.iter().map(|model| model.backend.status());
        let loading = statuses().find(|status| matches!(status.phase, Phase::Loading(_)));
        let failed = || statuses().find(|status| matches!(status.phase, Phase::Failed(_)));
        let first = || self.0.models[0].backend.status();
        loading.or_else(failed).unwrap_or_else(first)
    }

    /// All models, in the order of the configuration.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Model> {
        self.0.models.iter()
    }
}

/// Starts the engine of a model, or creates the client of its upstreams.
fn start_backend(model: &ModelConfig, config: &Config) -> Result<Arc<dyn Backend>, StartError> {
    let timeout = Duration::from_secs(config.server.request_timeout_secs.get().into());
    if model.upstream.is_empty() {
        return start_engine(model, config, timeout);
    }
    Ok(Arc::new(Upstream::from_model(
        model,
        &config.upstreams,
        timeout,
    )?))
}

#[cfg(feature = "mistralrs")]
fn start_engine(
    model: &ModelConfig,
    config: &Config,
    timeout: Duration,
) -> Result<Arc<dyn Backend>, StartError> {
    let mut engine = MistralRsConfig::from_model(model, &config.fence.body)?;
    // A request that takes longer would only be stopped.
    engine.max_cost.get_or_insert(timeout);
    Ok(Arc::new(MistralRs::start(engine)))
}

#[cfg(not(feature = "mistralrs"))]
fn start_engine(
    model: &ModelConfig,
    _: &Config,
    _: Duration,
) -> Result<Arc<dyn Backend>, StartError> {
    let text = format!(
        "the model {:?} needs an engine, which this build does not have: install \
         stockade-server with its default features, or set `upstream`",
        model.api_name()
    );
    Err(StartError::new(text))
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.iter().map(|model| &model.name);
        f.debug_list().entries(names).finish()
    }
}
