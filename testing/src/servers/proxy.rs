//! A TCP proxy with faults.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// A TCP proxy to a server on this machine. Tests use it to cut the network.
pub struct Proxy {
    port: u16,
    mode: watch::Sender<Mode>,
    cuts: watch::Sender<u64>,
    stalls: watch::Sender<u64>,
    task: AbortHandle,
}

/// The directions that the proxy forwards.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Both directions.
    Open,
    /// Nothing, but connections stay open.
    Silent,
    /// Requests but no answers.
    Unanswered,
    /// Nothing, and connections are closed.
    Cut,
}

impl Proxy {
    /// Starts a proxy to the server at this port.
    ///
    /// # Panics
    ///
    /// If no port is free.
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (mode, cuts, stalls) = (watch::Sender::new(Mode::Open), watch::Sender::new(0), watch::Sender::new(0));
        let faults = Faults { mode: mode.subscribe(), cuts: cuts.subscribe(), stalls: stalls.subscribe() };
        let task = tokio::spawn(accept(listener, server, faults)).abort_handle();
        Self { port, mode, cuts, stalls, task }
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops forwarding but keeps connections open, as when a cable is pulled.
    pub fn silence(&self) {
        self.mode.send_replace(Mode::Silent);
    }

    /// Forwards requests but no answers.
    pub fn lose_answers(&self) {
        self.mode.send_replace(Mode::Unanswered);
    }

    /// Never forwards anything again on the connections so far, but keeps them open. New ones work.
    pub fn stall_connections(&self) {
        self.stalls.send_modify(|stalls| *stalls += 1);
    }

    /// Closes all connections and refuses new ones. Data held back by [`silence`](Self::silence) is lost.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
        // Connections watch this count, so that they notice a cut even if the proxy has been opened again since.
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Forwards everything again.
    pub fn open(&self) {
        self.mode.send_replace(Mode::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

/// What happens to a connection.
#[derive(Clone)]
struct Faults {
    mode: watch::Receiver<Mode>,
    cuts: watch::Receiver<u64>,
    stalls: watch::Receiver<u64>,
}

async fn accept(listener: TcpListener, server: u16, faults: Faults) {
    while let Ok((client, _)) = listener.accept().await {
        if *faults.mode.borrow() != Mode::Cut {
            let mut faults = faults.clone();
            faults.cuts.mark_unchanged();
            faults.stalls.mark_unchanged();
            tokio::spawn(connect(client, server, faults));
        }
    }
}

async fn connect(mut client: TcpStream, server: u16, faults: Faults) {
    let Faults { mode, mut cuts, mut stalls } = faults;
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    tokio::select! {
        biased;
        _ = cuts.changed() => {}
        _ = stalls.changed() => {
            let _cut = cuts.changed().await;
        }
        () = forward(from_client, to_server, mode.clone(), &[Mode::Open, Mode::Unanswered]) => {}
        () = forward(from_server, to_client, mode.clone(), &[Mode::Open]) => {}
    }
}

/// Forwards bytes while the proxy is in one of the `forwarding` modes, and holds them back otherwise.
async fn forward(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut mode: watch::Receiver<Mode>,
    forwarding: &[Mode],
) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        if mode.wait_for(|mode| forwarding.contains(mode)).await.is_err()
            || to.write_all(&bytes[..length]).await.is_err()
        {
            return;
        }
    }
}
