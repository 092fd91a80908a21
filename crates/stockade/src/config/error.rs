//! What is wrong with a configuration, in one line.

use std::{error::Error, fmt};

/// What is wrong with a configuration, where, and how it is mended.
#[derive(Debug)]
pub struct ConfigError {
    /// A file or a variable.
    place: Option<String>,
    line: Option<usize>,
    text: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ConfigError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            place: None,
            line: None,
            text: text.into(),
            source: None,
        }
    }

    /// A setting that some part of the fence does not take.
    pub(crate) fn of(setting: &str, source: impl Error + Send + Sync + 'static) -> Self {
        Self {
            place: None,
            line: None,
            text: format!("{setting}: {source}"),
            source: Some(Box::new(source)),
        }
    }

    /// The words of a parser on one line, with the nearest name for an unknown one.
    pub(super) fn said(message: &str) -> Self {
        let message = message.lines().collect::<Vec<_>>().join(", ");
        Self::new(nearest(&message).unwrap_or(message))
    }

    pub(super) fn at_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    /// Says which file or variable it is in, where that was not said yet.
    pub fn within(mut self, place: &str) -> Self {
        self.place.get_or_insert_with(|| place.to_owned());
        self
    }
}

/// `unknown field` with the name that was probably meant.
fn nearest(message: &str) -> Option<String> {
    let (before, rest) = message.split_once("unknown field `")?;
    let (name, expected) = rest.split_once('`')?;
    // The known names stand between backticks: every second piece.
    let known = expected.split('`').skip(1).step_by(2);
    let (distance, nearest) = known
        .map(|known| (strsim::osa_distance(name, known), known))
        .min()?;
    let is_near = distance <= nearest.len().div_ceil(2);
    is_near.then(|| format!("{before}unknown field `{name}`; did you mean `{nearest}`?"))
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.place, self.line) {
            (Some(place), Some(line)) => write!(f, "{place}:{line}: ")?,
            (Some(place), None) => write!(f, "{place}: ")?,
            (None, Some(line)) => write!(f, "line {line}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.text)
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_deref()? as _)
    }
}
