//! Help texts of all metric families of a fence.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Describes the families to the recorder that is installed.
pub(super) fn describe() {
    describe_counter!("stockade_requests_total", "Requests, by route and status");
    describe_histogram!(
        "stockade_request_duration_seconds",
        Unit::Seconds,
        "Time from a request's head to the end of its answer, by route"
    );
    describe_counter!(
        "stockade_auth_allowed_total",
        "Requests that were let in, with a credential or anonymously"
    );
    describe_counter!(
        "stockade_auth_blocked_total",
        "Requests whose credential was refused, by reason"
    );
    describe_counter!(
        "stockade_refused_total",
        "Requests that were refused, by guard and code"
    );
    describe_counter!(
        "stockade_tokens_total",
        "Tokens of language models, of prompts and of completions"
    );
    describe_gauge!(
        "stockade_config_warnings",
        "Warnings about the configuration that is in force"
    );
    describe_gauge!("stockade_banned_clients", "Clients that are banned now");
    describe_gauge!(
        "stockade_deny_list_skipped_lines",
        "Lines of the deny-list that are invalid and ban no client"
    );
    describe_gauge!(
        "stockade_tracked_offenders",
        "Clients whose offences are remembered"
    );
    describe_counter!(
        "stockade_denied_total",
        "Requests that were refused because of a ban"
    );
    describe_counter!(
        "stockade_would_deny_total",
        "Requests and clients that were let pass only because bans are reported only"
    );
    describe_gauge!("stockade_requests_in_flight", "Requests that hold a permit");
    describe_gauge!(
        "stockade_requests_waiting",
        "Requests that wait for a permit"
    );
    describe_gauge!(
        "stockade_store_up",
        "Whether the store that replicas share answers: 1 or 0"
    );
    describe_counter!(
        "stockade_store_failures_total",
        "Calls of the shared store that failed"
    );
    describe_counter!(
        "stockade_store_decided_without_total",
        "Decisions that were made without the shared store"
    );
    describe_counter!(
        "stockade_store_lost_debits_total",
        "Debits after the fact that never reached the shared store"
    );
    describe_counter!(
        "stockade_store_lost_permits_total",
        "Permits that could not be given back to the shared store and expired"
    );
    describe_gauge!(
        "stockade_audit_queued_bytes",
        "Bytes of records that wait to be written"
    );
    describe_gauge!(
        "stockade_audit_failing_journals",
        "Journals that cannot be written now"
    );
    describe_counter!("stockade_audit_dropped_total", "Records that were lost");
    describe_counter!(
        "stockade_audit_write_errors_total",
        "Attempts to write records that failed"
    );
    describe_gauge!(
        "stockade_source_age_seconds",
        Unit::Seconds,
        "Time since the value in force of a watched source was last known to be current"
    );
    describe_gauge!(
        "stockade_source_failing",
        "Whether a watched source fails to be read again: 1 or 0"
    );
    describe_counter!(
        "stockade_source_failures_total",
        "Attempts to read a watched source again that failed"
    );
}
