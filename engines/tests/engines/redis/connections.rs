//! Credentials.

use common::error::chain;
use common::jobs::DelayedJobs;
use engines::redis::RedisJobs;
use testing::servers::{Program, REDIS, Server};

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_the_url_are_used_but_not_shown() {
    let program = Program {
        arguments: |port, directory| {
            let mut arguments = (REDIS.arguments)(port, directory);
            arguments.extend(["--requirepass", "p@ss"].map(Into::into));
            arguments
        },
        answer: b"-NOAUTH",
        ..REDIS
    };
    let Some(server) = Server::start(program).await else { return };
    let connect = async |credentials: &str| {
        let url = format!("redis://{credentials}127.0.0.1:{}/1", server.port()).into();
        RedisJobs::connect(&url, "expiration", "ticketing").await
    };
    connect(":p%40ss@").await.unwrap().ping().await.unwrap();
    for credentials in [":hunter2@", ""] {
        let Err(error) = connect(credentials).await else { panic!("it connected") };
        let error = chain(&error);
        assert!(!error.contains("hunter2"), "{error}");
    }
}
