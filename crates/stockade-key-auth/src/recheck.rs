//! Whether a known key or certificate is accepted, on arrival and while its response is on its way.

use stockade_core::{
    client::ClientIp, clock::Timestamp, context::RequestContext, refusal::Refusal,
};

use crate::{
    KeyAuth, KeyDigest,
    set::{Entry, Lookup},
};

impl KeyAuth {
    /// Returns the refusal that the key of an authenticated request would get now.
    ///
    /// The key is found by its digest, as on arrival. A rotated key is therefore refused when its
    /// grace period is over, although its id is still that of a valid key.
    pub(crate) fn recheck_key(&self, context: &RequestContext) -> Option<Refusal> {
        let credential = context.credential()?;
        let authenticator = credential.authenticator();
        let is_certificate = authenticator == self.certificates;
        if authenticator != self.id && !is_certificate {
            return None;
        }
        let digest = KeyDigest::from_bytes(*credential.digest()?);
        let reason =
            |entry: &Entry| rejection_reason(entry, || self.clock.now(), || context.client());
        let keys = self.keys.load();
        let found = match is_certificate {
            true => keys.find_certificate(&digest),
            false => keys.find(&digest),
        };
        let reason = match found {
            Some(entry) => reason(entry)?,
            None if is_certificate => "unknown",
            None => match keys.find_verified(&digest) {
                Lookup::Found(entry) => reason(&entry)?,
                // A verified key stays known as long as its hash is in the set.
                Lookup::NotFound | Lookup::NeedsVerification => "unknown",
            },
        };
        // It was valid, so it is no guess.
        Some(self.invalid(authenticator, reason).without_reason())
    }
}

/// Returns the reason to reject a known key.
///
/// Reads the clock only for keys with an expiry, and the client only for keys restricted to
/// networks, which are rejected when the client is unknown.
pub(crate) fn rejection_reason(
    entry: &Entry,
    now: impl FnOnce() -> Timestamp,
    client: impl FnOnce() -> Option<ClientIp>,
) -> Option<&'static str> {
    if entry.revoked {
        Some("revoked")
    } else if entry.has_expired(now) {
        Some("expired")
    } else if !entry.is_bound {
        None
    } else {
        let networks = &entry.key.networks;
        match client() {
            Some(ClientIp::Ip(ip)) if networks.iter().any(|net| net.contains(ip)) => None,
            Some(_) => Some("network"),
            None => Some("no request context: the key is bound to networks"),
        }
    }
}
