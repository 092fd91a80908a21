//! Named sets of scopes.

use std::{collections::BTreeMap, error::Error, fmt};

use stockade_core::identity::{Scope, ScopeError, ScopeSet};

/// Named sets of scopes, so that a key may have `role:user` in place of each of them.
///
/// A role counts only where a guard was given it: without roles, `role:admin` is a scope
/// like any other and grants nothing but itself. Roles do not hold other roles.
///
/// ```
/// use stockade_scope::Roles;
///
/// let roles = Roles::new().role("reader", "models:read audit:read")?;
/// # let _ = roles;
/// assert!(Roles::new().role("not a role", "").is_err());
/// # Ok::<(), stockade_scope::RoleError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(BTreeMap<Scope, ScopeSet>);

impl Roles {
    /// No roles.
    pub fn new() -> Self {
        Self::default()
    }

    /// The four that most services begin with:
    ///
    /// | role | scopes |
    /// |---|---|
    /// | `role:viewer` | `models:read` |
    /// | `role:user` | `models:read`, `chat:write` |
    /// | `role:operator` | those of a user, `metrics:read`, `audit:read`, `bans:write` |
    /// | `role:admin` | `*` |
    pub fn standard() -> Self {
        [
            ("viewer", "models:read"),
            ("user", "models:read chat:write"),
            (
                "operator",
                "models:read chat:write metrics:read audit:read bans:write",
            ),
            ("admin", "*"),
        ]
        .into_iter()
        .try_fold(Self::new(), |roles, (name, scopes)| {
            roles.role(name, scopes)
        })
        .expect("the standard roles are roles")
    }

    /// Adds a role, or replaces the one of that name. Scopes are divided by spaces.
    ///
    /// # Errors
    /// When the name or a scope is no scope, or a role would hold another one.
    pub fn role(mut self, name: &str, scopes: &str) -> Result<Self, RoleError> {
        let error = |source| RoleError {
            role: name.chars().take(Scope::MAX_LENGTH).collect(),
            source,
        };
        let role: Scope = format!("role:{name}")
            .parse()
            .map_err(|it| error(Some(it)))?;
        let scopes: ScopeSet = scopes.parse().map_err(|it| error(Some(it)))?;
        if scopes
            .iter()
            .any(|scope| scope.as_str().starts_with("role:"))
        {
            return Err(error(None));
        }
        self.0.insert(role, scopes);
        Ok(self)
    }

    /// The roles that grant a scope.
    pub(crate) fn granting(&self, scope: &Scope) -> impl Iterator<Item = &Scope> {
        let grants = self
            .0
            .iter()
            .filter(move |(_, scopes)| scopes.grants(scope));
        grants.map(|(role, _)| role)
    }
}

/// A role that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleError {
    role: String,
    source: Option<ScopeError>,
}

impl fmt::Display for RoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "role {:?}: {source}", self.role),
            None => write!(
                f,
                "role {:?} holds another role; list the scopes of that one instead",
                self.role
            ),
        }
    }
}

impl Error for RoleError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
