//! Ports and probes.

use serde_json::Value;

use crate::environment::environment;
use crate::objects::{Container, PortRef, Workload};
use crate::overlay::{Overlay, overlays};
use crate::program::Program;

/// The names of programs' ports, and the variables that set them.
const PROGRAM_PORTS: [(&str, &str); 3] = [("http", "PORT"), ("stripe", "PORT"), ("admin", "ADMIN_PORT")];

const PROBES: [&str; 3] = ["startupProbe", "livenessProbe", "readinessProbe"];

#[test]
fn programs_listen_on_the_ports_of_their_containers() {
    for overlay in overlays() {
        for (workload, container) in overlay.programs() {
            let program = Program::new(container.program().unwrap());
            let environment = environment(overlay, &container);
            let mut declared = Vec::new();
            for port in &container.ports {
                let (_, variable) = PROGRAM_PORTS.into_iter().find(|(name, _)| *name == port.name).unwrap();
                let value = environment.get(variable).cloned().flatten();
                let value = value.or_else(|| program.setting(variable).default.clone());
                assert_eq!(value, Some(port.container_port.to_string()), "{overlay}: {variable} of {workload}");
                declared.push(variable);
            }
            for variable in ["PORT", "ADMIN_PORT"].into_iter().filter(|variable| program.reads(variable)) {
                assert!(declared.contains(&variable), "{overlay}: {workload} has no port for {variable}");
            }
        }
    }
}

#[test]
fn engines_listen_on_the_ports_of_their_containers() {
    for overlay in overlays() {
        for workload in overlay.workloads() {
            for container in workload.containers().filter(|container| container.program().is_none()) {
                let settings = settings(overlay, &workload, container);
                for port in &container.ports {
                    let number = port.container_port.to_string();
                    let found = settings.split(|c: char| !c.is_ascii_digit()).any(|word| word == number);
                    assert!(found, "{overlay}: {workload} is not configured to listen on {number}");
                }
            }
        }
    }
}

/// The command and the configuration files of a container.
fn settings(overlay: &Overlay, workload: &Workload, container: &Container) -> String {
    let mut texts = container.command.clone();
    for volume in &workload.pod().volumes {
        if let Some(name) = volume["configMap"]["name"].as_str() {
            let config = overlay
                .config(name)
                .unwrap_or_else(|| panic!("{overlay}: {workload} mounts {name}, a missing ConfigMap"));
            texts.extend(config.data.into_values());
        }
    }
    texts.join(" ")
}

#[test]
fn every_container_has_probes_on_its_own_ports() {
    for overlay in overlays() {
        for workload in overlay.workloads() {
            for container in &workload.pod().containers {
                for probe in PROBES {
                    let Some(settings) = container.rest.get(probe) else {
                        panic!("{overlay}: {workload} has no {probe}")
                    };
                    for kind in ["httpGet", "tcpSocket"] {
                        let Some(port) = settings[kind].get("port") else { continue };
                        let port: PortRef = serde_json::from_value(port.clone()).unwrap();
                        assert!(workload.port(&port).is_some(), "{overlay}: {probe} of {workload} uses {port:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn probes_of_programs_use_paths_that_they_serve() {
    for overlay in overlays() {
        for (workload, container) in overlay.programs() {
            let program = Program::new(container.program().unwrap());
            for probe in PROBES.map(|probe| &container.rest[probe]) {
                let Some(path) = probe["httpGet"]["path"].as_str() else { continue };
                assert_eq!(probe["httpGet"]["port"], Value::from("admin"), "{overlay}: {workload}, {probe}");
                let text = &program.setting("ADMIN_PORT").text;
                assert!(text.contains(path), "{overlay}: {workload} serves no {path}, but: {text}");
            }
        }
    }
}
