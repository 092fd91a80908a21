//! The identity of a client in its certificate.

use std::time::{SystemTime, UNIX_EPOCH};

use rustls::{CommonState, pki_types::CertificateDer};
use stockade_key_auth::{ClientCertificate, SpiffeId, SpiffeIdError};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

/// The identity of the client at the end of a handshake; `None` without a certificate, and for
/// certificates that have none.
///
/// A resumed session has the certificate of its first handshake.
pub(crate) fn client_certificate(connection: &CommonState) -> Option<ClientCertificate> {
    let own = connection.peer_certificates()?.first()?;
    match spiffe_id(own, SystemTime::now()) {
        Ok(id) => Some(ClientCertificate::verified(id)),
        Err(error) => {
            tracing::debug!(%error, "the certificate of a client is not used as its identity");
            None
        }
    }
}

/// Why a verified certificate has no identity.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
enum IdentityError {
    #[error("the certificate or one of its names is malformed")]
    Malformed,
    #[error("the certificate has expired since the session began")]
    Expired,
    #[error("the certificate may sign certificates, so it is not that of a client")]
    Authority,
    #[error(transparent)]
    Id(#[from] SpiffeIdError),
}

/// The SPIFFE ID of a verified certificate (X.509-SVID, sections 2, 4 and 5.2).
fn spiffe_id(certificate: &CertificateDer<'_>, now: SystemTime) -> Result<SpiffeId, IdentityError> {
    let malformed = |_| IdentityError::Malformed;
    let parsed = parse_x509_certificate(certificate);
    let (_, certificate) = parsed.map_err(|_| IdentityError::Malformed)?;
    // rustls does not verify the certificate of a resumed session again.
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let not_after = certificate.validity().not_after.timestamp();
    if i64::try_from(now.as_secs()).is_ok_and(|now| now > not_after) {
        return Err(IdentityError::Expired);
    }
    let usage = certificate.key_usage().map_err(malformed)?;
    if usage.is_some_and(|usage| usage.value.key_cert_sign() || usage.value.crl_sign()) {
        return Err(IdentityError::Authority);
    }
    let names = certificate.subject_alternative_name().map_err(malformed)?;
    let names = names.map_or(&[][..], |names| names.value.general_names.as_slice());
    // Might be a second URI.
    if names
        .iter()
        .any(|name| matches!(name, GeneralName::Invalid(..)))
    {
        return Err(IdentityError::Malformed);
    }
    let uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    Ok(SpiffeId::from_uri_names(uris)?)
}

#[cfg(test)]
mod tests;
