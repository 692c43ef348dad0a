//! Secrets, which are never in the repository.

use serde_json::Value;

use crate::overlay::overlays;
use crate::repository;

#[test]
fn documents_show_how_to_create_every_secret() {
    let documented = repository::documented_secrets();
    for overlay in overlays() {
        for name in overlay.secret_names() {
            assert!(documented.contains_key(&name), "{overlay}: no document creates the secret {name}");
        }
    }
}

#[test]
fn no_secret_is_in_the_manifests() {
    for overlay in overlays() {
        assert!(overlay.all::<Value>("Secret").is_empty(), "{overlay}");
    }
}
