//! SOLLOL: the permission names of its keys. SOLLOL made keys in Python and had no routes for them,
//! so the names are accepted where the routes of other systems create keys.

use super::grants::Name;

/// The permissions of SOLLOL. It had routes for batches, which this program has not; its health
/// route is public here.
pub(super) const NAMES: &[Name] = &[
    Name::key("chat", &["chat:write"]),
    Name::key("embed", &["chat:write"]),
    Name::nothing("batch"),
    Name::key("stats", &["metrics:read"]),
    Name::nothing("health"),
    Name::key("admin", &["*"]),
];
