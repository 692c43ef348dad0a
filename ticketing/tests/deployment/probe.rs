//! Pods that run shell commands.

use std::time::Duration;

use serde_json::{Value, json};

use crate::kubectl::{READY_LIMIT, apply, kubectl_within, try_kubectl};
use crate::progress::eventually;
use crate::settings::probe_image;

/// The namespace of pods that are not the system's.
pub(crate) const PROBES: &str = "ticketing-test";

const CALL_LIMIT: Duration = Duration::from_secs(60);

/// A running pod.
pub(crate) struct Probe {
    namespace: &'static str,
    name: String,
}

impl Probe {
    /// Starts a pod. `spec` is added to a specification that satisfies the restricted Pod Security Standard.
    pub(crate) async fn start(namespace: &'static str, name: &str, labels: Value, spec: Value) -> Self {
        let mut pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": namespace, "name": name, "labels": labels},
            "spec": {
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 0,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": "probe",
                    "image": probe_image(),
                    "command": ["sleep", "3600"],
                    "resources": {"limits": {"cpu": "200m", "memory": "32Mi"}},
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                }],
            },
        });
        merge(&mut pod["spec"], spec);
        apply(&pod).await;
        let probe = Self { namespace, name: name.to_owned() };
        eventually(READY_LIMIT, async || {
            let tried = try_kubectl(CALL_LIMIT, &probe.exec_arguments("true")).await;
            if tried.success { Ok(()) } else { Err(format!("the pod {name} does not run: {}", tried.output())) }
        })
        .await;
        probe
    }

    /// Runs a shell command in the pod. Returns its standard output.
    pub(crate) async fn exec(&self, script: &str) -> String {
        kubectl_within(CALL_LIMIT, &self.exec_arguments(script)).await
    }

    fn exec_arguments<'a>(&'a self, script: &'a str) -> [&'a str; 8] {
        ["--namespace", self.namespace, "exec", &self.name, "--", "sh", "-c", script]
    }

    /// Deletes the pod.
    pub(crate) async fn delete(self) {
        let arguments = ["--namespace", self.namespace, "delete", "pod", &self.name, "--grace-period=1"];
        kubectl_within(READY_LIMIT, &arguments).await;
    }
}

/// Creates the namespace of the probes. Pods in it may do anything.
pub(crate) async fn create_namespace() {
    let labels = json!({"pod-security.kubernetes.io/enforce": "privileged"});
    let metadata = json!({"name": PROBES, "labels": labels});
    apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})).await;
}

/// Adds the fields of `more`. Objects are merged, and objects in lists one by one.
fn merge(value: &mut Value, more: Value) {
    match (value, more) {
        (Value::Object(fields), Value::Object(more)) => {
            for (name, field) in more {
                merge(fields.entry(name).or_insert(Value::Null), field);
            }
        }
        (Value::Array(elements), Value::Array(more)) if elements.iter().all(Value::is_object) => {
            for (element, more) in elements.iter_mut().zip(more) {
                merge(element, more);
            }
        }
        (value, more) => *value = more,
    }
}
