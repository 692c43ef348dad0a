//! Snapshots of bodies with generated ids.

use std::fmt::Display;

use serde_json::Value;

/// Replaces each id, which differs in every run, with a name: `&[("TICKET", &ticket_id)]`.
pub fn with_named_ids(body: &Value, ids: &[(&str, &dyn Display)]) -> Value {
    let named = ids.iter().fold(body.to_string(), |text, (name, id)| text.replace(&id.to_string(), name));
    serde_json::from_str(&named).expect("JSON body")
}
