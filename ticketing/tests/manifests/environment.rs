//! The environment variables of a container.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::objects::{Container, Variable};
use crate::overlay::Overlay;
use crate::repository;

/// Variables with their values. `None` is the value of a secret.
pub(crate) type Environment = BTreeMap<String, Option<String>>;

/// The variables that an overlay sets in a container.
///
/// # Panics
///
/// If one refers to configuration that the overlay does not have, or to a secret that no document creates.
pub(crate) fn environment(overlay: &Overlay, container: &Container) -> Environment {
    let mut environment = Environment::new();
    for source in &container.env_from {
        let name = source["secretRef"]["name"].as_str().unwrap_or_else(|| panic!("not a secret: {source}"));
        let secrets = repository::documented_secrets();
        let secret = secrets.get(name).unwrap_or_else(|| panic!("no document creates the secret {name}"));
        environment.extend(secret.keys().map(|key| (key.clone(), None)));
    }
    for variable in &container.env {
        environment.insert(variable.name.clone(), value(overlay, variable));
    }
    environment
}

fn value(overlay: &Overlay, variable: &Variable) -> Option<String> {
    if variable.value.is_some() {
        return variable.value.clone();
    }
    let name = &variable.name;
    if let Some((config, key)) = reference(&variable.value_from["configMapKeyRef"]) {
        let data = overlay.config(config).unwrap_or_else(|| panic!("{overlay}, {name}: no ConfigMap {config}")).data;
        return Some(data.get(key).unwrap_or_else(|| panic!("{overlay}, {name}: no {key} in {config}")).clone());
    }
    if let Some((secret, key)) = reference(&variable.value_from["secretKeyRef"]) {
        let secrets = repository::documented_secrets();
        let documented = secrets.get(secret).is_some_and(|keys| keys.contains_key(key));
        assert!(documented, "{overlay}, {name}: no document creates {key} in the secret {secret}");
    }
    None
}

fn reference(value: &Value) -> Option<(&str, &str)> {
    Some((value["name"].as_str()?, value["key"].as_str()?))
}
