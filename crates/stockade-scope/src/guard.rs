//! The guard: a route, its rule, and the principal.

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

/// Lets requests in whose principal may use their route.
///
/// See the [crate documentation](crate) for what it does with all others.
#[derive(Clone, Debug)]
pub struct ScopeGuard {
    table: RouteTable,
    challenge: BearerChallenge,
}

impl ScopeGuard {
    /// Starts a table of routes; one without routes denies everything.
    pub fn builder() -> ScopeGuardBuilder {
        ScopeGuardBuilder {
            routes: Vec::new(),
            challenge: BearerChallenge::default(),
            roles: Roles::new(),
        }
    }

    /// Compares the rules with the routes that a router has, for a test of your own.
    ///
    /// # Errors
    /// Names the routes without a rule, and the rules without a route.
    pub fn coverage<'r>(
        &'r self,
        routes: impl IntoIterator<Item = (Method, &'r str)>,
    ) -> Result<(), CoverageError> {
        coverage::compare(self.table.iter(), routes.into_iter())
    }

    /// Whether the rule of this route, by its pattern, opens it to everybody. A `HEAD`
    /// without a rule of its own has that of `GET`.
    pub fn is_public(&self, method: &Method, pattern: &str) -> bool {
        let methods = self.table.by_pattern(pattern);
        let rule = methods.and_then(|methods| rule(methods, method));
        rule.is_some_and(|rule| matches!(rule.requirement, Requirement::Nothing))
    }

    fn judge(&self, head: &Head) -> Result<(), Refusal> {
        let methods = match head.context().route() {
            Some(route) => {
                let pattern = route.as_str();
                // A wildcard takes any path, those that are read differently among them.
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

/// The rule of this method; that of `GET` for a `HEAD` without one.
fn rule<'m>(methods: &'m MethodRules, method: &Method) -> Option<&'m Rule> {
    let of = |method: &Method| methods.iter().find(|rule| rule.method == *method);
    match of(method) {
        None if *method == Method::HEAD => of(&Method::GET),
        found => found,
    }
}

/// Whether a pattern ends in a wildcard: `/files/{*path}`. A router takes one nowhere else.
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
        "the path can be read in more than one way; send it without `//`, `.` or `..` \
         segments, `;`, `\\` and encoded separators",
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
        "the route does not take this method",
    )
    .with_header(ALLOW, header(names.join(", ")))
}

fn undeclared() -> Refusal {
    Refusal::new(
        RefusalKind::NotFound,
        "there is no such route, or none that is open to clients",
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
    /// Declares who may use a route.
    pub fn route(mut self, method: Method, pattern: impl Into<String>, access: Access) -> Self {
        self.routes.push((method, pattern.into(), access));
        self
    }

    /// The roles that count; none do unless they are given here.
    pub fn roles(mut self, roles: Roles) -> Self {
        self.roles = roles;
        self
    }

    /// The realm of the challenges; `api` by default. What a quoted string cannot hold is
    /// left out.
    pub fn realm(mut self, realm: &str) -> Self {
        self.challenge = BearerChallenge::new(realm);
        self
    }

    /// The guard.
    ///
    /// # Errors
    /// When a pattern is none, or two rules are for the same paths.
    pub fn build(self) -> Result<ScopeGuard, RouteTableError> {
        Ok(ScopeGuard {
            table: RouteTable::new(self.routes, &self.roles)?,
            challenge: self.challenge,
        })
    }
}
