//! Invalid lines of the deny-list.

use stockade_abuse::DenyListReport;

use super::Findings;
use crate::{Config, Remedy};

const SETTING: &str = "abuse.deny_list";

/// Reports skipped lines, whose clients are not banned (FS01).
pub(super) fn check(config: &Config, report: Option<&DenyListReport>, findings: &mut Findings<'_>) {
    let Some(report) = report else {
        return;
    };
    if report.missing {
        let file = config.abuse.deny_list.as_deref();
        let touch = file.map_or(String::new(), |file| format!("touch {}", file.display()));
        findings.warning(
            SETTING,
            "the file does not exist; it is created with the first ban",
            Remedy::text("create an empty file, or correct abuse.deny_list").run(touch),
        );
    }
    let skipped = &report.skipped;
    for line in skipped.listed() {
        findings.error(
            SETTING,
            format!(
                "{} line {}: {}, so it bans no client",
                skipped.source(),
                line.number,
                line.problem
            ),
            line.problem.help(),
        );
    }
    if skipped.unlisted() > 0 {
        findings.error(
            SETTING,
            format!("{} more lines ban no client", skipped.unlisted()),
            "fix the listed lines and check again",
        );
    }
}
