//! Pods that are replaced while requests come in.

use testing::system::SERVICES;

use crate::deploy::System;
use crate::ingress::Ingress;
use crate::kubectl::{kubectl, pods, wait_until_settled};
use crate::progress::report;
use crate::records::wait_until_consistent;
use crate::traffic::Traffic;

/// How many requests each service answers during its rolling update and after a deleted pod.
const REQUESTS: u32 = 1000;

/// A rolling update of each service, then the deletion of one pod of each.
pub(crate) async fn replaced_pods_lose_no_request(_: &System) {
    let traffic = Traffic::start(&Ingress::open().await).await;
    for (service, _) in SERVICES {
        traffic.focus(service);
        let (before, selector) = (traffic.answered(service), format!("app={service}"));
        let old = pods(&selector).await;
        kubectl(&["rollout", "restart", &format!("deployment/{service}-depl")]).await;
        wait_until_settled(&selector).await;
        let new = pods(&selector).await;
        assert!(new.iter().all(|pod| old.iter().all(|old| old.uid != pod.uid)), "{old:?} were not replaced by {new:?}");
        traffic.assert_no_failures(&format!("the rolling update of {service}"));

        kubectl(&["delete", "pod", &new[0].name, "--wait=false"]).await;
        wait_until_settled(&selector).await;
        traffic.wait_until_answered(service, before + REQUESTS).await;
        traffic.assert_no_failures(&format!("the deletion of a pod of {service}"));
        let answered = traffic.answered(service) - before;
        report(&format!("{service}: {answered} requests during a rolling update and a deleted pod, none lost"));
    }
    let outcome = traffic.stop().await;
    wait_until_consistent().await;
    outcome.assert_nothing_is_lost().await;
}
