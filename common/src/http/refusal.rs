//! What stands between hyper and the socket: the error shape for what hyper refuses by itself, and an end for clients
//! that do not read.
//!
//! A request that is no HTTP at all never reaches a route: hyper answers it with a bare status. There is no hook for
//! that reply, so it is caught on its way to the socket: every reply of ours carries `x-request-id`, hyper's do not.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long a client may leave the connection full of what it does not read.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection on which bare refusals are given the error shape, and which ends when its client does not read.
pub(super) struct Shaped {
    stream: TcpStream,
    /// Runs while the connection is full.
    full: Option<Pin<Box<Sleep>>>,
    /// What is written in a refusal's place, and how much of it is.
    refusal: Option<(Vec<u8>, usize)>,
}

impl Shaped {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, full: None, refusal: None }
    }

    /// Gives up a connection that stays full.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.full = None;
            return written;
        }
        let timer = self.full.get_or_insert_with(|| Box::pin(sleep(READ_TIMEOUT)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Writes the refusal that takes the place of `bare`.
    fn write_refusal(&mut self, cx: &mut Context<'_>, bare: &[u8]) -> Poll<io::Result<usize>> {
        let (reply, written) = self.refusal.get_or_insert_with(|| (shaped(bare), 0));
        while *written < reply.len() {
            *written += ready!(Pin::new(&mut self.stream).poll_write(cx, &reply[*written..]))?;
        }
        Poll::Ready(Ok(bare.len()))
    }
}

/// A head and nothing more. The middle of a body is none, whatever its text: JSON holds no bare line breaks.
fn is_bare_refusal(reply: &[u8]) -> bool {
    reply.starts_with(b"HTTP/1.1 4")
        && reply.ends_with(b"\r\n\r\n")
        && !reply.windows(12).any(|part| part.eq_ignore_ascii_case(b"x-request-id"))
}

/// `HTTP/1.1 400 Bad Request` becomes a reply that says so in the error shape. hyper closes the connection after it.
fn shaped(bare: &[u8]) -> Vec<u8> {
    let line = bare.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let reason = line.splitn(3, ' ').nth(2).unwrap_or("Bad Request");
    let body = serde_json::json!({"errors": [{"message": reason}]}).to_string();
    format!(
        "{line}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-request-id: {:032x}\r\nconnection: close\r\n\r\n{body}",
        body.len(),
        rand::random::<u128>(),
    )
    .into_bytes()
}

impl AsyncRead for Shaped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Shaped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if is_bare_refusal(bytes) {
            return self.write_refusal(cx, bytes);
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match slices {
            [head] if is_bare_refusal(head) => self.write_refusal(cx, head),
            _ => {
                let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
                self.in_time(cx, written)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
