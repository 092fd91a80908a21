//! The users of the provider.

use sqlx::AnyConnection;
use stockade_audit::{EventKind, SecurityEvent};

use super::{Oidc, error::OidcError, id_token::IdToken};
use crate::{
    auth::{Client, User, role, session, user},
    error::ApiResult,
    id,
    state::AdminState,
};

const NO_ROLE: &str = "Your account has no role here. Ask your administrator for one.";
const DISABLED: &str = "Your account is disabled. Ask your administrator.";

/// The claims for the name of a new user, in order.
const NAMES: [&str; 3] = ["preferred_username", "email", "name"];
const SUFFIX: usize = 10;
/// Leaves room for a suffix.
const MAX_NAME: usize = 64 - 1 - SUFFIX;

impl Oidc {
    /// The user of an ID token, with its present role; created at the first login. Users are found
    /// by issuer and subject only: names can be reused at the provider, and local users may have
    /// the same ones.
    ///
    /// # Errors
    /// When the claims have no role, or the user is disabled.
    pub(super) async fn user(
        &self,
        state: &AdminState,
        client: &Client,
        token: &IdToken,
    ) -> Result<User, OidcError> {
        let subject = format!("{} {}", self.0.config.issuer.as_str(), token.sub);
        let mut transaction = state.database().begin().await?;
        let known = user::by_subject(&subject, &mut transaction).await?;
        let role = self.role(token, &mut transaction).await?;
        let Some(role) = role else {
            if let Some(user) = &known {
                session::end_all(&user.id, &mut *transaction).await?;
                transaction.commit().await?;
            }
            let name = known.map_or_else(|| name(token, &subject), |user| user.name);
            return Err(OidcError::refused(name, NO_ROLE, "no role"));
        };
        let (user, event) = match known {
            Some(user) if user.disabled => {
                return Err(OidcError::refused(user.name, DISABLED, "disabled user"));
            }
            Some(user) if user.role == role => (user, None),
            Some(user) => {
                user::set_role(&user.id, role, &mut *transaction).await?;
                let change = format!("role: {} → {role}; by the identity provider", user.role);
                (user, Some((EventKind::UserChanged, change)))
            }
            None => {
                let name = free_name(token, &subject, &mut transaction).await?;
                let now = state.now();
                user::create_external(&name, role, &subject, now, &mut *transaction).await?;
                let user = user::by_subject(&subject, &mut transaction).await?;
                let detail = format!("role: {role}; by the identity provider");
                let user = user.ok_or(sqlx::Error::RowNotFound)?;
                (user, Some((EventKind::UserCreated, detail)))
            }
        };
        let user = user::by_id(&user.id, &mut transaction).await?;
        let user = user.ok_or(sqlx::Error::RowNotFound)?;
        transaction.commit().await?;
        if let Some((kind, detail)) = event {
            let event = SecurityEvent::new(kind).user(user.name.clone());
            state.record_as(client, event.subject(user.name.clone()).detail(detail));
        }
        Ok(user)
    }

    /// The role of the claims: with several, the one with the most permissions. Roles that do not
    /// exist do not count.
    async fn role(
        &self,
        token: &IdToken,
        connection: &mut AnyConnection,
    ) -> Result<Option<&str>, sqlx::Error> {
        let config = &self.0.config;
        let mut best: Option<(usize, &str)> = None;
        for value in token.texts(&config.role_claim) {
            let Some(role) = config.roles.get(value) else {
                continue;
            };
            let Some(permissions) = role::permissions(role, connection).await? else {
                tracing::warn!(role, "a role of admin.oidc.roles does not exist");
                continue;
            };
            let count = permissions.iter().count();
            if best.is_none_or(|(most, _)| count > most) {
                best = Some((count, role));
            }
        }
        Ok(best.map(|(_, role)| role))
    }
}

/// The name of a new user: that of the claims, or with a suffix if another user has it.
async fn free_name(
    token: &IdToken,
    subject: &str,
    connection: &mut AnyConnection,
) -> ApiResult<String> {
    let name = name(token, subject);
    match user::by_name(&name, connection).await? {
        None => Ok(name),
        Some(_) => Ok(format!("{name}-{}", suffix(subject))),
    }
}

fn name(token: &IdToken, subject: &str) -> String {
    let texts = NAMES.iter().flat_map(|claim| token.texts(claim));
    let valid = texts.filter_map(|text| user::parse_name(text).ok());
    let mut valid = valid.filter(|name| name.len() <= MAX_NAME);
    valid
        .next()
        .unwrap_or_else(|| format!("user-{}", suffix(subject)))
}

/// The same for each login of a subject.
fn suffix(subject: &str) -> String {
    let digest = id::digest(subject).to_ascii_lowercase();
    digest.chars().take(SUFFIX).collect()
}
