//! Logins that have begun in a browser.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, request::Parts};
use sha2::{Digest as _, Sha256};
use sqlx::AnyPool;
use zeroize::Zeroizing;

use super::super::{SessionCookie, cookie};
use crate::{AdminError, id};

const SECURE: &str = "__Host-stockade_admin_oidc";
/// For HTTP on a loopback address, as for the session cookie.
const LOOPBACK: &str = "stockade_admin_oidc";
const LIFETIME_SECS: u32 = 600;
/// The oldest ones beyond this number are removed: anyone can begin a login.
const MAX_PENDING: i64 = 10_000;

/// A login that has begun; its secret is in a cookie only.
pub(super) struct PendingLogin {
    secret: Zeroizing<String>,
}

impl PendingLogin {
    pub(super) fn new() -> Result<Self, AdminError> {
        let secret = Zeroizing::new(id::random_text::<32>()?);
        Ok(Self { secret })
    }

    /// The login of a cookie, which may have been completed.
    pub(super) fn of(parts: &Parts, session: &SessionCookie) -> Option<Self> {
        let secret = cookie::find(&parts.headers, name(session.is_secure()))?;
        let secret = Zeroizing::new(secret.to_owned());
        Some(Self { secret })
    }

    pub(super) fn state(&self) -> String {
        self.derive("state")
    }

    pub(super) fn nonce(&self) -> String {
        self.derive("nonce")
    }

    /// The PKCE verifier: 43 characters, 256 bits (RFC 7636, section 4.1).
    pub(super) fn verifier(&self) -> Zeroizing<String> {
        Zeroizing::new(self.derive("verifier"))
    }

    /// The PKCE challenge by the method `S256`.
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier().as_bytes()))
    }

    /// One value does not reveal the others.
    fn derive(&self, purpose: &str) -> String {
        let text = Zeroizing::new(format!("{purpose} {}", *self.secret));
        id::digest(&text)
    }

    /// Stores the login for ten minutes.
    pub(super) async fn store(&self, now: i64, pool: &AnyPool) -> Result<(), sqlx::Error> {
        sqlx::query(
            "DELETE FROM stockade_admin_oidc_logins WHERE expires <= $1 OR digest IN \
             (SELECT digest FROM stockade_admin_oidc_logins \
             ORDER BY expires DESC, digest LIMIT $2 OFFSET $3)",
        )
        .bind(now)
        .bind(MAX_PENDING)
        .bind(MAX_PENDING - 1)
        .execute(pool)
        .await?;
        sqlx::query("INSERT INTO stockade_admin_oidc_logins (digest, expires) VALUES ($1, $2)")
            .bind(id::digest(&self.secret))
            .bind(now + i64::from(LIFETIME_SECS) * 1000)
            .execute(pool)
            .await
            .map(drop)
    }

    /// Removes the login; returns whether it was stored and has not expired.
    pub(super) async fn take(&self, now: i64, pool: &AnyPool) -> Result<bool, sqlx::Error> {
        sqlx::query("DELETE FROM stockade_admin_oidc_logins WHERE digest = $1 AND expires > $2")
            .bind(id::digest(&self.secret))
            .bind(now)
            .execute(pool)
            .await
            .map(|result| result.rows_affected() == 1)
    }

    /// Sets the cookie. `Lax`, because the provider's site leads back here.
    pub(super) fn cookie(&self, session: &SessionCookie) -> HeaderValue {
        set(&self.secret, LIFETIME_SECS, session)
    }
}

/// Removes the cookie.
pub(super) fn clear(session: &SessionCookie) -> HeaderValue {
    set("", 0, session)
}

fn set(value: &str, max_age: u32, session: &SessionCookie) -> HeaderValue {
    let secure = session.is_secure();
    cookie::header(name(secure), value, max_age.into(), "Lax", secure)
}

fn name(secure: bool) -> &'static str {
    if secure { SECURE } else { LOOPBACK }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_distinct() {
        let (one, other) = (PendingLogin::new().unwrap(), PendingLogin::new().unwrap());
        let values = [
            one.state(),
            one.nonce(),
            one.verifier().to_string(),
            one.challenge(),
            one.secret.to_string(),
            other.state(),
        ];
        for (index, value) in values.iter().enumerate() {
            assert_eq!(value.len(), 43, "{value}");
            assert!(!values[index + 1..].contains(value));
        }
    }
}
