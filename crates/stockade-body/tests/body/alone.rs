//! The layer alone: around an axum router and around a plain tower client.

use std::convert::Infallible;

use axum::{Router, body::Body, routing::post};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use stockade_body::{BodyLayer, BodyRules, CheckedBody, Profile};
use stockade_core::refusal::Responder;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hello"}]}"#;

fn layer() -> BodyLayer {
    BodyRules::new()
        .route(Method::POST, "/chat", Profile::openai_chat())
        .into()
}

fn chat<B>(uri: &str, body: &'static str) -> Request<B>
where
    B: From<&'static str>,
{
    Request::post(uri)
        .header("content-type", "application/json")
        .body(B::from(body))
        .unwrap()
}

#[tokio::test]
async fn works_alone_around_an_axum_router() {
    let app = Router::new()
        .route("/chat", post(async |body: String| body))
        .route("/other", post(async |body: String| body))
        .layer(layer());
    for (path, body, status) in [
        ("/chat", CHAT, StatusCode::OK),
        ("/chat", "{}", StatusCode::BAD_REQUEST),
        ("/other", CHAT, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let response = app.clone().oneshot(chat::<Body>(path, body)).await;
        let response = response.unwrap();
        assert_eq!(response.status(), status, "{path} {body}");
        if status.is_success() {
            let echoed = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(echoed, body);
        }
    }
}

#[tokio::test]
async fn works_alone_around_a_tower_client() {
    async fn send(
        request: Request<CheckedBody<Full<Bytes>>>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let sent = request.into_body().collect().await.expect("a checked body");
        Ok(Response::new(Full::new(sent.to_bytes())))
    }
    let mut client = ServiceBuilder::new().layer(layer()).service_fn(send);
    let uri = "http://model.example/chat";
    let client = client.ready().await.unwrap();
    let passed = client.call(chat(uri, CHAT)).await.unwrap();
    assert_eq!(passed.status(), StatusCode::OK);
    assert_eq!(passed.into_body().collect().await.unwrap().to_bytes(), CHAT);
    let client = client.ready().await.unwrap();
    let refused = client.call(chat(uri, "[]")).await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn answers_refusals_with_its_responder() {
    let responder = Responder::default().custom(|_| {
        let mut response = Response::new(Bytes::from_static(b"no"));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    });
    let service = tower::service_fn(async |_: Request<CheckedBody<Full<Bytes>>>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let refused = layer()
        .responder(responder)
        .layer(service)
        .oneshot(chat("/chat", "{}"))
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::IM_A_TEAPOT);
    let plain = layer().layer(service).oneshot(chat("/chat", "{}")).await;
    assert_eq!(plain.unwrap().status(), StatusCode::BAD_REQUEST);
}
