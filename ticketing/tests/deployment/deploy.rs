//! Deploying the system, and removing it.

use std::time::Duration;

use tokio::process::Command;

use crate::command::{finish, show};
use crate::drain;
use crate::ingress::{HOST, Ingress};
use crate::kubectl::{NAMESPACE, get, kubectl, kubectl_within, try_kubectl, wait_until_settled};
use crate::probe::PROBES;
use crate::progress::{eventually, report};
use crate::settings;
use crate::skaffold::Clone;

/// Every object of the system.
pub(crate) const ALL: &str = "app.kubernetes.io/part-of=ticketing";

/// The line of README.md before the commands that create the namespace and the secrets.
const MARKER: &str = "<!-- ticketing/tests/deployment runs these commands up to skaffold -->\n```sh\n";

/// What stays in the namespace when the system is deleted: what the commands above made, and what every namespace has.
const KEPT: [&str; 5] = [
    "secret/jwt-secret",
    "secret/stripe-secret",
    "secret/ticketing-tls",
    "configmap/kube-root-ca.crt",
    "serviceaccount/default",
];

const CALL_LIMIT: Duration = Duration::from_secs(60);

const DELETE_LIMIT: Duration = Duration::from_secs(180);

/// The system, deployed from a clean clone.
pub(crate) struct System {
    pub(crate) clone: Clone,
}

impl System {
    /// Clones the checkout. Deploys nothing yet.
    pub(crate) async fn new() -> Self {
        Self { clone: Clone::new().await }
    }

    /// Deploys everything and waits until it serves requests.
    pub(crate) async fn deploy(&self) {
        let mut shell = Command::new("sh");
        shell.args(["-ec", &self.setup()]).current_dir(self.clone.path(""));
        finish(&mut shell, CALL_LIMIT).await.expect_success("the setup in README.md");
        if settings::ingress_ca().is_none() {
            install_certificate().await;
        }
        let output = self.clone.run_skaffold(&["run"]).await;
        let warnings: Vec<&str> = output.lines().filter(|line| line.contains("would violate")).collect();
        assert!(warnings.is_empty(), "Pod Security warnings: {warnings:#?}");
        report("skaffold run has finished");
        wait_until_settled(ALL).await;
        assert_pods_are_restricted().await;
        Ingress::open().await;
    }

    /// The commands of README.md that come before the first deployment.
    fn setup(&self) -> String {
        let readme = std::fs::read_to_string(self.clone.path("README.md")).unwrap();
        let commands = readme.split_once(MARKER).and_then(|(_, rest)| rest.split_once("skaffold dev"));
        commands.expect("the commands in README.md").0.to_owned()
    }

    /// Deletes the system with Skaffold and expects that nothing is left.
    pub(crate) async fn delete(&self) {
        self.clone.run_skaffold(&["delete"]).await;
        wait_until_nothing_is_left().await;
    }
}

/// Installs a certificate for the host, as its owner would.
async fn install_certificate() {
    let generated = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    let directory = tempfile::TempDir::new().unwrap();
    let (certificate, key) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
    std::fs::write(&certificate, generated.cert.pem()).unwrap();
    std::fs::write(&key, generated.signing_key.serialize_pem()).unwrap();
    let mut command = crate::kubectl::command(&["create", "secret", "tls", "ticketing-tls"]);
    command.arg("--cert").arg(certificate).arg("--key").arg(key);
    let shown = show(&command);
    finish(&mut command, CALL_LIMIT).await.expect_success(&shown);
}

/// Expects that the namespace enforces the restricted Pod Security Standard, and that no pod violates it.
async fn assert_pods_are_restricted() {
    let namespace = get(&["namespace", NAMESPACE]).await;
    for mode in ["enforce", "warn", "audit"] {
        let level = &namespace["metadata"]["labels"][format!("pod-security.kubernetes.io/{mode}")];
        assert_eq!(level, "restricted", "pod-security.kubernetes.io/{mode}");
    }
    // The API server checks the existing pods whenever the level changes.
    let relax = ["label", "--overwrite", "--dry-run=server", "namespace", NAMESPACE];
    let relaxed = "pod-security.kubernetes.io/enforce=restricted";
    let checked = try_kubectl(CALL_LIMIT, &[&relax[..], &[relaxed]].concat()).await.expect_success("kubectl label");
    assert!(!checked.stderr.contains("violate"), "{}", checked.stderr);
}

/// Waits until the namespace holds nothing but what was created before the deployment.
pub(crate) async fn wait_until_nothing_is_left() {
    eventually(DELETE_LIMIT, async || {
        let mut left = listed(&["--namespaced=true"], &[]).await?;
        left.retain(|object| !KEPT.contains(&object.as_str()) && !object.starts_with("event"));
        left.extend(listed(&["--namespaced=false"], &["--selector", ALL]).await?);
        if left.is_empty() { Ok(()) } else { Err(format!("left behind: {left:?}")) }
    })
    .await;
}

/// Lists objects of every kind.
async fn listed(kinds: &[&str], selection: &[&str]) -> Result<Vec<String>, String> {
    let resources = [&["api-resources", "--verbs=list,delete", "--output=name"], kinds].concat();
    // Fails if a metrics API is registered without a server, but lists all others.
    let kinds = try_kubectl(CALL_LIMIT, &resources).await.stdout;
    let kinds = kinds.lines().collect::<Vec<_>>().join(",");
    let get = [&["get", &kinds, "--output=name", "--ignore-not-found"], selection].concat();
    let found = try_kubectl(CALL_LIMIT, &get).await;
    if found.success { Ok(found.stdout.lines().map(str::to_owned).collect()) } else { Err(found.output()) }
}

/// Fails if the system is deployed already: the test would delete it.
pub(crate) async fn assert_cluster_is_free() {
    let found = try_kubectl(CALL_LIMIT, &["get", "namespace", NAMESPACE, "--ignore-not-found"]).await;
    let found = found.expect_success("kubectl get namespace").stdout;
    assert!(found.is_empty(), "the namespace {NAMESPACE} exists; delete it first: {found}");
}

/// Deletes everything that the test has made.
pub(crate) async fn clean_up() {
    drain::uncordon().await;
    let namespaces = ["delete", "namespace", NAMESPACE, PROBES, "--ignore-not-found", "--wait"];
    kubectl_within(DELETE_LIMIT, &namespaces).await;
    let left = kubectl(&["get", "namespace", NAMESPACE, PROBES, "--ignore-not-found"]).await;
    assert!(left.is_empty(), "still there: {left}");
}
