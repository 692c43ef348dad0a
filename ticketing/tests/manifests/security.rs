//! What the restricted Pod Security Standard demands, and limits.

use serde_json::{Value, json};

use crate::objects::{Container, Workload};
use crate::overlay::{Overlay, overlays};

#[test]
fn no_container_runs_as_root() {
    each_container(|overlay, workload, container| {
        let setting = |field: &str| match container.security_context.get(field) {
            Some(value) => value.clone(),
            None => workload.pod().security_context[field].clone(),
        };
        let name = &container.name;
        assert_eq!(setting("runAsNonRoot"), true, "{overlay}: {name} of {workload}");
        let user = setting("runAsUser").as_u64();
        assert!(user.is_some_and(|user| user > 0), "{overlay}: {name} of {workload} runs as {user:?}");
        assert_eq!(setting("seccompProfile")["type"], "RuntimeDefault", "{overlay}: {name} of {workload}");
    });
}

#[test]
fn no_container_has_privileges_or_a_writable_root() {
    each_container(|overlay, workload, container| {
        let context = &container.security_context;
        let name = &container.name;
        assert_eq!(context["allowPrivilegeEscalation"], false, "{overlay}: {name} of {workload}");
        assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{overlay}: {name} of {workload}");
        assert_eq!(context["readOnlyRootFilesystem"], true, "{overlay}: {name} of {workload}");
    });
}

#[test]
fn every_container_has_requests_and_limits() {
    each_container(|overlay, workload, container| {
        for kind in ["requests", "limits"] {
            for resource in ["cpu", "memory"] {
                let value = &container.resources[kind][resource];
                assert_ne!(*value, Value::Null, "{overlay}: {} of {workload}: {kind} of {resource}", container.name);
            }
        }
    });
}

#[test]
fn no_pod_can_talk_to_the_api_server() {
    for overlay in overlays() {
        for workload in overlay.workloads() {
            assert_eq!(workload.pod().automount_service_account_token, Some(false), "{overlay}: {workload}");
        }
    }
}

fn each_container(check: impl Fn(&Overlay, &Workload, &Container)) {
    for overlay in overlays() {
        for workload in overlay.workloads() {
            workload.containers().for_each(|container| check(overlay, &workload, container));
        }
    }
}
