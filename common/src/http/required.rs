//! A field that a request body must have.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use validator::ValidateRequired;

use super::ApiError;

/// A required field of a request body, parsed into its domain type.
///
/// A field that is missing, null, of the wrong JSON type, or refused by `T` deserialises to an absent value instead of
/// an error, so that one response can report every invalid field. `#[validate(required(message = "…"))]` then turns
/// absence into the field's message.
pub struct Required<T>(Option<T>);

impl<T> Required<T> {
    /// The value, unless it is absent. For validation rules.
    pub fn value(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// Returns the value, which a validated field always has.
    ///
    /// # Errors
    ///
    /// [`ApiError::Internal`] if the value is absent, because the body was not validated.
    pub fn get(self) -> Result<T, ApiError> {
        self.0.ok_or_else(|| ApiError::internal("a field was read before its request body was validated"))
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Required<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Raw text first: a value that `T` refuses must not fail the whole body, and prices are read digit by digit.
        let raw = Option::<&RawValue>::deserialize(deserializer)?;
        Ok(Self(raw.and_then(|raw| serde_json::from_str(raw.get()).ok())))
    }
}

impl<T> ValidateRequired for Required<T> {
    fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

/// `validator` copies the value of an invalid field into its error. Only absent values are invalid, so this never
/// reveals one.
impl<T> Serialize for Required<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}
