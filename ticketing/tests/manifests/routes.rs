//! Paths of the API.

use std::collections::BTreeMap;
use std::fs::read_to_string;

use serde_json::Value;
use testing::system::SERVICES;

use crate::overlay::overlays;
use crate::repository;

const HOST: &str = "ticketing.dev";

#[test]
fn the_ingress_sends_each_path_to_the_service_that_answers_it() {
    for overlay in overlays() {
        let ingresses = overlay.all::<Value>("Ingress");
        let [ingress] = &ingresses[..] else { panic!("{overlay}: {} ingresses", ingresses.len()) };
        let rule = &ingress["spec"]["rules"][0];
        assert_eq!(rule["host"], HOST, "{overlay}");
        assert_eq!(ingress["spec"]["tls"][0]["hosts"][0], HOST, "{overlay}");
        let mut routes = BTreeMap::new();
        for path in rule["http"]["paths"].as_array().unwrap() {
            let backend = &path["backend"]["service"];
            let (name, port) = (text(&backend["name"]), text(&backend["port"]["name"]));
            let service = overlay.service(&name).unwrap_or_else(|| panic!("{overlay}: no service {name}"));
            assert!(service.spec.ports.iter().any(|known| known.name == port), "{overlay}: {name} has no port {port}");
            assert_eq!(path["pathType"], "Prefix");
            routes.insert(text(&path["path"]), name);
        }
        assert_eq!(routes, expected(), "{overlay}");
    }
}

#[test]
fn the_gateway_sends_each_path_to_the_service_that_answers_it() {
    let file = repository::root().join("infra/k8s/components/gateway-api/routes.yaml");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&read_to_string(file).unwrap()).unwrap();
    let mut routes = BTreeMap::new();
    for rule in objects.iter().flat_map(|route| route["spec"]["rules"].as_array().unwrap()) {
        for path in rule["matches"].as_array().into_iter().flatten() {
            assert_eq!(rule["backendRefs"][0]["port"], 3000);
            routes.insert(text(&path["path"]["value"]), text(&rule["backendRefs"][0]["name"]));
        }
    }
    assert_eq!(routes, expected());
    assert!(objects.iter().all(|route| route["spec"]["hostnames"][0] == HOST));
}

fn expected() -> BTreeMap<String, String> {
    let with_api = SERVICES.into_iter().filter_map(|(name, prefix)| Some((format!("/api{}", prefix?), name)));
    with_api.map(|(path, name)| (path, format!("{name}-srv"))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
