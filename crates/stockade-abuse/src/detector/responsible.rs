//! Determines who is responsible for an offence.

use std::sync::Once;

use stockade_core::{client::ClientIp, identity::Principal};
use tracing::warn;

use crate::{AbusePolicy, Offender, OffenderError};

/// Returns the responsible client or principal; `None` if it is exempt, or if it is a
/// principal and the policy does not ban principals.
pub(super) fn responsible(
    client: ClientIp,
    principal: Option<&Principal>,
    policy: &AbusePolicy,
) -> Option<Offender> {
    if policy.exempts_client(client) {
        return None;
    }
    let offender = match principal {
        // The address is not responsible either: other clients may share it.
        Some(_) if !policy.ban_principals => return None,
        Some(principal) => match Offender::principal(principal.id()) {
            Ok(offender) => offender,
            Err(error) => {
                cannot_ban(&error);
                return None;
            }
        },
        None => Offender::client(client, policy.v6_length)?,
    };
    (!policy.is_exempt(&offender)).then_some(offender)
}

/// Logs once that a principal has an id that a deny-list cannot contain.
#[cold]
fn cannot_ban(error: &OffenderError) {
    static LOGGED: Once = Once::new();
    LOGGED.call_once(|| {
        warn!(%error, "principal not banned: its id cannot be written to a deny-list");
    });
}
