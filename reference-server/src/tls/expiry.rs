//! Reports when the certificate, its OCSP response and the lists of revoked client certificates
//! expire: metrics, and warnings in the log.

use std::time::{Duration, SystemTime};

use stockade_server_config::{ExpiryStage, Validity};
use tokio::time;

use super::{Identity, SharedTls};

/// The gauge of the time at which the certificate expires.
pub(crate) const NOT_AFTER: &str = "stockade_tls_certificate_not_after_timestamp_seconds";

/// The gauge of the time at which the first list of revoked client certificates expires.
pub(crate) const CLIENT_CRL_NEXT_UPDATE: &str =
    "stockade_tls_client_crl_next_update_timestamp_seconds";

/// How often the log is checked for a due warning.
const INTERVAL: Duration = Duration::from_secs(60);

/// Sets the gauges. That of a list that is no longer configured would show its end for ever.
#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
pub(super) fn record(identity: &Identity) {
    for (gauge, validity) in [
        (NOT_AFTER, identity.validity),
        (CLIENT_CRL_NEXT_UPDATE, identity.client_crl),
    ] {
        let end = validity.map_or(f64::INFINITY, |validity| validity.not_after() as f64);
        metrics::gauge!(gauge).set(end);
    }
}

/// Logs each stage of each certificate, response and list once, as long as the future is polled.
pub(crate) async fn warn(tls: SharedTls) {
    let mut ticks = time::interval(INTERVAL);
    let mut certificates = Warnings::default();
    let mut responses = Warnings::default();
    let mut lists = Warnings::default();
    loop {
        ticks.tick().await;
        let now = SystemTime::now();
        match certificates.next(tls.validity(), now) {
            None => {}
            Some((ExpiryStage::Expired, days_left)) => tracing::error!(
                days_left,
                "the certificate has expired: clients refuse the connection; renew it"
            ),
            Some((_, days_left)) => {
                tracing::warn!(days_left, "the certificate expires soon: renew it");
            }
        }
        match responses.next(tls.ocsp(), now) {
            None => {}
            Some((ExpiryStage::Expired, days_left)) => tracing::warn!(
                days_left,
                "the OCSP response has expired and is no longer stapled: request a new one"
            ),
            Some((_, days_left)) => tracing::warn!(
                days_left,
                "the OCSP response expires soon: request a new one"
            ),
        }
        match lists.next(tls.client_crl(), now) {
            None => {}
            Some((ExpiryStage::Expired, days_left)) => tracing::error!(
                days_left,
                "a list of revoked client certificates has expired: certificates of its authority \
                 are refused; replace it"
            ),
            Some((_, days_left)) => tracing::warn!(
                days_left,
                "a list of revoked client certificates expires soon: replace it"
            ),
        }
    }
}

/// The stages that were logged.
#[derive(Default)]
struct Warnings(Option<(Validity, ExpiryStage)>);

impl Warnings {
    /// The stage and the days that are left, unless it needs no warning or had one.
    fn next(&mut self, validity: Option<Validity>, now: SystemTime) -> Option<(ExpiryStage, i64)> {
        let validity = validity?;
        let stage = validity.stage(now);
        let is_new = self.0.replace((validity, stage)) != Some((validity, stage));
        (is_new && stage != ExpiryStage::Valid).then(|| (stage, validity.days_left(now)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// A certificate that is valid in this year.
    fn validity(year: i32) -> Validity {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(year, 1, 1);
        params.not_after = date_time_ymd(year + 1, 1, 1);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Validity::of_der(certificate.der()).unwrap()
    }

    #[test]
    fn warns_once_in_each_stage_of_each_certificate() {
        let mut warnings = Warnings::default();
        let [old, new] = [2030, 2031].map(validity);
        let mut next = |validity: Validity, days_before_the_end_of_2030: i64| {
            let secs = old.not_after() - days_before_the_end_of_2030 * 86_400;
            let now = UNIX_EPOCH + Duration::from_secs(secs.try_into().unwrap());
            let (stage, _) = warnings.next(Some(validity), now)?;
            Some(stage)
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
