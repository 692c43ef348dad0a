//! A client that sends any bytes, for input that an HTTP client refuses to send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;

use super::reply::assert_is_error;
use crate::wait::TIMEOUT;

/// A TCP connection.
pub struct RawConnection(TcpStream);

impl RawConnection {
    /// Connects.
    pub async fn open(address: impl ToSocketAddrs) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// Sends bytes. Returns false if the server has closed the connection.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Closes the sending half.
    pub async fn finish(&mut self) {
        // The server may have closed the connection first.
        let _closed = self.0.shutdown().await;
    }

    /// Reads until the server closes the connection.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        // A reset ends the connection as well.
        let _reset = timeout(TIMEOUT, self.0.read_to_end(&mut read)).await.expect("the server closes the connection");
        read
    }

    /// Reads one reply. Returns `None` if the server closes the connection without one.
    pub async fn reply(&mut self) -> Option<RawReply> {
        let mut read = Vec::new();
        loop {
            if let Some(reply) = RawReply::parse(&read) {
                return Some(reply);
            }
            let more = timeout(TIMEOUT, self.0.read_buf(&mut read)).await.expect("a reply or a closed connection");
            if more.unwrap_or(0) == 0 {
                assert!(read.is_empty(), "incomplete reply: {}", String::from_utf8_lossy(&read));
                return None;
            }
        }
    }
}

/// A complete reply.
#[derive(Debug)]
pub struct RawReply {
    /// Its status.
    pub status: u16,
    head: String,
    /// Its body.
    pub body: String,
}

impl RawReply {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().unwrap();
        let reply = Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() };
        let length: usize = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        (body.len() >= length).then_some(reply)
    }

    /// The value of a header; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.find(|(header, _)| *header == name).map(|(_, value)| value)
    }

    /// Expects an error with this status, in the shape that every error has.
    #[track_caller]
    pub fn expect_error(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.header("x-request-id").is_some(), "{self:?}");
        assert_is_error(status, &self.body);
    }
}
