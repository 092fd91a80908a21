//! Access tokens: JWTs that are signed with a secret of the database.
//!
//! A token is not valid because of its signature alone: its `sid` must be that of a session.

use std::{fmt, sync::Arc};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use crate::{
    AdminError,
    auth::User,
    database::Database,
    id::{random_id, random_text},
};

/// How long a token is valid.
pub(super) const LIFETIME_SECS: i64 = 15 * 60;

const ISSUER: &str = "stockade-admin";

/// Signs and verifies access tokens. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AccessTokens(Arc<Keys>);

struct Keys {
    sign: EncodingKey,
    verify: DecodingKey,
}

/// The claims, by the names of Inferno. Permissions are not among them: those of the user apply.
#[derive(Deserialize, Serialize)]
struct Claims {
    iss: String,
    sub: String,
    username: String,
    role: String,
    /// The secret of the session.
    sid: String,
    jti: String,
    iat: i64,
    exp: i64,
}

impl AccessTokens {
    /// Reads the secret of the database, which the first process creates.
    ///
    /// # Errors
    /// When the database is unavailable.
    pub(crate) async fn open(database: &Database) -> Result<Self, AdminError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            let text = "cannot read the secret of access tokens";
            AdminError::new(text).with_source(error)
        };
        let new = random_text::<32>()?;
        let secret = Self::secret(database, &new).await;
        let secret = secret.map_err(|error| failed(error.into()))?;
        let keys = Keys {
            sign: EncodingKey::from_secret(secret.as_bytes())
                .map_err(|error| failed(error.into()))?,
            verify: DecodingKey::from_secret(secret.as_bytes())
                .map_err(|error| failed(error.into()))?,
        };
        Ok(Self(Arc::new(keys)))
    }

    /// The secret, which is this one if there is none yet.
    async fn secret(database: &Database, new: &str) -> Result<String, sqlx::Error> {
        sqlx::query(
            "INSERT INTO stockade_admin_signing (id, secret) VALUES (1, $1) \
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(new)
        .execute(database.pool())
        .await?;
        let row = sqlx::query("SELECT secret FROM stockade_admin_signing WHERE id = 1")
            .fetch_one(database.pool())
            .await?;
        row.try_get(0)
    }

    /// Signs a token of a session; `now` is in milliseconds.
    pub(super) fn sign(&self, user: &User, sid: &str, now: i64) -> Result<String, AdminError> {
        let iat = now.div_euclid(1_000);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: user.id.clone(),
            username: user.name.clone(),
            role: user.role.clone(),
            sid: sid.to_owned(),
            jti: random_id("jti")?,
            iat,
            exp: iat + LIFETIME_SECS,
        };
        let token = encode(&Header::new(Algorithm::HS256), &claims, &self.0.sign);
        token.map_err(|error| AdminError::new("cannot sign an access token").with_source(error))
    }

    /// The `sid` of a token with a valid signature that has not expired.
    pub(super) fn verify(&self, token: &str, now: i64) -> Option<String> {
        let mut validation = Validation::new(Algorithm::HS256);
        // The times are validated below, with the clock of the administration.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = decode::<Claims>(token, &self.0.verify, &validation).ok()?;
        let claims = claims.claims;
        let is_valid = claims.iss == ISSUER && now.div_euclid(1_000) < claims.exp;
        is_valid.then_some(claims.sid)
    }
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTokens").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::{Permissions, tests::support::database};

    const NOW: i64 = 1_900_000_000_000;

    fn user() -> User {
        User {
            id: "usr_1".to_owned(),
            name: "zoe".to_owned(),
            role: "viewer".to_owned(),
            password: None,
            totp: None,
            totp_ready: false,
            disabled: false,
            version: 1,
            created: NOW,
            last_login: None,
            permissions: Permissions::default(),
        }
    }

    #[tokio::test]
    async fn processes_share_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let url = database(&folder).await;
        let open = async || {
            let database = Database::open(&url).await.unwrap();
            AccessTokens::open(&database).await.unwrap()
        };
        let (one, two) = (open().await, open().await);
        let token = one.sign(&user(), "secret", NOW).unwrap();
        assert_eq!(two.verify(&token, NOW).as_deref(), Some("secret"));
    }

    #[tokio::test]
    async fn refuses_expired_and_forged_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let url = database(&folder).await;
        let database = Database::open(&url).await.unwrap();
        let tokens = AccessTokens::open(&database).await.unwrap();
        let token = tokens.sign(&user(), "secret", NOW).unwrap();
        let last = NOW + LIFETIME_SECS * 1_000 - 1;
        assert!(tokens.verify(&token, last).is_some());
        assert!(tokens.verify(&token, last + 1).is_none());

        let parts: Vec<_> = token.split('.').collect();
        let [_, claims, signature] = parts[..] else {
            panic!("{token}");
        };
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let longer = URL_SAFE_NO_PAD.decode(claims).unwrap();
        let longer = String::from_utf8(longer)
            .unwrap()
            .replace("viewer", "admin");
        let longer = URL_SAFE_NO_PAD.encode(longer);
        for forged in [
            format!("{none}.{claims}."),
            format!("{none}.{claims}.{signature}"),
            format!("{}.{longer}.{signature}", parts[0]),
            "a.b.c".to_owned(),
            String::new(),
        ] {
            assert_eq!(tokens.verify(&forged, NOW), None, "{forged}");
        }
    }
}
