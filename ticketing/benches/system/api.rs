//! Routing of requests to the services, over one client's connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::http::{Connection, Reply};

/// The path prefix that each service answers, after `/api`, and the service's address.
#[derive(Clone, Debug)]
pub(crate) struct Api(Arc<[(&'static str, SocketAddr)]>);

impl Api {
    /// One address for each path.
    pub(crate) fn single(address: SocketAddr) -> Self {
        Self::by_prefix(vec![("", address)])
    }

    pub(crate) fn by_prefix(services: Vec<(&'static str, SocketAddr)>) -> Self {
        Self(services.into())
    }

    /// The index of the service that answers this request.
    fn route(&self, request: &[u8]) -> io::Result<usize> {
        let path = request.split(|byte| *byte == b' ').nth(1).and_then(|path| path.strip_prefix(b"/api"));
        let service = path.and_then(|path| self.0.iter().position(|(prefix, _)| path.starts_with(prefix.as_bytes())));
        service.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no service answers this path"))
    }
}

/// One client's connection to each service, opened on first use.
pub(crate) struct Connections {
    api: Api,
    open: Vec<Option<Connection>>,
}

impl Connections {
    pub(crate) fn new(api: &Api) -> Self {
        Self { api: api.clone(), open: api.0.iter().map(|_| None).collect() }
    }

    /// Sends a request to its service and reads the whole reply.
    pub(crate) async fn send(&mut self, request: &[u8]) -> io::Result<Reply<'_>> {
        let service = self.api.route(request)?;
        let connection = match &mut self.open[service] {
            Some(connection) => connection,
            none => none.insert(Connection::open(self.api.0[service].1).await?),
        };
        connection.send(request).await
    }
}
