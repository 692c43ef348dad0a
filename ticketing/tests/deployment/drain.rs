//! `kubectl drain` of a node, limited to the services' pods.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use testing::system::SERVICES;
use tokio::time::timeout;

use crate::deploy::System;
use crate::ingress::Ingress;
use crate::kubectl::{Pod, get, kubectl, pods, try_kubectl, wait_until_settled};
use crate::progress::report;
use crate::records::wait_until_consistent;
use crate::traffic::Traffic;

const SERVICE_PODS: &str = "app.kubernetes.io/component=service";

/// How long kubectl tries. With a single node it always takes this long: the pods that may go have nowhere to start.
const DRAIN_TIMEOUT: &str = "--timeout=30s";

const DRAIN_LIMIT: Duration = Duration::from_secs(90);

const SAMPLE: Duration = Duration::from_millis(300);

/// The node that was drained, until it is uncordoned.
static DRAINED: Mutex<Option<String>> = Mutex::new(None);

/// Evicts the services' pods from the node that has most of them. One pod of each service stays ready throughout, and no
/// request is lost.
pub(crate) async fn draining_a_node_keeps_the_system_serving(_: &System) {
    let ingress = Ingress::open().await;
    let before = pods(SERVICE_PODS).await;
    let node = busiest_node(&before);
    let nodes = get(&["nodes"]).await["items"].as_array().unwrap().len();
    let traffic = Traffic::start(&ingress).await;

    *DRAINED.lock().unwrap() = Some(node.clone());
    let options = ["--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector", SERVICE_PODS, DRAIN_TIMEOUT];
    let arguments = [&["drain", &node], &options[..]].concat();
    let drain = try_kubectl(DRAIN_LIMIT, &arguments);
    tokio::pin!(drain);
    let drained = loop {
        match timeout(SAMPLE, &mut drain).await {
            Ok(drained) => break drained,
            Err(_still_running) => assert_every_service_has_a_ready_pod().await,
        }
    };
    assert_every_service_has_a_ready_pod().await;
    traffic.assert_no_failures("the drain");

    let after: BTreeSet<String> = pods(SERVICE_PODS).await.into_iter().map(|pod| pod.uid).collect();
    let evicted = before.iter().filter(|pod| pod.node == node && !after.contains(&pod.uid)).count();
    assert!(evicted > 0, "nothing was evicted: {}", drained.output());
    if nodes == 1 {
        let is_refused = drained.output().contains("disruption budget");
        assert!(!drained.success && is_refused, "the last pods were evicted: {}", drained.output());
    } else {
        assert!(drained.success, "{}", drained.output());
    }
    report(&format!("{evicted} pods were evicted from {node}, one of {nodes} nodes"));
    uncordon().await;
    wait_until_settled(SERVICE_PODS).await;
    traffic.wait_until_served().await;
    traffic.assert_no_failures("the drain and its end");
    let outcome = traffic.stop().await;
    wait_until_consistent().await;
    outcome.assert_nothing_is_lost().await;
}

/// Lets pods start on the drained node again.
pub(crate) async fn uncordon() {
    let node = DRAINED.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(node) = node {
        kubectl(&["uncordon", &node]).await;
    }
}

fn busiest_node(pods: &[Pod]) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for pod in pods {
        *counts.entry(&pod.node).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).expect("a node").0.to_owned()
}

async fn assert_every_service_has_a_ready_pod() {
    let pods = pods(SERVICE_PODS).await;
    for (service, _) in SERVICES {
        let ready = pods.iter().filter(|pod| pod.app == service && pod.is_ready && !pod.is_terminating).count();
        assert!(ready > 0, "no pod of {service} is ready: {pods:?}");
    }
}
