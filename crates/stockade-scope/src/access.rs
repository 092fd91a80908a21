//! Access rules of routes.

use stockade_core::identity::{Principal, Scope};

use crate::Roles;

/// The access rule of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Public,
    Any(Box<[Scope]>),
    All(Box<[Scope]>),
}

impl Access {
    /// Allows every request, without authentication.
    pub fn public() -> Self {
        Self(Kind::Public)
    }

    /// Requires a scope.
    pub fn scope(scope: Scope) -> Self {
        Self::all_of([scope])
    }

    /// Requires at least one of the scopes; an empty list denies every request.
    pub fn any_of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(Kind::Any(scopes.into_iter().collect()))
    }

    /// Requires all of the scopes; an empty list allows every authenticated client.
    pub fn all_of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(Kind::All(scopes.into_iter().collect()))
    }

    /// Resolves the rule with the given roles.
    pub(crate) fn requirement(&self, roles: &Roles) -> Requirement {
        let grants = |scopes: &[Scope]| -> Box<[Grants]> {
            let grants = |scope: &Scope| {
                [scope]
                    .into_iter()
                    .chain(roles.granting(scope))
                    .cloned()
                    .collect()
            };
            scopes.iter().map(grants).collect()
        };
        match &self.0 {
            Kind::Public => Requirement::Nothing,
            Kind::Any(scopes) => Requirement::Any(grants(scopes)),
            Kind::All(scopes) => Requirement::All(grants(scopes)),
        }
    }

    /// Returns the scopes to name in the challenge.
    pub(crate) fn scopes(&self) -> &[Scope] {
        match &self.0 {
            Kind::Public => &[],
            Kind::Any(scopes) | Kind::All(scopes) => scopes,
        }
    }
}

/// The scopes and roles that grant one scope.
type Grants = Box<[Scope]>;

/// An [`Access`] with resolved roles.
#[derive(Clone, Debug)]
pub(crate) enum Requirement {
    Nothing,
    Any(Box<[Grants]>),
    All(Box<[Grants]>),
}

impl Requirement {
    pub(crate) fn is_met_by(&self, principal: &Principal) -> bool {
        let granted = |grants: &Grants| grants.iter().any(|scope| principal.may(scope));
        match self {
            Self::Nothing => true,
            Self::Any(scopes) => scopes.iter().any(granted),
            Self::All(scopes) => scopes.iter().all(granted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluates_scopes_and_roles() {
        let scopes = |text: &str| -> Vec<Scope> {
            text.split(' ')
                .filter(|s| !s.is_empty())
                .map(|s| s.parse().unwrap())
                .collect()
        };
        for (access, has, allowed) in [
            (Access::any_of(scopes("a b")), "b", true),
            (Access::any_of(scopes("a b")), "c", false),
            (Access::any_of([]), "*", false),
            (Access::all_of(scopes("a b")), "a b c", true),
            (Access::all_of(scopes("a b")), "a", false),
            (Access::all_of([]), "", true),
            (Access::scope("a".parse().unwrap()), "*", true),
            (Access::public(), "", true),
            (
                Access::scope("models:read".parse().unwrap()),
                "role:viewer",
                true,
            ),
            (
                Access::scope("chat:write".parse().unwrap()),
                "role:viewer",
                false,
            ),
            (
                Access::all_of(scopes("models:read x")),
                "role:viewer x",
                true,
            ),
            (
                Access::scope("anything".parse().unwrap()),
                "role:admin",
                true,
            ),
            (Access::scope("anything".parse().unwrap()), "admin", false),
            (
                Access::scope("anything".parse().unwrap()),
                "role:unknown",
                false,
            ),
        ] {
            let principal = Principal::builder("p").scopes(has.parse().unwrap()).build();
            let met = access.requirement(&Roles::standard()).is_met_by(&principal);
            assert_eq!(met, allowed, "{access:?}, {has:?}");
        }
    }
}
