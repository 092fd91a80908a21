//! Authentication by client certificate.

use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use stockade_core::{
    guard::{Check, Head},
    identity::AuthenticatorId,
    refusal::Refusal,
};

use super::{KeyAuth, KeyAuthPass, SlowCheck};
use crate::{ClientCertificate, credential::SourceMask};

impl KeyAuth {
    /// Authenticates a request without a key by the certificate of its connection.
    ///
    /// A header of another authentication scheme is a credential, too, even if it is not one of the
    /// sources of keys. A certificate does not replace it.
    pub(super) fn authenticate_certificate(
        &self,
        head: &Head,
        seen: SourceMask,
    ) -> Check<KeyAuthPass, SlowCheck> {
        let certificate = head.extensions.get::<ClientCertificate>();
        let headers = &head.headers;
        let has_other = || !seen.is_empty() || headers.contains_key(AUTHORIZATION);
        let certificate = certificate.filter(|_| !has_other() && !is_cross_site(headers));
        if let Some(certificate) = certificate {
            let (id, digest) = (certificate.id(), certificate.digest());
            if let Some(entry) = self.keys.load().find_certificate(&digest) {
                let text = id.as_str().as_bytes();
                return self.check_status(entry, text, (self.certificates, digest), head, seen);
            }
            tracing::debug!(%id, "no key has this client certificate");
        }
        match certificate {
            _ if self.anonymous => Check::Pass(KeyAuthPass {
                accepted: None,
                seen,
            }),
            Some(_) => Check::Refuse(self.challenge.unknown_certificate()),
            None => Check::Refuse(self.challenge.missing()),
        }
    }

    /// Refuses a credential of this kind whose record is known.
    pub(crate) fn invalid(&self, kind: AuthenticatorId, reason: &'static str) -> Refusal {
        match kind == self.certificates {
            true => self.challenge.invalid_certificate(reason),
            false => self.challenge.invalid(reason),
        }
    }
}

/// Returns whether a page of another site has made a browser send this request.
///
/// A browser presents an installed certificate to such requests, too, as it does with cookies
/// (cross-site request forgery). It also states the site of the page, in a header that scripts
/// cannot set (Fetch Metadata, section 2.4).
fn is_cross_site(headers: &HeaderMap) -> bool {
    const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    sites.any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn recognises_requests_of_other_sites() {
        for (sites, expected) in [
            (&[][..], false),
            (&["same-origin"], false),
            (&["none"], false),
            (&["same-site"], true),
            (&["cross-site"], true),
            (&[""], true),
            (&["same-origin", "cross-site"], true),
        ] {
            let mut headers = HeaderMap::new();
            for site in sites {
                headers.append("sec-fetch-site", HeaderValue::from_static(site));
            }
            assert_eq!(is_cross_site(&headers), expected, "{sites:?}");
        }
    }
}
