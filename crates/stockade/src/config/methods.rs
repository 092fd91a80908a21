//! HTTP methods of routes; unknown names are refused.

use std::str::FromStr;

use http::Method;
use serde::Deserializer;

use super::value;

/// The methods of RFC 9110 and RFC 5789, and other registered methods that APIs use. A typo
/// such as `PSOT` would create a rule that no request matches.
const KNOWN: &[&str] = &[
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "QUERY",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
];

struct Known(Method);

impl FromStr for Known {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if KNOWN.contains(&text)
            && let Ok(method) = text.parse()
        {
            return Ok(Self(method));
        }
        let upper = text.to_ascii_uppercase();
        let nearest = KNOWN
            .iter()
            .min_by_key(|known| strsim::osa_distance(known, &upper));
        Err(match nearest {
            Some(known) if strsim::osa_distance(known, &upper) <= 2 => {
                format!("{text:?} is not an HTTP method; did you mean {known}?")
            }
            _ => format!(
                "{text:?} is not an HTTP method; the methods are {}",
                KNOWN.join(", ")
            ),
        })
    }
}

pub(super) fn list<'de, D>(deserializer: D) -> Result<Vec<Method>, D::Error>
where
    D: Deserializer<'de>,
{
    let methods: Vec<Known> = value::list(deserializer)?;
    Ok(methods.into_iter().map(|Known(method)| method).collect())
}
