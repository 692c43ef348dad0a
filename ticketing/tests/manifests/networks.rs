//! Network policies.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::environment::environment;
use crate::labels::Selector;
use crate::objects::{Metadata, PortRef, Workload};
use crate::overlay::{Overlay, overlays};
use crate::repository;

#[derive(Deserialize)]
struct Policy {
    metadata: Metadata,
    spec: PolicySpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PolicySpec {
    pod_selector: Selector,
    policy_types: BTreeSet<Direction>,
    #[serde(default)]
    ingress: Vec<Rule>,
    #[serde(default)]
    egress: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    Ingress,
    Egress,
}

#[derive(Deserialize)]
struct Rule {
    #[serde(alias = "from", alias = "to")]
    peers: Vec<Peer>,
    ports: Vec<RulePort>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Peer {
    pod_selector: Option<Selector>,
    namespace_selector: Option<Value>,
}

#[derive(Deserialize)]
struct RulePort {
    port: PortRef,
}

/// A connection that a policy admits: from a workload to a port of another.
type Connection = (String, String, u16);

#[test]
fn every_pod_is_closed_in_both_directions_by_default() {
    for overlay in overlays() {
        let both = BTreeSet::from([Direction::Ingress, Direction::Egress]);
        let policies = overlay.all::<Policy>("NetworkPolicy");
        let closed = policies.iter().map(|policy| &policy.spec).any(|spec| {
            spec.policy_types == both
                && spec.ingress.is_empty()
                && spec.egress.is_empty()
                && overlay.workloads().iter().all(|workload| spec.pod_selector.matches(workload.labels()))
        });
        assert!(closed, "{overlay}");
    }
}

#[test]
fn every_policy_selects_a_pod() {
    for overlay in overlays() {
        for policy in overlay.all::<Policy>("NetworkPolicy") {
            let workloads = overlay.workloads();
            let selected = selected(&workloads, &policy.spec.pod_selector);
            assert_ne!(selected.count(), 0, "{overlay}: {} selects nothing", policy.metadata.name);
        }
    }
}

#[test]
fn a_connection_is_admitted_on_both_sides() {
    for overlay in overlays() {
        let (egress, ingress) = (connections(overlay, Direction::Egress), connections(overlay, Direction::Ingress));
        assert_eq!(egress, ingress, "{overlay}: egress on the left, ingress on the right");
    }
}

#[test]
fn policies_open_ports_that_pods_have() {
    for overlay in overlays() {
        let workloads = overlay.workloads();
        for policy in overlay.all::<Policy>("NetworkPolicy") {
            for rule in &policy.spec.ingress {
                assert!(!rule.ports.is_empty(), "{overlay}: {} opens every port", policy.metadata.name);
                for workload in selected(&workloads, &policy.spec.pod_selector) {
                    for port in rule.ports.iter().map(|port| &port.port) {
                        let name = &policy.metadata.name;
                        assert!(workload.port(port).is_some(), "{overlay}: {name}: {workload} has no port {port:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn programs_reach_the_servers_in_their_configuration() {
    for overlay in overlays() {
        for (workload, container) in overlay.programs() {
            for (variable, value) in environment(overlay, &container) {
                if let Some((host, port)) = value.as_deref().and_then(address) {
                    assert_admitted(overlay, &workload, &variable, host, port);
                }
            }
        }
    }
}

#[test]
fn payments_reach_the_simulator_of_the_documented_secret() {
    let secrets = repository::documented_secrets();
    let (host, port) = address(&secrets["stripe-secret"]["STRIPE_API_BASE"]).unwrap();
    for overlay in overlays().iter().filter(|overlay| overlay.name() == "dev") {
        let (payments, _) =
            overlay.programs().into_iter().find(|(_, container)| container.program() == Some("payments")).unwrap();
        assert_admitted(overlay, &payments, "STRIPE_API_BASE", host, port);
    }
}

fn assert_admitted(overlay: &Overlay, from: &Workload, variable: &str, host: &str, port: u16) {
    let service = overlay.service(host).unwrap_or_else(|| panic!("{overlay}: {variable}: no service {host}"));
    let found = service.spec.ports.iter().find(|known| known.port == port);
    let target = &found.unwrap_or_else(|| panic!("{overlay}: {variable}: {host} has no port {port}")).target_port;
    let workloads = overlay.workloads();
    let to =
        workloads.iter().find(|workload| crate::labels::contains(workload.labels(), &service.spec.selector)).unwrap();
    let connection = (from.to_string(), to.to_string(), to.port(target).unwrap());
    let admitted = connections(overlay, Direction::Egress).contains(&connection);
    assert!(admitted, "{overlay}: no policy admits {variable} of {from}: {connection:?}");
}

/// The host and port in an address such as `mongodb://auth-mongo-srv:27017/auth`, if it is one.
fn address(value: &str) -> Option<(&str, u16)> {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let (host, port) = rest.split('/').next()?.split_once(':')?;
    Some((host, port.parse().ok()?))
}

/// The connections between pods that the policies of a direction admit.
fn connections(overlay: &Overlay, direction: Direction) -> BTreeSet<Connection> {
    let workloads = overlay.workloads();
    let mut connections = BTreeSet::new();
    for policy in overlay.all::<Policy>("NetworkPolicy") {
        let rules = match direction {
            Direction::Ingress => &policy.spec.ingress,
            Direction::Egress => &policy.spec.egress,
        };
        for rule in rules {
            for peer in rule.peers.iter().filter(|peer| peer.namespace_selector.is_none()) {
                let Some(peer) = &peer.pod_selector else { continue };
                for own in selected(&workloads, &policy.spec.pod_selector) {
                    for other in selected(&workloads, peer) {
                        let (from, to) = match direction {
                            Direction::Ingress => (other, own),
                            Direction::Egress => (own, other),
                        };
                        for port in rule.ports.iter().map(|port| &port.port) {
                            let name = &policy.metadata.name;
                            let number = to.port(port);
                            let number =
                                number.unwrap_or_else(|| panic!("{overlay}: {name}: {to} has no port {port:?}"));
                            connections.insert((from.to_string(), to.to_string(), number));
                        }
                    }
                }
            }
        }
    }
    connections
}

fn selected<'a>(workloads: &'a [Workload], selector: &'a Selector) -> impl Iterator<Item = &'a Workload> {
    workloads.iter().filter(|workload| selector.matches(workload.labels()))
}
