//! Where each part of the API is, and one client's connections to it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::http::{Connection, Reply};

/// What paths begin with after `/api`, and who answers those.
#[derive(Clone, Debug)]
pub(crate) struct Api(Arc<[(&'static str, SocketAddr)]>);

impl Api {
    /// All of it at one address.
    pub(crate) fn whole(address: SocketAddr) -> Self {
        Self::parts(vec![("", address)])
    }

    pub(crate) fn parts(parts: Vec<(&'static str, SocketAddr)>) -> Self {
        Self(parts.into())
    }

    fn part(&self, request: &[u8]) -> io::Result<usize> {
        let path = request.split(|byte| *byte == b' ').nth(1).and_then(|path| path.strip_prefix(b"/api"));
        let part = path.and_then(|path| self.0.iter().position(|(part, _)| path.starts_with(part.as_bytes())));
        part.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "a request that no service answers"))
    }
}

/// A connection to each part of the API, opened when it is first used.
pub(crate) struct Connections {
    api: Api,
    open: Vec<Option<Connection>>,
}

impl Connections {
    pub(crate) fn to(api: &Api) -> Self {
        Self { api: api.clone(), open: api.0.iter().map(|_| None).collect() }
    }

    /// Sends a request to whom it is for, and reads the reply to its end.
    pub(crate) async fn send(&mut self, request: &[u8]) -> io::Result<Reply<'_>> {
        let part = self.api.part(request)?;
        let connection = match &mut self.open[part] {
            Some(connection) => connection,
            none => none.insert(Connection::open(self.api.0[part].1).await?),
        };
        connection.send(request).await
    }
}
