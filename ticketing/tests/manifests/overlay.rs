//! An overlay as the cluster would receive it.

use std::fmt;
use std::process::Command;
use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::objects::{ConfigMap, Container, Service, Workload};
use crate::repository;

/// The rendered overlays. Every test goes through all of them. `None` if nothing can render them.
static OVERLAYS: LazyLock<Option<Vec<Overlay>>> = LazyLock::new(render_all);

/// The objects of an overlay.
pub(crate) struct Overlay {
    name: &'static str,
    objects: Vec<Value>,
}

/// The overlays, or none with a message if nothing can render them.
///
/// # Panics
///
/// If nothing can render them while `TEST_INTEGRATION` is set, or if they cannot be rendered.
#[expect(clippy::print_stdout, reason = "a skipped test must be visible")]
pub(crate) fn overlays() -> &'static [Overlay] {
    let Some(overlays) = &*OVERLAYS else {
        assert!(std::env::var_os("TEST_INTEGRATION").is_none(), "kustomize and kubectl are missing");
        println!("skipped: kustomize and kubectl are missing");
        return &[];
    };
    overlays
}

fn render_all() -> Option<Vec<Overlay>> {
    let program = [("kustomize", "build"), ("kubectl", "kustomize")]
        .into_iter()
        .find(|(program, _)| Command::new(program).arg("--help").output().is_ok())?;
    Some(["dev", "prod"].map(|name| Overlay::render(name, program)).into())
}

impl Overlay {
    fn render(name: &'static str, (program, command): (&str, &str)) -> Self {
        let directory = repository::root().join("infra/k8s/overlays").join(name);
        let output = Command::new(program).arg(command).arg(directory).output().unwrap();
        assert!(output.status.success(), "overlay {name}: {}", String::from_utf8_lossy(&output.stderr));
        let objects = serde_saphyr::from_multiple(&String::from_utf8(output.stdout).unwrap()).unwrap();
        Self { name, objects }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// All objects of a kind.
    pub(crate) fn all<T: DeserializeOwned>(&self, kind: &str) -> Vec<T> {
        let objects = self.objects.iter().filter(|object| object["kind"] == kind);
        objects.map(|object| serde_json::from_value(object.clone()).unwrap()).collect()
    }

    /// Everything that starts pods.
    pub(crate) fn workloads(&self) -> Vec<Workload> {
        ["Deployment", "StatefulSet"].iter().flat_map(|kind| self.all(kind)).collect()
    }

    /// The workloads that run a program of this repository, each with its container.
    pub(crate) fn programs(&self) -> Vec<(Workload, Container)> {
        let programs = self.workloads().into_iter().filter_map(|workload| {
            let container = workload.containers().find(|container| container.program().is_some())?.clone();
            Some((workload, container))
        });
        programs.collect()
    }

    /// The service with this name.
    pub(crate) fn service(&self, name: &str) -> Option<Service> {
        self.all::<Service>("Service").into_iter().find(|service| service.metadata.name == name)
    }

    /// The configuration with this name.
    pub(crate) fn config(&self, name: &str) -> Option<ConfigMap> {
        self.all::<ConfigMap>("ConfigMap").into_iter().find(|config| config.metadata.name == name)
    }

    /// The names of all secrets that objects refer to.
    pub(crate) fn secret_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for object in &self.objects {
            collect_secrets(object, &mut names);
        }
        names
    }
}

impl fmt::Display for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "overlay {}", self.name)
    }
}

fn collect_secrets(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = match field.as_str() {
                    "secretName" => value.as_str(),
                    "secretKeyRef" | "secretRef" => value["name"].as_str(),
                    _ => None,
                };
                names.extend(name.map(str::to_owned));
                collect_secrets(value, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_secrets(item, names)),
        _ => {}
    }
}
