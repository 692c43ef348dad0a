//! A server on a free port, and clients that send any bytes.

use std::net::SocketAddr;

use axum::Router;
use common::http::{serve, with_middleware};
use testing::soon;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const GET_THINGS: &str = "GET /things HTTP/1.1\r\nHost: a\r\n\r\n";

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

pub(crate) async fn start(routes: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, stop) = (listener.local_addr().expect("an address"), CancellationToken::new());
    let task = tokio::spawn(serve(listener, with_middleware(routes), stop.clone()));
    Server { address, stop, task }
}

impl Server {
    pub(crate) async fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Client(BufReader::new(stream))
    }

    /// Sends a request on a connection of its own.
    pub(crate) async fn send(&self, request: &str) -> Client {
        let mut client = self.connect().await;
        client.send(request).await;
        client
    }

    /// Sends a request on a connection of its own, and returns everything that the server sends until it closes the
    /// connection.
    pub(crate) async fn exchange(&self, request: &str) -> String {
        self.send(request).await.rest().await
    }
}

/// A connection to the server.
pub(crate) struct Client(BufReader<TcpStream>);

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Whether it announces that the server closes the connection.
    pub(crate) closes: bool,
    pub(crate) body: String,
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.expect("sent");
    }

    /// Sends bytes to a server that may have closed the connection.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _closed = self.0.write_all(bytes.as_ref()).await;
    }

    /// Reads one response. Interim responses have no body either.
    pub(crate) async fn response(&mut self) -> Response {
        soon("a response", async {
            let (mut status, mut closes, mut length) = (None, false, 0);
            loop {
                let mut line = String::new();
                let read = self.0.read_line(&mut line).await.expect("a response");
                assert!(read > 0, "the connection ended without a response");
                let line = line.trim_end().to_ascii_lowercase();
                if let Some(rest) = line.strip_prefix("http/1.1 ") {
                    status = rest.split(' ').next().map(|status| status.parse().expect("a status"));
                } else if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.parse().expect("a length");
                } else if line == "connection: close" {
                    closes = true;
                } else if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).await.expect("a body");
            let body = String::from_utf8(body).expect("UTF-8");
            Response { status: status.expect("a status"), closes, body }
        })
        .await
    }

    /// Reads until the server closes the connection.
    pub(crate) async fn rest(mut self) -> String {
        let mut reply = String::new();
        self.0.read_to_string(&mut reply).await.expect("a reply");
        reply
    }

    /// Reads until the server closes or resets the connection.
    pub(crate) async fn rest_until_reset(mut self) -> Vec<u8> {
        let mut reply = Vec::new();
        let _reset = self.0.read_to_end(&mut reply).await;
        reply
    }
}
