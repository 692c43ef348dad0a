//! The parts of Kubernetes' objects that the tests read.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::labels::{Labels, Selector};

/// The start of the names of images that this repository builds.
const OWN_IMAGES: &str = "ticketing/";

#[derive(Clone, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) name: String,
}

/// A Deployment or a StatefulSet.
#[derive(Clone, Deserialize)]
pub(crate) struct Workload {
    pub(crate) metadata: Metadata,
    pub(crate) spec: WorkloadSpec,
}

#[derive(Clone, Deserialize)]
pub(crate) struct WorkloadSpec {
    pub(crate) selector: Selector,
    pub(crate) template: Template,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Template {
    pub(crate) metadata: TemplateMetadata,
    pub(crate) spec: Pod,
}

#[derive(Clone, Deserialize)]
pub(crate) struct TemplateMetadata {
    pub(crate) labels: Labels,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pod {
    pub(crate) containers: Vec<Container>,
    #[serde(default)]
    pub(crate) init_containers: Vec<Container>,
    #[serde(default)]
    pub(crate) volumes: Vec<Value>,
    #[serde(default)]
    pub(crate) security_context: Value,
    pub(crate) automount_service_account_token: Option<bool>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    #[serde(default)]
    pub(crate) command: Vec<String>,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) env: Vec<Variable>,
    #[serde(default)]
    pub(crate) env_from: Vec<Value>,
    #[serde(default)]
    pub(crate) ports: Vec<ContainerPort>,
    #[serde(default)]
    pub(crate) resources: Value,
    #[serde(default)]
    pub(crate) security_context: Value,
    /// Probes among them.
    #[serde(flatten)]
    pub(crate) rest: BTreeMap<String, Value>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
    #[serde(default)]
    pub(crate) value_from: Value,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerPort {
    pub(crate) name: String,
    pub(crate) container_port: u16,
}

/// A port by number or by name.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub(crate) enum PortRef {
    Number(u16),
    Name(String),
}

#[derive(Clone, Deserialize)]
pub(crate) struct Service {
    pub(crate) metadata: Metadata,
    pub(crate) spec: ServiceSpec,
}

#[derive(Clone, Deserialize)]
pub(crate) struct ServiceSpec {
    pub(crate) selector: Labels,
    pub(crate) ports: Vec<ServicePort>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServicePort {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) target_port: PortRef,
}

#[derive(Clone, Deserialize)]
pub(crate) struct ConfigMap {
    pub(crate) metadata: Metadata,
    pub(crate) data: BTreeMap<String, String>,
}

impl Workload {
    pub(crate) fn pod(&self) -> &Pod {
        &self.spec.template.spec
    }

    pub(crate) fn labels(&self) -> &Labels {
        &self.spec.template.metadata.labels
    }

    pub(crate) fn containers(&self) -> impl Iterator<Item = &Container> {
        self.pod().init_containers.iter().chain(&self.pod().containers)
    }

    /// The number of a port of its pods, if they have it.
    pub(crate) fn port(&self, port: &PortRef) -> Option<u16> {
        let ports = self.containers().flat_map(|container| &container.ports);
        let mut found = ports.filter(|known| match port {
            PortRef::Number(number) => known.container_port == *number,
            PortRef::Name(name) => known.name == *name,
        });
        found.next().map(|port| port.container_port)
    }
}

impl Container {
    /// The program of this repository that it runs, if it does.
    pub(crate) fn program(&self) -> Option<&str> {
        self.image_name().strip_prefix(OWN_IMAGES)
    }

    /// Its image without tag and digest.
    pub(crate) fn image_name(&self) -> &str {
        let name = self.image.split('@').next().unwrap();
        let tag = name.rfind(':').filter(|tag| !name[*tag..].contains('/'));
        &name[..tag.unwrap_or(name.len())]
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metadata.name)
    }
}
