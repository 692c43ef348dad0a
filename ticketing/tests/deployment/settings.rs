//! The test's environment variables.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

/// Whether a variable is `1`.
pub(crate) fn is_set(variable: &str) -> bool {
    text(variable).is_some_and(|value| value == "1")
}

/// The value of a variable, if it is set and not empty.
pub(crate) fn text(variable: &str) -> Option<String> {
    let value = std::env::var_os(variable).filter(|value| !value.is_empty())?;
    Some(value.into_string().unwrap_or_else(|value| panic!("{variable} is not text: {value:?}")))
}

/// The address of the ingress for https.
pub(crate) fn ingress() -> SocketAddr {
    address("TEST_INGRESS", "127.0.0.1:443")
}

/// The address of the ingress for http.
pub(crate) fn ingress_http() -> SocketAddr {
    address("TEST_INGRESS_HTTP", "127.0.0.1:80")
}

/// The authority that signs the ingress's certificate.
pub(crate) fn ingress_ca() -> Option<PathBuf> {
    text("TEST_INGRESS_CA").map(PathBuf::from)
}

/// The image of probe pods.
pub(crate) fn probe_image() -> String {
    text("TEST_PROBE_IMAGE").unwrap_or_else(|| "busybox:1".into())
}

fn address(variable: &str, default: &str) -> SocketAddr {
    let value = text(variable).unwrap_or_else(|| default.into());
    let found = value.to_socket_addrs().unwrap_or_else(|error| panic!("{variable}={value}: {error}")).next();
    found.unwrap_or_else(|| panic!("{variable}={value} has no address"))
}
