//! What the permission names of older systems stand for.

use super::sollol;
use crate::{
    Compatibility, Permission, Permissions,
    error::{ApiError, ApiResult},
    state::AdminState,
};

/// A name of an older system.
pub(super) struct Name {
    pub(super) name: &'static str,
    /// The scopes of a key. None if the guarded API has no such routes, or another name includes
    /// them.
    pub(super) scopes: &'static [&'static str],
    /// The permissions of a token for automation.
    pub(super) permissions: &'static [Permission],
}

/// What a list of names stands for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Grants {
    pub(super) scopes: Vec<String>,
    pub(super) permissions: Permissions,
    /// The names that have no effect here.
    pub(super) ignored: Vec<String>,
}

impl Name {
    pub(super) const fn key(name: &'static str, scopes: &'static [&'static str]) -> Self {
        Self {
            name,
            scopes,
            permissions: &[],
        }
    }

    pub(super) const fn token(name: &'static str, permissions: &'static [Permission]) -> Self {
        Self {
            name,
            scopes: &[],
            permissions,
        }
    }

    pub(super) const fn nothing(name: &'static str) -> Self {
        Self::key(name, &[])
    }
}

impl Grants {
    pub(super) fn add(&mut self, name: &Name) {
        for scope in name.scopes {
            self.add_scope(scope);
        }
        let all = self.permissions.iter();
        self.permissions = all.chain(name.permissions.iter().copied()).collect();
        if name.scopes.is_empty() && name.permissions.is_empty() {
            self.ignored.push(name.name.to_owned());
        }
    }

    pub(super) fn add_scope(&mut self, scope: &str) {
        if !self.scopes.iter().any(|known| known == scope) {
            self.scopes.push(scope.to_owned());
        }
    }
}

/// Finds a name in the tables of a system, or in that of SOLLOL where it is switched on.
///
/// # Errors
/// When the name is unknown; the error has all names.
pub(super) fn find(
    state: &AdminState,
    tables: &[&'static [Name]],
    name: &str,
    field: String,
) -> ApiResult<&'static Name> {
    let has_sollol = state
        .0
        .config
        .compatibility
        .contains(&Compatibility::Sollol);
    let more: &[Name] = if has_sollol { sollol::NAMES } else { &[] };
    let all = || tables.iter().copied().flatten().chain(more);
    all().find(|known| known.name == name).ok_or_else(|| {
        let known: Vec<_> = all().map(|known| known.name).collect();
        let known = known.join(", ");
        ApiError::invalid(
            field,
            format!("unknown permission {name:?}; known are {known}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collects_each_scope_once_and_names_what_has_no_effect() {
        let mut grants = Grants::default();
        grants.add(&Name::key("a", &["chat:write"]));
        grants.add(&Name::key("b", &["chat:write", "models:read"]));
        grants.add(&Name::token("c", &[Permission::UsersRead]));
        grants.add(&Name::nothing("d"));
        assert_eq!(grants.scopes, ["chat:write", "models:read"]);
        assert_eq!(grants.permissions.to_string(), "users:read");
        assert_eq!(grants.ignored, ["d"]);
    }
}
