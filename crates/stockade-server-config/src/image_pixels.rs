//! Checks of the size of images against the files of a model.

use std::{fs, path::Path};

use serde_json::Value;
use stockade::ConfigError;

use crate::{ModelConfig, ModelSource};

/// Checks that `max_pixels` and `min_pixels` are within the bounds of the model, if its files are
/// here. `section` is the path of the model's section.
pub(crate) fn check(model: &ModelConfig, section: &str) -> Option<ConfigError> {
    let Ok(Some(ModelSource::Directory(path))) = model.location() else {
        return None;
    };
    let (own_min, own_max) = own_pixels(&path)?;
    let error = |setting: &str, text: String, remedy: String| {
        Some(ConfigError::setting(format!("{section}.{setting}"), text).help(remedy))
    };
    for (setting, value) in [
        ("max_pixels", model.max_pixels),
        ("min_pixels", model.min_pixels),
    ] {
        let Some(value) = value.map(|value| u64::from(value.get())) else {
            continue;
        };
        if value > own_max {
            let text = format!("{value} is over the {own_max} pixels of the model");
            return error(
                setting,
                text,
                format!("set at most {own_max}, or remove it"),
            );
        }
        if value < own_min {
            let text = format!("{value} is under the {own_min} pixels of the model");
            return error(
                setting,
                text,
                format!("set at least {own_min}, or remove it"),
            );
        }
    }
    None
}

/// The minimum and maximum number of pixels in the files of a model.
fn own_pixels(path: &Path) -> Option<(u64, u64)> {
    let file = fs::read(path.join("preprocessor_config.json")).ok()?;
    let config: Value = serde_json::from_slice(&file).ok()?;
    // Newer versions of transformers write other names.
    let field = |old: &str, new: &str| {
        let old = config[old].as_u64();
        old.or_else(|| config["size"][new].as_u64())
    };
    Some((
        field("min_pixels", "shortest_edge")?,
        field("max_pixels", "longest_edge")?,
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use stockade::{Environment, Format};

    use super::*;
    use crate::ServerFile;

    fn message(preprocessor: &str, lines: &str) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("preprocessor_config.json"), preprocessor).unwrap();
        let text = format!(
            "[auth]\nkeys_file = \"k\"\n[model]\nsource = {:?}\n{lines}",
            dir.path()
        );
        let file = ServerFile::parse(&text, Format::Toml, &Environment::default()).unwrap();
        check(&file.models[0], "model").map(|error| error.to_string())
    }

    #[test]
    fn pixels_are_within_those_of_the_model() {
        let old = r#"{"min_pixels": 3136, "max_pixels": 100352}"#;
        let new = r#"{"size": {"shortest_edge": 3136, "longest_edge": 100352}}"#;
        let both = r#"{"min_pixels": null, "max_pixels": 100352, "size": {"shortest_edge": 3136}}"#;
        for files in [old, new, both] {
            for (lines, text) in [
                ("max_pixels = 50000", None),
                ("max_pixels = 100352\nmin_pixels = 3136", None),
                ("max_pixels = 100353", Some("set at most 100352")),
                ("max_pixels = 3000", Some("set at least 3136")),
                ("min_pixels = 784", Some("set at least 3136")),
                ("min_pixels = 200000", Some("set at most 100352")),
            ] {
                let message = message(files, lines);
                assert_eq!(message.is_some(), text.is_some(), "{files} {lines}");
                let found = message.unwrap_or_default();
                assert!(found.contains(text.unwrap_or_default()), "{found}");
            }
        }
        assert_eq!(message("{}", "max_pixels = 1"), None);
    }
}
