//! HTTP/2, Unix sockets and TLS.

use std::{fs, num::NonZeroU64, sync::Arc, time::Duration};

use http::Version;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use stockade_server::upstream::{GroupSettings, UpstreamErrorKind as Kind, UpstreamGroup};
use stockade_testkit::scripted_upstream::{Answer, Chat, ScriptedUpstream, Step};
use tempfile::TempDir;

use super::{MODEL, exchange, group, settings};

#[tokio::test]
async fn speaks_http2_with_prior_knowledge() {
    let upstream = ScriptedUpstream::http2().await;
    let mut settings = settings([upstream.url()]);
    settings.upstreams[0].http2 = true;
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    let (first, second) = tokio::join!(exchange(&group), exchange(&group));
    first.and(second).unwrap();
    exchange(&group).await.unwrap();
    let requests = upstream.requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert_eq!(request.version, Version::HTTP_2);
        let authority = upstream.address().unwrap().to_string();
        assert_eq!(request.uri.authority().unwrap().as_str(), authority);
        assert_eq!(request.body, super::chat().body.bytes);
    }
}

/// An upstream with HTTP/2, and its client with timeouts that tests can wait for.
async fn http2() -> (ScriptedUpstream, UpstreamGroup) {
    let upstream = ScriptedUpstream::http2().await;
    let mut settings = GroupSettings {
        first_byte_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(1),
        max_response_bytes: NonZeroU64::new(1024 * 1024).unwrap(),
        ..settings([upstream.url()])
    };
    settings.upstreams[0].http2 = true;
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    (upstream, group)
}

#[tokio::test]
async fn has_the_same_outcomes_over_http2() {
    let stream = || Chat::pieces(["a", "b", "c"]).stream();
    let answers = [
        (stream(), None),
        (Answer::stall_before_head(), Some(Kind::FirstByteTimeout)),
        (Answer::close_before_head(), Some(Kind::Reset)),
        (stream().cut_after(2, Step::Stall), Some(Kind::IdleTimeout)),
        (stream().cut_after(2, Step::Close), Some(Kind::Reset)),
        (Chat::new("Hello!").json().half(), Some(Kind::Reset)),
        (Chat::new("Hello!").json().gzip(), Some(Kind::Protocol)),
        (Answer::redirect("/"), Some(Kind::Protocol)),
        (Answer::endless(vec![b'x'; 16 * 1024]), Some(Kind::TooLarge)),
    ];
    for (index, (answer, outcome)) in answers.into_iter().enumerate() {
        let (upstream, group) = http2().await;
        upstream.next(answer);
        assert_eq!(exchange(&group).await.err(), outcome, "answer {index}");
        // The connection serves other streams.
        exchange(&group).await.unwrap();
        assert_eq!(upstream.connections(), 1, "answer {index}");
    }
}

#[tokio::test]
async fn closes_a_connection_with_a_huge_head() {
    let (upstream, group) = http2().await;
    upstream.next(Answer::huge_head(200_000));
    // h2 names no cause for a violation of its limits.
    assert_eq!(exchange(&group).await, Err(Kind::Protocol));
    exchange(&group).await.unwrap();
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn speaks_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = ScriptedUpstream::unix(&folder.path().join("model.sock"));
    let group = group(upstream.url());
    exchange(&group).await.unwrap();
    let request = &upstream.requests()[0];
    assert_eq!(request.uri, "/v1/chat/completions");
    assert_eq!(request.headers[http::header::HOST], "localhost");
    assert_eq!(&*group.status().upstreams[0].url, upstream.url());
}

/// A certificate authority in a file, and a server with its certificate.
async fn tls() -> (TempDir, ScriptedUpstream) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("roots.pem"), authority.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (folder, ScriptedUpstream::tls(Arc::new(config)).await)
}

#[tokio::test]
async fn trusts_the_authority_of_the_file() {
    let (folder, upstream) = tls().await;
    for (http2, version) in [(false, Version::HTTP_11), (true, Version::HTTP_2)] {
        let mut settings = settings([upstream.url()]);
        settings.upstreams[0].ca_file = Some(folder.path().join("roots.pem"));
        settings.upstreams[0].http2 = http2;
        exchange(&UpstreamGroup::new(MODEL, settings).unwrap())
            .await
            .unwrap();
        assert_eq!(upstream.requests().last().unwrap().version, version);
    }
}

#[tokio::test]
async fn refuses_unknown_authorities_and_servers_without_tls() {
    let (_folder, upstream) = tls().await;
    assert_eq!(exchange(&group(upstream.url())).await, Err(Kind::Tls));
    assert!(upstream.requests().is_empty());
    let plain = ScriptedUpstream::http1().await;
    let url = plain.url().replace("http:", "https:");
    assert_eq!(exchange(&group(&url)).await, Err(Kind::Tls));
    assert!(plain.requests().is_empty());
}
