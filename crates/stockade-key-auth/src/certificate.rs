//! Client certificates in place of keys.

use crate::{KeyDigest, SpiffeId};

/// The identity of the client certificate that a TLS handshake has verified.
///
/// A server adds it to the extensions of each request of the connection. [`KeyAuth`](crate::KeyAuth)
/// authenticates a request without another credential as the key whose record has this
/// certificate ([`KeyHash::certificate`](crate::KeyHash::certificate)).
///
/// Clients cannot set it: extensions are not part of a request. Never take the identity from a
/// header, which every client can send.
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use stockade_key_auth::{
///     ClientCertificate, KeyAuthLayer, KeyHash, KeyRecord, MemoryKeyStore, SpiffeId,
/// };
/// use tower::{ServiceBuilder, ServiceExt};
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let store = MemoryKeyStore::new();
///     let agent = KeyHash::certificate("spiffe://example.org/agent".parse()?);
///     store.insert(KeyRecord::new("agent".parse()?, agent))?;
///     let service = ServiceBuilder::new().layer(KeyAuthLayer::new(&store)).service_fn(
///         async |_: Request<Full<Bytes>>| {
///             Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
///         },
///     );
///
///     // Once for each connection, with the names of the first certificate of rustls'
///     // `peer_certificates()`.
///     let connection = |uri| SpiffeId::from_uri_names([uri]).map(ClientCertificate::verified);
///     let request = |certificate| {
///         let mut request = Request::new(Full::default());
///         request.extensions_mut().insert::<ClientCertificate>(certificate);
///         request
///     };
///
///     let known = request(connection("spiffe://example.org/agent")?);
///     assert_eq!(service.clone().oneshot(known).await?.status(), StatusCode::OK);
///     let unknown = request(connection("spiffe://example.org/other")?);
///     assert_eq!(service.oneshot(unknown).await?.status(), StatusCode::UNAUTHORIZED);
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    id: SpiffeId,
    /// Computed once for each connection.
    digest: KeyDigest,
}

impl ClientCertificate {
    /// States that a handshake has verified a certificate with this id: its signature, its
    /// validity, and that the client has its private key.
    pub fn verified(id: SpiffeId) -> Self {
        Self {
            digest: id.digest(),
            id,
        }
    }

    /// Returns the id.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    pub(crate) fn digest(&self) -> KeyDigest {
        self.digest
    }
}
