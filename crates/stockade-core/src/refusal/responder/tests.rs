use std::time::Duration;

use http::{Method, Request, Uri, Version, header::WWW_AUTHENTICATE};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::{StatusExt, pb};

use super::*;
use crate::{
    client::ClientIp,
    context::{MatchedRoute, RequestContext},
    refusal::{RefusalKind, Violation},
};

fn head(headers: &[(&'static str, &'static str)]) -> Parts {
    let mut request = Request::new(());
    for (name, value) in headers {
        request
            .headers_mut()
            .append(*name, HeaderValue::from_static(value));
    }
    request.into_parts().0
}

/// A gRPC call of this content type.
fn call(content_type: &'static str) -> Parts {
    let mut head = head(&[("content-type", content_type)]);
    head.method = Method::POST;
    head.uri = Uri::from_static("/pkg.Service/Method");
    head.version = Version::HTTP_2;
    head
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
fn speaks_anthropic_to_its_clients() {
    let mut by_path = head(&[]);
    by_path.uri = Uri::from_static("/api/v1/messages?beta=true");
    let mut by_sub_path = head(&[]);
    by_sub_path.uri = Uri::from_static("/v1/messages/count_tokens");
    let mut by_version = head(&[("anthropic-version", "2023-06-01")]);
    by_version.uri = Uri::from_static("/v1/models");
    for mut head in [by_path, by_sub_path, by_version] {
        let context = RequestContext::builder().build();
        head.extensions.insert(context.clone());
        let response = answer(&limited(), &head);
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(
            body(&response),
            json!({
                "type": "error",
                "error": {
                    "type": "rate_limit_error",
                    "message": "too many \"requests\"",
                    "code": "RATE_LIMITED",
                    "param": null,
                },
                "request_id": context.id().to_string(),
            })
        );
        head.headers.insert(
            "accept",
            HeaderValue::from_static("application/problem+json"),
        );
        let response = answer(&limited(), &head);
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
    }
    let mut other = head(&[]);
    other.uri = Uri::from_static("/v1/messages-archive");
    assert!(body(&answer(&limited(), &other))["type"].is_null());
}

#[test]
fn speaks_problem_json_to_who_accepts_it() {
    let mut head = head(&[("accept", "text/html, Application/Problem+JSON;q=0.5")]);
    let client = ClientIp::UnixSocket;
    let context = RequestContext::builder().client(client).build();
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
    let response = answer(&limited(), &call("application/grpc+proto"));
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
    let response = answer(&refusal, &call("application/grpc"));
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
        let response = answer(&limited(), &call(asked));
        assert_eq!(response.headers()["content-type"], answered);
    }
    let response = answer(&limited(), &call("application/grpcx"));
    assert_eq!(response.status(), 429);
    // Only gRPC itself needs HTTP/2.
    for (asked, status) in [("application/grpc-web", 200), ("application/grpc", 429)] {
        let mut call = call(asked);
        call.version = Version::HTTP_11;
        assert_eq!(answer(&limited(), &call).status(), status, "{asked}");
    }
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
    let grpc = call("application/grpc");
    let response = responder.respond(&refusal, &grpc);
    assert_eq!(response.headers()["grpc-status"], "16");
}

#[test]
fn details_are_a_google_rpc_status() {
    use prost::Message;

    let grpc = call("application/grpc");
    let response = answer(&limited(), &grpc);
    let status = Status::from_header_map(response.headers()).unwrap();
    let status = pb::Status::decode(status.details()).unwrap();
    assert_eq!(status.code, 8);
    assert_eq!(status.message, "too many \"requests\"");
    assert_eq!(status.details.len(), 3);
}

// FA16
#[test]
fn a_content_type_alone_makes_no_grpc_call_of_a_request() {
    let content_types = [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc-web",
        "application/grpc-web-text",
    ];
    for content_type in content_types {
        for (method, path) in [
            (Method::POST, "/"),
            (Method::POST, "/v1/chat/completions"),
            (Method::POST, "/v1/completions"),
            (Method::POST, "/v1.0/models"),
            (Method::POST, "/.well-known/x"),
            (Method::POST, "/users/alice"),
            (Method::POST, "/api.v1/"),
            (Method::POST, "/pkg.Service/Method/more"),
            (Method::POST, "/pkg.Service/me-thod"),
            (Method::POST, "/pkg..Service/Method"),
            (Method::POST, "/p%6bg.Service/Method"),
            (Method::GET, "/pkg.Service/Method"),
            (Method::OPTIONS, "/pkg.Service/Method"),
        ] {
            let mut head = call(content_type);
            head.method = method.clone();
            head.uri = Uri::from_static(path);
            let response = answer(&limited(), &head);
            assert_eq!(response.status(), 429, "{method} {path} {content_type}");
            assert_eq!(response.headers()["content-type"], "application/json");
        }
        for path in [
            "/grpc.health.v1.Health/Check",
            "/Greeter/SayHello",
            "/a.b/c_1",
        ] {
            let mut head = call(content_type);
            head.uri = Uri::from_static(path);
            let response = answer(&limited(), &head);
            assert_eq!(response.status(), 200, "{path} {content_type}");
            assert_eq!(response.headers()["grpc-status"], "8");

            RequestContext::get_or_insert(&mut head.extensions)
                .set_route(MatchedRoute::new("/{*path}"));
            assert_eq!(answer(&limited(), &head).status(), 200, "{path}");

            let json_only = Responder::default().without_grpc();
            assert_eq!(json_only.respond(&limited(), &head).status(), 429, "{path}");
        }
    }
}

// FA16
#[test]
fn the_route_that_the_router_chose_decides_over_the_path() {
    for (route, path, status) in [
        // Ids that look like services, in routes of another kind.
        ("/{owner}/{name}", "/pkg.Service/Method", 429),
        ("/v1/models/{*id}", "/v1/models/meta.Llama/Method", 429),
        ("/users/{id}/posts", "/users/Alice/posts", 429),
        ("/pkg.service", "/pkg.service", 429),
        // As tonic has them, also below a prefix.
        ("/pkg.Service/{*rest}", "/pkg.Service/Method", 200),
        ("/pkg.Service/Method", "/pkg.Service/Method", 200),
        ("/api/pkg.Service/{*rest}", "/api/pkg.Service/Method", 200),
    ] {
        let mut head = call("application/grpc");
        head.uri = Uri::from_static(path);
        RequestContext::get_or_insert(&mut head.extensions).set_route(MatchedRoute::new(route));
        assert_eq!(answer(&limited(), &head).status(), status, "{route}");
    }
    // Without one, nothing may stand before the service.
    let mut head = call("application/grpc");
    head.uri = Uri::from_static("/users/Alice/posts");
    assert_eq!(answer(&limited(), &head).status(), 429);
}
