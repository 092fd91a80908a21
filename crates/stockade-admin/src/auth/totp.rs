//! One-time codes: RFC 6238 with SHA-1, 6 digits and 30 seconds, as all apps support them.

use sqlx::{Any, Executor};
use totp_rs::{Builder, Secret, Totp};

use crate::AdminError;

/// For apps that list several accounts.
const ISSUER: &str = "Stockade";

/// The length that RFC 4226 recommends, in bytes.
const SECRET_BYTES: usize = 20;

/// A new secret in base32, and its URI for apps.
pub(crate) fn generate(user: &str) -> Result<(String, String), AdminError> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| AdminError::new(format!("the system has no random numbers: {error}")))?;
    let secret = Secret::from(bytes);
    let base32 = secret.to_base32();
    let totp = totp(secret, user);
    let uri = totp.and_then(|totp| totp.to_url().ok());
    let uri = uri.ok_or_else(|| AdminError::new("cannot write the URI of one-time codes"))?;
    Ok((base32, uri))
}

/// The step of a code that is valid at this time, in milliseconds. The previous and the next step
/// are valid, too.
pub(crate) fn check(secret: &str, code: &str, now: i64) -> Option<i64> {
    let secret = Secret::try_from_base32(secret).ok()?;
    let code: String = code.chars().filter(|char| *char != ' ').collect();
    let seconds = u64::try_from(now / 1000).ok()?;
    let step = totp(secret, "")?.check(&code, seconds)?;
    i64::try_from(step).ok()
}

/// Marks a step as used; returns `false` if it, or a later one, was used before.
pub(crate) async fn use_step<'e>(
    user_id: &str,
    step: i64,
    executor: impl Executor<'e, Database = Any>,
) -> Result<bool, sqlx::Error> {
    sqlx::query(
        "UPDATE stockade_admin_users SET totp_step = $1 \
         WHERE id = $2 AND totp_step < $1 AND totp_ready = 1",
    )
    .bind(step)
    .bind(user_id)
    .execute(executor)
    .await
    .map(|result| result.rows_affected() == 1)
}

fn totp(secret: Secret, user: &str) -> Option<Totp> {
    let builder = Builder::new().with_secret(secret).with_issuer(Some(ISSUER));
    builder.with_account_name(user).build().ok()
}

#[cfg(test)]
pub(crate) fn code(secret: &str, now: i64) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp = totp(secret, "").unwrap();
    totp.generate(u64::try_from(now / 1000).unwrap())
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238, appendix B: `12345678901234567890`.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    /// The codes of RFC 6238, appendix B, without their first two digits.
    #[test]
    fn accepts_the_codes_of_the_rfc() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            let step = seconds / 30;
            assert_eq!(check(SECRET, code, seconds * 1000), Some(step), "{code}");
            let spaced = format!("{} {}", &code[..3], &code[3..]);
            assert_eq!(check(SECRET, &spaced, (seconds + 30) * 1000), Some(step));
            assert_eq!(check(SECRET, code, (seconds + 90) * 1000), None);
        }
        for code in ["", "28708", "2870820", "+87082", "２８７０８２"] {
            assert_eq!(check(SECRET, code, 59_000), None, "{code}");
        }
        assert_eq!(check("", "287082", 59_000), None);
    }

    #[test]
    fn the_uri_is_for_apps() {
        let (secret, uri) = generate("zoe@example.com").unwrap();
        assert_eq!(secret.len(), 32);
        let start = "otpauth://totp/Stockade:zoe%40example.com?secret=";
        assert_eq!(uri, format!("{start}{secret}&issuer=Stockade"));
    }
}
