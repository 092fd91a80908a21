//! The OCSP response for the server's certificate (RFC 6960).

use std::{fs, iter, time::SystemTime};

use stockade::{ConfigError, Finding};
use x509_parser::{
    asn1_rs::{Any, FromDer, Tag, oid},
    parse_x509_certificate,
    time::ASN1Time,
};

use crate::{ExpiryStage, ServerFile, TlsConfig, Validity, certificate::first_certificate};

const SETTING: &str = "server.tls.ocsp_file";

/// What an OCSP response states about its first certificate, which is the only one in responses for
/// stapling. Its signature is not verified: clients do.
#[derive(Debug)]
pub struct OcspResponse {
    serial: Vec<u8>,
    is_good: bool,
    validity: Validity,
}

impl OcspResponse {
    /// Reads a successful basic response in DER; `None` if it is another one, malformed, or has no
    /// end.
    pub fn of_der(der: &[u8]) -> Option<Self> {
        let (rest, response) = Any::from_der(der).ok()?;
        let mut response = response.data;
        let is_successful = next(&mut response)?.enumerated().ok()?.0 == 0;
        // In an explicit tag.
        let mut bytes = next(&mut next(&mut response)?.data)?.data;
        let is_basic = next(&mut bytes)?.oid().ok()? == oid!(1.3.6.1.5.5.7.48.1.1);
        if !is_successful || !is_basic || !rest.is_empty() {
            return None;
        }
        // The response is in an octet string, and its first value is the part that is signed.
        let mut data = next(&mut next(&mut next(&mut bytes)?.data)?.data)?.data;
        // After a version and a responder, which have other tags, and a time.
        let mut responses =
            iter::from_fn(|| next(&mut data)).find(|value| value.tag() == Tag::Sequence)?;
        let mut single = next(&mut responses.data)?.data;
        let mut certificate = next(&mut single)?.data;
        // After hashes of the issuer.
        let serial = iter::from_fn(|| next(&mut certificate)).last()?.data;
        let is_good = next(&mut single)?.tag() == Tag(0);
        let (mut rest, this_update) = ASN1Time::from_der(single).ok()?;
        let (_, next_update) = ASN1Time::from_der(next(&mut rest)?.data).ok()?;
        Some(Self {
            serial: serial.to_vec(),
            is_good,
            validity: Validity::new(this_update, next_update),
        })
    }

    /// From `thisUpdate` to `nextUpdate`.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Why clients would refuse a certificate, in DER, with this response.
    pub fn flaw(&self, certificate: &[u8], now: SystemTime) -> Option<&'static str> {
        let parsed = parse_x509_certificate(certificate).ok();
        if parsed.is_none_or(|(_, certificate)| certificate.raw_serial() != self.serial) {
            Some("it is for another certificate")
        } else if !self.is_good {
            Some("it does not state that the certificate is good")
        } else if self.validity.stage(now) == ExpiryStage::Expired {
            Some("it has expired")
        } else {
            None
        }
    }
}

/// Takes the next value.
fn next<'a>(input: &mut &'a [u8]) -> Option<Any<'a>> {
    let (rest, value) = Any::from_der(input).ok()?;
    *input = rest;
    Some(value)
}

/// Reports a file that has no response.
pub(crate) fn check(tls: &TlsConfig) -> Option<ConfigError> {
    let file = tls.ocsp_file.as_ref()?;
    let text = match fs::read(file) {
        Ok(der) => match OcspResponse::of_der(&der) {
            Some(_) => return None,
            None => format!("{} is not a successful OCSP response", file.display()),
        },
        Err(error) => format!("cannot read {}: {error}", file.display()),
    };
    let error = ConfigError::setting(SETTING, text);
    Some(error.help("use DER, as `openssl ocsp -respout` writes, or remove the setting"))
}

impl ServerFile {
    /// Reports a response that is not stapled.
    pub(crate) fn unusable_ocsp(&self) -> Option<Finding> {
        let tls = self.server.tls.as_ref()?;
        let response = OcspResponse::of_der(&fs::read(tls.ocsp_file.as_ref()?).ok()?)?;
        let certificate = first_certificate(&tls.certificate_file)?;
        let flaw = response.flaw(&certificate, SystemTime::now())?;
        let error = ConfigError::setting(SETTING, format!("the response is not stapled: {flaw}"));
        Some(self.warning(error.help("request a new one with `openssl ocsp -respout`")))
    }
}
