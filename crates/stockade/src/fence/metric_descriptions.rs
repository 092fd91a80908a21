//! Descriptions of all metric families of a fence.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Describes all metric families to the installed recorder.
pub(super) fn describe() {
    describe_counter!("stockade_requests_total", "Requests, by route and status");
    describe_histogram!(
        "stockade_request_duration_seconds",
        Unit::Seconds,
        "Time from the request head to the end of the response, by route"
    );
    describe_counter!(
        "stockade_auth_allowed_total",
        "Requests that were admitted, with a credential or anonymously"
    );
    describe_counter!(
        "stockade_auth_blocked_total",
        "Requests whose credential was refused, by reason"
    );
    describe_counter!(
        "stockade_refused_total",
        "Refused requests, by guard and code"
    );
    describe_counter!(
        "stockade_streams_cut_total",
        "Streams that were ended because their client lost access, by reason"
    );
    describe_gauge!(
        "stockade_open_streams",
        "Streams that are checked for the access of their client"
    );
    describe_counter!(
        "stockade_tokens_total",
        "Tokens of language models, by kind"
    );
    describe_gauge!(
        "stockade_config_warnings",
        "Warnings about the current configuration"
    );
    describe_gauge!("stockade_banned_clients", "Currently banned clients");
    describe_gauge!(
        "stockade_deny_list_skipped_lines",
        "Invalid lines of the deny-list, which ban no client"
    );
    describe_gauge!(
        "stockade_tracked_offenders",
        "Clients with tracked offences"
    );
    describe_counter!(
        "stockade_key_changes_total",
        "Keys that were created, rotated or revoked by any process, by change"
    );
    describe_counter!("stockade_denied_total", "Requests refused because of a ban");
    describe_counter!(
        "stockade_would_deny_total",
        "Requests and bans that were only reported because of abuse.report_only"
    );
    describe_gauge!(
        "stockade_requests_in_flight",
        "Requests that hold a concurrency permit"
    );
    describe_gauge!(
        "stockade_requests_waiting",
        "Requests that wait for a concurrency permit"
    );
    describe_gauge!(
        "stockade_store_up",
        "Whether the shared store is available: 1 or 0"
    );
    describe_counter!(
        "stockade_store_failures_total",
        "Failed calls of the shared store"
    );
    describe_counter!(
        "stockade_store_decided_without_total",
        "Decisions made by the failure policy without the shared store"
    );
    describe_counter!(
        "stockade_store_lost_debits_total",
        "Deferred debits that did not reach the shared store"
    );
    describe_counter!(
        "stockade_store_lost_permits_total",
        "Permits that could not be released in the shared store and expire there"
    );
    describe_gauge!("stockade_audit_queued_bytes", "Bytes of queued records");
    describe_gauge!(
        "stockade_audit_failing_journals",
        "Journals that currently cannot be written"
    );
    describe_counter!("stockade_audit_dropped_total", "Dropped records");
    describe_counter!(
        "stockade_audit_write_errors_total",
        "Failed attempts to write records"
    );
    describe_gauge!(
        "stockade_source_age_seconds",
        Unit::Seconds,
        "Time since the content of a watched source was last known to be current"
    );
    describe_gauge!(
        "stockade_source_failing",
        "Whether the last attempt to read a watched source failed: 1 or 0"
    );
    describe_counter!(
        "stockade_source_failures_total",
        "Failed attempts to read a watched source"
    );
}
