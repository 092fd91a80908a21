//! What the tables of the programs share: goals and numbers.

use std::fmt;

use serde::Serialize;

/// The limit of a budget.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// The figure is not above this.
    AtMost(f64),
    /// The figure is not below this.
    AtLeast(f64),
}

impl Goal {
    /// Whether a figure is within the limit; `NaN` is not.
    pub fn is_met(self, reached: f64) -> bool {
        match self {
            Self::AtMost(goal) => reached <= goal,
            Self::AtLeast(goal) => reached >= goal,
        }
    }

    /// The same direction with another limit.
    #[must_use]
    pub fn with(self, limit: f64) -> Self {
        match self {
            Self::AtMost(_) => Self::AtMost(limit),
            Self::AtLeast(_) => Self::AtLeast(limit),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(goal) => write!(f, "≤ {goal}"),
            Self::AtLeast(goal) => write!(f, "≥ {goal}"),
        }
    }
}

/// Two significant digits for ratios, none after the point for counts and nanoseconds.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        small if small < 0.1 => format!("{value:.3}"),
        large if large >= 100.0 => format!("{value:.0}"),
        large if large >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
