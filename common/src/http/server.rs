//! The HTTP server.
//!
//! Our own loop over hyper, because `axum::serve` has no header read timeout: a client that never finishes the head of
//! its request would keep its connection open without limit. There is a timeout for each way in which a client can
//! stall: here for the head and the response, in [`Body`](super::Body) for the body.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_io_timeout::TimeoutWriter;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How long a client may take to send the head of a request, and how long it may keep an idle connection open.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a client may leave the connection full of data that it does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest head of a request.
const MAX_HEAD: usize = 32 * 1024;

/// Pause after the operating system fails to accept a connection, most likely for too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `routes` until `stop` is cancelled, then accepts no more connections, completes the requests in flight, and
/// returns.
pub async fn serve(listener: TcpListener, routes: Router, stop: CancellationToken) {
    let connections = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                // Responses are small and written whole, so waiting to fill a packet only delays them.
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(%error, "could not disable Nagle's algorithm");
                }
                let mut stream = TimeoutWriter::new(stream);
                stream.set_timeout(Some(WRITE_TIMEOUT));
                let service = TowerToHyperService::new(routes.clone());
                let connection = connections.watch(http.serve_connection(TokioIo::new(Box::pin(stream)), service));
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        // The client went away, was too slow, or did not speak HTTP.
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
