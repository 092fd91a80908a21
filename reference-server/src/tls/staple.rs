//! Staples an OCSP response to the certificate.

use std::{path::Path, sync::Arc, time::SystemTime};

use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use stockade_server_config::{ExpiryStage, OcspResponse, Validity};

use super::identity::read;
use crate::StartError;

const SETTING: &str = "server.tls.ocsp_file";

/// A response that clients accept, and its end.
pub(super) struct Staple {
    response: Vec<u8>,
    pub(super) validity: Validity,
}

/// Reads a response; `None`, with a warning, if clients would refuse this certificate because of it:
/// after a renewal of the certificate, or if no newer response has been requested.
///
/// # Errors
/// Returns an error if the file has no response.
pub(super) fn read_staple(path: &Path, certificate: &[u8]) -> Result<Option<Staple>, StartError> {
    let response = read(SETTING, path)?;
    let Some(parsed) = OcspResponse::of_der(&response) else {
        return Err(StartError::new(format!(
            "{SETTING}: {} is not a successful OCSP response: use DER, as `openssl ocsp -respout` \
             writes, or remove the setting",
            path.display()
        )));
    };
    if let Some(reason) = parsed.flaw(certificate, SystemTime::now()) {
        tracing::warn!(
            reason,
            "the OCSP response is not stapled: request a new one"
        );
        return Ok(None);
    }
    Ok(Some(Staple {
        response,
        validity: parsed.validity(),
    }))
}

/// Presents a certificate, with its OCSP response until that expires: clients refuse a certificate
/// with an expired response, but not one without.
#[derive(Debug)]
pub(super) struct Stapled {
    certificate: Arc<CertifiedKey>,
    stapled: Option<(Arc<CertifiedKey>, Validity)>,
}

impl Stapled {
    pub(super) fn new(certificate: CertifiedKey, staple: Option<Staple>) -> Self {
        let stapled = staple.map(|staple| {
            let certificate = CertifiedKey {
                ocsp: Some(staple.response),
                ..certificate.clone()
            };
            (Arc::new(certificate), staple.validity)
        });
        Self {
            certificate: Arc::new(certificate),
            stapled,
        }
    }

    fn at(&self, now: SystemTime) -> &Arc<CertifiedKey> {
        match &self.stapled {
            Some((stapled, validity)) if validity.stage(now) != ExpiryStage::Expired => stapled,
            _ => &self.certificate,
        }
    }
}

impl ResolvesServerCert for Stapled {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(self.at(SystemTime::now())))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rustls::{crypto::aws_lc_rs, pki_types::PrivateKeyDer};

    use super::*;

    #[test]
    fn an_expired_response_is_not_stapled() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.not_after = date_time_ymd(2030, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        let validity = Validity::of_der(certificate.der()).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let chain = vec![certificate.der().clone()];
        let provider = aws_lc_rs::default_provider();
        let certificate = CertifiedKey::from_der(chain, key, &provider).unwrap();
        let staple = Staple {
            response: vec![1],
            validity,
        };
        let stapled = Stapled::new(certificate, Some(staple));
        let end = Duration::from_secs(validity.not_after().try_into().unwrap());
        let second = Duration::from_secs(1);
        assert_eq!(stapled.at(UNIX_EPOCH + end).ocsp, Some(vec![1]));
        assert_eq!(stapled.at(UNIX_EPOCH + end + second).ocsp, None);
    }
}
