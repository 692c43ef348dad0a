//! A minimal HTTP/1.1 client: keep-alive, one request at a time.
//!
//! The load generator shares the processors with the system it measures, so it must be cheap: one write, usually one
//! read, and a search for one header per request. hyper's client got a third fewer requests per second out of the same
//! server.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const READ_SIZE: usize = 16 * 1024;

/// A keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    reply: Vec<u8>,
}

/// A complete reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    head: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, reply: Vec::new() })
    }

    /// Sends a request and reads the whole reply.
    pub(crate) async fn send(&mut self, request: &[u8]) -> io::Result<Reply<'_>> {
        self.stream.write_all(request).await?;
        self.reply.clear();
        let head = loop {
            self.read().await?;
            if let Some(end) = position(&self.reply, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let malformed = |why| io::Error::new(io::ErrorKind::InvalidData, why);
        let status = status(&self.reply).ok_or_else(|| malformed("reply without a status"))?;
        let length = match status {
            204 | 304 => 0,
            _ => content_length(&self.reply[..head]).ok_or_else(|| malformed("reply without a content-length"))?,
        };
        while self.reply.len() < head + length {
            self.read().await?;
        }
        let (head, body) = self.reply.split_at(head);
        Ok(Reply { status, head, body })
    }

    async fn read(&mut self) -> io::Result<()> {
        self.reply.reserve(READ_SIZE);
        match self.stream.read_buf(&mut self.reply).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            _ => Ok(()),
        }
    }
}

impl<'a> Reply<'a> {
    /// The value of a header; the name is case-insensitive.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        header(self.head, name)
    }

    /// The first id in the body, which is the record's own. Parsing the JSON would cost too much.
    pub(crate) fn id(&self) -> Option<String> {
        const KEY: &[u8] = br#""id":""#;
        let start = position(self.body, KEY)? + KEY.len();
        let id = self.body.get(start..start + 24)?;
        String::from_utf8(id.to_vec()).ok()
    }

    /// Whether the body contains this text.
    pub(crate) fn contains(&self, text: &str) -> bool {
        position(self.body, text.as_bytes()).is_some()
    }
}

/// A request without a body.
pub(crate) fn get(path: &str, cookie: Option<&str>) -> Vec<u8> {
    request("GET", path, cookie, "\r\n")
}

/// A request with a JSON body.
pub(crate) fn post(path: &str, cookie: Option<&str>, json: &str) -> Vec<u8> {
    let rest = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{json}", json.len());
    request("POST", path, cookie, &rest)
}

fn request(method: &str, path: &str, cookie: Option<&str>, rest: &str) -> Vec<u8> {
    let cookie = cookie.map(|cookie| format!("cookie: {cookie}\r\n")).unwrap_or_default();
    format!("{method} {path} HTTP/1.1\r\nhost: ticketing\r\n{cookie}{rest}").into_bytes()
}

/// Parses the status from a line such as `HTTP/1.1 200 OK`.
fn status(reply: &[u8]) -> Option<u16> {
    str::from_utf8(reply.get(9..12)?).ok()?.parse().ok()
}

fn content_length(head: &[u8]) -> Option<usize> {
    header(head, "content-length")?.parse().ok()
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let mut lines = head.split(|byte| *byte == b'\n');
    let value = lines.find_map(|line| {
        let (label, value) = line.split_at_checked(name.len())?;
        label.eq_ignore_ascii_case(name.as_bytes()).then_some(value.strip_prefix(b":")?)
    })?;
    str::from_utf8(value.trim_ascii()).ok()
}

fn position(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}
