//! The conditions of `[alerts]` and the rules for Prometheus in `deploy/`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;

use stockade_server_config::AlertCondition;

/// Conditions that Prometheus does not show as one alert.
const OWN: [AlertCondition; 2] = [
    AlertCondition::PermissionsChanged,
    AlertCondition::ModelFailed,
];

#[test]
fn conditions_have_the_names_and_severities_of_the_rules() {
    let rules = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../deploy/prometheus/alerts.yml"
    );
    let rules = fs::read_to_string(rules).unwrap();
    for condition in AlertCondition::ALL {
        let rule = rules.split_once(&format!("- alert: {condition}\n"));
        assert_eq!(rule.is_none(), OWN.contains(&condition), "{condition}");
        if let Some((_, rule)) = rule {
            let severity = format!("{:?}", condition.severity()).to_lowercase();
            let label = rule.split_once("labels: {severity: ").unwrap().1;
            assert!(label.starts_with(&severity), "{condition}");
        }
    }
}
