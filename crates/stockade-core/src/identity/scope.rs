//! What a principal may do, and what a route asks for.

use std::{error::Error, fmt, str::FromStr, sync::Arc};

/// A permission such as `chat:write`.
///
/// The text is a `scope-token` of RFC 6749, section 3.3, at most 128 bytes long. Scopes
/// match exactly. `*` alone stands for all of them; within a longer text it is refused,
/// so that `chat:*` is not mistaken for a wildcard.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// The longest scope, in bytes.
    pub const MAX_LENGTH: usize = 128;

    /// The scope's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let token = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        let problem = if text.is_empty() {
            "it is empty"
        } else if text.len() > Self::MAX_LENGTH {
            "it is longer than 128 bytes"
        } else if !text.bytes().all(token) {
            "it has a character other than visible ASCII, or a quote or backslash"
        } else if text.contains('*') && text != "*" {
            "`*` stands for all scopes and only alone; name each scope instead"
        } else {
            return Ok(Self(text.into()));
        };
        Err(ScopeError {
            text: text.chars().take(Self::MAX_LENGTH).collect(),
            problem,
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// A text that is no [`Scope`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeError {
    text: String,
    problem: &'static str,
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no scope: {}", self.text, self.problem)
    }
}

impl Error for ScopeError {}

/// The scopes of a principal.
///
/// ```
/// use stockade_core::identity::ScopeSet;
///
/// let scopes: ScopeSet = "chat:write models:read".parse()?;
/// assert!(scopes.grants(&"chat:write".parse()?));
/// assert!(!scopes.grants(&"keys:write".parse()?));
/// # Ok::<(), stockade_core::identity::ScopeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet {
    /// Sorted, without repeats.
    scopes: Box<[Scope]>,
    all: bool,
}

impl ScopeSet {
    /// Whether the scope is in the set, or `*` is.
    pub fn grants(&self, scope: &Scope) -> bool {
        // Sets are small, and equality looks at the length first.
        self.all || self.scopes.iter().any(|granted| granted == scope)
    }

    /// Whether nothing is granted.
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    /// The scopes as they were given, sorted; `*` is one of them where it was given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Scope> {
        self.scopes.iter()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I>(scopes: I) -> Self
    where
        I: IntoIterator<Item = Scope>,
    {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        Self {
            all: scopes.iter().any(|scope| scope.as_str() == "*"),
            scopes: scopes.into(),
        }
    }
}

impl FromStr for ScopeSet {
    type Err = ScopeError;

    /// Reads scopes divided by spaces, as OAuth writes them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.scopes.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            scope.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_scope() {
        let long = "x".repeat(129);
        for text in [
            "", "a b", "a\"b", "a\\b", "chat:*", "**", "ümlaut", "a\n", &long,
        ] {
            assert!(text.parse::<Scope>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn matches_exactly() {
        let scopes: ScopeSet = "chat:write chat".parse().unwrap();
        for (scope, granted) in [
            ("chat", true),
            ("chat:write", true),
            ("chat:read", false),
            ("cha", false),
            ("Chat", false),
            ("admin", false),
        ] {
            assert_eq!(scopes.grants(&scope.parse().unwrap()), granted, "{scope}");
        }
    }

    #[test]
    fn a_star_grants_all_and_nothing_grants_none() {
        let all: ScopeSet = "*".parse().unwrap();
        assert!(all.grants(&"keys:write".parse().unwrap()));
        assert!(!ScopeSet::default().grants(&"keys:write".parse().unwrap()));
    }

    #[test]
    fn shows_its_scopes_sorted_and_once() {
        let scopes: ScopeSet = "b a b".parse().unwrap();
        assert_eq!(scopes.to_string(), "a b");
    }
}
