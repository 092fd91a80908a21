//! Active health checks.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use http::{Request, Uri};
use http_body_util::{BodyExt, Limited};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{HealthCheckSettings, UpstreamSettingsError, member::Member, request::OutgoingBody};
use crate::error_chain::chain;

/// Counts the results of checks: a pure policy. An upstream starts as healthy.
#[derive(Debug)]
pub(super) struct Thresholds {
    healthy: bool,
    /// Results in a row that contradict `healthy`.
    contrary: u32,
    up: NonZeroU32,
    down: NonZeroU32,
}

impl Thresholds {
    pub(super) fn new(settings: Option<&HealthCheckSettings>) -> Self {
        Self {
            healthy: true,
            contrary: 0,
            up: settings.map_or(NonZeroU32::MIN, |settings| settings.healthy_threshold),
            down: settings.map_or(NonZeroU32::MIN, |settings| settings.unhealthy_threshold),
        }
    }

    pub(super) fn healthy(&self) -> bool {
        self.healthy
    }

    /// Counts a result, and returns whether the state changes.
    pub(super) fn count(&mut self, success: bool) -> bool {
        if success == self.healthy {
            self.contrary = 0;
            return false;
        }
        self.contrary += 1;
        let threshold = if success { self.up } else { self.down };
        let changes = self.contrary >= threshold.get();
        if changes {
            self.healthy = success;
            self.contrary = 0;
        }
        changes
    }
}

/// Checks an upstream until the handle is dropped.
///
/// # Errors
/// Returns an error for an invalid path, and outside a tokio runtime.
pub(super) fn spawn(
    member: &Arc<Member>,
    settings: &HealthCheckSettings,
) -> Result<AbortOnDropHandle<()>, UpstreamSettingsError> {
    let path = &settings.path;
    let url = match path.starts_with('/') {
        true => member.url().at_root(path),
        false => member.url().join(&format!("/{path}")),
    };
    let url = url.ok_or_else(|| {
        UpstreamSettingsError::new(format!(
            "the path of the health check is {path:?}: write one such as models or /health"
        ))
    })?;
    let runtime = tokio::runtime::Handle::try_current()
        .map_err(|_| UpstreamSettingsError::new("health checks need a running tokio runtime"))?;
    let task = run(Arc::clone(member), url, settings.clone());
    Ok(AbortOnDropHandle::new(runtime.spawn(task)))
}

async fn run(member: Arc<Member>, url: Uri, settings: HealthCheckSettings) {
    loop {
        let result = match timeout(settings.timeout, check(&member, url.clone())).await {
            Ok(result) => result,
            Err(_) => Err(format!("no response within {:?}", settings.timeout)),
        };
        member.record_check(result);
        sleep(vary(settings.interval, rand::random())).await;
    }
}

/// Between nine and eleven tenths, so that several gateways do not check at once.
fn vary(interval: Duration, random: f64) -> Duration {
    interval.mul_f64(0.9 + random / 5.0)
}

/// More than any status page; the rest of a longer one is not read.
const MAX_BODY_BYTES: usize = 64 * 1024;

async fn check(member: &Member, url: Uri) -> Result<(), String> {
    let mut request = Request::new(OutgoingBody::default());
    *request.uri_mut() = url;
    member.add_key(request.headers_mut());
    let response = member.client().request(request).await;
    let response = response.map_err(|error| chain(&error))?;
    let status = response.status();
    // Read, so that the connection can be used again.
    let mut body = Limited::new(response.into_body(), MAX_BODY_BYTES);
    while let Some(Ok(_)) = body.frame().await {}
    match status.is_success() {
        true => Ok(()),
        false => Err(format!("the health check has the status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thresholds() -> Thresholds {
        Thresholds::new(Some(&HealthCheckSettings::new("/health")))
    }

    fn count(thresholds: &mut Thresholds, results: &[bool]) -> Vec<bool> {
        let count = |success: &bool| {
            thresholds.count(*success);
            thresholds.healthy()
        };
        results.iter().map(count).collect()
    }

    #[test]
    fn changes_after_results_in_a_row() {
        let results = [
            false, false, true, false, false, false, true, false, true, true,
        ];
        let healthy = [
            true, true, true, true, true, false, false, false, false, true,
        ];
        assert_eq!(count(&mut thresholds(), &results), healthy);
    }

    #[test]
    fn reports_each_change_once() {
        let mut thresholds = thresholds();
        let changes: Vec<_> = (0..5).map(|_| thresholds.count(false)).collect();
        assert_eq!(changes, [false, false, true, false, false]);
    }

    #[test]
    fn varies_the_interval_by_a_tenth() {
        let interval = Duration::from_secs(10);
        assert_eq!(vary(interval, 0.0), Duration::from_secs(9));
        assert_eq!(vary(interval, 0.5), interval);
        assert!(vary(interval, 0.999) < Duration::from_secs(11));
    }
}
