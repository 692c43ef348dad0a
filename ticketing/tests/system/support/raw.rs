//! A client that speaks bytes, for what no proper client would send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::assert_is_error_shape;
use super::{LIMIT, System};

/// A connection.
pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) async fn connect(system: &System) -> Self {
        Self(TcpStream::connect(system.address()).await.unwrap())
    }

    /// Sends bytes; false when the other side wants no more.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn finish(&mut self) {
        // It may have hung up before.
        let _gone = self.0.shutdown().await;
    }

    /// Reads until the other side closes the connection.
    pub(crate) async fn read_to_end(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        // A reset ends it as well as a close.
        let _reset = timeout(LIMIT, self.0.read_to_end(&mut read)).await.expect("the connection to be closed");
        read
    }

    /// Reads one answer, whether or not the connection stays open. `None` when it is closed without one.
    pub(crate) async fn answer(&mut self) -> Option<RawAnswer> {
        let mut read = Vec::new();
        loop {
            if let Some(answer) = RawAnswer::parse(&read) {
                return Some(answer);
            }
            let more = timeout(LIMIT, self.0.read_buf(&mut read)).await.expect("an answer or the end");
            if more.unwrap_or(0) == 0 {
                assert!(read.is_empty(), "broken off: {}", String::from_utf8_lossy(&read));
                return None;
            }
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl RawAnswer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().unwrap();
        let answer = Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() };
        let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        (body.len() >= length).then_some(answer)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.find(|(header, _)| *header == name).map(|(_, value)| value)
    }

    /// It must be an error of this status in the shape of all errors.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.header("x-request-id").is_some(), "{self:?}");
        assert_is_error_shape(status, &self.body);
    }
}
