//! The older systems whose routes can be served.

use std::{error::Error, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error as _};

/// An older system, whose clients and scripts can use an administration without changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compatibility {
    /// Inferno: logins and API keys under `/api/v1/auth`.
    Inferno,
    /// SOLLOL: its permission names, in the routes of the other systems that create keys.
    Sollol,
    /// Cortex: API keys under `/admin/keys`.
    Cortex,
    /// Holo: `/metrics` as JSON.
    Holo,
}

impl Compatibility {
    /// All systems.
    pub const ALL: &'static [Self] = &[Self::Inferno, Self::Sollol, Self::Cortex, Self::Holo];

    /// The name, such as `inferno`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inferno => "inferno",
            Self::Sollol => "sollol",
            Self::Cortex => "cortex",
            Self::Holo => "holo",
        }
    }
}

impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compatibility {
    type Err = UnknownCompatibility;

    fn from_str(name: &str) -> Result<Self, UnknownCompatibility> {
        let found = Self::ALL.iter().find(|known| known.name() == name);
        found
            .copied()
            .ok_or_else(|| UnknownCompatibility(name.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Compatibility {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(D::Error::custom)
    }
}

/// The error of a name that is not a [`Compatibility`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCompatibility(String);

impl fmt::Display for UnknownCompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown system {:?}; known are", self.0)?;
        for (at, known) in Compatibility::ALL.iter().enumerate() {
            let separator = if at == 0 { "" } else { "," };
            write!(f, "{separator} {known}")?;
        }
        Ok(())
    }
}

impl Error for UnknownCompatibility {}

/// Parses the list of a configuration.
pub(super) fn list<'de, D>(deserializer: D) -> Result<Vec<Compatibility>, D::Error>
where
    D: Deserializer<'de>,
{
    let list = Vec::deserialize(deserializer)?;
    check(&list).map_err(D::Error::custom)?;
    Ok(list)
}

/// Checks that each system has an effect.
///
/// # Errors
/// When SOLLOL, which had no routes for keys, is the only system with keys.
pub(crate) fn check(list: &[Compatibility]) -> Result<(), &'static str> {
    let creates_keys = |system| matches!(system, Compatibility::Inferno | Compatibility::Cortex);
    let is_used = list.iter().copied().any(creates_keys);
    match list.contains(&Compatibility::Sollol) && !is_used {
        true => Err(
            "sollol has no routes of its own; add inferno or cortex, whose routes \
                     accept its permission names then",
        ),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AdminConfig;

    fn read(list: &str) -> Result<Vec<Compatibility>, String> {
        let config = serde_json::from_str(&format!(r#"{{"compatibility":{list}}}"#));
        config
            .map(|config: AdminConfig| config.compatibility)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn reads_names() {
        assert_eq!(read("[]"), Ok(Vec::new()));
        let all = r#"["inferno","sollol","cortex","holo"]"#;
        assert_eq!(read(all).as_deref(), Ok(Compatibility::ALL));
        assert!(AdminConfig::default().compatibility.is_empty());
    }

    #[test]
    fn refuses_unknown_names_with_the_known_ones() {
        let error = read(r#"["Inferno"]"#).unwrap_err();
        let text = "unknown system \"Inferno\"; known are inferno, sollol, cortex, holo";
        assert!(error.contains(text), "{error}");
    }

    #[test]
    fn refuses_a_system_without_effect() {
        for list in [r#"["sollol"]"#, r#"["sollol","holo"]"#] {
            let error = read(list).unwrap_err();
            assert!(error.contains("add inferno or cortex"), "{error}");
        }
        assert!(read(r#"["sollol","cortex"]"#).is_ok());
    }
}
