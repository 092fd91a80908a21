use std::time::Duration;

use http::{Request, header::WWW_AUTHENTICATE};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::{StatusExt, pb};

use super::*;
use crate::{ClientIp, RefusalKind, RequestId, Violation};

fn head(headers: &[(&'static str, &'static str)]) -> Parts {
    let mut request = Request::new(());
    for (name, value) in headers {
        request
            .headers_mut()
            .append(*name, HeaderValue::from_static(value));
    }
    request.into_parts().0
}

fn answer(refusal: &Refusal, head: &Parts) -> Response<Bytes> {
    Responder::default().respond(refusal, head)
}

fn body(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

fn limited() -> Refusal {
    Refusal::new(RefusalKind::RateLimited, "too many \"requests\"")
        .retry_after(Duration::from_millis(1_500))
        .with_violation(Violation {
            subject: "minute".into(),
            description: "60 requests a minute".into(),
        })
}

#[test]
fn speaks_openai_by_default() {
    let refusal = Refusal::new(RefusalKind::Invalid, "no such role").with_param("messages[0].role");
    let response = answer(&refusal, &head(&[("accept", "*/*")]));
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(
        body(&response),
        json!({"error": {
            "message": "no such role",
            "type": "invalid_request_error",
            "param": "messages[0].role",
            "code": "VALIDATION_ERROR",
        }})
    );
}

#[test]
fn speaks_problem_json_to_who_accepts_it() {
    let mut head = head(&[("accept", "text/html, Application/Problem+JSON;q=0.5")]);
    let client = ClientIp::UnixSocket;
    let context = RequestContext::new(RequestId::next(), client);
    head.extensions.insert(context.clone());
    let response = answer(&limited(), &head);
    assert_eq!(response.status(), 429);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    assert_eq!(response.headers()["retry-after"], "2");
    assert_eq!(
        body(&response),
        json!({
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "title": "Too Many Requests",
            "status": 429,
            "detail": "too many \"requests\"",
            "code": "RATE_LIMITED",
            "request_id": context.id().to_string(),
            "violated-policies": ["minute"],
        })
    );
}

#[test]
fn speaks_grpc_to_grpc() {
    let response = answer(
        &limited(),
        &head(&[("content-type", "application/grpc+proto")]),
    );
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    assert!(response.body().is_empty());

    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "too many \"requests\"");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "RATE_LIMITED");
    assert_eq!(details.error_info().unwrap().domain, "stockade");
    assert_eq!(
        details.retry_info().unwrap().retry_delay,
        Some(Duration::from_secs(2))
    );
    let quota = &details.quota_failure().unwrap().violations[0];
    assert_eq!(
        (&*quota.subject, &*quota.description),
        ("minute", "60 requests a minute")
    );
}

#[test]
fn says_in_grpc_which_field_is_wrong() {
    let refusal = Refusal::new(RefusalKind::Invalid, "größer als 100 %").with_param("n");
    let response = answer(&refusal, &head(&[("content-type", "application/grpc")]));
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "größer als 100 %");
    let field = &status.get_details_bad_request().unwrap().field_violations[0];
    assert_eq!(
        (&*field.field, &*field.description),
        ("n", "größer als 100 %")
    );
}

#[test]
fn answers_grpc_web_in_kind() {
    for (asked, answered) in [
        ("application/grpc-web+proto", "application/grpc-web"),
        ("application/grpc-web-text", "application/grpc-web-text"),
        ("application/grpc; charset=x", "application/grpc"),
    ] {
        let response = answer(&limited(), &head(&[("content-type", asked)]));
        assert_eq!(response.headers()["content-type"], answered);
    }
    let response = answer(&limited(), &head(&[("content-type", "application/grpcx")]));
    assert_eq!(response.status(), 429);
}

#[test]
fn a_custom_responder_keeps_the_protocol_headers_and_cannot_succeed() {
    let responder = Responder::default().custom(|_| Response::new(Bytes::from("welcome")));
    let refusal = Refusal::new(RefusalKind::Unauthenticated, "no key").with_header(
        WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"api\""),
    );
    let plain = head(&[]);
    let response = responder.respond(&refusal, &plain);
    assert_eq!(response.status(), 401);
    assert_eq!(
        response.headers()["www-authenticate"],
        "Bearer realm=\"api\""
    );
    assert_eq!(response.body(), "welcome");

    // gRPC clients would read a success out of anything that is not gRPC.
    let grpc = head(&[("content-type", "application/grpc")]);
    let response = responder.respond(&refusal, &grpc);
    assert_eq!(response.headers()["grpc-status"], "16");
}

#[test]
fn details_are_a_google_rpc_status() {
    use prost::Message;

    let grpc = head(&[("content-type", "application/grpc")]);
    let response = answer(&limited(), &grpc);
    let status = Status::from_header_map(response.headers()).unwrap();
    let status = pb::Status::decode(status.details()).unwrap();
    assert_eq!(status.code, 8);
    assert_eq!(status.message, "too many \"requests\"");
    assert_eq!(status.details.len(), 3);
}
