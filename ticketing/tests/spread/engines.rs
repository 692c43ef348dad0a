//! The servers of a system.

use std::process::Command;

use common::bus::Bus;
use engines::nats::{NatsBus, NatsConfig};
use testing::servers::{self, Program, Proxy, Server};
use testing::system::ServerPorts;

use crate::binaries::binaries;

/// A server behind a proxy that can cut its connections.
pub(crate) struct Engine {
    pub(crate) server: Server,
    pub(crate) proxy: Proxy,
}

impl Engine {
    async fn start(program: Program) -> Option<Self> {
        let server = Server::start(program).await?;
        let proxy = Proxy::to(server.port()).await;
        Some(Self { server, proxy })
    }
}

/// MongoDB, NATS and Redis.
pub(crate) struct Engines {
    pub(crate) mongo: Engine,
    pub(crate) nats: Engine,
    pub(crate) redis: Engine,
}

impl Engines {
    /// Starts empty servers. Returns `None` and says so if one is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let nats = Engine::start(servers::NATS).await?;
        let redis = Engine::start(servers::REDIS).await?;
        Some(Self { mongo: Engine::start(servers::mongo()).await?, nats, redis })
    }

    /// A command that runs a service on these servers, on ports that the operating system chooses.
    pub(crate) fn command(&self, service: &str) -> Command {
        let Self { mongo, nats, redis } = self;
        let ports = ServerPorts { mongo: mongo.proxy.port(), nats: nats.proxy.port(), redis: redis.proxy.port() };
        let mut command = binaries().service(service, &ports);
        // Standalone services log their addresses at this level.
        command.env("RUST_LOG", "warn,engines::standalone=info,common::service=info");
        command
    }

    /// A command that runs `ticketing check` on these servers.
    pub(crate) fn check(&self) -> Command {
        let Self { nats, redis, .. } = self;
        let mut command = binaries().command("ticketing");
        command.arg("check");
        for service in ["tickets", "orders", "payments"] {
            command.env(format!("{}_MONGO_URI", service.to_uppercase()), self.mongo_uri(service));
        }
        command.env("NATS_URL", format!("nats://127.0.0.1:{}", nats.proxy.port()));
        command.env("REDIS_HOST", format!("127.0.0.1:{}", redis.proxy.port()));
        command
    }

    /// The database of a service.
    pub(crate) fn mongo_uri(&self, service: &str) -> String {
        format!("mongodb://127.0.0.1:{}/{service}", self.mongo.proxy.port())
    }

    /// How to reach the bus, for a client that is none of the services.
    pub(crate) fn nats_config(&self) -> NatsConfig {
        NatsConfig::new(format!("nats://127.0.0.1:{}", self.nats.proxy.port()).into(), "test", "ticketing")
    }

    /// Expects that no listener has rejected an event.
    pub(crate) async fn assert_no_dead_letters(&self) {
        let bus = NatsBus::connect_to_existing(&self.nats_config()).await.unwrap();
        assert_eq!(bus.dead_letters(None, 10).await.unwrap(), []);
    }
}
