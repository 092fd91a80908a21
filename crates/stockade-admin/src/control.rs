//! What the program implements, so that the administration can show and control it.

use std::{error::Error, fmt, future::Future, pin::Pin};

use serde::Serialize;
use utoipa::ToSchema;

/// The future of a control operation.
pub type ControlFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ControlError>> + Send + 'a>>;

/// The models of a program.
pub trait ModelControl: Send + Sync + 'static {
    /// The state of each model.
    fn models(&self) -> Vec<ModelState>;

    /// Loads a model that is not loaded.
    fn load(&self, name: &str) -> ControlFuture<'_, ()>;

    /// Unloads a model.
    fn unload(&self, name: &str) -> ControlFuture<'_, ()>;
}

/// The state of a model.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct ModelState {
    /// The name for clients.
    pub name: String,
    /// Whether the model runs in this process (`engine`), or elsewhere (`upstream`).
    pub kind: &'static str,
    /// `loading`, `ready`, `failed` or `unloaded`.
    pub state: &'static str,
    /// The stage of loading, or the reason of a failure.
    pub detail: Option<String>,
    /// Progress from 0 to 1 while the model is loaded.
    pub progress: Option<f64>,
    /// The device of an engine.
    pub device: Option<String>,
    /// Requests in progress.
    pub running: u64,
    /// Requests in the queue.
    pub waiting: u64,
    /// Whether the program can load and unload the model.
    pub can_unload: bool,
    /// The upstreams of the model.
    pub upstreams: Vec<UpstreamState>,
}

/// The state of an upstream.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct UpstreamState {
    /// The URL without user and password.
    pub url: String,
    /// The state of its circuit breaker: `closed`, `open` or `half_open`.
    pub breaker: &'static str,
    /// Requests in progress.
    pub running: u64,
    /// Requests in the queue.
    pub waiting: u64,
}

/// The configuration of a program.
pub trait ConfigControl: Send + Sync + 'static {
    /// The effective settings, without secrets.
    fn settings(&self) -> Vec<SettingView>;

    /// The warnings about the effective settings.
    fn warnings(&self) -> Vec<WarningView>;

    /// Validates the text of a configuration file in the folder of the present one, and returns
    /// its warnings.
    fn validate(&self, text: String) -> ControlFuture<'_, Vec<WarningView>>;

    /// Reloads the configuration, and returns the changed settings that take effect at the next
    /// start only.
    fn reload(&self) -> ControlFuture<'_, Vec<String>>;
}

/// An effective setting.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SettingView {
    /// The name, such as `rate_limit.by_key`.
    pub name: String,
    /// The value as text; `[redacted]` for secrets.
    pub value: String,
    /// Where the value was set: a line of the file, or a variable. `None` for a default.
    pub origin: Option<String>,
}

/// A warning about a configuration.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WarningView {
    /// The name of the setting.
    pub setting: String,
    /// What is wrong.
    pub message: String,
    /// How to fix it.
    pub help: Option<String>,
}

/// The error of a control operation, for the user who requested it.
#[derive(Debug)]
pub struct ControlError {
    message: String,
    help: Option<String>,
}

impl ControlError {
    /// Creates an error; the message names the failure and its cause.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    /// Sets how to fix it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// How to fix it.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ControlError {}
