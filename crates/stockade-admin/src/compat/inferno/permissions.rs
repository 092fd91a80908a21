//! The permissions of Inferno, where one key could be used for models and for the administration.
//! Here, these are two credentials: a key of the guarded API has scopes, and a token for automation
//! has permissions of the administration.

use crate::{
    Permission, Permissions,
    compat::grants::{self, Grants, Name},
    error::{ApiError, ApiResult},
    state::AdminState,
};

use Permission as P;

/// The permissions for models. Streams are included in `chat:write`. There are no shares of work
/// between servers, no caches and no models to delete; queues have no permissions.
const MODELS: &[Name] = &[
    Name {
        name: "ReadModels",
        scopes: &["models:read"],
        permissions: &[P::ModelsRead],
    },
    Name {
        name: "ReadMetrics",
        scopes: &["metrics:read"],
        permissions: &[P::UsageRead],
    },
    Name::key("RunInference", &["chat:write"]),
    Name::nothing("UseStreaming"),
    Name::nothing("UseDistributed"),
    Name::nothing("UseQueue"),
    Name::nothing("ManageQueue"),
    Name::nothing("ManageCache"),
    Name::nothing("DeleteModels"),
];

/// The permissions for the administration. A list with one of them is that of a token.
const ADMINISTRATION: &[Name] = &[
    Name::token("WriteModels", &[P::ModelsRead, P::ModelsWrite]),
    Name::token("WriteConfig", &[P::ConfigRead, P::ConfigWrite]),
    Name::token("ManageUsers", &[P::UsersRead, P::UsersWrite]),
    Name::token("ViewAuditLogs", &[P::AuditRead]),
];

/// What is created for a list of names.
#[derive(Debug, PartialEq)]
pub(super) enum Credential {
    /// A key of the guarded API.
    Key(Grants),
    /// A token for automation.
    Token(Grants),
}

/// What a list of names stands for, such as `RunInference` or `run_inference`.
///
/// # Errors
/// When a name is unknown, the list has no effect, or it is one for a key and a token.
pub(super) fn resolve(state: &AdminState, names: &[String]) -> ApiResult<Credential> {
    let find = |(at, name): (usize, &String)| {
        let tables = [MODELS, ADMINISTRATION];
        grants::find(
            state,
            &tables,
            &pascal_case(name),
            format!("permissions[{at}]"),
        )
    };
    let names: Vec<_> = names
        .iter()
        .enumerate()
        .map(find)
        .collect::<ApiResult<_>>()?;
    let mut grants = Grants::default();
    names.iter().for_each(|name| grants.add(name));
    let invalid = |text| Err(ApiError::invalid("permissions", text));
    let is_for_tokens = |name: &&Name| name.scopes.is_empty() && !name.permissions.is_empty();
    if !names.iter().any(is_for_tokens) {
        grants.permissions = Permissions::default();
        return match grants.scopes.is_empty() {
            true => invalid("none of them has an effect here"),
            false => Ok(Credential::Key(grants)),
        };
    }
    grants.scopes.clear();
    let is_for_keys = |name: &&Name| !name.scopes.is_empty() && name.permissions.is_empty();
    match names.iter().any(is_for_keys) {
        true => invalid(
            "some are for a key of the guarded API, and some for a token of the administration; \
             create one of each",
        ),
        false => Ok(Credential::Token(grants)),
    }
}

/// The names for the scopes of a key.
pub(super) fn of_scopes(scopes: &[String]) -> Vec<&'static str> {
    let has = |scope: &&str| scopes.iter().any(|own| own == "*" || own == scope);
    let names = MODELS.iter().filter(|name| !name.scopes.is_empty());
    let names = names.filter(|name| name.scopes.iter().all(&has));
    names.map(|name| name.name).collect()
}

/// The names for the permissions of a user or a token.
pub(super) fn of_user(permissions: Permissions) -> Vec<&'static str> {
    let names = MODELS.iter().chain(ADMINISTRATION);
    let names = names.filter(|name| !name.permissions.is_empty());
    let has = |name: &&Name| {
        name.permissions
            .iter()
            .all(|one| permissions.contains(*one))
    };
    names.filter(has).map(|name| name.name).collect()
}

/// The documentation of Inferno has `run_inference`, and its code has `RunInference`.
fn pascal_case(name: &str) -> String {
    if !name.contains('_') {
        return name.to_owned();
    }
    let words = name.split('_');
    words
        .filter_map(|word| word.split_at_checked(1))
        .map(|(first, rest)| first.to_ascii_uppercase() + rest)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_both_spellings() {
        for (name, expected) in [
            ("run_inference", "RunInference"),
            ("RunInference", "RunInference"),
            ("view_audit_logs", "ViewAuditLogs"),
            ("chat", "chat"),
            ("_é_", ""),
        ] {
            assert_eq!(pascal_case(name), expected);
        }
    }

    #[test]
    fn names_what_a_credential_may_do() {
        let scopes = ["chat:write".to_owned(), "models:read".to_owned()];
        assert_eq!(of_scopes(&scopes), ["ReadModels", "RunInference"]);
        assert_eq!(
            of_scopes(&["*".to_owned()]),
            ["ReadModels", "ReadMetrics", "RunInference"]
        );
        assert_eq!(
            of_user([P::UsersRead, P::ModelsRead].into_iter().collect()),
            ["ReadModels"]
        );
        assert_eq!(of_user(Permissions::all()).len(), 6);
    }
}
