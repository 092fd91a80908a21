//! Named sets of scopes.

use std::{collections::BTreeMap, error::Error, fmt};

use stockade_core::identity::{Scope, ScopeError, ScopeSet};

/// Named sets of scopes: a key with `role:user` has all scopes of that role.
///
/// Roles take effect only in guards that are configured with them. Otherwise `role:admin` is an
/// ordinary scope, which grants nothing but itself. Roles cannot contain other roles.
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
    /// Creates an empty set of roles.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns four common roles:
    ///
    /// | role | scopes |
    /// |---|---|
    /// | `role:viewer` | `models:read` |
    /// | `role:user` | `models:read`, `chat:write` |
    /// | `role:operator` | those of `role:user`, `metrics:read`, `audit:read`, `bans:write` |
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

    /// Adds or replaces a role; `scopes` are separated by spaces.
    ///
    /// # Errors
    /// Returns an error for an invalid name or scope, and for a role within a role.
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

    /// Returns the roles that grant a scope.
    pub(crate) fn granting(&self, scope: &Scope) -> impl Iterator<Item = &Scope> {
        let grants = self
            .0
            .iter()
            .filter(move |(_, scopes)| scopes.grants(scope));
        grants.map(|(role, _)| role)
    }
}

/// The error of an invalid role.
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
                "role {:?} contains another role; list the scopes of that role instead",
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
