//! Servers for tests: real ones, started on free ports in temporary directories, and gone when the test ends.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// Far longer than a server takes to start.
const START: Duration = Duration::from_secs(20);

/// Runs the server until standard input ends: when a test drops it, and also when the test's process dies.
const WATCHED: &str = r#""$@" & read -r _; kill -9 $! 2>/dev/null; wait"#;

/// A kind of server.
pub struct Program {
    /// What is run, found by `PATH`.
    pub name: &'static str,
    /// Its arguments, so that it serves at this port and keeps its data in this directory.
    pub arguments: fn(u16, &Path) -> Vec<OsString>,
    /// What is said to it to learn that it is there, perhaps nothing.
    pub greeting: &'static [u8],
    /// How it answers then.
    pub answer: &'static [u8],
}

/// NATS with JetStream on files.
pub const NATS: Program = Program {
    name: "nats-server",
    arguments: |port, directory| {
        let port = port.to_string().into();
        vec!["-a".into(), "127.0.0.1".into(), "-p".into(), port, "-js".into(), "-sd".into(), directory.into()]
    },
    greeting: b"",
    answer: b"INFO",
};

/// Redis with an append-only file.
pub const REDIS: Program = Program {
    name: "redis-server",
    arguments: |port, directory| {
        let port = port.to_string().into();
        let [bind, at, appendonly, save] = ["--bind", "--port", "--appendonly", "--save"].map(OsString::from);
        vec![
            bind,
            "127.0.0.1".into(),
            at,
            port,
            appendonly,
            "yes".into(),
            save,
            "".into(),
            "--dir".into(),
            directory.into(),
        ]
    },
    greeting: b"PING\r\n",
    answer: b"+PONG",
};

/// MongoDB: `mongod`, or where there is none what `TEST_MONGO_COMMAND` says, with `--port N --data DIR` after it.
pub fn mongo() -> Program {
    let (name, arguments): (_, fn(u16, &Path) -> Vec<OsString>) =
        if is_installed("mongod") || std::env::var_os("TEST_MONGO_COMMAND").is_none() {
            ("mongod", |port, directory| {
                let [quiet, bind, to, at, data] =
                    ["--quiet", "--bind_ip", "127.0.0.1", "--port", "--dbpath"].map(OsString::from);
                vec![quiet, bind, to, at, port.to_string().into(), data, directory.into()]
            })
        } else {
            ("sh", |port, directory| {
                let command = r#"exec $TEST_MONGO_COMMAND --port "$0" --data "$1""#;
                vec!["-c".into(), command.into(), port.to_string().into(), directory.into()]
            })
        };
    // The server waits for the client to speak. It listens once it is ready.
    Program { name, arguments, greeting: b"", answer: b"" }
}

/// A running server.
pub struct Server {
    program: Program,
    directory: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// Starts a server with no data. `None`, and a line that says so, where the program is missing.
    ///
    /// # Panics
    ///
    /// When it does not start; and when the program is missing while `TEST_INTEGRATION` is set.
    #[expect(clippy::print_stdout, reason = "who runs the tests must see what was not tested")]
    pub async fn start(program: Program) -> Option<Self> {
        if !is_installed(program.name) {
            assert!(std::env::var_os("TEST_INTEGRATION").is_none(), "{} is missing", program.name);
            println!("skipped: {} is missing", program.name);
            return None;
        }
        let directory = TempDir::new().expect("a temporary directory");
        let mut server = Self { program, directory, port: free_port().await, process: None };
        server.restart().await;
        Some(server)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it at once, as `kill -9` does. Its data stays.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            process.wait().expect("the end of a server");
        }
    }

    /// Starts it again with the data it has, on the same port; kills it first if it is running.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.kill();
        let log = self.directory.path().join("log");
        let (out, err) =
            (File::create(&log).expect("a file"), File::options().append(true).open(&log).expect("a file"));
        let process = Command::new("sh")
            .args(["-c", WATCHED, "sh", self.program.name])
            .args((self.program.arguments)(self.port, self.directory.path()))
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(err)
            .spawn()
            .expect("a shell");
        self.process = Some(process);
        let started = async {
            while !self.answers().await.unwrap_or(false) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(START, started).await.is_err() {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            panic!("{} did not start: {log}", self.program.name);
        }
    }

    async fn answers(&self) -> std::io::Result<bool> {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        connection.write_all(self.program.greeting).await?;
        let mut answer = vec![0; self.program.answer.len()];
        connection.read_exact(&mut answer).await?;
        Ok(answer == self.program.answer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|path| path.join(program).is_file())
}

/// A port that nobody listens on, and that this process gives to nobody else.
async fn free_port() -> u16 {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return port;
        }
    }
}

/// A way to a server on this machine that can be cut.
pub struct Proxy {
    port: u16,
    way: watch::Sender<Way>,
    cuts: watch::Sender<u64>,
    task: AbortHandle,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    Silent,
    Unanswered,
    Cut,
}

impl Proxy {
    /// Opens a way to the server at this port.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (way, cuts) = (watch::Sender::new(Way::Open), watch::Sender::new(0));
        let (changes, cut) = (way.subscribe(), cuts.subscribe());
        let accept = async move {
            while let Ok((client, _)) = listener.accept().await {
                if *changes.borrow() != Way::Cut {
                    tokio::spawn(connect(client, server, changes.clone(), cut.clone()));
                }
            }
        };
        Self { port, way, cuts, task: tokio::spawn(accept).abort_handle() }
    }

    /// Where it begins.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Carries nothing any more, though nobody is told: as when a cable is pulled.
    pub fn silence(&self) {
        self.way.send_replace(Way::Silent);
    }

    /// Carries what is asked, and no answers.
    pub fn lose_answers(&self) {
        self.way.send_replace(Way::Unanswered);
    }

    /// Ends all connections, and refuses new ones. What was silenced is lost.
    pub fn cut(&self) {
        self.way.send_replace(Way::Cut);
        // Counted, so that a connection notices even if the way is open again by the time it looks.
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Carries everything again.
    pub fn open(&self) {
        self.way.send_replace(Way::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn connect(mut client: TcpStream, server: u16, way: watch::Receiver<Way>, mut cuts: watch::Receiver<u64>) {
    cuts.mark_unchanged();
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    tokio::select! {
        biased;
        _ = cuts.changed() => {}
        () = carry(from_client, to_server, way.clone(), &[Way::Open, Way::Unanswered]) => {}
        () = carry(from_server, to_client, way.clone(), &[Way::Open]) => {}
    }
}

/// Carries bytes while the way is one that carries them.
async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut way: watch::Receiver<Way>,
    carrying: &[Way],
) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(many @ 1..) = from.read(&mut bytes).await {
        if way.wait_for(|way| carrying.contains(way)).await.is_err() || to.write_all(&bytes[..many]).await.is_err() {
            return;
        }
    }
}
