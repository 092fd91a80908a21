//! When a certificate or a list of revoked certificates expires.

use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use stockade::{ConfigError, Finding, Severity};
use x509_parser::{parse_x509_certificate, parse_x509_crl, pem::Pem, time::ASN1Time};

use crate::ServerFile;

const DAY: i64 = 24 * 60 * 60;

/// The time for which a certificate, a list of revoked certificates (CRL) or an OCSP response is
/// valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Unix times in seconds.
    not_before: i64,
    not_after: i64,
}

/// How soon a certificate or a list expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExpiryStage {
    /// Not soon.
    Valid,
    /// Within 30 days, or within a third of its validity if that is shorter.
    Soon,
    /// Within 7 days, or within a twelfth of its validity if that is shorter.
    Imminent,
    /// It has expired.
    Expired,
}

impl Validity {
    pub(crate) fn new(not_before: ASN1Time, not_after: ASN1Time) -> Self {
        Self {
            not_before: not_before.timestamp(),
            not_after: not_after.timestamp(),
        }
    }

    /// The validity of an X.509 certificate in DER; `None` if it is malformed.
    pub fn of_der(der: &[u8]) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        let validity = certificate.validity();
        Some(Self::new(validity.not_before, validity.not_after))
    }

    /// The validity of the first certificate in a file, which is the server's own.
    fn of_file(path: &Path) -> Option<Self> {
        Self::of_der(&first_certificate(path)?)
    }

    /// From `thisUpdate` to `nextUpdate` of a CRL in DER; `None` if it is malformed, or has no end.
    pub fn of_crl(der: &[u8]) -> Option<Self> {
        let (_, list) = parse_x509_crl(der).ok()?;
        Some(Self::new(list.last_update(), list.next_update()?))
    }

    /// The validity of the list in a file that expires first; `None` if one is malformed, or there
    /// are none.
    pub(crate) fn of_crl_file(path: &Path) -> Option<Self> {
        let text = fs::read(path).ok()?;
        let lists: Option<Vec<_>> = Pem::iter_from_buffer(&text)
            .filter(|pem| !pem.as_ref().is_ok_and(|pem| pem.label != "X509 CRL"))
            .map(|pem| Self::of_crl(&pem.ok()?.contents))
            .collect();
        lists?.into_iter().min_by_key(Self::not_after)
    }

    /// The end, as a Unix time in seconds.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// The days until the end, rounded down; negative after it.
    pub fn days_left(&self, now: SystemTime) -> i64 {
        (self.not_after - unix(now)).div_euclid(DAY)
    }

    /// How soon it expires. Certificates that are valid for a few days are renewed more often.
    pub fn stage(&self, now: SystemTime) -> ExpiryStage {
        let lifetime = self.not_after - self.not_before;
        match self.not_after - unix(now) {
            left if left < 0 => ExpiryStage::Expired,
            left if left <= (7 * DAY).min(lifetime / 12) => ExpiryStage::Imminent,
            left if left <= (30 * DAY).min(lifetime / 3) => ExpiryStage::Soon,
            _ => ExpiryStage::Valid,
        }
    }
}

/// The first certificate in a file, in DER.
pub(crate) fn first_certificate(path: &Path) -> Option<Vec<u8>> {
    let text = fs::read(path).ok()?;
    let certificate = Pem::iter_from_buffer(&text)
        .map_while(Result::ok)
        .find(|pem| pem.label == "CERTIFICATE")?;
    Some(certificate.contents)
}

fn unix(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl ServerFile {
    /// Reports a certificate that expires soon, or has expired.
    pub(crate) fn expiring_certificate(&self) -> Option<Finding> {
        let file = &self.server.tls.as_ref()?.certificate_file;
        let setting = "server.tls.certificate_file";
        self.expiring(setting, "the certificate", Validity::of_file(file)?)
    }

    /// The same for the lists of revoked client certificates.
    pub(crate) fn expiring_client_crl(&self) -> Option<Finding> {
        let file = self.server.tls.as_ref()?.client_crl_file.as_ref()?;
        let setting = "server.tls.client_crl_file";
        self.expiring(setting, "a list", Validity::of_crl_file(file)?)
    }

    fn expiring(&self, setting: &str, subject: &str, validity: Validity) -> Option<Finding> {
        let now = SystemTime::now();
        let days = validity.days_left(now);
        let (severity, text) = match validity.stage(now) {
            ExpiryStage::Valid => return None,
            ExpiryStage::Soon | ExpiryStage::Imminent => (
                Severity::Warning,
                format!("{subject} expires in {days} days"),
            ),
            ExpiryStage::Expired => (Severity::Error, format!("{subject} has expired")),
        };
        let error = ConfigError::setting(setting, text)
            .help("renew it; the server reads the new file without a restart");
        Some(Finding {
            severity,
            ..Finding::from(self.fence.locate(error))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn stage(valid_days: i64, left: i64) -> ExpiryStage {
        let not_after = 2_000_000_000;
        let validity = Validity {
            not_before: not_after - valid_days * DAY,
            not_after,
        };
        let now = u64::try_from(not_after - left).unwrap_or_default();
        validity.stage(UNIX_EPOCH + Duration::from_secs(now))
    }

    #[test]
    fn warns_thirty_and_seven_days_before_the_end() {
        for (left, expected) in [
            (30 * DAY + 1, ExpiryStage::Valid),
            (30 * DAY, ExpiryStage::Soon),
            (7 * DAY + 1, ExpiryStage::Soon),
            (7 * DAY, ExpiryStage::Imminent),
            (0, ExpiryStage::Imminent),
            (-1, ExpiryStage::Expired),
        ] {
            assert_eq!(stage(90, left), expected, "{left}");
            assert_eq!(stage(365, left), expected, "{left}");
        }
    }

    #[test]
    fn short_lived_certificates_are_not_always_about_to_expire() {
        assert_eq!(stage(6, 5 * DAY), ExpiryStage::Valid);
        assert_eq!(stage(6, 2 * DAY), ExpiryStage::Soon);
        assert_eq!(stage(6, DAY / 2), ExpiryStage::Imminent);
    }

    #[test]
    fn malformed_certificates_have_no_validity() {
        assert_eq!(Validity::of_der(b"\x30\x03"), None);
    }
}
