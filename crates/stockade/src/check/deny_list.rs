//! Lines of a deny-list that ban no client.

use stockade_abuse::DenyListReport;

use super::Findings;
use crate::{Config, Remedy};

const SETTING: &str = "abuse.deny_list";

/// FS01: a line that is skipped is a client that is let in.
pub(super) fn check(config: &Config, report: Option<&DenyListReport>, findings: &mut Findings<'_>) {
    let Some(report) = report else {
        return;
    };
    if report.missing {
        let file = config.abuse.deny_list.as_deref();
        let touch = file.map_or(String::new(), |file| format!("touch {}", file.display()));
        findings.warning(
            SETTING,
            "the file does not exist; it is made with the first ban",
            Remedy::text("create an empty file, or correct the path").run(touch),
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
            "fix the first ones and check again",
        );
    }
}
