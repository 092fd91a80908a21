//! Loads a configuration from a file and the environment.

use std::{fs, path::Path, sync::Arc};

use serde::de::DeserializeOwned;

use super::{
    Config, ConfigError, ConfigWarning, Environment, Format, SettingFile, SettingOrigin, Settings,
    de_error::{DeError, DeErrorKind},
    examples, legacy,
    node::{Node, Table, Value},
    overrides,
    schema::{Kind, Schema},
    secret_files,
};

/// The settings with their origins, the files, the warnings and the legacy variables of a
/// configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Provenance {
    pub(super) settings: Settings,
    pub(super) files: Vec<SettingFile>,
    pub(super) warnings: Vec<ConfigWarning>,
    pub(super) legacy: Vec<(&'static str, &'static str)>,
}

/// Loads a file.
pub(super) fn read<S>(path: &Path, environment: &Environment) -> Result<(Config, S), ConfigError>
where
    S: DeserializeOwned,
{
    let (text, format, origin) = open(path)?;
    load(&text, format, origin, environment, folder_of(path))
}

/// The settings of a configuration with these sections of the program.
pub(super) fn schema_with<S>() -> Schema
where
    S: DeserializeOwned,
{
    Schema::of::<Config>()
        .and(Schema::of::<S>())
        .with_secret_files()
}

/// The names of the top-level sections of a file.
pub(super) fn section_names(path: &Path) -> Result<Vec<String>, ConfigError> {
    let (text, format, origin) = open(path)?;
    let table = format.parse(&text, &origin)?;
    Ok(table.0.into_iter().map(|entry| entry.key).collect())
}

fn open(path: &Path) -> Result<(String, Format, SettingOrigin), ConfigError> {
    let origin = SettingOrigin::File {
        file: Some(path.display().to_string().into()),
        line: None,
    };
    let Some(format) = Format::of(path) else {
        return Err(ConfigError::new("unknown file format")
            .at(origin)
            .help("use a file name that ends in .toml, .yaml or .yml"));
    };
    let text = fs::read_to_string(path)
        .map_err(|error| ConfigError::new(format!("cannot read {}: {error}", path.display())))?;
    Ok((text, format, origin))
}

/// The folder of a file, which relative paths in it are relative to.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Loads a string as a file in this folder.
pub(super) fn parse<S>(
    text: &str,
    format: Format,
    environment: &Environment,
    folder: &Path,
) -> Result<(Config, S), ConfigError>
where
    S: DeserializeOwned,
{
    let origin = SettingOrigin::File {
        file: None,
        line: None,
    };
    load(text, format, origin, environment, folder)
}

fn load<S>(
    text: &str,
    format: Format,
    origin: SettingOrigin,
    environment: &Environment,
    folder: &Path,
) -> Result<(Config, S), ConfigError>
where
    S: DeserializeOwned,
{
    let own_sections: Vec<String> = Schema::of::<S>().sections().map(str::to_owned).collect();
    let schema = schema_with::<S>();
    let mut table = format.parse(text, &origin)?;
    let mut warnings = Vec::new();
    let prefixed = overrides::find(environment, &schema, &mut warnings)?;
    let legacy = legacy::apply(environment, &schema, &prefixed, &mut table, &mut warnings)?;
    for setting in &prefixed {
        setting.apply(&mut table)?;
    }
    let mut files = secret_files::read_all(&mut table, &schema, folder, &mut warnings)?;
    files.extend(SettingFile::all(&table, &schema));
    let settings = Settings::of(&table, &schema);
    known_sections(&table, &schema)?;
    let (own, fence): (Vec<_>, Vec<_>) = table
        .0
        .into_iter()
        .partition(|entry| own_sections.contains(&entry.key));
    let own = typed(Table(own), &origin, &schema)?;
    let mut config: Config = typed(Table(fence), &origin, &schema)?;
    config.provenance = Arc::new(Provenance {
        settings,
        files,
        warnings,
        legacy,
    });
    Ok((config, own))
}

fn known_sections(table: &Table, schema: &Schema) -> Result<(), ConfigError> {
    for entry in &table.0 {
        if schema.kind(&entry.key).is_none() {
            let known: Vec<_> = schema.sections().collect();
            return Err(unknown(&entry.key, &known).at(entry.key_origin.clone()));
        }
    }
    Ok(())
}

fn typed<T>(table: Table, origin: &SettingOrigin, schema: &Schema) -> Result<T, ConfigError>
where
    T: DeserializeOwned,
{
    let root = Node {
        value: Value::Table(table),
        origin: origin.clone(),
    };
    T::deserialize(&root).map_err(|error| config_error(error, schema))
}

/// Adds the origin and a remedy to an error of the deserializer.
fn config_error(invalid: DeError, schema: &Schema) -> ConfigError {
    let setting = invalid.setting();
    let variable = invalid.origin.as_ref().and_then(SettingOrigin::as_variable);
    let error = match &invalid.kind {
        DeErrorKind::UnknownField { name, known } => unknown(name, known),
        DeErrorKind::Missing(name) => missing(&setting, name, schema),
        DeErrorKind::UnknownChoice { given, known } => {
            let error = ConfigError::setting(&setting, invalid.to_string());
            match nearest(given, known) {
                Some(known) => error.help(format!("did you mean {known}?")),
                None => error,
            }
        }
        DeErrorKind::Text(text) => {
            let error = ConfigError::setting(&setting, text);
            match examples::of(&setting) {
                Some(example) if variable.is_none() => {
                    error.help(format!("for example {} = {example}", last(&setting)))
                }
                _ => error,
            }
        }
    };
    match invalid.origin {
        Some(origin) => error.at(origin),
        None => error,
    }
}

fn last(setting: &str) -> &str {
    setting.rsplit_once('.').map_or(setting, |(_, last)| last)
}

/// Names of earlier versions, with remedies.
const REMOVED: &[(&str, &str)] = &[
    (
        "docs",
        "remove it; to open a page such as /docs, add a route with access = \"public\"",
    ),
    (
        "max_image_side",
        "set max_pixels, which counts pixels: 1440 of a side is about max_pixels = 1166400",
    ),
];

fn unknown(name: &str, known: &[&str]) -> ConfigError {
    if let Some((_, help)) = REMOVED.iter().find(|(removed, _)| *removed == name) {
        return ConfigError::new(format!("unknown field `{name}`")).help(*help);
    }
    match nearest(name, known) {
        Some(known) => ConfigError::new(format!("unknown field `{name}`"))
            .help(format!("did you mean `{known}`?")),
        None => ConfigError::new(format!("unknown field `{name}`"))
            .help(format!("expected one of: {}", known.join(", "))),
    }
}

fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let distances = known
        .iter()
        .map(|known| (strsim::osa_distance(name, known), *known));
    let (distance, nearest) = distances.min()?;
    (distance <= nearest.len().div_ceil(2)).then_some(nearest)
}

/// The error of a missing setting, with its choices or an example.
fn missing(section: &str, name: &str, schema: &Schema) -> ConfigError {
    let setting = match section {
        "" => name.to_owned(),
        section => format!("{section}.{name}"),
    };
    let error = ConfigError::new(format!("missing field `{name}`"));
    match schema.kind(&setting) {
        Some(Kind::Choice(choices)) => {
            error.help(format!("set {setting} to one of: {}", choices.join(", ")))
        }
        Some(Kind::Section(_)) => match examples::of(&setting) {
            Some(example) => error.help(format!("add the section [{setting}] with {example}")),
            None => error.help(format!("add the section [{setting}]")),
        },
        _ => match examples::of(&setting) {
            Some(example) => error.help(format!("for example {name} = {example}")),
            None => error.help(format!("set {setting}")),
        },
    }
}
