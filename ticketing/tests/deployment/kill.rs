//! `kill -9` of services.
//!
//! `kubectl delete --force` gives a process a second to end, and a process cannot kill the first of its own process
//! namespace. So a privileged pod on the same node, which sees the node's processes, sends the signal.

use serde_json::{Value, json};
use testing::system::SERVICES;

use crate::deploy::System;
use crate::ingress::Ingress;
use crate::kubectl::{Pod, READY_LIMIT, get, pods, wait_until_settled};
use crate::probe::{PROBES, Probe, create_namespace};
use crate::progress::{eventually, report};
use crate::records::wait_until_consistent;
use crate::traffic::Traffic;

/// Kills the process of one pod of each service while requests come in.
pub(crate) async fn killed_services_recover(_: &System) {
    create_namespace().await;
    let traffic = Traffic::start(&Ingress::open().await).await;
    for (service, _) in SERVICES {
        traffic.focus(service);
        let before = traffic.answered(service);
        traffic.wait_until_answered(service, before + 20).await;
        let selector = format!("app={service}");
        let victim = pods(&selector).await.remove(0);
        kill(&victim).await;
        wait_until_restarted(&victim).await;
        wait_until_settled(&selector).await;
        traffic.wait_until_served().await;
        report(&format!("{service} has recovered from kill -9"));
    }
    let outcome = traffic.stop().await;
    wait_until_consistent().await;
    outcome.assert_nothing_is_lost().await;
}

/// Sends SIGKILL to a pod's process.
async fn kill(pod: &Pod) {
    let spec = json!({
        "hostPID": true,
        "nodeName": pod.node,
        "securityContext": {"runAsNonRoot": false, "runAsUser": 0},
        "containers": [{"securityContext": {"privileged": true, "allowPrivilegeEscalation": true}}],
    });
    let killer = Probe::start(PROBES, &format!("killer-{}", pod.app), json!({"app": "killer"}), spec).await;
    // The control group's path has the pod's uid, with underscores if systemd manages it.
    let (uid, with_underscores) = (&pod.uid, pod.uid.replace('-', "_"));
    let script = format!(
        "for process in /proc/[0-9]*; do
           if grep -Eq '{uid}|{with_underscores}' $process/cgroup && [ $(cat $process/comm) = service ]; then
             kill -9 ${{process#/proc/}} && echo killed
           fi
         done 2>/dev/null"
    );
    let killed = killer.exec(&format!("{script}; true")).await;
    assert_eq!(killed.trim(), "killed", "the process of {} was not found", pod.name);
    killer.delete().await;
}

async fn wait_until_restarted(victim: &Pod) {
    let status = eventually(READY_LIMIT, async || {
        let pod = get(&["pod", &victim.name]).await;
        let status = pod["status"]["containerStatuses"][0].clone();
        let is_restarted = status["restartCount"].as_u64() > Some(victim.restarts);
        if is_restarted { Ok(status) } else { Err(format!("{} was not restarted: {status}", victim.name)) }
    })
    .await;
    let exit_code = status.pointer("/lastState/terminated/exitCode").and_then(Value::as_u64);
    assert_eq!(exit_code, Some(137), "{} did not die from SIGKILL: {status}", victim.name);
}
