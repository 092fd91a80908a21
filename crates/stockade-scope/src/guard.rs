//! The guard that authorizes requests by route.

use http::{HeaderValue, Method, header::ALLOW};
use stockade_core::{
    guard::{Check, NoWait},
    guard::{Guard, Head},
    identity::Identity,
    refusal::{BearerChallenge, RefusalReason},
    refusal::{Refusal, RefusalKind},
};

use crate::{
    Access, CoverageError, Roles, RouteTableError,
    access::Requirement,
    coverage,
    path::{is_ambiguous, is_ambiguous_in_wildcard},
    table::{MethodRules, RouteTable, Rule},
};

/// Authorizes requests by the rule of their route and the scopes of their principal.
///
/// The [crate documentation](crate) lists the rules.
#[derive(Clone, Debug)]
pub struct ScopeGuard {
    table: RouteTable,
    challenge: BearerChallenge,
}

impl ScopeGuard {
    /// Returns a builder; a guard without routes denies every request.
    pub fn builder() -> ScopeGuardBuilder {
        ScopeGuardBuilder {
            routes: Vec::new(),
            challenge: BearerChallenge::default(),
            roles: Roles::new(),
        }
    }

    /// Compares the rules with the routes of a router, for use in tests.
    ///
    /// # Errors
    /// Returns the routes without a rule and the rules without a route.
    pub fn coverage<'r>(
        &'r self,
        routes: impl IntoIterator<Item = (Method, &'r str)>,
    ) -> Result<(), CoverageError> {
        coverage::compare(self.table.iter(), routes.into_iter())
    }

    /// Returns whether the rule of a route pattern is public. `HEAD` falls back to `GET`.
    pub fn is_public(&self, method: &Method, pattern: &str) -> bool {
        let methods = self.table.by_pattern(pattern);
        let rule = methods.and_then(|methods| rule(methods, method));
        rule.is_some_and(|rule| matches!(rule.requirement, Requirement::Nothing))
    }

    fn judge(&self, head: &Head) -> Result<(), Refusal> {
        let methods = match head.context().route() {
            Some(route) => {
                let pattern = route.as_str();
                // A wildcard matches any path, including ambiguous ones.
                if ends_in_wildcard(pattern) && is_ambiguous_in_wildcard(head.uri.path()) {
                    return Err(ambiguous());
                }
                self.table.by_pattern(pattern)
            }
            None => {
                let path = head.uri.path();
                match self.table.by_static_path(path) {
                    None if is_ambiguous(path) => return Err(ambiguous()),
                    None => self.table.by_path(path),
                    plain => plain,
                }
            }
        };
        let rule = methods.and_then(|methods| rule(methods, &head.method));
        if let Some(Requirement::Nothing) = rule.map(|rule| &rule.requirement) {
            return Ok(());
        }
        let principal = match head.context().identity() {
            Identity::Authenticated(principal) => principal,
            Identity::Anonymous => return Err(self.unauthenticated()),
            Identity::Unchecked => return Err(no_authenticator()),
        };
        match (rule, methods) {
            (Some(rule), _) if rule.requirement.is_met_by(principal) => Ok(()),
            (Some(rule), _) => Err(self.challenge.insufficient(rule.access.scopes())),
            (None, Some(methods)) => Err(wrong_method(methods)),
            (None, None) => Err(undeclared()),
        }
    }

    fn unauthenticated(&self) -> Refusal {
        let message = "an API key is needed; send it as `Authorization: Bearer KEY`";
        self.challenge.missing(message, "anonymous")
    }
}

impl Guard for ScopeGuard {
    const NAME: &'static str = "scope";
    type Pass = ();
    type Hook = ();
    type Wait = NoWait;

    fn check(&self, head: &Head) -> Check<(), NoWait> {
        match self.judge(head) {
            Ok(()) => Check::Pass(()),
            Err(refusal) => Check::Refuse(refusal),
        }
    }

    fn admit(&self, _pass: (), _head: &mut Head) {}
}

/// Returns the rule of a method; `HEAD` falls back to `GET`.
fn rule<'m>(methods: &'m MethodRules, method: &Method) -> Option<&'m Rule> {
    let of = |method: &Method| methods.iter().find(|rule| rule.method == *method);
    match of(method) {
        None if *method == Method::HEAD => of(&Method::GET),
        found => found,
    }
}

/// Returns whether a pattern ends in a wildcard, as in `/files/{*path}`; it is not allowed
/// elsewhere.
fn ends_in_wildcard(pattern: &str) -> bool {
    let last = || pattern.rfind('{');
    pattern.ends_with('}') && last().is_some_and(|at| pattern[at..].starts_with("{*"))
}

fn header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("methods are visible ASCII")
}

fn ambiguous() -> Refusal {
    Refusal::new(
        RefusalKind::Invalid,
        "the path is ambiguous; send it without `//`, `.` or `..` segments, `;`, `\\` and \
         encoded separators",
    )
    .with_code("AMBIGUOUS_PATH")
    .with_reason(RefusalReason::NotFound)
}

fn no_authenticator() -> Refusal {
    Refusal::not_configured(
        "no identity: no authenticator ran before the scope guard; put the \
         authentication layer outside of it",
    )
}

fn wrong_method(methods: &MethodRules) -> Refusal {
    let names: Vec<&str> = methods.iter().map(|rule| rule.method.as_str()).collect();
    Refusal::new(
        RefusalKind::MethodNotAllowed,
        "the route does not support this method",
    )
    .with_header(ALLOW, header(names.join(", ")))
}

fn undeclared() -> Refusal {
    Refusal::new(
        RefusalKind::NotFound,
        "the route does not exist or is not available to clients",
    )
    .with_code("ROUTE_NOT_FOUND")
    .with_reason(RefusalReason::NotFound)
    .with_internal_reason("no rule for this route")
}

/// Builds a [`ScopeGuard`]; made by [`ScopeGuard::builder`].
#[derive(Clone, Debug)]
pub struct ScopeGuardBuilder {
    routes: Vec<(Method, String, Access)>,
    challenge: BearerChallenge,
    roles: Roles,
}

impl ScopeGuardBuilder {
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

    /// Builds the guard.
    ///
    /// # Errors
    /// Returns an error for an invalid pattern, or two rules for the same paths.
    pub fn build(self) -> Result<ScopeGuard, RouteTableError> {
        Ok(ScopeGuard {
            table: RouteTable::new(self.routes, &self.roles)?,
            challenge: self.challenge,
        })
    }
}
