//! Other files of the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The documents that must show how to create secrets.
const DOCUMENTS: [&str; 2] = ["docs/deploying.md", "README.md"];

/// The directory of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The secrets that documented commands create, each with its keys and values.
pub(crate) fn documented_secrets() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut secrets = BTreeMap::<_, BTreeMap<_, _>>::new();
    for document in DOCUMENTS {
        let text = read_to_string(root().join(document)).unwrap().replace("\\\n", " ");
        for line in text.lines() {
            let Some((_, command)) = line.split_once("kubectl create secret ") else { continue };
            // After the type, such as generic.
            let mut words = command.split_whitespace().skip(1);
            let name = words.next().unwrap_or_else(|| panic!("{document}: a secret without a name: {line}"));
            let literals = words.filter_map(|word| word.strip_prefix("--from-literal=")?.split_once('='));
            let literals = literals.map(|(key, value)| (key.to_owned(), value.to_owned()));
            secrets.entry(name.to_owned()).or_default().extend(literals);
        }
    }
    secrets
}

/// The images that skaffold builds for an overlay.
pub(crate) fn built_images(overlay: &str) -> BTreeSet<String> {
    #[derive(Deserialize)]
    struct Skaffold {
        #[serde(flatten)]
        default: Pipeline,
        profiles: Vec<Profile>,
    }
    #[derive(Deserialize)]
    struct Profile {
        #[serde(flatten)]
        pipeline: Pipeline,
    }
    #[derive(Deserialize)]
    struct Pipeline {
        build: Build,
        manifests: Manifests,
    }
    #[derive(Deserialize)]
    struct Build {
        artifacts: Vec<Artifact>,
    }
    #[derive(Deserialize)]
    struct Artifact {
        image: String,
    }
    #[derive(Deserialize)]
    struct Manifests {
        kustomize: Kustomize,
    }
    #[derive(Deserialize)]
    struct Kustomize {
        paths: Vec<String>,
    }
    let skaffold: Skaffold = serde_saphyr::from_str(&read_to_string(root().join("skaffold.yaml")).unwrap()).unwrap();
    let path = format!("infra/k8s/overlays/{overlay}");
    let pipelines = skaffold.profiles.into_iter().map(|profile| profile.pipeline).chain([skaffold.default]);
    let deploying = pipelines.filter(|pipeline| pipeline.manifests.kustomize.paths.contains(&path));
    let mut images =
        deploying.map(|pipeline| BTreeSet::from_iter(pipeline.build.artifacts.into_iter().map(|a| a.image)));
    let first = images.next().unwrap_or_else(|| panic!("skaffold.yaml does not deploy overlay {overlay}"));
    assert!(images.all(|other| other == first), "profiles of overlay {overlay} build different images");
    first
}
