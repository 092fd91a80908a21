//! The route table.

use std::{collections::HashMap, error::Error, fmt};

use foldhash::fast::RandomState;
use http::Method;

use crate::{Access, Roles, access::Requirement, path::is_ambiguous};

/// The rules of all routes.
#[derive(Clone, Debug)]
pub(crate) struct RouteTable {
    by_path: matchit::Router<usize>,
    by_pattern: HashMap<Box<str>, usize, RandomState>,
    static_paths: HashMap<Box<str>, usize, RandomState>,
    patterns: Vec<(Box<str>, MethodRules)>,
}

/// The rules of one pattern; searched linearly, since there are few.
pub(crate) type MethodRules = Vec<Rule>;

/// The rule of one method of a pattern.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) method: Method,
    pub(crate) access: Access,
    pub(crate) requirement: Requirement,
}

impl RouteTable {
    pub(crate) fn new(
        routes: Vec<(Method, String, Access)>,
        roles: &Roles,
    ) -> Result<Self, RouteTableError> {
        let mut table = Self {
            by_path: matchit::Router::new(),
            by_pattern: HashMap::default(),
            static_paths: HashMap::default(),
            patterns: Vec::new(),
        };
        for (method, pattern, access) in routes {
            let error = |kind| RouteTableError {
                route: format!("{method} {pattern}"),
                kind,
            };
            let at = match table.by_pattern.get(&*pattern) {
                Some(at) => *at,
                None => {
                    let at = table.patterns.len();
                    table
                        .by_path
                        .insert(&*pattern, at)
                        .map_err(|source| error(kind_of(source)))?;
                    table.by_pattern.insert((&*pattern).into(), at);
                    if !pattern.contains(['{', '}']) && !is_ambiguous(&pattern) {
                        table.static_paths.insert((&*pattern).into(), at);
                    }
                    table
                        .patterns
                        .push(((&*pattern).into(), MethodRules::new()));
                    at
                }
            };
            let methods = &mut table.patterns[at].1;
            if methods.iter().any(|rule| rule.method == method) {
                return Err(error(RouteTableErrorKind::Duplicate));
            }
            methods.push(Rule {
                method,
                requirement: access.requirement(roles),
                access,
            });
        }
        Ok(table)
    }

    /// Returns the rules of a pattern that a router matched.
    pub(crate) fn by_pattern(&self, pattern: &str) -> Option<&MethodRules> {
        self.by_pattern.get(pattern).map(|at| &self.patterns[*at].1)
    }

    /// Returns all methods and patterns.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Method, &str)> {
        self.patterns
            .iter()
            .flat_map(|(pattern, methods)| methods.iter().map(|rule| (&rule.method, &**pattern)))
    }

    /// Returns the rules of a pattern without parameters that equals the path.
    ///
    /// Static patterns take precedence over all others, and their paths are not ambiguous.
    pub(crate) fn by_static_path(&self, path: &str) -> Option<&MethodRules> {
        self.static_paths.get(path).map(|at| &self.patterns[*at].1)
    }

    /// Returns the rules of the pattern that matches the path.
    pub(crate) fn by_path(&self, path: &str) -> Option<&MethodRules> {
        self.by_path
            .at(path)
            .ok()
            .map(|found| &self.patterns[*found.value].1)
    }
}

fn kind_of(error: matchit::InsertError) -> RouteTableErrorKind {
    match error {
        matchit::InsertError::Conflict { with } => RouteTableErrorKind::Conflict { with },
        _ => RouteTableErrorKind::InvalidPattern,
    }
}

/// The error of an invalid route table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTableError {
    route: String,
    kind: RouteTableErrorKind,
}

/// The kinds of [`RouteTableError`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteTableErrorKind {
    /// The pattern is invalid.
    InvalidPattern,
    /// Another pattern matches the same paths.
    Conflict {
        /// The other pattern.
        with: String,
    },
    /// The route already has a rule.
    Duplicate,
}

impl RouteTableError {
    /// Returns the kind of the error.
    pub fn kind(&self) -> &RouteTableErrorKind {
        &self.kind
    }
}

impl fmt::Display for RouteTableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let route = &self.route;
        match &self.kind {
            RouteTableErrorKind::InvalidPattern => write!(
                f,
                "{route} has an invalid pattern; use a pattern such as /v1/models/{{id}} or \
                 /files/{{*path}}"
            ),
            RouteTableErrorKind::Conflict { with } => {
                write!(
                    f,
                    "{route} matches the same paths as {with}; keep one of them"
                )
            }
            RouteTableErrorKind::Duplicate => {
                write!(f, "{route} has two rules; keep one of them")
            }
        }
    }
}

impl Error for RouteTableError {}
