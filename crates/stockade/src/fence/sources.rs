//! The watched sources of a fence, and their health.

use std::{fmt::Display, sync::Arc};

use stockade_watch::{SourceHealth, SourceStatus};

/// The watched sources of a fence, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources(Vec<(Arc<str>, SourceHealth)>);

impl Sources {
    /// Adds the source of a setting, such as `auth.keys_file keys.yaml`.
    pub(super) fn add(&mut self, setting: &str, value: impl Display, health: SourceHealth) {
        self.0.push((format!("{setting} {value}").into(), health));
    }

    pub(super) fn status(&self) -> Vec<SourceStatus> {
        let status = |(name, health): &(Arc<str>, SourceHealth)| {
            let mut status = health.status();
            status.name = Arc::clone(name);
            status
        };
        self.0.iter().map(status).collect()
    }

    /// Updates the metrics of all sources.
    pub(super) fn record(&self) {
        for source in self.status() {
            let name: String = source.name.as_ref().into();
            metrics::gauge!("stockade_source_age_seconds", "source" => name.clone())
                .set(source.age.as_secs_f64());
            metrics::gauge!("stockade_source_failing", "source" => name.clone())
                .set(f64::from(u8::from(source.is_failing())));
            metrics::counter!("stockade_source_failures_total", "source" => name)
                .absolute(source.failures);
        }
    }
}
