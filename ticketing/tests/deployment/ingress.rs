//! Users who reach the system through its ingress at <https://ticketing.dev>.

use std::time::Duration;

use common::error::chain;
use reqwest::{Certificate, Client, ClientBuilder, redirect};
use testing::system::{Api, User};
use tokio_rustls::rustls::crypto::ring;

use crate::kubectl::kubectl;
use crate::progress::eventually;
use crate::settings;

/// The host of the system.
pub(crate) const HOST: &str = "ticketing.dev";

/// How long the ingress controller and the services may take to answer after a deployment.
const START_LIMIT: Duration = Duration::from_secs(120);

/// The ingress, with a client that trusts its certificate.
pub(crate) struct Ingress {
    pub(crate) http: Client,
}

impl Ingress {
    /// Waits until every service answers.
    pub(crate) async fn open() -> Self {
        // Installing a second provider fails.
        let _already_installed = ring::default_provider().install_default();
        let certificate = match settings::ingress_ca() {
            Some(path) => std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            None => installed_certificate().await.into_bytes(),
        };
        let certificate = Certificate::from_pem(&certificate).expect("a certificate in PEM format");
        let client = client().resolve(HOST, settings::ingress()).tls_certs_only([certificate]);
        let ingress = Self { http: client.build().unwrap() };
        for path in ["/users/currentuser", "/tickets", "/orders", "/payments"] {
            ingress.wait_for(path).await;
        }
        ingress
    }

    /// Waits until a path is answered by a service: the ingress's own errors have no request id.
    async fn wait_for(&self, path: &str) {
        eventually(START_LIMIT, async || {
            let reply = self.http.get(format!("https://{HOST}/api{path}")).send().await;
            let reply = reply.map_err(|error| format!("{path}: {}", chain(&error)))?;
            let is_ours = reply.headers().contains_key("x-request-id") && reply.status().as_u16() < 500;
            is_ours.then_some(()).ok_or_else(|| format!("{path}: {reply:?}"))
        })
        .await;
    }

    /// A user who is not signed in.
    pub(crate) fn visitor(&self) -> User {
        User::visitor(self.http.clone(), Api::single(format!("https://{HOST}/api")))
    }

    /// A new user with an address that no earlier run has used, signed in.
    pub(crate) async fn sign_up(&self, name: &str) -> User {
        self.visitor().sign_up(&unique(name)).await
    }
}

/// Makes a name unique.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{:08x}", rand::random::<u32>())
}

/// A client of the ingress for plain http, which does not follow redirects.
pub(crate) fn plain_client() -> Client {
    client().resolve(HOST, settings::ingress_http()).redirect(redirect::Policy::none()).build().unwrap()
}

fn client() -> ClientBuilder {
    let client = Client::builder().timeout(Duration::from_secs(30)).no_proxy();
    // Closes idle connections before the ingress does. Otherwise a request could be sent on one that is being closed.
    client.pool_idle_timeout(Duration::from_secs(5))
}

/// The certificate in the system's namespace.
async fn installed_certificate() -> String {
    let template = r#"--output=go-template={{index .data "tls.crt" | base64decode}}"#;
    kubectl(&["get", "secret", "ticketing-tls", template]).await
}
