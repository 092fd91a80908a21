//! A build without the feature `otel`, which refuses `[telemetry]`.

use axum::Router;
use http::{Request, StatusCode};

use crate::{Config, StartError, models::Models, upstream::UpstreamUrl};

/// There is none.
pub(crate) enum Telemetry {}

impl Telemetry {
    /// Checks that the configuration has no telemetry.
    ///
    /// # Errors
    /// Returns an error if it does.
    pub(crate) fn open(
        config: &Config,
        _bounds: &'static [f64],
    ) -> Result<Option<Self>, StartError> {
        match &config.telemetry {
            None => Ok(None),
            Some(_) => Err(StartError::new(
                "the configuration has [telemetry], which this build does not support: install \
                 stockade-server with the feature `otel`, or remove the section",
            )),
        }
    }

    pub(crate) fn exemplars(&self) -> Exemplars {
        match *self {}
    }

    pub(crate) fn start(self, _models: Models) -> Self {
        match self {}
    }

    pub(crate) fn wrap(&self, _router: Router) -> Router {
        match *self {}
    }

    pub(crate) async fn shutdown(self) {
        match self {}
    }
}

/// There are none.
pub(crate) enum Exemplars {}

impl Exemplars {
    pub(crate) fn open_metrics(&self, _text: &str) -> String {
        match *self {}
    }
}

/// There is none.
#[derive(Default)]
pub(crate) struct AttemptSpan(());

impl AttemptSpan {
    pub(crate) fn start<B>(_request: &mut Request<B>, _url: &UpstreamUrl, _resends: u32) -> Self {
        Self(())
    }

    pub(crate) fn respond(&mut self, _status: StatusCode) {}

    pub(crate) fn end(&mut self, _error: Option<&'static str>) {}
}

/// There are no metrics to describe.
pub(crate) fn describe() {}
