//! Converts documents between the port's JSON and the types that a user of MongoDB expects: ObjectId for ids, Date for
//! times, Int64 for integers.
//!
//! Both directions are strict: documents round-trip exactly, and a hand-written document with other types is reported
//! here instead of being missed by queries.

use common::clock::Timestamp;
use common::store::{Document, Schema, StoreError};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document as Stored};
use serde_json::{Map, Value};

/// The field that holds the outbox. It is not part of the body.
pub(super) const OUTBOX: &str = "outbox";

/// The field that holds the time of the last write. It is not part of the body.
pub(super) const WRITTEN_AT: &str = "writtenAt";

/// The first time that ISO 8601 cannot represent, in milliseconds: the year 10,000.
const END_OF_TIME: i64 = 253_402_300_800_000;

/// The document to store, `_id` and `version` first.
pub(super) fn to_stored(schema: &'static Schema, document: &Document) -> Result<Stored, StoreError> {
    let corrupt = |why: String| StoreError::corrupt(schema, &document.id, why);
    let body = serde_json::from_str(&document.body);
    let body: Value = body.map_err(|error| StoreError::corrupt(schema, &document.id, error))?;
    let Value::Object(mut fields) = body else { return Err(corrupt("the body is not an object".into())) };
    let version = i64::try_from(document.version).map_err(|_| corrupt("the version is out of range".into()))?;
    if fields.remove("id") != Some(document.id.as_str().into())
        || fields.remove("version") != Some(document.version.into())
    {
        return Err(corrupt("the id or version in the body is wrong".into()));
    }

    let mut stored = Stored::new();
    stored.insert("_id", object_id(&document.id).ok_or_else(|| corrupt("the id is not an ObjectId".into()))?);
    stored.insert("version", version);
    for (name, value) in fields {
        if ["_id", OUTBOX, WRITTEN_AT].contains(&name.as_str()) {
            return Err(corrupt(format!("the field name {name} is reserved")));
        }
        check_name(&name).map_err(corrupt)?;
        let value = to_bson(schema, &name, value).map_err(corrupt)?;
        stored.insert(name, value);
    }
    Ok(stored)
}

/// The document as the port represents it.
pub(super) fn from_stored(schema: &'static Schema, mut stored: Stored) -> Result<Document, StoreError> {
    let id = stored_id(schema, &stored)?;
    let id_text = id.to_hex();
    let corrupt = |why: String| StoreError::corrupt(schema, &id_text, why);
    stored.remove("_id");
    stored.remove(OUTBOX);
    stored.remove(WRITTEN_AT);
    if stored.contains_key("id") {
        return Err(corrupt("it has an id in addition to its _id".into()));
    }
    let version = version(&stored).map_err(corrupt)?;
    stored.remove("version");

    let mut fields = Map::new();
    for (name, value) in stored {
        let value = to_json(schema, &name, value).map_err(corrupt)?;
        fields.insert(name, value);
    }
    fields.insert("id".into(), id_text.as_str().into());
    fields.insert("version".into(), version.into());
    Ok(Document { version, body: Value::Object(fields).to_string(), id: id_text })
}

/// The stored value that equals a value of the port; `None` if there is none.
pub(super) fn to_equal(schema: &Schema, field: &str, value: Value) -> Option<Bson> {
    to_bson(schema, field, value).ok()
}

/// When a document was last written. The epoch if an earlier version of the program wrote it.
pub(super) fn written_at(stored: &Stored) -> Timestamp {
    Timestamp::from_millis(stored.get_datetime(WRITTEN_AT).map_or(0, |time| time.timestamp_millis()))
}

/// The `_id` of a stored document.
pub(super) fn stored_id(schema: &'static Schema, stored: &Stored) -> Result<ObjectId, StoreError> {
    match stored.get("_id") {
        Some(Bson::ObjectId(id)) => Ok(*id),
        other => {
            let id = other.map_or_else(|| "(no _id)".to_owned(), ToString::to_string);
            Err(StoreError::corrupt(schema, &id, "its _id is not an ObjectId"))
        }
    }
}

/// The version of a stored document.
pub(super) fn version(stored: &Stored) -> Result<u64, String> {
    let number = match stored.get("version") {
        Some(Bson::Int64(number)) => *number,
        // mongosh writes small integers like this.
        Some(Bson::Int32(number)) => (*number).into(),
        Some(other) => return Err(format!("version is {}", type_name(other))),
        None => return Err("it has no version".into()),
    };
    u64::try_from(number).map_err(|_| "version is negative".into())
}

/// Parses an id, accepting only the form in which ids are written.
pub(super) fn object_id(text: &str) -> Option<ObjectId> {
    ObjectId::parse_str(text).ok().filter(|id| id.to_hex() == text)
}

fn to_bson(schema: &Schema, path: &str, value: Value) -> Result<Bson, String> {
    Ok(match value {
        Value::Null => Bson::Null,
        Value::Bool(flag) => Bson::Boolean(flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Bson::Int64(integer),
            (None, Some(float)) if !number.is_u64() => Bson::Double(float),
            _ => return Err(format!("{path} is out of range: {number}")),
        },
        Value::String(text) if schema.ids.contains(&path) => {
            Bson::ObjectId(object_id(&text).ok_or_else(|| format!("{path} is not an id"))?)
        }
        Value::String(text) if schema.times.contains(&path) => {
            let time = text.parse::<Timestamp>().ok().filter(|time| time.to_string() == text);
            Bson::DateTime(DateTime::from_millis(time.ok_or_else(|| format!("{path} is not a time"))?.as_millis()))
        }
        Value::String(text) => Bson::String(text),
        // As in MongoDB's own paths, the elements of an array have the path of the array.
        Value::Array(items) => {
            Bson::Array(items.into_iter().map(|item| to_bson(schema, path, item)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let field = |(name, value): (String, Value)| {
                check_name(&name)?;
                let value = to_bson(schema, &format!("{path}.{name}"), value)?;
                Ok((name, value))
            };
            Bson::Document(fields.into_iter().map(field).collect::<Result<_, String>>()?)
        }
    })
}

fn to_json(schema: &Schema, path: &str, value: Bson) -> Result<Value, String> {
    let is_id = schema.ids.contains(&path);
    let is_time = schema.times.contains(&path);
    Ok(match value {
        Bson::Null => Value::Null,
        Bson::Boolean(flag) => flag.into(),
        Bson::Int64(integer) => integer.into(),
        Bson::Int32(integer) => integer.into(),
        Bson::Double(float) if float.is_finite() => float.into(),
        Bson::ObjectId(id) if is_id => id.to_hex().into(),
        Bson::DateTime(time) if is_time && (0..END_OF_TIME).contains(&time.timestamp_millis()) => {
            Timestamp::from_millis(time.timestamp_millis()).to_string().into()
        }
        Bson::String(text) if !is_id && !is_time => text.into(),
        Bson::Array(items) => {
            items.into_iter().map(|item| to_json(schema, path, item)).collect::<Result<Vec<_>, _>>()?.into()
        }
        Bson::Document(fields) => {
            let field = |(name, value): (String, Bson)| {
                let value = to_json(schema, &format!("{path}.{name}"), value)?;
                Ok((name, value))
            };
            Value::Object(fields.into_iter().map(field).collect::<Result<_, String>>()?)
        }
        other => return Err(format!("{path} is {}", type_name(&other))),
    })
}

/// Rejects names that MongoDB would read as a path or an operator.
fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.starts_with('$') || name.contains(['.', '\0']) {
        return Err(format!("{name:?} is not a valid field name"));
    }
    Ok(())
}

fn type_name(value: &Bson) -> String {
    format!("of the wrong type: {:?}", value.element_type())
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SCHEMA: &Schema = &Schema {
        collection: "orders",
        indexes: &[],
        ids: &["userId", "ticket.id", "seats.holders"],
        times: &["expiresAt", "seats.soldAt"],
    };
    const ID: &str = "65f1c0ffee65f1c0ffee0001";

    fn document(fields: &Value) -> Document {
        let mut body = fields.clone();
        (body["id"], body["version"]) = (ID.into(), 3.into());
        Document { id: ID.into(), version: 3, body: body.to_string() }
    }

    fn cause(error: StoreError) -> String {
        match error {
            StoreError::Corrupt { collection: "orders", source, .. } => source.to_string(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn fields_are_stored_with_mongodb_types() {
        let body = json!({
            "userId": ID,
            "expiresAt": "2026-01-31T12:00:00.007Z",
            "ticket": {"id": ID, "price": 1999},
            "seats": [{"holders": [ID], "soldAt": null}, 2.5],
            "status": "created",
        });
        let id = ObjectId::parse_str(ID).unwrap();
        let stored = to_stored(SCHEMA, &document(&body)).unwrap();
        let expected = doc! {
            "_id": id,
            "version": 3_i64,
            "userId": id,
            "expiresAt": DateTime::from_millis(1_769_860_800_007),
            "ticket": {"id": id, "price": 1999_i64},
            "seats": [{"holders": [id], "soldAt": null}, 2.5],
            "status": "created",
        };
        assert!(stored.keys().take(2).eq(["_id", "version"]));
        assert_eq!(
            stored.clone().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            expected.into_iter().collect()
        );
        let back = from_stored(SCHEMA, stored).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&back.body).unwrap(),
            serde_json::from_str::<Value>(&document(&body).body).unwrap()
        );
    }

    #[test]
    fn bodies_that_would_not_round_trip_are_rejected() {
        for body in [
            json!({"userId": ID.to_uppercase()}),
            json!({"userId": "ann"}),
            json!({"expiresAt": "2026-01-31T12:00:00Z"}),
            json!({"expiresAt": "soon"}),
            json!({"price": u64::MAX}),
            json!({"outbox": []}),
            json!({"writtenAt": 1}),
            json!({"_id": 1}),
            json!({"$set": 1}),
            json!({"ticket": {"a.b": 1}}),
            json!({"": 1}),
            json!({"a\0": 1}),
        ] {
            assert!(to_stored(SCHEMA, &document(&body)).is_err(), "{body}");
        }
        let other = Document { version: 4, ..document(&json!({})) };
        assert_eq!(cause(to_stored(SCHEMA, &other).unwrap_err()), "the id or version in the body is wrong");
    }

    #[test]
    fn hand_written_documents_with_wrong_types_are_reported() {
        let id = ObjectId::parse_str(ID).unwrap();
        let cases = [
            (doc! {"_id": "mine", "version": 0}, "its _id is not an ObjectId"),
            (doc! {"_id": id}, "it has no version"),
            (doc! {"_id": id, "version": "0"}, "version is of the wrong type: String"),
            (doc! {"_id": id, "version": -1}, "version is negative"),
            (doc! {"_id": id, "version": 0, "id": 1}, "it has an id in addition to its _id"),
            (doc! {"_id": id, "version": 0, "userId": ID}, "userId is of the wrong type: String"),
            (doc! {"_id": id, "version": 0, "ticket": {"id": ID}}, "ticket.id is of the wrong type: String"),
            (doc! {"_id": id, "version": 0, "expiresAt": DateTime::MAX}, "expiresAt is of the wrong type: DateTime"),
            (doc! {"_id": id, "version": 0, "status": DateTime::MIN}, "status is of the wrong type: DateTime"),
            (doc! {"_id": id, "version": 0, "price": f64::NAN}, "price is of the wrong type: Double"),
        ];
        for (stored, expected) in cases {
            assert_eq!(cause(from_stored(SCHEMA, stored).unwrap_err()), expected);
        }
        assert!(
            from_stored(SCHEMA, doc! {"_id": id, "version": 7, "price": 1999}).is_ok(),
            "mongosh writes small integers as Int32"
        );
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e15..1e15).prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,4}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn bodies_round_trip(value in json_value()) {
            let document = document(&json!({"field": value}));
            let bytes = to_stored(SCHEMA, &document).unwrap().to_vec().unwrap();
            let back = from_stored(SCHEMA, Stored::from_reader(&*bytes).unwrap()).unwrap();
            let json = |body: &str| serde_json::from_str::<Value>(body).unwrap();
            prop_assert_eq!(json(&back.body), json(&document.body));
            prop_assert_eq!((back.id, back.version), (document.id, document.version));
        }
    }
}
