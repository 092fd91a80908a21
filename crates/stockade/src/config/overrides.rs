//! Variables of the form `STOCKADE_SECTION__SETTING`.

use toml::Table as Toml;

use super::{
    ConfigError, ConfigWarning, Environment, SettingOrigin,
    environment::PREFIX,
    node::{Node, Table, Value},
    schema::{Kind, Schema},
};

/// Variables of the command line, which are not settings.
const CLI_VARIABLES: &[&str] = &[
    "STOCKADE_KEYS",
    "STOCKADE_AUDIT_KEY",
    "STOCKADE_TOKEN_KEY",
    "STOCKADE_PEPPER",
];

/// A setting that a variable overrides.
pub(super) struct Override<'e> {
    pub(super) variable: &'e str,
    pub(super) setting: String,
    text: &'e str,
}

/// Finds the overrides in the environment.
///
/// # Errors
/// When a variable resembles a setting; the error suggests the nearest name.
pub(super) fn find<'e>(
    environment: &'e Environment,
    schema: &Schema,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<Vec<Override<'e>>, ConfigError> {
    let mut found = Vec::new();
    for (variable, text) in environment.prefixed() {
        let rest = variable.strip_prefix(PREFIX).unwrap_or(variable);
        if !rest.contains("__") {
            check_unknown(variable, rest, schema, warnings)?;
            continue;
        }
        let setting = rest.to_ascii_lowercase().replace("__", ".");
        let refuse =
            |text: &str| ConfigError::new(text.to_owned()).at(SettingOrigin::variable(variable));
        match kind(schema, &setting) {
            Some(Kind::Section(_) | Kind::Sections) => {
                return Err(refuse("is a section, which a variable cannot set")
                    .help("set it in the file, or set one of its settings"));
            }
            Some(_) => {}
            None => {
                let (_, name) = setting.rsplit_once('.').unwrap_or(("", &setting));
                let error = refuse(&format!("unknown field `{name}`"));
                return Err(match nearest(rest, schema) {
                    Some(known) => error.help(format!("did you mean {known}?")),
                    None => error.help("unset it, or correct its name"),
                });
            }
        }
        let Some(text) = text else {
            return Err(refuse("is not UTF-8").help("set it to UTF-8 text"));
        };
        if text.trim().is_empty() {
            return Err(refuse("is empty").help("unset it, or set it to [] for an empty list"));
        }
        found.push(Override {
            variable,
            setting,
            text,
        });
    }
    Ok(found)
}

impl Override<'_> {
    /// Replaces the value of the file.
    pub(super) fn apply(&self, table: &mut Table) -> Result<(), ConfigError> {
        let origin = SettingOrigin::variable(self.variable);
        let path: Vec<&str> = self.setting.split('.').collect();
        let node = Node {
            value: Value::Untyped(self.text.to_owned()),
            origin: origin.clone(),
        };
        table.set(&path, node).map_err(|at| {
            let part = path[..=at.min(path.len() - 1)].join(".");
            ConfigError::new(format!("`{part}` is not a section in the file")).at(origin)
        })
    }
}

/// The name of a setting's variable.
pub(super) fn variable(setting: &str) -> String {
    let name = setting.replace('.', "__").to_ascii_uppercase();
    format!("{PREFIX}{name}")
}

/// The kind of a setting, or of its section if that accepts any name.
fn kind(schema: &Schema, setting: &str) -> Option<Kind> {
    schema.kind(setting).or_else(|| {
        let (section, _) = setting.rsplit_once('.')?;
        kind(schema, section).filter(|kind| matches!(kind, Kind::Map | Kind::Ignored))
    })
}

/// Handles a prefixed variable without a section: ignores known names, refuses a likely typo,
/// and warns about all others.
fn check_unknown(
    variable: &str,
    rest: &str,
    schema: &Schema,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<(), ConfigError> {
    if CLI_VARIABLES.contains(&variable) || is_from_kubernetes(rest) {
        return Ok(());
    }
    match nearest(rest, schema) {
        Some(known) => Err(ConfigError::new("is not a setting")
            .at(SettingOrigin::variable(variable))
            .help(format!("did you mean {known}?"))),
        None => {
            let warning = ConfigWarning::new(
                SettingOrigin::variable(variable),
                "is not a setting and has no effect",
            );
            warnings.push(warning.unset(variable));
            Ok(())
        }
    }
}

/// Whether Kubernetes sets this variable in each container for a service with the name
/// `stockade` or `stockade-…`: `STOCKADE_SERVICE_HOST`, `STOCKADE_PORT_8000_TCP_ADDR`.
fn is_from_kubernetes(rest: &str) -> bool {
    let rest = format!("_{rest}");
    let port = |(_, port): (&str, &str)| {
        port.is_empty()
            || (port.starts_with('_') && port.as_bytes().get(1).is_some_and(u8::is_ascii_digit))
    };
    rest.contains("_SERVICE_HOST")
        || rest.contains("_SERVICE_PORT")
        || rest.split_once("_PORT").is_some_and(port)
}

/// The variable with the most similar name, if it is similar enough.
fn nearest(rest: &str, schema: &Schema) -> Option<String> {
    let plain = |name: &str| name.replace("__", "_").to_ascii_uppercase();
    let wanted = plain(rest);
    let candidates = schema.settings().map(|setting| {
        let name = plain(&setting.replace('.', "_"));
        let last = setting.rsplit_once('.').map_or(setting, |(_, last)| last);
        let distance = match last.to_ascii_uppercase() == wanted {
            true => 1,
            false => strsim::osa_distance(&name, &wanted),
        };
        (distance, setting)
    });
    let (distance, setting) = candidates.min()?;
    (distance <= 2 || distance * 6 <= wanted.len()).then(|| variable(setting))
}

/// Parses a TOML list of strings: `["a", "b"]`.
pub(super) fn parse_list(text: &str) -> Option<Vec<String>> {
    if !text.trim_start().starts_with('[') {
        return None;
    }
    let parsed = toml::from_str::<Toml>(&format!("list = {text}")).ok()?;
    let items = parsed.get("list")?.as_array()?.iter();
    items.map(|item| item.as_str().map(str::to_owned)).collect()
}

/// Splits a text at its commas.
pub(super) fn split_commas(text: &str) -> Vec<String> {
    let parts = text.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Parses the usual spellings of true and false.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}
