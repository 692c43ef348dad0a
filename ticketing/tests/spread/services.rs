//! How the binary of each service is started. The benchmark starts them in the same way.

use std::path::PathBuf;
use std::process::Command;

/// The services, and what part of the API each answers.
pub(crate) const SERVICES: [(&str, Option<&str>); 5] = [
    ("auth", Some("/users")),
    ("tickets", Some("/tickets")),
    ("orders", Some("/orders")),
    ("payments", Some("/payments")),
    ("expiration", None),
];

/// Where the servers are.
pub(crate) struct Ports {
    pub(crate) mongo: u16,
    pub(crate) nats: u16,
    pub(crate) redis: u16,
}

/// Where one of the binaries is, next to that of the whole system.
pub(crate) fn path(binary: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_ticketing")).with_file_name(binary)
}

/// A command that would start one of the binaries with no configuration.
pub(crate) fn command(binary: &str) -> Command {
    let mut command = Command::new(path(binary));
    command.env_clear();
    command
}

/// A command that would start a service on these servers, on ports of the operating system's choice.
pub(crate) fn service(name: &str, Ports { mongo, nats, redis }: &Ports) -> Command {
    let mut command = command(name);
    command.env("ADMIN_PORT", "0");
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
        // Nothing listens there; who needs a Stripe says where its simulator does.
        command.env("STRIPE_KEY", "sk_test_spread").env("STRIPE_API_BASE", "http://127.0.0.1:9");
    }
    command
}

/// Where the simulator listens, if this line of what it wrote tells.
pub(crate) fn simulator(line: &str) -> Option<String> {
    let (_, url) = line.split_once("Stripe simulator on ")?;
    Some(url.split(": ").next()?.to_owned())
}

/// What a service says once it is ready.
#[derive(serde::Deserialize)]
pub(crate) struct Ready {
    message: String,
    pub(crate) http: Option<std::net::SocketAddr>,
    pub(crate) admin: std::net::SocketAddr,
}

impl Ready {
    /// What this line of what it wrote says, if it says that.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().filter(|ready: &Self| ready.message == "ready")
    }
}
