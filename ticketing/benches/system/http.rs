//! One keep-alive connection, and as much of HTTP/1.1 as the system's replies need.
//!
//! The load generator takes its processor time from the system it measures, so it does little: one write and, most
//! often, one read a request, and a search for one header. (In the place of this, hyper's client got a third fewer
//! requests out of the same server.)

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const READ: usize = 16 * 1024;

/// A connection that sends one request at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    reply: Vec<u8>,
}

/// A whole reply.
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

    /// Sends a request and reads the reply to its end.
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
        let status = status(&self.reply).ok_or_else(|| malformed("a reply without a status"))?;
        let length = match status {
            204 | 304 => 0,
            _ => content_length(&self.reply[..head]).ok_or_else(|| malformed("a reply without its length"))?,
        };
        while self.reply.len() < head + length {
            self.read().await?;
        }
        let (head, body) = self.reply.split_at(head);
        Ok(Reply { status, head, body })
    }

    async fn read(&mut self) -> io::Result<()> {
        self.reply.reserve(READ);
        match self.stream.read_buf(&mut self.reply).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            _ => Ok(()),
        }
    }
}

impl<'a> Reply<'a> {
    /// The value of a header, found whatever its case.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        header(self.head, name)
    }

    /// The first id in the body, which is that of the record it shows. No JSON is parsed for it.
    pub(crate) fn id(&self) -> Option<String> {
        const KEY: &[u8] = br#""id":""#;
        let start = position(self.body, KEY)? + KEY.len();
        let id = self.body.get(start..start + 24)?;
        String::from_utf8(id.to_vec()).ok()
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        position(self.body, text.as_bytes()).is_some()
    }
}

/// A request without a body.
pub(crate) fn get(path: &str, cookie: Option<&str>) -> Vec<u8> {
    request("GET", path, cookie, "")
}

/// A request with a JSON body.
pub(crate) fn post(path: &str, cookie: Option<&str>, json: &str) -> Vec<u8> {
    let entity = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{json}", json.len());
    request("POST", path, cookie, &entity)
}

fn request(method: &str, path: &str, cookie: Option<&str>, entity: &str) -> Vec<u8> {
    let (name, cookie, end) = match cookie {
        Some(cookie) => ("cookie: ", cookie, "\r\n"),
        None => ("", "", ""),
    };
    let entity = if entity.is_empty() { "\r\n" } else { entity };
    format!("{method} {path} HTTP/1.1\r\nhost: ticketing\r\n{name}{cookie}{end}{entity}").into_bytes()
}

/// `HTTP/1.1 200 OK`
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
