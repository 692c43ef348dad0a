//! Form-encoded requests, with parameter names like `payment_method_data[card][token]`.

use std::collections::BTreeMap;

use axum::Form;
use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::error::StripeError;
use crate::execute::Call;
use crate::fault::{Fault, Operation};
use crate::idempotency::RequestIdentity;

/// The parameters of a request. Handlers take the ones they know; [`finish`](Self::finish) rejects the rest.
#[derive(Debug)]
pub(crate) struct Parameters(BTreeMap<String, Vec<String>>);

/// Extracts the parameters and the identity of a request.
pub(crate) struct StripeRequest {
    pub(crate) parameters: Parameters,
    pub(crate) call: Call,
}

/// Extracts the id in the path.
pub(crate) struct ObjectId(pub(crate) String);

/// What the middleware found out about a request.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// `req_…`.
    pub(crate) request_id: String,
    pub(crate) operation: Operation,
    /// Concerns the work of a request that changes something.
    pub(crate) fault: Option<Fault>,
}

impl<S: Send + Sync> FromRequest<S> for StripeRequest {
    type Rejection = StripeError;

    async fn from_request(request: Request, state: &S) -> Result<Self, StripeError> {
        let endpoint = request.uri().path().to_owned();
        let found = request.extensions().get::<Found>().cloned();
        // Never absent: each route has the middleware.
        let unknown = || Found { request_id: String::new(), operation: Operation::Any, fault: None };
        let found = found.unwrap_or_else(unknown);
        let key = if request.method() == Method::POST { idempotency_key(request.headers())? } else { None };
        let has_body = request.headers().contains_key(header::CONTENT_TYPE);
        // Clients send no content type with an empty body.
        let pairs: Vec<(String, String)> = if request.method() == Method::POST && !has_body {
            Vec::new()
        } else {
            let form: Result<Form<_>, FormRejection> = Form::from_request(request, state).await;
            form.map_err(|_| StripeError::not_a_form())?.0
        };
        let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in pairs {
            parameters.entry(name).or_default().push(value);
        }
        let parameters = Parameters(parameters);
        let fingerprint = parameters.fingerprint(&endpoint);
        let identity = RequestIdentity { id: found.request_id, key, fingerprint };
        Ok(Self { parameters, call: Call { identity, operation: found.operation, fault: found.fault } })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ObjectId {
    type Rejection = StripeError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, StripeError> {
        let text: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        text.map(|Path(text)| Self(text)).map_err(|_| StripeError::unrecognised(&parts.method, &parts.uri))
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, StripeError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
    let invalid = || StripeError::invalid_value("Idempotency-Key", "Idempotency keys are 1 to 255 characters long.");
    key.map(|key| Some(key.to_owned())).ok_or_else(invalid)
}

impl Parameters {
    fn fingerprint(&self, endpoint: &str) -> String {
        let mut hash = Sha256::new();
        let mut add = |part: &str| {
            // With the lengths, moving a character between neighbours changes the hash.
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        };
        add(endpoint);
        for (name, values) in &self.0 {
            for value in values {
                add(name);
                add(value);
            }
        }
        STANDARD.encode(hash.finalize())
    }

    /// Takes an optional parameter.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)?.pop()
    }

    /// Whether the request has this parameter.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Takes a required parameter.
    pub(crate) fn require(&mut self, name: &str) -> Result<String, StripeError> {
        self.take(name).filter(|value| !value.is_empty()).ok_or_else(|| StripeError::missing(name))
    }

    /// Takes an optional parameter with a fixed set of values.
    pub(crate) fn take_one_of(&mut self, name: &str, allowed: &[&str]) -> Result<Option<String>, StripeError> {
        let value = self.take(name);
        match value.as_deref() {
            Some(text) if !allowed.contains(&text) => {
                Err(StripeError::invalid_value(name, format!("Invalid {name}: must be one of {}", allowed.join(", "))))
            }
            _ => Ok(value),
        }
    }

    /// Takes an optional flag, which is false if absent.
    pub(crate) fn take_flag(&mut self, name: &str) -> Result<bool, StripeError> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(StripeError::invalid_value(name, format!("Invalid boolean: {other}"))),
        }
    }

    /// Takes an optional text of at most `max` characters. An empty text is absent.
    pub(crate) fn take_text(&mut self, name: &str, max: usize) -> Result<Option<String>, StripeError> {
        let text = self.take(name).filter(|text| !text.is_empty());
        match &text {
            Some(long) if long.chars().count() > max => {
                let message = format!("Invalid string: {name} must be at most {max} characters");
                Err(StripeError::invalid_value(name, message))
            }
            _ => Ok(text),
        }
    }

    /// Takes an optional whole number.
    pub(crate) fn take_number(&mut self, name: &str) -> Result<Option<i64>, StripeError> {
        let invalid = |text: &str| StripeError::invalid_value(name, format!("Invalid integer: {text}"));
        self.take(name).map(|text| text.parse().map_err(|_| invalid(&text))).transpose()
    }

    /// Takes all parameters of the form `name[]` or `name[0]`.
    pub(crate) fn take_list(&mut self, name: &str) -> Vec<String> {
        let is_element = |key: &str| key.is_empty() || key.bytes().all(|byte| byte.is_ascii_digit());
        let taken = self.0.extract_if(.., |text, _| key_of(text, name).is_some_and(is_element));
        taken.flat_map(|(_, values)| values).collect()
    }

    /// Takes all parameters of the form `name[key]`, by key.
    pub(crate) fn take_map(&mut self, name: &str) -> BTreeMap<String, String> {
        let is_key = |key: &str| !key.is_empty() && !key.contains(['[', ']']);
        let taken: Vec<_> = self.0.extract_if(.., |text, _| key_of(text, name).is_some_and(is_key)).collect();
        let entry = |(text, mut values): (String, Vec<String>)| Some((key_of(&text, name)?.to_owned(), values.pop()?));
        taken.into_iter().filter_map(entry).collect()
    }

    /// Fails if parameters are left.
    pub(crate) fn finish(self) -> Result<(), StripeError> {
        self.0.into_keys().next().map_or(Ok(()), |name| Err(StripeError::unknown_parameter(&name)))
    }
}

/// The `key` in `name[key]`.
fn key_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')
}
