//! `skaffold dev`.

use std::fs;
use std::time::Duration;

use crate::deploy::{ALL, System, wait_until_nothing_is_left};
use crate::ingress::Ingress;
use crate::kubectl::{pods, wait_until_settled};
use crate::progress::{eventually, report};
use crate::skaffold::BUILD_LIMIT;

/// Printed whenever Skaffold waits for changes.
const WAITING: &str = "Press any key to rebuild/redeploy the changes";

/// A message of the tickets service, where it is in the source, and what it is changed to.
const MESSAGE: &str = "Title is required";
const SOURCE: &str = "tickets/src/routes/body.rs";
const CHANGED: &str = "Title is required, please";

/// How long a deployed change may take to reach the users.
const REACH_LIMIT: Duration = Duration::from_secs(120);

/// Starts `skaffold dev` on an empty namespace, changes one service, and stops it.
pub(crate) async fn a_change_is_redeployed(system: &System) {
    let mut dev = system.clone.start_dev(&["--trigger=manual"]);
    dev.wait_for_output(WAITING, 1).await;
    wait_until_settled(ALL).await;
    let seller = Ingress::open().await.sign_up("seller").await;
    seller.post_ticket("", "20").send().await.expect_error(400, MESSAGE);
    let before = images().await;
    report("skaffold dev has deployed everything");

    let source = system.clone.path(SOURCE);
    let text = fs::read_to_string(&source).unwrap();
    assert!(text.contains(MESSAGE), "{SOURCE} has no {MESSAGE:?}");
    fs::write(&source, text.replace(MESSAGE, CHANGED)).unwrap();
    dev.press_key().await;
    eventually(BUILD_LIMIT, async || {
        let now = images().await;
        let is_changed = image_of("tickets", &now) != image_of("tickets", &before);
        is_changed.then_some(()).ok_or_else(|| format!("the image of tickets is still the one in {before:?}"))
    })
    .await;
    wait_until_settled(ALL).await;
    eventually(REACH_LIMIT, async || {
        let messages = seller.post_ticket("", "20").send().await.messages();
        if messages == [CHANGED] { Ok(()) } else { Err(format!("still {messages:?}")) }
    })
    .await;
    for (app, image) in images().await.iter().filter(|(app, _)| app != "tickets") {
        assert_eq!(image_of(app, &before), Some(image), "{app} was redeployed too");
    }
    report("the change has reached users, and no other service was redeployed");

    dev.stop().await;
    wait_until_nothing_is_left().await;
}

/// The apps of the system and the images that they run.
async fn images() -> Vec<(String, String)> {
    pods(ALL).await.into_iter().filter(|pod| !pod.is_terminating).map(|pod| (pod.app, pod.image)).collect()
}

fn image_of<'a>(app: &str, images: &'a [(String, String)]) -> Option<&'a String> {
    images.iter().rfind(|(found, _)| found == app).map(|(_, image)| image)
}
