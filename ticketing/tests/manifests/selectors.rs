//! Which pods an object is about.

use serde::Deserialize;
use serde_json::Value;

use crate::labels::{Selector, contains};
use crate::objects::{Metadata, Service, Workload};
use crate::overlay::{Overlay, overlays};

#[derive(Deserialize)]
struct DisruptionBudget {
    metadata: Metadata,
    spec: DisruptionBudgetSpec,
}

#[derive(Deserialize)]
struct DisruptionBudgetSpec {
    selector: Selector,
}

#[test]
fn every_workload_selects_its_own_pods_only() {
    for overlay in overlays() {
        for workload in overlay.workloads() {
            let selected = selected_by(overlay, &workload.spec.selector);
            assert_eq!(selected, [workload.to_string()], "{overlay}");
        }
    }
}

#[test]
fn every_service_leads_to_ports_of_one_workload() {
    for overlay in overlays() {
        for service in overlay.all::<Service>("Service") {
            let name = &service.metadata.name;
            let workloads = overlay.workloads();
            let behind: Vec<_> =
                workloads.iter().filter(|workload| contains(workload.labels(), &service.spec.selector)).collect();
            let [workload] = behind[..] else { panic!("{overlay}: {name} leads to {} workloads", behind.len()) };
            for port in &service.spec.ports {
                let found = workload.port(&port.target_port);
                assert_eq!(found, Some(port.port), "{overlay}: port {} of {name}", port.name);
            }
        }
    }
}

#[test]
fn every_stateful_set_has_its_service() {
    for overlay in overlays() {
        for set in overlay.all::<Value>("StatefulSet") {
            let name = set["spec"]["serviceName"].as_str().unwrap();
            assert!(overlay.service(name).is_some(), "{overlay}: no service {name}");
        }
    }
}

#[test]
fn every_disruption_budget_protects_one_workload() {
    for overlay in overlays() {
        for budget in overlay.all::<DisruptionBudget>("PodDisruptionBudget") {
            let selected = selected_by(overlay, &budget.spec.selector);
            assert_eq!(selected.len(), 1, "{overlay}: {} protects {selected:?}", budget.metadata.name);
        }
    }
}

#[test]
fn every_autoscaler_scales_a_deployment() {
    for overlay in overlays() {
        let deployments: Vec<_> = overlay.all::<Workload>("Deployment").iter().map(ToString::to_string).collect();
        for scaler in overlay.all::<Value>("HorizontalPodAutoscaler") {
            let target = scaler["spec"]["scaleTargetRef"]["name"].as_str().unwrap();
            assert!(deployments.iter().any(|name| name == target), "{overlay}: no deployment {target}");
        }
    }
}

fn selected_by(overlay: &Overlay, selector: &Selector) -> Vec<String> {
    let workloads = overlay.workloads().into_iter();
    workloads.filter(|workload| selector.matches(workload.labels())).map(|workload| workload.to_string()).collect()
}
