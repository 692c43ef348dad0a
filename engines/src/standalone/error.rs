//! Why a service process could not start.

use std::io;

use common::error::BoxError;
use common::service;

/// Why a process could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A server does not respond, or refuses this service.
    #[error("could not use {server}")]
    Server {
        /// The server and the variable that names it.
        server: &'static str,
        /// The server's error.
        source: BoxError,
    },
    /// A signal arrived before the service was ready.
    #[error("stopped by a signal while starting")]
    Interrupted,
    /// The process cannot listen for signals.
    #[error("could not listen for signals")]
    Signals(#[source] io::Error),
    /// The service rejects its configuration.
    #[error("could not set up the service")]
    Service(#[source] BoxError),
    /// The service could not run, for example because a port is taken.
    #[error(transparent)]
    Run(#[from] service::StartError),
}
