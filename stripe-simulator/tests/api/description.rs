//! Stripe's description of its API, an OpenAPI document that stripe-mock contains. All replies are compared with it.

use std::path::Path;
use std::process::Command;
use std::slice;
use std::sync::LazyLock;

use axum::http::{Method, StatusCode};
use serde_json::Value;

use crate::schema::differences;

/// The module that contains the document.
const MODULE: &str = "github.com/stripe/stripe-mock@v0.203.0";

static DESCRIPTION: LazyLock<Option<Value>> = LazyLock::new(read);

#[expect(clippy::print_stdout, reason = "a skipped check must be visible")]
fn read() -> Option<Value> {
    let output = Command::new("go").args(["env", "GOMODCACHE"]).output();
    let cache = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let file = Path::new(cache.trim()).join(MODULE).join("embedded/openapi/spec3.json");
    let Ok(text) = std::fs::read(file) else {
        let missing = format!("Stripe's description is missing, run go install {MODULE}");
        assert!(std::env::var_os("TEST_INTEGRATION").is_none(), "{missing}");
        println!("skipped: {missing}");
        return None;
    };
    Some(serde_json::from_slice(&text).expect("JSON"))
}

/// Checks that a reply has the form that Stripe describes. Without the description it checks nothing.
#[track_caller]
pub(crate) fn check_reply(method: &Method, path: &str, status: StatusCode, body: &Value) {
    let Some(description) = &*DESCRIPTION else { return };
    let schema = if path.starts_with("/v1/") {
        schema_of_reply(description, method, path, status)
    } else if let Some(kind) = body["object"].as_str() {
        &description["components"]["schemas"][kind]
    } else {
        return;
    };
    let differences = differences(description, schema, body, "body");
    assert!(differences.is_empty(), "unlike Stripe's reply to {method} {path} with {status}: {differences:#?}");
    let items = if body["object"] == "list" { body["data"].as_array().expect("a list") } else { slice::from_ref(body) };
    items.iter().filter(|item| item["object"] == "event").for_each(check_event);
}

/// Checks an event and its object, of which the event's own schema says nothing.
#[track_caller]
pub(crate) fn check_event(event: &Value) {
    let Some(description) = &*DESCRIPTION else { return };
    assert_eq!(event["api_version"], description["info"]["version"], "the description is of another version");
    for value in [event, &event["data"]["object"]] {
        let kind = value["object"].as_str().expect("the kind of an object");
        let differences = differences(description, &description["components"]["schemas"][kind], value, kind);
        assert!(differences.is_empty(), "unlike Stripe's {}: {differences:#?}", event["type"]);
    }
}

/// The schema of an error if Stripe has no such request.
fn schema_of_reply<'a>(description: &'a Value, method: &Method, path: &str, status: StatusCode) -> &'a Value {
    let mut paths = description["paths"].as_object().expect("paths").iter();
    let operations = paths.find(|(template, _)| is_instance(path, template));
    let operation = operations.and_then(|(_, operations)| operations.get(method.as_str().to_lowercase()));
    let Some(operation) = operation else { return &description["components"]["schemas"]["error"] };
    let replies = &operation["responses"];
    let reply = replies.get(status.as_str()).unwrap_or(&replies["default"]);
    &reply["content"]["application/json"]["schema"]
}

/// Whether a path is one of the template `/v1/payment_intents/{intent}`.
fn is_instance(path: &str, template: &str) -> bool {
    let (path, template) = (path.split('/'), template.split('/'));
    path.clone().count() == template.clone().count()
        && path.zip(template).all(|(part, expected)| expected.starts_with('{') || expected == part)
}
