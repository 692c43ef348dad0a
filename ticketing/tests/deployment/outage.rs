//! Restarts of MongoDB, NATS and Redis.

use crate::deploy::System;
use crate::ingress::Ingress;
use crate::kubectl::{kubectl, wait_until_settled};
use crate::progress::report;
use crate::records::wait_until_consistent;
use crate::traffic::Traffic;

/// The engines, and the label of their pods.
const ENGINES: [(&str, &str); 3] =
    [("MongoDB", "app.kubernetes.io/name=mongo"), ("NATS", "app=nats"), ("Redis", "app=expiration-redis")];

/// Deletes all pods of each engine, one engine after another, while requests come in. Orders that wait for payment
/// expire meanwhile.
pub(crate) async fn restarted_engines_lose_nothing(_: &System) {
    let traffic = Traffic::start(&Ingress::open().await).await;
    for (engine, selector) in ENGINES {
        kubectl(&["delete", "pod", "--selector", selector, "--wait=false"]).await;
        wait_until_settled(selector).await;
        wait_until_settled("app.kubernetes.io/component=service").await;
        traffic.wait_until_served().await;
        report(&format!("{engine} was restarted, and the system has recovered"));
    }
    let outcome = traffic.stop().await;
    wait_until_consistent().await;
    outcome.assert_nothing_is_lost().await;
}
