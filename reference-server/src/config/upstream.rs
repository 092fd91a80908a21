//! Converts the upstreams of a model to the settings of the transport.

use std::{
    env, fs,
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use zeroize::Zeroizing;

use super::{ApiKeyHeader, ModelConfig, UpstreamConfig, UpstreamsConfig};
use crate::{
    StartError,
    backend::Upstream,
    upstream::{
        ApiKey, GroupSettings, HealthCheckSettings, KeyHeader, UpstreamGroup, UpstreamSettings,
    },
};

impl Upstream {
    /// The upstreams of a model of the configuration.
    ///
    /// # Errors
    /// Returns an error if a key cannot be read, or a setting is invalid.
    pub fn from_model(
        model: &ModelConfig,
        shared: &UpstreamsConfig,
        timeout: Duration,
    ) -> Result<Self, StartError> {
        let name = model.api_name();
        let upstreams = model
            .upstream
            .iter()
            .map(|upstream| settings(upstream, model))
            .collect::<Result<_, _>>()?;
        let group = UpstreamGroup::new(&name, group_settings(upstreams, shared));
        let group = group.map_err(|error| {
            StartError::context(&format!("invalid upstream of {name:?}"), &error)
        })?;
        Ok(Self::new(&name, group, model.apis_or_default(), timeout))
    }
}

fn group_settings(upstreams: Vec<UpstreamSettings>, shared: &UpstreamsConfig) -> GroupSettings {
    let mut group = GroupSettings::new(upstreams);
    group.connect_timeout = seconds(shared.connect_timeout_secs.get());
    group.first_byte_timeout = seconds(shared.first_byte_timeout_secs.get());
    group.idle_timeout = seconds(shared.idle_timeout_secs.get());
    group.max_response_bytes = NonZeroU64::from(shared.max_response_mb).saturating_mul(MEBIBYTE);
    group.retry_budget_percent = shared.retry_budget_percent;
    group.max_retries = shared.max_retries.into();
    group.breaker.consecutive_failures = NonZeroU32::from(shared.breaker_failures);
    group.breaker.open_for = seconds(shared.breaker_open_secs.get());
    group.health_check = (shared.health_interval_secs > 0).then(|| {
        let mut check = HealthCheckSettings::new(&shared.health_path);
        check.interval = seconds(shared.health_interval_secs);
        check
    });
    group
}

const MEBIBYTE: NonZeroU64 = NonZeroU64::new(1024 * 1024).expect("a literal over zero");

fn settings(
    upstream: &UpstreamConfig,
    model: &ModelConfig,
) -> Result<UpstreamSettings, StartError> {
    let mut settings = UpstreamSettings::new(upstream.url.clone());
    settings.api_key = api_key(upstream)?;
    settings.key_header = match upstream.api_key_header {
        ApiKeyHeader::Authorization => KeyHeader::Bearer,
        ApiKeyHeader::XApiKey => KeyHeader::XApiKey,
    };
    settings.weight = upstream.weight;
    settings.priority = upstream.priority;
    // The client may have sent an alias, or the name of a model that falls back to this one.
    settings.model = upstream.model.clone().or_else(|| Some(model.api_name()));
    settings.http2 = upstream.http2;
    settings.max_running = model.max_running_or_default().into();
    settings.max_queued = model.max_queued_or_default().into();
    settings.queue_wait = seconds(model.queue_wait_secs_or_default());
    settings.ca_file.clone_from(&upstream.ca_file);
    Ok(settings)
}

fn api_key(upstream: &UpstreamConfig) -> Result<Option<ApiKey>, StartError> {
    let url = &upstream.url;
    let text = match (&upstream.api_key_file, &upstream.api_key_env) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            let text = format!("the upstream {url} has api_key_file and api_key_env: remove one");
            return Err(StartError::new(text));
        }
        (Some(file), None) => fs::read_to_string(file)
            .map_err(|error| StartError::new(format!("cannot read {}: {error}", file.display())))?,
        (None, Some(name)) => env::var(name).map_err(|_| {
            StartError::new(format!(
                "the upstream {url} needs the environment variable {name}, which is not set"
            ))
        })?,
    };
    let text = Zeroizing::new(text);
    let key = ApiKey::new(text.trim());
    key.map(Some)
        .map_err(|error| StartError::context(&format!("invalid key of the upstream {url}"), &error))
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}
