//! Reports when the certificate expires: a metric, and warnings in the log.

use std::time::{Duration, SystemTime};

use stockade_server_config::{CertificateValidity, ExpiryStage};
use tokio::time;

use super::SharedTls;

/// The gauge of the time at which the certificate expires.
pub(crate) const NOT_AFTER: &str = "stockade_tls_certificate_not_after_timestamp_seconds";

/// How often the log is checked for a due warning.
const INTERVAL: Duration = Duration::from_secs(60);

/// Sets the gauge.
#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
pub(super) fn record(validity: Option<CertificateValidity>) {
    if let Some(validity) = validity {
        metrics::gauge!(NOT_AFTER).set(validity.not_after() as f64);
    }
}

/// Logs each stage of each certificate once, as long as the future is polled.
pub(crate) async fn warn(tls: SharedTls) {
    let mut ticks = time::interval(INTERVAL);
    let mut warnings = Warnings::default();
    loop {
        ticks.tick().await;
        let Some(validity) = tls.validity() else {
            continue;
        };
        let now = SystemTime::now();
        let days_left = validity.days_left(now);
        match warnings.next(validity, now) {
            None => {}
            Some(ExpiryStage::Expired) => tracing::error!(
                days_left,
                "the certificate has expired: clients refuse the connection; renew it"
            ),
            Some(_) => tracing::warn!(days_left, "the certificate expires soon: renew it"),
        }
    }
}

/// The stages that were logged.
#[derive(Default)]
struct Warnings(Option<(CertificateValidity, ExpiryStage)>);

impl Warnings {
    /// The stage, unless it needs no warning or had one.
    fn next(&mut self, validity: CertificateValidity, now: SystemTime) -> Option<ExpiryStage> {
        let stage = validity.stage(now);
        let is_new = self.0.replace((validity, stage)) != Some((validity, stage));
        (is_new && stage != ExpiryStage::Valid).then_some(stage)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// A certificate that is valid in this year.
    fn validity(year: i32) -> CertificateValidity {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(year, 1, 1);
        params.not_after = date_time_ymd(year + 1, 1, 1);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        CertificateValidity::of_der(certificate.der()).unwrap()
    }

    #[test]
    fn warns_once_in_each_stage_of_each_certificate() {
        let mut warnings = Warnings::default();
        let [old, new] = [2030, 2031].map(validity);
        let mut next = |validity: CertificateValidity, days_before_the_end_of_2030: i64| {
            let secs = old.not_after() - days_before_the_end_of_2030 * 86_400;
            let now = UNIX_EPOCH + Duration::from_secs(secs.try_into().unwrap());
            warnings.next(validity, now)
        };
        assert_eq!(next(old, 100), None);
        assert_eq!(next(old, 29), Some(ExpiryStage::Soon));
        assert_eq!(next(old, 28), None);
        assert_eq!(next(old, 6), Some(ExpiryStage::Imminent));
        assert_eq!(next(old, 5), None);
        assert_eq!(next(new, 5), None);
        assert_eq!(next(old, -1), Some(ExpiryStage::Expired));
        assert_eq!(next(old, -2), None);
        assert_eq!(next(new, -340), Some(ExpiryStage::Soon));
    }
}
