//! Permissions and sets of them.

use std::{fmt, str::FromStr};

macro_rules! permissions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// The right to do something in the administration.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Permission {
            $($(#[$doc])* $variant,)+
        }

        impl Permission {
            /// All permissions.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name, such as `keys:read`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

permissions! {
    /// Read keys, without their secrets and hashes.
    KeysRead = "keys:read",
    /// Create, change, rotate and revoke keys.
    KeysWrite = "keys:write",
    /// Read bans.
    BansRead = "bans:read",
    /// Ban and unban clients.
    BansWrite = "bans:write",
    /// Read the usage of keys and models, and live figures.
    UsageRead = "usage:read",
    /// Read budgets.
    BudgetsRead = "budgets:read",
    /// Create, change, top up and delete budgets.
    BudgetsWrite = "budgets:write",
    /// Search and export audit records.
    AuditRead = "audit:read",
    /// Read the state of models.
    ModelsRead = "models:read",
    /// Load and unload models.
    ModelsWrite = "models:write",
    /// Read the effective configuration, without secrets.
    ConfigRead = "config:read",
    /// Validate and reload the configuration; import an export.
    ConfigWrite = "config:write",
    /// Read users, roles and their sessions.
    UsersRead = "users:read",
    /// Create, change and delete users and roles, and end their sessions.
    UsersWrite = "users:write",
}

impl Permission {
    fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(name: &str) -> Result<Self, UnknownPermission> {
        let found = Self::ALL.iter().find(|known| known.name() == name);
        found
            .copied()
            .ok_or_else(|| UnknownPermission(name.to_owned()))
    }
}

/// The error of a name that is not a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPermission(String);

impl fmt::Display for UnknownPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown permission {:?}", self.0)
    }
}

impl std::error::Error for UnknownPermission {}

/// A set of permissions. As text: names separated by spaces.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Permissions(u32);

impl Permissions {
    /// All permissions.
    pub fn all() -> Self {
        Permission::ALL.iter().copied().collect()
    }

    /// Whether the set contains this permission.
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Whether the set contains all permissions of another one.
    pub fn includes(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The permissions that both sets contain.
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The permissions that `other` lacks.
    pub fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The permissions, in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        let all = Permission::ALL.iter().copied();
        all.filter(move |permission| self.contains(*permission))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |set, one| set | one.bit()))
    }
}

impl FromStr for Permissions {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Self, UnknownPermission> {
        text.split_whitespace().map(str::parse).collect()
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, permission) in self.iter().enumerate() {
            let separator = if at == 0 { "" } else { " " };
            write!(f, "{separator}{permission}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The roles that every installation has.
pub(crate) const BUILT_IN_ROLES: [(&str, &[Permission]); 3] = {
    use Permission as P;

    [
        (
            "viewer",
            &[
                P::KeysRead,
                P::BansRead,
                P::UsageRead,
                P::BudgetsRead,
                P::ModelsRead,
                P::ConfigRead,
            ],
        ),
        (
            "operator",
            &[
                P::KeysRead,
                P::KeysWrite,
                P::BansRead,
                P::BansWrite,
                P::UsageRead,
                P::BudgetsRead,
                P::BudgetsWrite,
                P::AuditRead,
                P::ModelsRead,
                P::ModelsWrite,
                P::ConfigRead,
            ],
        ),
        ("admin", P::ALL),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_round_trip_as_text() {
        let set: Permissions = "bans:write keys:read".parse().unwrap();
        assert_eq!(set.to_string(), "keys:read bans:write");
        assert!(set.contains(Permission::KeysRead) && !set.contains(Permission::KeysWrite));
        assert_eq!(
            Permissions::all().to_string().parse(),
            Ok(Permissions::all())
        );
        assert!("keys:read root".parse::<Permissions>().is_err());
    }

    #[test]
    fn includes_subsets_only() {
        let [viewer, operator, admin] =
            BUILT_IN_ROLES.map(|(_, set)| set.iter().copied().collect::<Permissions>());
        assert!(admin.includes(operator) && operator.includes(viewer));
        assert!(!viewer.includes(operator) && !operator.includes(admin));
        assert_eq!(viewer.difference(operator), Permissions::default());
        assert_eq!(admin, Permissions::all());
    }
}
