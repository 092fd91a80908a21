//! What of a deny-list bans nobody.

use stockade_abuse::DenyListReport;

use super::Findings;

const SETTING: &str = "abuse.deny_list";

/// FS01: a line that is skipped is a client that is let in.
pub(super) fn check(report: Option<&DenyListReport>, findings: &mut Findings) {
    let Some(report) = report else {
        return;
    };
    if report.missing {
        findings.warning(
            SETTING,
            "the file does not exist; it is made with the first ban",
            "create an empty file, or correct the path",
        );
    }
    let skipped = &report.skipped;
    for line in skipped.listed() {
        findings.error(
            SETTING,
            format!(
                "{} line {}: {}, so it bans nobody",
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
            format!("{} more lines ban nobody", skipped.unlisted()),
            "fix the first ones and check again",
        );
    }
}
