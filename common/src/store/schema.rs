//! Schemas: the name and the indexes of a collection.

use serde::Serialize;
use serde_json::Value;

/// The name and indexes of a collection.
#[derive(Debug)]
pub struct Schema {
    /// The collection's name, in the plural: `tickets`.
    pub collection: &'static str,
    /// Its indexes besides the one on the id.
    pub indexes: &'static [Index],
    /// Fields that hold ids of other records, for engines with an id type. A nested field is written `ticket.id`.
    pub ids: &'static [&'static str],
    /// Fields that hold times, for engines with a time type.
    pub times: &'static [&'static str],
}

/// An index over top-level fields of a collection's documents.
#[derive(Debug)]
pub struct Index {
    /// Its name, unique within the database.
    pub name: &'static str,
    /// The fields, in order. The id is implicitly the last.
    pub fields: &'static [&'static str],
    /// What it enforces.
    pub kind: IndexKind,
}

/// What an index enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKind {
    /// Nothing: the index only serves queries.
    Plain,
    /// No two documents have the same values in all its fields. Documents without one of the fields are exempt.
    Unique,
}

/// The error of a schema that names a field its entity does not have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema of {collection} names an unknown field {field}")]
pub struct SchemaMismatch {
    /// The collection.
    pub collection: &'static str,
    /// The unknown field.
    pub field: &'static str,
}

impl Schema {
    /// Checks that `complete`, an entity with all its optional fields set, has every field that the schema names.
    ///
    /// For unit tests: an index over a misspelled field would silently be empty.
    ///
    /// # Errors
    ///
    /// Names the first field that `complete` does not have.
    pub fn check(&self, complete: &impl Serialize) -> Result<(), SchemaMismatch> {
        let document = serde_json::to_value(complete).unwrap_or(Value::Null);
        let indexed = self.indexes.iter().flat_map(|index| index.fields);
        for field in indexed.chain(self.ids).chain(self.times) {
            if field.split('.').try_fold(&document, |value, name| value.get(name)).is_none() {
                return Err(SchemaMismatch { collection: self.collection, field });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_are_reported() {
        let schema =
            |field: &'static [&'static str]| Schema { collection: "orders", indexes: &[], ids: field, times: &[] };
        let order = json!({"userId": "1", "ticket": {"id": "2"}});
        assert_eq!(schema(&["userId", "ticket.id"]).check(&order), Ok(()));
        for field in ["userid", "ticket.ID", "ticket.id.more"] {
            let mismatch = schema(Box::leak(Box::new([field]))).check(&order).unwrap_err();
            assert_eq!(mismatch, SchemaMismatch { collection: "orders", field });
        }
    }
}
