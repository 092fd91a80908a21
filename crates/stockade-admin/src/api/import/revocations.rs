//! Imports revocations of access tokens.

use serde::Deserialize;
use sqlx::AnyConnection;
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;

use super::Part;
use crate::{
    RevokedTokens,
    actor::Actor,
    error::{ApiError, ApiResult},
    state::AdminState,
    time,
};

#[derive(Deserialize, ToSchema)]
pub(super) struct RevocationImport {
    jti: String,
    expires_at: Option<String>,
}

/// The id of a token, and its expiry.
pub(super) type NewRevocation = (String, Option<i64>);

/// The revocations of tokens that have neither expired nor are revoked here.
pub(super) fn parse(
    state: &AdminState,
    imports: Vec<RevocationImport>,
    part: &mut Part,
) -> ApiResult<Vec<NewRevocation>> {
    let mut new = Vec::new();
    for (at, RevocationImport { jti, expires_at }) in imports.into_iter().enumerate() {
        let invalid =
            |field: &str, text| ApiError::invalid(format!("revocations[{at}].{field}"), text);
        if !RevokedTokens::is_id(&jti) {
            let text = "must have 1 to 256 bytes and no control characters";
            return Err(invalid("jti", text));
        }
        let expires = expires_at.map(|text| {
            time::parse(&text).ok_or_else(|| invalid("expires_at", "must be a time or null"))
        });
        let expires = expires.transpose()?;
        let is_new = match &state.0.revocations {
            Some(tokens) => !tokens.contains(&jti) && expires.is_none_or(|at| at > state.now()),
            None => false,
        };
        match is_new {
            true => {
                part.created.push(jti.clone());
                new.push((jti, expires));
            }
            false => part.skipped.push(jti),
        }
    }
    let tokens = state.0.revocations.as_ref();
    if tokens.is_some_and(|tokens| !tokens.has_room(new.len())) {
        return Err(ApiError::conflict(
            "too many tokens would be revoked; remove those that expire soon from the export",
        ));
    }
    Ok(new)
}

/// Revokes these tokens; in force after the transaction in other processes.
pub(super) async fn insert(
    state: &AdminState,
    revocations: &[NewRevocation],
    connection: &mut AnyConnection,
) -> ApiResult<()> {
    let Some(tokens) = &state.0.revocations else {
        return Ok(());
    };
    for (jti, expires) in revocations {
        tokens.insert(jti, *expires, &mut *connection).await?;
    }
    Ok(())
}

/// Records each revocation.
pub(super) fn record(state: &AdminState, actor: &Actor, revocations: &[NewRevocation]) {
    for (jti, _) in revocations {
        let event = SecurityEvent::new(EventKind::TokenRevoked).subject(format!("jti:{jti}"));
        state.record(actor, event.detail("imported"));
    }
}
