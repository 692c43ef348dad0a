//! Compares the manifests in `infra/k8s` with the programs that they start, with each other, and with the documentation.
//!
//! No cluster is needed. Renders the overlays with `kustomize` or `kubectl`.

#![expect(clippy::unwrap_used, reason = "anything unexpected fails the test")]

mod environment;
mod labels;
mod objects;
mod overlay;
mod program;
mod repository;

mod images;
mod networks;
mod ports;
mod routes;
mod secrets;
mod security;
mod selectors;
mod variables;
