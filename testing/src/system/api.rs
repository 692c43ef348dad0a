//! Where requests go.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::seq::IndexedRandom;

/// An HTTP client without cookies.
pub fn http_client() -> reqwest::Client {
    // The client needs a TLS provider even for plain HTTP. Installing a second one fails.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy();
    // Closes idle connections before the server does. Otherwise a request could be sent on one that is being closed.
    client.pool_idle_timeout(Duration::from_secs(5)).build().unwrap()
}

/// The addresses of the API: path prefixes and the base URL for each.
///
/// Clones share their addresses, so users follow a service that moves to another port.
#[derive(Clone, Debug, Default)]
pub struct Api(Arc<Mutex<Vec<(&'static str, String)>>>);

impl Api {
    /// One base URL for each path.
    pub fn single(url: String) -> Self {
        let api = Self::default();
        api.route(vec![("", url)]);
        api
    }

    /// Replaces the addresses. Replicas share a prefix.
    pub fn route(&self, addresses: Vec<(&'static str, String)>) {
        *self.0.lock().unwrap() = addresses;
    }

    /// The URL of a path, on any of the replicas that answer it.
    pub(super) fn url(&self, path: &str) -> String {
        let addresses = self.0.lock().unwrap();
        let replicas: Vec<_> = addresses.iter().filter(|(prefix, _)| path.starts_with(prefix)).collect();
        let (_, url) = replicas.choose(&mut rand::rng()).expect("a service that answers this path");
        format!("{url}{path}")
    }
}
