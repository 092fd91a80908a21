//! The expiry of the certificate, in the log and in the metrics.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stockade_testkit::poll::until_async;

use super::{Authority, start};

const DAY: u64 = 24 * 60 * 60;

const METRIC: &str = "stockade_tls_certificate_not_after_timestamp_seconds";

#[tokio::test]
async fn a_certificate_that_expires_soon_is_reported_until_it_is_renewed() {
    let authority = Authority::new();
    let end = SystemTime::now() + Duration::from_secs(3 * DAY + DAY / 2);
    authority.renew_until(end);
    let server = start(&authority, "");
    let warning = server.wait_for_log("the certificate expires soon");
    assert_eq!(warning["level"], "WARN", "{warning}");
    assert_eq!(warning["days_left"], 3, "{warning}");
    let unix = end.duration_since(UNIX_EPOCH).unwrap().as_secs() as f64;
    assert_eq!(server.metric(METRIC).await, Some(unix));

    authority.renew_until(end + Duration::from_secs(80 * DAY));
    until_async("the metric shows the new certificate", async || {
        server.metric(METRIC).await == Some(unix + (80 * DAY) as f64)
    })
    .await;
}
