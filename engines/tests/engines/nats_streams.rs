//! Several streams on one NATS server.

use common::bus::BusError;
use common::error::chain;
use engines::nats::{NatsBus, NatsConfig};
use testing::servers::{NATS, Server};

/// The subjects are the names of the events, whatever the stream is called, and a subject belongs to one stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_stream_in_the_same_account_is_refused_with_cause_and_cure() {
    let Some(server) = Server::start(NATS).await else { return };
    let config = |stream: &str| NatsConfig {
        url: format!("nats://127.0.0.1:{}", server.port()).into(),
        client: "test".into(),
        stream: stream.into(),
        replicas: None,
        owner: None,
    };
    NatsBus::connect(&config("ticketing")).await.expect("the first stream");

    let error = NatsBus::connect(&config("another")).await.err().expect("a refusal");
    assert!(matches!(error, BusError::Unusable(_)) && !error.is_transient(), "{error:?}");
    let text = chain(&error);
    for part in ["stream another", "another stream of this NATS account", "own NATS account", "overlap"] {
        assert!(text.contains(part), "{part}: {text}");
    }

    NatsBus::connect(&config("ticketing")).await.expect("the first stream is unharmed");
}
