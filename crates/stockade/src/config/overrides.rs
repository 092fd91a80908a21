//! Variables of the form `STOCKADE_SECTION__SETTING`.

use toml::Table as Toml;

use super::{
    ConfigError, ConfigWarning, Environment, Origin,
    environment::PREFIX,
    node::{Node, Table, Value},
    schema::{Kind, Schema},
};

/// Variables of this project that are no settings of a configuration: the command line's.
const OTHERS: &[&str] = &[
    "STOCKADE_KEYS",
    "STOCKADE_AUDIT_KEY",
    "STOCKADE_TOKEN_KEY",
    "STOCKADE_PEPPER",
];

/// A setting that a variable sets.
pub(super) struct Override<'e> {
    pub(super) variable: &'e str,
    pub(super) setting: String,
    text: &'e str,
}

/// The settings of the environment.
///
/// # Errors
/// When a variable looks like a setting and is none; the error has the nearest name.
pub(super) fn find<'e>(
    environment: &'e Environment,
    schema: &Schema,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<Vec<Override<'e>>, ConfigError> {
    let mut found = Vec::new();
    for (variable, text) in environment.prefixed() {
        let rest = variable.strip_prefix(PREFIX).unwrap_or(variable);
        if !rest.contains("__") {
            not_a_setting(variable, rest, schema, warnings)?;
            continue;
        }
        let setting = rest.to_ascii_lowercase().replace("__", ".");
        let refuse = |text: &str| ConfigError::new(text.to_owned()).at(Origin::variable(variable));
        match kind(schema, &setting) {
            Some(Kind::Section(_) | Kind::Sections) => {
                return Err(refuse("is a section, which a variable cannot set")
                    .help("write it in the file"));
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
            return Err(refuse("is not UTF-8"));
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
    /// Takes the place of what the file says.
    pub(super) fn apply(&self, table: &mut Table) -> Result<(), ConfigError> {
        let origin = Origin::variable(self.variable);
        let path: Vec<&str> = self.setting.split('.').collect();
        let node = Node {
            value: Value::Untyped(self.text.to_owned()),
            origin: origin.clone(),
        };
        table.set(&path, node).map_err(|at| {
            let part = path[..=at.min(path.len() - 1)].join(".");
            ConfigError::new(format!("`{part}` is no section in the file")).at(origin)
        })
    }
}

/// The name of the variable of a setting.
pub(super) fn variable(setting: &str) -> String {
    let name = setting.replace('.', "__").to_ascii_uppercase();
    format!("{PREFIX}{name}")
}

/// What a setting takes; that of the section, where that takes any name.
fn kind(schema: &Schema, setting: &str) -> Option<Kind> {
    schema.kind(setting).or_else(|| {
        let (section, _) = setting.rsplit_once('.')?;
        kind(schema, section).filter(|kind| matches!(kind, Kind::Map | Kind::Ignored))
    })
}

/// A name of ours without a section: a slip, another program's, or a mistake.
fn not_a_setting(
    variable: &str,
    rest: &str,
    schema: &Schema,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<(), ConfigError> {
    if OTHERS.contains(&variable) || is_of_kubernetes(rest) {
        return Ok(());
    }
    match nearest(rest, schema) {
        Some(known) => Err(ConfigError::new("is no setting")
            .at(Origin::variable(variable))
            .help(format!("did you mean {known}?"))),
        None => {
            let warning = ConfigWarning::new(
                Origin::variable(variable),
                "is no setting, and has no effect",
            );
            warnings.push(warning.unset(variable));
            Ok(())
        }
    }
}

/// What Kubernetes sets in each container for a service with the name `stockade` or
/// `stockade-…`: `STOCKADE_SERVICE_HOST`, `STOCKADE_PORT_8000_TCP_ADDR`.
fn is_of_kubernetes(rest: &str) -> bool {
    let rest = format!("_{rest}");
    let port = |(_, port): (&str, &str)| {
        port.is_empty()
            || (port.starts_with('_') && port.as_bytes().get(1).is_some_and(u8::is_ascii_digit))
    };
    rest.contains("_SERVICE_HOST")
        || rest.contains("_SERVICE_PORT")
        || rest.split_once("_PORT").is_some_and(port)
}

/// The variable that was probably meant.
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

/// A list, where the text is one in TOML: `["a", "b"]`.
pub(super) fn list(text: &str) -> Option<Vec<String>> {
    if !text.trim_start().starts_with('[') {
        return None;
    }
    let parsed = toml::from_str::<Toml>(&format!("list = {text}")).ok()?;
    let items = parsed.get("list")?.as_array()?.iter();
    items.map(|item| item.as_str().map(str::to_owned)).collect()
}

/// The parts between commas.
pub(super) fn commas(text: &str) -> Vec<String> {
    let parts = text.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// What people write for true and false.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}
