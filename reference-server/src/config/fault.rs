//! What is wrong with a configuration file, in one line.

use std::fmt;

use super::Config;

/// A fault and its line.
pub(super) struct Fault {
    line: usize,
    text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.text)
    }
}

pub(super) fn parse(text: &str) -> Result<Config, Fault> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        Fault {
            line: 1 + text.as_bytes()[..at]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count(),
            text: describe(error.message()),
        }
    })
}

/// The parser's words on one line, with the nearest name for an unknown one.
fn describe(message: &str) -> String {
    let message = message.lines().collect::<Vec<_>>().join(", ");
    let Some(rest) = message.strip_prefix("unknown field `") else {
        return message;
    };
    let Some((name, expected)) = rest.split_once('`') else {
        return message;
    };
    // The known names stand between backticks: every second piece.
    let known = expected.split('`').skip(1).step_by(2);
    let nearest = known
        .map(|known| (strsim::osa_distance(name, known), known))
        .min();
    match nearest {
        Some((distance, known)) if distance <= known.len().div_ceil(2) => {
            format!("unknown field `{name}`; did you mean `{known}`?")
        }
        _ => message,
    }
}
