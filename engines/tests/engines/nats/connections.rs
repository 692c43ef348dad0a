//! Credentials.

use common::bus::Bus;
use engines::nats::{NatsBus, NatsConfig};
use testing::servers::{NATS, Program, Server};

use super::fixture::{config, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_the_url_are_used() {
    let program = Program {
        arguments: |port, directory| {
            let mut arguments = (NATS.arguments)(port, directory);
            arguments.extend(["--user", "ann", "--pass", "p@ss,word"].map(Into::into));
            arguments
        },
        ..NATS
    };
    let Some(server) = Server::start(program).await else { return };
    let with = |credentials: &str| NatsConfig {
        url: format!("nats://{credentials}127.0.0.1:{}", server.port()).into(),
        ..config(server.port())
    };
    NatsBus::connect(&with("ann:p%40ss%2Cword@")).await.unwrap().ping().await.unwrap();
    let error = refusal(&with("ann:hunter2@")).await;
    assert!(error.contains("uthorization") && !error.contains("hunter2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_errors_do_not_contain_the_password() {
    let Some(server) = Server::start(NATS).await else { return };
    let closed = NatsConfig { url: "nats://user:hunter2@127.0.0.1:1".into(), ..config(server.port()) };
    let error = refusal(&closed).await;
    assert!(!error.contains("hunter2"), "{error}");
}
