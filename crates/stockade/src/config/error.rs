//! What is wrong with a configuration, in one line.

use std::{error::Error, fmt};

/// What is wrong with a configuration, where, and how it is mended.
#[derive(Debug)]
pub struct ConfigError {
    place: String,
    text: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ConfigError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            place: String::new(),
            text: text.into(),
            source: None,
        }
    }

    /// A setting that some part of the fence does not take.
    pub(crate) fn of(setting: &str, source: impl Error + Send + Sync + 'static) -> Self {
        Self {
            place: String::new(),
            text: format!("{setting}: {source}"),
            source: Some(Box::new(source)),
        }
    }

    /// The words of a parser on one line, with the nearest name for an unknown one.
    pub(super) fn said(message: &str) -> Self {
        let message = message.lines().collect::<Vec<_>>().join(", ");
        Self::new(nearest(&message).unwrap_or(message))
    }

    pub(super) fn at_line(self, line: usize) -> Self {
        self.within(&format!("line {line}"))
    }

    /// Says which part it is in, outside of what was said before.
    pub(super) fn within(mut self, place: &str) -> Self {
        self.place = match &*self.place {
            "" => place.to_owned(),
            inner => format!("{place}, {inner}"),
        };
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
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.text)
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_deref()? as _)
    }
}
