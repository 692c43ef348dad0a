//! Environment variables and flags.

use crate::environment::environment;
use crate::overlay::overlays;
use crate::program::Program;

#[test]
fn every_variable_that_a_program_requires_is_set() {
    for overlay in overlays() {
        for (workload, container) in overlay.programs() {
            let environment = environment(overlay, &container);
            for variable in Program::new(container.program().unwrap()).required() {
                assert!(environment.contains_key(variable), "{overlay}: {workload} does not set {variable}");
            }
        }
    }
}

#[test]
fn every_variable_and_flag_that_is_set_is_read() {
    for overlay in overlays() {
        for (workload, container) in overlay.programs() {
            let program = Program::new(container.program().unwrap());
            for variable in environment(overlay, &container).keys() {
                assert!(program.reads(variable), "{overlay}: {workload} sets {variable}, which is not read");
            }
            for argument in container.command.iter().chain(&container.args) {
                let flag = argument.split('=').next().unwrap();
                assert!(program.accepts(flag), "{overlay}: {workload} passes {argument}, which is not accepted");
            }
        }
    }
}

#[test]
fn every_configured_value_is_used() {
    for overlay in overlays() {
        let settings: Vec<_> = overlay.all::<crate::objects::ConfigMap>("ConfigMap");
        let settings = settings.iter().find(|config| config.metadata.name.starts_with("ticketing-config")).unwrap();
        let workloads = overlay.workloads();
        let variables: Vec<_> =
            workloads.iter().flat_map(|workload| workload.containers()).flat_map(|c| &c.env).collect();
        for key in settings.data.keys() {
            let used = variables.iter().any(|variable| variable.value_from["configMapKeyRef"]["key"] == key.as_str());
            assert!(used, "{overlay}: no container uses {key} of ticketing-config");
        }
    }
}
