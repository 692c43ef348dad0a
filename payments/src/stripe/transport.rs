//! The transport of requests to Stripe: HTTP over a connection pool.

use std::time::Duration;

use async_trait::async_trait;
use axum::http::{Request, Response};
use bytes::Bytes;
use common::error::BoxError;
use reqwest::{Client, redirect};

/// How long Stripe may take to respond.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(8);

/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// How long to keep idle connections: less than Stripe does, so that no request is sent on one that it is closing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends requests to Stripe.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends one request and returns the whole response, whatever its status.
    ///
    /// # Errors
    ///
    /// If there is no complete response. Stripe may have executed the request nevertheless.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError>;
}

/// HTTP with a connection pool, which async-stripe's own client does not have.
pub(super) struct Http(Client);

impl Http {
    /// Creates the client. Without `tls` it loads no certificates and uses no proxy.
    pub(super) fn new(tls: bool) -> Result<Self, reqwest::Error> {
        // Fails if a provider is already installed, which will do as well.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(redirect::Policy::none());
        if !tls {
            client = client.no_proxy().tls_certs_only([]);
        }
        Ok(Self(client.build()?))
    }
}

#[async_trait]
impl Transport for Http {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        // Errors must not show the URL, which names the intent.
        let response = self.0.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
        let mut whole = Response::builder().status(response.status());
        if let Some(headers) = whole.headers_mut() {
            headers.clone_from(response.headers());
        }
        Ok(whole.body(response.bytes().await.map_err(reqwest::Error::without_url)?)?)
    }
}
