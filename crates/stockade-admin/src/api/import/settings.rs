//! Compares the settings of an export with the present ones, which are changed in the file only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::SettingView;

#[derive(Deserialize, ToSchema)]
pub(super) struct SettingImport {
    name: String,
    value: String,
}

/// The settings that the operator may have to write into the file.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SettingsReport {
    differing: Vec<Difference>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Difference {
    name: String,
    /// `[redacted]` for a secret; `null` if only this program has the setting.
    exported: Option<String>,
    /// `null` if only the export has the setting.
    present: Option<String>,
}

pub(super) fn compare(exported: Vec<SettingImport>, present: Vec<SettingView>) -> SettingsReport {
    let mut settings: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    for setting in exported {
        settings.entry(setting.name).or_default().0 = Some(setting.value);
    }
    for setting in present {
        settings.entry(setting.name).or_default().1 = Some(setting.value);
    }
    let differing = settings.into_iter();
    let differing = differing.filter(|(_, (exported, present))| exported != present);
    let difference = |(name, (exported, present))| Difference {
        name,
        exported,
        present,
    };
    SettingsReport {
        differing: differing.map(difference).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn lists_the_settings_that_differ() {
        let exported = json!([
            { "name": "equal", "value": "1", "origin": "stockade.toml:1" },
            { "name": "other", "value": "1", "origin": null },
            { "name": "secret", "value": "[redacted]", "origin": null },
        ]);
        let present = [("equal", "1"), ("new", "3"), ("other", "2")];
        let present = present.map(|(name, value)| SettingView {
            name: name.to_owned(),
            value: value.to_owned(),
            origin: None,
        });
        let report = compare(from_value(exported).unwrap(), present.into());
        let expected = json!([
            { "name": "new", "exported": null, "present": "3" },
            { "name": "other", "exported": "1", "present": "2" },
            { "name": "secret", "exported": "[redacted]", "present": null },
        ]);
        assert_eq!(json!(report.differing), expected);
    }
}
