//! The binaries of the workspace, and what they print once they are ready.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// The services, and the prefix of the paths that each answers, after `/api`.
pub const SERVICES: [(&str, Option<&str>); 5] = [
    ("auth", Some("/users")),
    ("tickets", Some("/tickets")),
    ("orders", Some("/orders")),
    ("payments", Some("/payments")),
    ("expiration", None),
];

/// The directory that cargo builds the binaries into.
#[derive(Clone, Debug)]
pub struct Binaries(PathBuf);

/// The local ports of the servers that standalone services use.
#[derive(Clone, Copy, Debug)]
pub struct ServerPorts {
    /// MongoDB.
    pub mongo: u16,
    /// NATS.
    pub nats: u16,
    /// Redis.
    pub redis: u16,
}

impl Binaries {
    /// The directory of this binary: `env!("CARGO_BIN_EXE_ticketing")`.
    pub fn beside(binary: &str) -> Self {
        Self(Path::new(binary).parent().unwrap().to_owned())
    }

    /// The path of a binary.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A command that runs a binary without any environment variables.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.path(name));
        command.env_clear();
        command
    }

    /// A command that runs a service on these servers, on ports that the operating system chooses.
    pub fn service(&self, name: &str, ports: &ServerPorts) -> Command {
        let ServerPorts { mongo, nats, redis } = ports;
        let mut command = self.command(name);
        // Nothing routes requests to these services, so nothing has to notice that one stops.
        command.env("ADMIN_PORT", "0").env("SHUTDOWN_DELAY_SECONDS", "0");
        if name != "auth" {
            command.env("NATS_URL", format!("nats://127.0.0.1:{nats}"));
        }
        if name == "expiration" {
            command.env("REDIS_HOST", format!("127.0.0.1:{redis}"));
        } else {
            command.env("PORT", "0").env("JWT_KEY", "the key of these tests");
            command.env("MONGO_URI", format!("mongodb://127.0.0.1:{mongo}/{name}"));
        }
        if name == "payments" {
            // Nothing listens there. Tests that pay replace it with the simulator's address.
            command.env("STRIPE_KEY", "sk_test_spread").env("STRIPE_API_BASE", "http://127.0.0.1:9");
        }
        command
    }
}

/// The addresses of a process that is ready.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Addresses {
    /// The address of its API, if it has one.
    pub http: Option<SocketAddr>,
    /// The address of its health checks and metrics.
    pub admin: SocketAddr,
}

impl Addresses {
    /// Finds the addresses in the startup banner of the whole system.
    pub fn from_banner(output: &str) -> Option<Self> {
        let address = |label| output.lines().find_map(|line| address(line, label));
        Some(Self { http: Some(address("API")?), admin: address("Admin")? })
    }

    /// Finds the addresses in the log of a standalone service.
    pub fn from_log(output: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Line {
            message: String,
            #[serde(flatten)]
            addresses: Addresses,
        }
        let lines = output.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        lines.filter(|line| line.message == "ready").map(|line| line.addresses).next()
    }
}

/// Parses the address in a line of the banner, such as `API       http://127.0.0.1:41973/api`.
fn address(line: &str, label: &str) -> Option<SocketAddr> {
    let url = line.trim().strip_prefix(label)?.trim_start().strip_prefix("http://")?;
    url.split(['/', ' ']).next()?.parse().ok()
}

/// Finds the base URL of Stripe's simulator in its output.
pub fn simulator_url(output: &str) -> Option<String> {
    let (_, url) = output.lines().find_map(|line| line.split_once("Stripe simulator on "))?;
    Some(url.split(": ").next()?.to_owned())
}
