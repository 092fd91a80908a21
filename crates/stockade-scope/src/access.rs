//! Who may use a route.

use stockade_core::{Principal, Scope};

/// Who may use a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Public,
    Any(Box<[Scope]>),
    All(Box<[Scope]>),
}

impl Access {
    /// Everybody, without a key.
    pub fn public() -> Self {
        Self(Kind::Public)
    }

    /// Whoever has this scope.
    pub fn scope(scope: Scope) -> Self {
        Self::all_of([scope])
    }

    /// Whoever has one of these scopes; of no scopes, nobody.
    pub fn any_of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(Kind::Any(scopes.into_iter().collect()))
    }

    /// Whoever has all of these scopes; of no scopes, whoever is authenticated.
    pub fn all_of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(Kind::All(scopes.into_iter().collect()))
    }

    pub(crate) fn is_public(&self) -> bool {
        self.0 == Kind::Public
    }

    pub(crate) fn allows(&self, principal: &Principal) -> bool {
        match &self.0 {
            Kind::Public => true,
            Kind::Any(scopes) => scopes.iter().any(|scope| principal.may(scope)),
            Kind::All(scopes) => scopes.iter().all(|scope| principal.may(scope)),
        }
    }

    /// The scopes that a client could ask its administrator for.
    pub(crate) fn scopes(&self) -> &[Scope] {
        match &self.0 {
            Kind::Public => &[],
            Kind::Any(scopes) | Kind::All(scopes) => scopes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_and_all_of_scopes() {
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
        ] {
            let principal = Principal::builder("p").scopes(has.parse().unwrap()).build();
            assert_eq!(access.allows(&principal), allowed, "{access:?}, {has:?}");
        }
    }
}
