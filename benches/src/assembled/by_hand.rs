//! The peer as an expert writes it: tower services, boxed only where axum does so.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::future::Either;
use http::StatusCode;
use http_body::Body as HttpBody;
use http_body_util::Full;
use pin_project_lite::pin_project;
use tokio::sync::OwnedSemaphorePermit;
use tower::{Service, ServiceBuilder, layer::layer_fn};
use tower_http::limit::RequestBodyLimitLayer;

use super::{
    BODY_LIMIT,
    by_key::ByKey,
    permit::Permitted,
    state::{App, KeyInfo, client},
    trace::{outer, record_key},
};
use crate::governor;

/// The router behind tower services.
pub(crate) fn by_hand(
    app: Arc<App>,
    router: Router,
) -> impl Service<
    http::Request<Full<Bytes>>,
    Response = http::Response<impl HttpBody<Data = Bytes>>,
    Error = Infallible,
> + Clone
+ Send
+ 'static {
    let apps = [Arc::clone(&app), Arc::clone(&app), app];
    let [for_bans, for_keys, for_permits] = apps;
    ServiceBuilder::new()
        .map_request(|request: http::Request<Full<Bytes>>| request.map(Body::new))
        .layer(outer())
        .layer(layer_fn(move |inner| Bans(inner, Arc::clone(&for_bans))))
        .layer(governor::unlimited())
        .layer(layer_fn(move |inner| {
            Authentication(inner, Arc::clone(&for_keys))
        }))
        .layer(governor::unlimited_by(ByKey))
        .layer(layer_fn(move |inner| {
            Concurrency(inner, Arc::clone(&for_permits))
        }))
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT))
        .service(router)
}

/// A refusal, or the inner service's future.
type OrRefusal<F> = Either<F, Ready<Result<Response, Infallible>>>;

fn refuse<F>(status: StatusCode) -> OrRefusal<F> {
    Either::Right(ready(Ok(status.into_response())))
}

#[derive(Clone)]
struct Bans<S>(S, Arc<App>);

impl<S> Service<Request> for Bans<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BansFuture<OrRefusal<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let ip = client(&request);
        let inner = match ip {
            Some(ip) if !self.1.is_banned(ip) => Either::Left(self.0.call(request)),
            _ => refuse(StatusCode::FORBIDDEN),
        };
        let app = Arc::clone(&self.1);
        BansFuture { inner, app, ip }
    }
}

pin_project! {
    struct BansFuture<F> {
        #[pin]
        inner: F,
        app: Arc<App>,
        ip: Option<IpAddr>,
    }
}

impl<F> Future for BansFuture<F>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        if let Some(ip) = this.ip {
            this.app.record_offence(*ip, response.status());
        }
        Poll::Ready(Ok(response))
    }
}

#[derive(Clone)]
struct Authentication<S>(S, Arc<App>);

impl<S> Service<Request> for Authentication<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = OrRefusal<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        match self.1.authenticate(&request) {
            Ok(key) => {
                record_key(&key.id);
                request.extensions_mut().insert(key);
                Either::Left(self.0.call(request))
            }
            Err(status) => refuse(status),
        }
    }
}

#[derive(Clone)]
struct Concurrency<S>(S, Arc<App>);

impl<S, B> Service<Request> for Concurrency<S>
where
    S: Service<Request, Response = http::Response<B>, Error = Infallible>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<PermittedFuture<S::Future>, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Some(key) = request.extensions().get::<Arc<KeyInfo>>() else {
            return refuse(StatusCode::UNAUTHORIZED);
        };
        match self.1.permit(&key.id) {
            Ok(permit) => Either::Left(PermittedFuture {
                inner: self.0.call(request),
                permit: Some(permit),
            }),
            Err(status) => refuse(status),
        }
    }
}

pin_project! {
    struct PermittedFuture<F> {
        #[pin]
        inner: F,
        permit: Option<OwnedSemaphorePermit>,
    }
}

impl<F, B> Future for PermittedFuture<F>
where
    F: Future<Output = Result<http::Response<B>, Infallible>>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let permit = this.permit.take().expect("a future is ready once");
        Poll::Ready(Ok(
            response.map(|body| Body::new(Permitted::new(body, permit)))
        ))
    }
}
