//! Container images.

use std::collections::BTreeSet;

use crate::overlay::overlays;
use crate::repository;

/// Images of others, with their versions.
const THIRD_PARTY: [&str; 3] = ["mongo:8.0", "nats:2.15-alpine", "redis:7.4-bookworm"];

#[test]
fn every_image_is_built_by_skaffold_or_a_known_one() {
    for overlay in overlays() {
        let built = repository::built_images(overlay.name());
        for workload in overlay.workloads() {
            for container in workload.containers() {
                let known = THIRD_PARTY.contains(&container.image.as_str()) || built.contains(container.image_name());
                assert!(known, "{overlay}: {workload} uses the unknown image {}", container.image);
            }
        }
    }
}

#[test]
fn every_image_that_skaffold_builds_is_deployed() {
    for overlay in overlays() {
        let workloads = overlay.workloads();
        let containers = workloads.iter().flat_map(|workload| workload.containers());
        let deployed: BTreeSet<_> = containers.map(|container| container.image_name().to_owned()).collect();
        for image in repository::built_images(overlay.name()) {
            assert!(deployed.contains(&image), "{overlay}: nothing uses {image}");
        }
    }
}
