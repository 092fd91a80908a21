//! A tonic server on loopback with the health service, and a client.

use std::{convert::Infallible, error::Error, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Status,
    metadata::{AsciiMetadataKey, MetadataValue},
    service::Routes,
    transport::{Channel, Server},
};
use tonic_health::{
    pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient},
    server::HealthReporter,
};
use tower::{Layer, Service};

/// A running server and a connected client. The server stops with the runtime of the test.
pub(crate) struct GrpcServer {
    pub(crate) address: SocketAddr,
    pub(crate) client: HealthClient<Channel>,
    pub(crate) reporter: HealthReporter,
}

pub(crate) const SERVING: i32 = ServingStatus::Serving as i32;
pub(crate) const NOT_SERVING: i32 = ServingStatus::NotServing as i32;

impl GrpcServer {
    /// Serves the health service behind this layer.
    pub(crate) async fn behind<L, B>(layer: L) -> Self
    where
        L: Layer<Routes> + Clone + Send + 'static,
        L::Service: Service<Request<tonic::body::Body>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        <L::Service as Service<Request<tonic::body::Body>>>::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (reporter, service) = tonic_health::server::health_reporter();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::builder()
            .layer(layer)
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);

        let uri = Uri::try_from(format!("http://{address}")).unwrap();
        let channel = Channel::builder(uri).connect().await.unwrap();
        Self {
            address,
            client: HealthClient::new(channel),
            reporter,
        }
    }

    /// Requests the health of the server with this metadata.
    pub(crate) async fn check(&mut self, shown: Option<(&str, &str)>) -> Result<i32, Status> {
        let response = self.client.check(question(shown)).await?;
        Ok(response.into_inner().status)
    }
}

/// A request for the health of the whole server.
pub(crate) fn question(shown: Option<(&str, &str)>) -> tonic::Request<HealthCheckRequest> {
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    if let Some((name, value)) = shown {
        let name: AsciiMetadataKey = name.parse().unwrap();
        let value = MetadataValue::try_from(value).unwrap();
        request.metadata_mut().insert(name, value);
    }
    request
}
