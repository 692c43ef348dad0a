//! Network policies: which pods may connect to which.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use testing::system::SERVICES;

use crate::kubectl::{NAMESPACE, apply, get, kubectl};
use crate::probe::{PROBES, Probe, create_namespace};
use crate::progress::{eventually, report};

/// How long a cluster may take to enforce a policy on a new pod.
const ENFORCE_LIMIT: Duration = Duration::from_secs(30);

/// The port of the pod that checks whether policies are enforced.
const CONTROL_PORT: u16 = 8080;

/// The connections that services need: from, to, port.
const REQUIRED: [(&str, &str, u64); 10] = [
    ("auth", "auth-mongo", 27017),
    ("tickets", "tickets-mongo", 27017),
    ("tickets", "nats", 4222),
    ("orders", "orders-mongo", 27017),
    ("orders", "nats", 4222),
    ("payments", "payments-mongo", 27017),
    ("payments", "nats", 4222),
    ("payments", "stripe-simulator", 12111),
    ("expiration", "expiration-redis", 6379),
    ("expiration", "nats", 4222),
];

/// Something to connect to.
#[derive(Clone, Debug)]
struct Target {
    app: String,
    address: String,
    port: u64,
}

/// A foreign pod reaches nothing of the system, and a service only what it needs.
pub(crate) async fn only_the_required_connections_are_open() {
    create_namespace().await;
    let foreign = Probe::start(PROBES, "foreign", json!({"app": "foreign"}), json!({})).await;
    if !policies_are_enforced(&foreign).await {
        report("skipped: this cluster does not enforce network policies");
        return;
    }
    let services = services().await;
    let pods = pod_ports().await;
    for app in ["auth", "tickets", "orders", "payments", "expiration"] {
        let has_admin_port = pods.iter().any(|target| target.app == app && target.port == 9090);
        assert!(has_admin_port, "{app} has no admin port among {pods:?}");
    }
    let targets = [services.clone(), pods].concat();
    let open = open(&foreign, &targets).await;
    assert!(open.is_empty(), "a foreign pod reaches {open:?}");
    report(&format!("a foreign pod reaches none of {} addresses", targets.len()));

    join_all(SERVICES.map(|(service, _)| assert_reaches_only_what_it_needs(service, &services))).await;
}

/// A pod with the labels of a service reaches what the service needs and nothing else. It is never ready, so it gets no
/// requests.
async fn assert_reaches_only_what_it_needs(service: &str, services: &[Target]) {
    let labels = json!({"app": service, "app.kubernetes.io/component": "service"});
    let unready = json!({"containers": [{"readinessProbe": {"exec": {"command": ["false"]}}}]});
    let probe = Probe::start(NAMESPACE, &format!("probe-{service}"), labels, unready).await;
    let mut targets = services.to_vec();
    targets.push(Target { app: "kubernetes".into(), address: "kubernetes.default.svc".into(), port: 443 });
    let required = |target: &Target| REQUIRED.contains(&(service, target.app.as_str(), target.port));
    let count = eventually(ENFORCE_LIMIT, async || {
        let open = open(&probe, &targets).await;
        let is_open = |target: &&Target| open.contains(&name(target));
        let missing: Vec<_> = targets.iter().filter(|target| required(target) && !is_open(target)).map(name).collect();
        let excess: Vec<_> = targets.iter().filter(|target| !required(target) && is_open(target)).map(name).collect();
        let is_right = missing.is_empty() && excess.is_empty();
        let wrong = || format!("{service} does not reach {missing:?}, and reaches {excess:?}, which it does not need");
        is_right.then_some(open.len()).ok_or_else(wrong)
    })
    .await;
    report(&format!("{service} reaches {count} of {} addresses, those that it needs", targets.len()));
    probe.delete().await;
}

/// Whether a policy that forbids a connection has an effect. The connection must work without it.
async fn policies_are_enforced(foreign: &Probe) -> bool {
    let listen = format!("while true; do nc -l -p {CONTROL_PORT} </dev/null >/dev/null; done");
    let serve = json!({"containers": [{"command": ["sh", "-c", listen]}]});
    let control = Probe::start(PROBES, "control", json!({"app": "control"}), serve).await;
    let pod = get(&["--namespace", PROBES, "pod", "control"]).await;
    let address = pod["status"]["podIP"].as_str().unwrap().to_owned();
    let target = [Target { app: "control".into(), address, port: CONTROL_PORT.into() }];
    eventually(ENFORCE_LIMIT, async || {
        let is_open = !open(foreign, &target).await.is_empty();
        is_open.then_some(()).ok_or_else(|| format!("the probe does not reach {target:?}, which nothing forbids"))
    })
    .await;
    apply(&json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": PROBES, "name": "deny"},
        "spec": {"podSelector": {"matchLabels": {"app": "control"}}, "policyTypes": ["Ingress"]},
    }))
    .await;
    let mut is_enforced = false;
    let deadline = tokio::time::Instant::now() + ENFORCE_LIMIT;
    while !is_enforced && tokio::time::Instant::now() < deadline {
        is_enforced = open(foreign, &target).await.is_empty();
    }
    kubectl(&["--namespace", PROBES, "delete", "networkpolicy", "deny"]).await;
    control.delete().await;
    is_enforced
}

/// Connects to all targets at once. Returns the names of those that accept.
async fn open(probe: &Probe, targets: &[Target]) -> Vec<String> {
    let calls: String = targets.iter().map(|target| format!("probe {} {} &\n", target.address, target.port)).collect();
    // Reads until the other side closes or a few seconds have passed. Any message means that there is no connection.
    let script = format!(
        "probe() {{
           error=$(timeout 4 nc -w 2 $1 $2 </dev/null 2>&1 >/dev/null)
           [ -n \"$error\" ] || echo $1:$2
         }}
         {calls}wait"
    );
    let open = probe.exec(&script).await;
    targets.iter().map(name).filter(|name| open.lines().any(|line| line == name)).collect()
}

fn name(target: &Target) -> String {
    format!("{}:{}", target.address, target.port)
}

/// The ports of the system's Services.
async fn services() -> Vec<Target> {
    let list = get(&["services"]).await;
    let targets = list["items"].as_array().unwrap().iter().flat_map(|service| {
        let app = text(&service["spec"]["selector"]["app"]);
        let address = format!("{}.{NAMESPACE}.svc", text(&service["metadata"]["name"]));
        let ports = service["spec"]["ports"].as_array().unwrap();
        ports.iter().map(move |port| Target {
            app: app.clone(),
            address: address.clone(),
            port: port["port"].as_u64().unwrap(),
        })
    });
    targets.collect()
}

/// The ports of the system's pods.
async fn pod_ports() -> Vec<Target> {
    let list = get(&["pods"]).await;
    let targets = list["items"].as_array().unwrap().iter().flat_map(|pod| {
        let (app, address) = (text(&pod["metadata"]["labels"]["app"]), text(&pod["status"]["podIP"]));
        let ports = pod["spec"]["containers"][0]["ports"].as_array().cloned().unwrap_or_default();
        ports.into_iter().map(move |port| Target {
            app: app.clone(),
            address: address.clone(),
            port: port["containerPort"].as_u64().unwrap(),
        })
    });
    targets.collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
