//! The cluster, through kubectl.

use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::command::{Finished, finish, show};
use crate::progress::{eventually, report};

/// The namespace of the system.
pub(crate) const NAMESPACE: &str = "ticketing";

/// How long a call may take that waits for nothing.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// How long pods may take to become ready: they may wait for a volume, or for each other.
pub(crate) const READY_LIMIT: Duration = Duration::from_secs(180);

/// Runs kubectl on the system's namespace. Returns its standard output.
pub(crate) async fn kubectl(arguments: &[&str]) -> String {
    kubectl_within(CALL_LIMIT, arguments).await
}

/// Like [`kubectl`], for a command that waits.
pub(crate) async fn kubectl_within(limit: Duration, arguments: &[&str]) -> String {
    let mut command = command(arguments);
    let shown = show(&command);
    finish(&mut command, limit).await.expect_success(&shown).stdout
}

/// Runs kubectl, which may fail.
pub(crate) async fn try_kubectl(limit: Duration, arguments: &[&str]) -> Finished {
    finish(&mut command(arguments), limit).await
}

/// A kubectl command on the system's namespace, or on the one that the arguments name.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("kubectl");
    command.args(["--namespace", NAMESPACE]).args(arguments);
    command
}

/// Reads an object or a list.
pub(crate) async fn get(arguments: &[&str]) -> Value {
    let output = kubectl(&[&["get", "--output=json"], arguments].concat()).await;
    serde_json::from_str(&output).unwrap_or_else(|error| panic!("kubectl get {arguments:?}: {error}: {output}"))
}

/// Applies a manifest in the namespace that it names.
pub(crate) async fn apply(manifest: &Value) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), manifest.to_string()).unwrap();
    let mut command = Command::new("kubectl");
    finish(command.arg("apply").arg("--filename").arg(file.path()), CALL_LIMIT).await.expect_success("kubectl apply");
}

/// A pod.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) app: String,
    pub(crate) node: String,
    pub(crate) image: String,
    pub(crate) restarts: u64,
    pub(crate) is_ready: bool,
    pub(crate) is_terminating: bool,
}

impl Pod {
    fn new(pod: &Value) -> Self {
        let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
        let is_ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
        Self {
            name: text("/metadata/name"),
            uid: text("/metadata/uid"),
            app: text("/metadata/labels/app"),
            node: text("/spec/nodeName"),
            image: text("/spec/containers/0/image"),
            restarts: pod.pointer("/status/containerStatuses/0/restartCount").and_then(Value::as_u64).unwrap_or(0),
            is_ready: conditions.is_some_and(|conditions| conditions.iter().any(is_ready)),
            is_terminating: pod.pointer("/metadata/deletionTimestamp").is_some(),
        }
    }
}

/// The system's pods with this label, sorted by name.
pub(crate) async fn pods(selector: &str) -> Vec<Pod> {
    let list = get(&["pods", "--selector", selector]).await;
    let mut pods: Vec<Pod> = list["items"].as_array().unwrap().iter().map(Pod::new).collect();
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    pods
}

/// Waits until every Deployment and StatefulSet with this label has all its pods ready and up to date, and no other pod
/// is left.
pub(crate) async fn wait_until_settled(selector: &str) {
    eventually(READY_LIMIT, async || {
        let owners = get(&["deployments,statefulsets", "--selector", selector]).await;
        let owners = owners["items"].as_array().unwrap().clone();
        if owners.is_empty() {
            return Err(format!("nothing has the label {selector}"));
        }
        let mut expected = 0;
        for owner in &owners {
            let count = |pointer: &str| owner.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
            let wanted = count("/spec/replicas");
            let is_observed = count("/status/observedGeneration") >= count("/metadata/generation");
            let (ready, updated) = (count("/status/readyReplicas"), count("/status/updatedReplicas"));
            if !is_observed || (ready, updated) != (wanted, wanted) {
                let name = &owner["metadata"]["name"];
                return Err(format!("{name}: {ready} of {wanted} pods ready, {updated} up to date"));
            }
            expected += wanted;
        }
        let found = pods(selector).await;
        if found.len() as u64 == expected && found.iter().all(|pod| pod.is_ready && !pod.is_terminating) {
            return Ok(());
        }
        let found: Vec<_> = found.iter().map(|pod| (&pod.name, pod.is_ready, pod.is_terminating)).collect();
        Err(format!("{expected} pods expected for {selector}, found (ready, terminating): {found:?}"))
    })
    .await;
}

/// Prints what may explain a failure.
pub(crate) async fn report_state() {
    let overview = ["get", "pods,statefulsets,deployments,ingress,pvc", "--output=wide"];
    let events = ["get", "events", "--sort-by=.lastTimestamp"];
    for arguments in [&overview[..], &events[..]] {
        let output = try_kubectl(CALL_LIMIT, arguments).await.output();
        report(&format!("kubectl {}:\n{}", arguments.join(" "), tail(&output, 40)));
    }
    for pod in try_pods().await {
        let restarted = pod.restarts > 0;
        if !pod.is_ready {
            let described = try_kubectl(CALL_LIMIT, &["describe", "pod", &pod.name]).await.output();
            report(&format!("kubectl describe pod {}:\n{}", pod.name, tail(&described, 25)));
        }
        let logs = try_kubectl(CALL_LIMIT, &["logs", "--tail=300", &pod.name]).await.output();
        report_log(&pod.name, &logs);
        if restarted {
            let logs = try_kubectl(CALL_LIMIT, &["logs", "--previous", "--tail=300", &pod.name]).await.output();
            report_log(&format!("{} before its restart", pod.name), &logs);
        }
    }
}

async fn try_pods() -> Vec<Pod> {
    let found = try_kubectl(CALL_LIMIT, &["get", "pods", "--output=json"]).await;
    let list: Value = serde_json::from_str(&found.stdout).unwrap_or_default();
    list["items"].as_array().map(|pods| pods.iter().map(Pod::new).collect()).unwrap_or_default()
}

/// Prints the last lines of a log, without those of level `INFO`: access logs would bury the rest.
fn report_log(of: &str, log: &str) {
    let lines: Vec<&str> = log.lines().filter(|line| !line.contains("INFO")).collect();
    if !lines.is_empty() {
        report(&format!("log of {of}:\n{}", tail(&lines.join("\n"), 15)));
    }
}

/// The last lines of a text.
pub(crate) fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
