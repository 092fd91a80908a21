//! The guard that authorizes requests by route.

use http::{HeaderValue, Method, header::ALLOW};
use stockade_core::{
    guard::{Check, Guard, Head, NoWait},
    identity::Identity,
    refusal::{BearerChallenge, Refusal, RefusalKind, RefusalReason},
};

use crate::{
    CoverageError, ScopeBuilder,
    access::Requirement,
    coverage,
    path::{is_ambiguous, is_ambiguous_in_wildcard},
    table::{MethodRules, RouteTable, Rule},
};

/// Authorizes requests by the rule of their route and the scopes of their principal.
///
/// The [crate documentation](crate) lists the rules. [`ScopeLayer`](crate::ScopeLayer) is the
/// tower layer of this guard; use the guard itself in chains of guards.
///
/// ```
/// use http::Method;
/// use stockade_scope::{Access, ScopeGuard};
///
/// let guard = ScopeGuard::builder()
///     .route(Method::GET, "/health", Access::public())
///     .route(Method::GET, "/notes/{id}", Access::scope("notes:read".parse()?))
///     .build()?;
/// assert!(guard.is_public(&Method::GET, "/health"));
/// assert!(!guard.is_public(&Method::GET, "/notes/{id}"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ScopeGuard {
    table: RouteTable,
    challenge: BearerChallenge,
}

impl ScopeGuard {
    /// Returns a builder; a guard without routes denies every request.
    pub fn builder() -> ScopeBuilder<Self> {
        ScopeBuilder::new()
    }

    pub(crate) fn new(table: RouteTable, challenge: BearerChallenge) -> Self {
        Self { table, challenge }
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

    fn check_route(&self, head: &Head) -> Result<(), Refusal> {
        let context = head.context();
        let methods = match context.route() {
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
        let principal = match context.identity() {
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
        match self.check_route(head) {
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
