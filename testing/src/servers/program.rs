//! The programs that tests start.

use std::ffi::OsString;
use std::path::Path;

/// A server program and how to run it.
pub struct Program {
    /// The executable, looked up in `PATH`.
    pub name: &'static str,
    /// The arguments that make it listen on a port and keep its data in a directory.
    pub arguments: fn(u16, &Path) -> Vec<OsString>,
    /// Sent to the server to learn whether it is ready. May be empty.
    pub greeting: &'static [u8],
    /// The expected start of its reply.
    pub answer: &'static [u8],
}

/// NATS with JetStream on files.
pub const NATS: Program = Program { name: "nats-server", arguments: nats_arguments, greeting: b"", answer: b"INFO" };

/// Redis with an append-only file.
pub const REDIS: Program =
    Program { name: "redis-server", arguments: redis_arguments, greeting: b"PING\r\n", answer: b"+PONG" };

/// Stripe's own imitation of its API: it refuses parameters that Stripe does not document, and keeps no data.
pub const STRIPE_MOCK: Program =
    Program { name: "stripe-mock", arguments: stripe_mock_arguments, greeting: b"", answer: b"" };

/// MongoDB: `mongod` from `PATH`, or else the command in `TEST_MONGO_COMMAND`, followed by `--port N --data DIR`.
pub fn mongo() -> Program {
    let (name, arguments): (_, fn(u16, &Path) -> Vec<OsString>) =
        if is_installed("mongod") || std::env::var_os("TEST_MONGO_COMMAND").is_none() {
            ("mongod", mongod_arguments)
        } else {
            ("sh", mongo_command_arguments)
        };
    // The server waits for the client to speak first, and listens only once it is ready.
    Program { name, arguments, greeting: b"", answer: b"" }
}

fn nats_arguments(port: u16, directory: &Path) -> Vec<OsString> {
    let mut arguments = strings(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]);
    arguments.push(directory.into());
    arguments
}

fn redis_arguments(port: u16, directory: &Path) -> Vec<OsString> {
    let port = port.to_string();
    let mut arguments = strings(["--bind", "127.0.0.1", "--port", &port, "--appendonly", "yes", "--save", "", "--dir"]);
    arguments.push(directory.into());
    arguments
}

fn stripe_mock_arguments(port: u16, _directory: &Path) -> Vec<OsString> {
    // It always serves HTTPS too.
    let (http, https) = (format!("127.0.0.1:{port}"), "127.0.0.1:0");
    strings(["-strict-version-check", "-http-addr", &http, "-https-addr", https])
}

fn mongod_arguments(port: u16, directory: &Path) -> Vec<OsString> {
    let mut arguments = strings(["--quiet", "--bind_ip", "127.0.0.1", "--port", &port.to_string(), "--dbpath"]);
    arguments.push(directory.into());
    arguments
}

fn mongo_command_arguments(port: u16, directory: &Path) -> Vec<OsString> {
    let command = r#"exec $TEST_MONGO_COMMAND --port "$0" --data "$1""#;
    let mut arguments = strings(["-c", command, &port.to_string()]);
    arguments.push(directory.into());
    arguments
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<OsString> {
    texts.map(OsString::from).into()
}

/// Whether `PATH` has this program.
pub(super) fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|path| path.join(program).is_file())
}
