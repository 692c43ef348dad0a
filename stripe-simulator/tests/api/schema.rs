//! Comparison of JSON with the schemas of an OpenAPI 3.0 document.

use serde_json::{Value, json};

/// What the schemas of Stripe's objects consist of, besides extensions. The comparison ignores `format` and `pattern`.
const KEYWORDS: [&str; 14] = [
    "$ref",
    "additionalProperties",
    "anyOf",
    "description",
    "enum",
    "format",
    "items",
    "maxLength",
    "nullable",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
];

/// How the value at this place differs from its schema. A property that the schema does not name is a difference.
pub(crate) fn differences(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let schema = resolve(document, schema);
    let keywords = schema.as_object().expect("a schema").keys();
    for keyword in keywords.filter(|keyword| !keyword.starts_with("x-")) {
        assert!(KEYWORDS.contains(&keyword.as_str()), "{at}: no comparison for {keyword}");
    }
    if value.is_null() && schema["nullable"] == true {
        return Vec::new();
    }
    if let Some(options) = schema["anyOf"].as_array() {
        let options = options.iter().filter(|option| has_type(value, resolve(document, option)));
        let closest = options.map(|option| differences(document, option, value, at)).min_by_key(Vec::len);
        return closest.unwrap_or_else(|| vec![format!("{at} is {value}, which has none of the types")]);
    }
    if !has_type(value, schema) {
        return vec![format!("{at} is {value}, not of type {}", schema["type"])];
    }
    let mut found = Vec::new();
    if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
        found.push(format!("{at} is {value}, not one of {}", schema["enum"]));
    }
    if value.as_str().zip(schema["maxLength"].as_u64()).is_some_and(|(text, max)| text.chars().count() as u64 > max) {
        found.push(format!("{at} has more than {} characters", schema["maxLength"]));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(differences(document, &schema["items"], item, &format!("{at}[{index}]")));
    }
    found.extend(differences_of_properties(document, schema, value, at));
    found
}

fn differences_of_properties(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let Some(properties) = value.as_object() else { return Vec::new() };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing = required.filter(|name| !properties.contains_key(*name));
    let mut found: Vec<_> = missing.map(|name| format!("{at}.{name} is missing")).collect();
    let others = &schema["additionalProperties"];
    for (name, value) in properties {
        let at = format!("{at}.{name}");
        match schema["properties"].get(name) {
            Some(schema) => found.extend(differences(document, schema, value, &at)),
            None if others.is_object() => found.extend(differences(document, others, value, &at)),
            // An object of any form.
            None if others == true || schema.get("properties").is_none() => {}
            None => found.push(format!("{at} is unknown")),
        }
    }
    found
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let Some(reference) = schema["$ref"].as_str() else { return schema };
    let pointer = reference.strip_prefix('#').expect("a reference inside the document");
    resolve(document, document.pointer(pointer).expect("a schema"))
}

fn has_type(value: &Value, schema: &Value) -> bool {
    match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some(other) => panic!("no comparison for type {other}"),
        None => true,
    }
}

#[test]
fn each_difference_from_the_schema_is_found() {
    let document = json!({"components": {"schemas": {"charge": {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "string", "maxLength": 3},
            "paid": {"type": "boolean", "nullable": true},
            "status": {"type": "string", "enum": ["failed", "pending"]},
            "amounts": {"type": "array", "items": {"type": "integer"}},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
            "source": {"anyOf": [{"type": "string"}, {"$ref": "#/components/schemas/charge"}]},
        },
    }}}});
    let differences = |value: &Value| differences(&document, &document["components"]["schemas"]["charge"], value, "it");
    let source = json!({"id": "c2", "source": "c3"});
    let valid = json!({
        "id": "c1", "paid": null, "status": "failed", "amounts": [1], "metadata": {"a": "b"}, "source": source,
    });
    assert_eq!(differences(&valid), Vec::<String>::new());
    assert_eq!(differences(&json!({})), ["it.id is missing"]);
    for (name, other, difference) in [
        ("id", json!("c123"), "it.id has more than 3 characters"),
        ("id", json!(null), "it.id is null, not of type \"string\""),
        ("paid", json!("yes"), "it.paid is \"yes\", not of type \"boolean\""),
        ("status", json!("paid"), "it.status is \"paid\", not one of [\"failed\",\"pending\"]"),
        ("amounts", json!([1, 0.5]), "it.amounts[1] is 0.5, not of type \"integer\""),
        ("metadata", json!({"a": 1}), "it.metadata.a is 1, not of type \"string\""),
        ("source", json!({"id": 1}), "it.source.id is 1, not of type \"string\""),
        ("source", json!(1), "it.source is 1, which has none of the types"),
        ("extra", json!(1), "it.extra is unknown"),
    ] {
        let mut value = valid.clone();
        value[name] = other;
        assert_eq!(differences(&value), [difference]);
    }
}
