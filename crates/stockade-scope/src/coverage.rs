//! Comparison of rules with the routes of a router.

use std::{collections::BTreeSet, error::Error, fmt};

use http::Method;

/// Compares rules with routes; `GET` covers `HEAD`.
pub(crate) fn compare<'r>(
    rules: impl Iterator<Item = (&'r Method, &'r str)>,
    routes: impl Iterator<Item = (Method, &'r str)>,
) -> Result<(), CoverageError> {
    let text = |method: &Method, pattern: &str| format!("{method} {pattern}");
    let rules: BTreeSet<String> = rules
        .map(|(method, pattern)| text(method, pattern))
        .collect();
    let routes: BTreeSet<String> = routes
        .filter(|(method, pattern)| {
            *method != Method::HEAD || rules.contains(&text(&Method::HEAD, pattern))
        })
        .map(|(method, pattern)| text(&method, pattern))
        .collect();
    let error = CoverageError {
        without_rule: routes.difference(&rules).cloned().collect(),
        without_route: rules.difference(&routes).cloned().collect(),
    };
    match error.without_rule.is_empty() && error.without_route.is_empty() {
        true => Ok(()),
        false => Err(error),
    }
}

/// The error of routes without a rule and rules without a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageError {
    without_rule: Vec<String>,
    without_route: Vec<String>,
}

impl CoverageError {
    /// Returns routes without a rule, which are denied, such as `GET /v1/models`.
    pub fn without_rule(&self) -> &[String] {
        &self.without_rule
    }

    /// Returns rules without a route, because of a removed route or a typo.
    pub fn without_route(&self) -> &[String] {
        &self.without_route
    }
}

impl fmt::Display for CoverageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rules and routes differ")?;
        for (what, routes) in [
            ("routes without a rule", &self.without_rule),
            ("rules without a route", &self.without_route),
        ] {
            if !routes.is_empty() {
                write!(f, "; {what}: {}", routes.join(", "))?;
            }
        }
        Ok(())
    }
}

impl Error for CoverageError {}
