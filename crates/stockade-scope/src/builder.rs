//! The builder of guards and layers.

use std::{fmt, marker::PhantomData};

use http::Method;
use stockade_core::refusal::BearerChallenge;

use crate::{Access, Roles, RouteTableError, ScopeGuard, table::RouteTable};

/// Builds a [`ScopeLayer`](crate::ScopeLayer) or a [`ScopeGuard`]; returned by their `builder`.
pub struct ScopeBuilder<T> {
    routes: Vec<(Method, String, Access)>,
    challenge: BearerChallenge,
    roles: Roles,
    built: PhantomData<fn() -> T>,
}

impl<T> ScopeBuilder<T>
where
    T: From<ScopeGuard>,
{
    pub(crate) fn new() -> Self {
        Self {
            routes: Vec::new(),
            challenge: BearerChallenge::default(),
            roles: Roles::new(),
            built: PhantomData,
        }
    }

    /// Adds the access rule of a route.
    pub fn route(mut self, method: Method, pattern: impl Into<String>, access: Access) -> Self {
        self.routes.push((method, pattern.into(), access));
        self
    }

    /// Sets the roles that grant scopes; none by default.
    pub fn roles(mut self, roles: Roles) -> Self {
        self.roles = roles;
        self
    }

    /// Sets the realm of the challenges; `api` by default. Characters that a quoted string cannot
    /// contain are dropped.
    pub fn realm(mut self, realm: &str) -> Self {
        self.challenge = BearerChallenge::new(realm);
        self
    }

    /// Builds the layer or guard.
    ///
    /// # Errors
    /// Returns an error for an invalid pattern, or two rules for the same paths.
    pub fn build(self) -> Result<T, RouteTableError> {
        let table = RouteTable::new(self.routes, &self.roles)?;
        Ok(ScopeGuard::new(table, self.challenge).into())
    }
}

impl<T> Clone for ScopeBuilder<T> {
    fn clone(&self) -> Self {
        Self {
            routes: self.routes.clone(),
            challenge: self.challenge.clone(),
            roles: self.roles.clone(),
            built: PhantomData,
        }
    }
}

impl<T> fmt::Debug for ScopeBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeBuilder")
            .field("routes", &self.routes)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}
