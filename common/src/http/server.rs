//! A server that neither slow nor idle clients hold up, and that lets go of its connections in good order.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::refusal::Shaped;

/// How long a client may take to send the head of a request, and how long it may keep an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest head of a request.
const MAX_HEAD: usize = 32 * 1024;

/// Pause after the operating system has refused a connection: too many open files, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `routes` until `stop`; then takes no more connections, answers the requests that have begun, and returns.
pub async fn serve(listener: TcpListener, routes: Router, stop: CancellationToken) {
    let connections = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                // Replies are small and whole; waiting to fill a packet only delays them. Where it can not be set,
                // they are merely late.
                let _best_effort = stream.set_nodelay(true);
                let service = TowerToHyperService::new(routes.clone());
                let connection = connections.watch(http.serve_connection(TokioIo::new(Shaped::new(stream)), service));
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        // The client's doing: it went away, was too slow or sent what is not HTTP.
                        debug!(%error, "connection ended");
                    }
                });
            }
            Err(error) => {
                warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}
