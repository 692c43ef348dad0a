//! Form-encoded requests, with parameter names like `payment_method_data[card][token]`.

use std::collections::BTreeMap;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Method, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::error::StripeError;
use crate::idempotency::RequestIdentity;
use crate::view::Expand;

/// The parameters of a request. Handlers take the ones they know; [`finish`](Self::finish) rejects the rest.
pub(crate) struct Parameters(BTreeMap<String, String>);

/// Extracts the parameters and the identity of a request.
pub(crate) struct StripeRequest {
    pub(crate) parameters: Parameters,
    pub(crate) identity: RequestIdentity,
}

impl<S: Send + Sync> FromRequest<S> for StripeRequest {
    type Rejection = StripeError;

    async fn from_request(request: Request, state: &S) -> Result<Self, StripeError> {
        let endpoint = request.uri().path().to_owned();
        let key = idempotency_key(request.headers())?;
        let has_body = request.headers().contains_key(header::CONTENT_TYPE);
        // Clients send no content type with an empty body.
        let pairs: Vec<(String, String)> = if request.method() == Method::POST && !has_body {
            Vec::new()
        } else {
            let form: Result<Form<_>, FormRejection> = Form::from_request(request, state).await;
            form.map_err(|_| StripeError::not_a_form())?.0
        };
        let parameters = Parameters(pairs.into_iter().collect());
        let fingerprint = parameters.fingerprint(&endpoint);
        Ok(Self { parameters, identity: RequestIdentity { key, fingerprint } })
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
        for part in [endpoint].into_iter().chain(self.0.iter().flat_map(|(name, value)| [&**name, &**value])) {
            // With the lengths, moving a character between neighbours changes the hash.
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        STANDARD.encode(hash.finalize())
    }

    /// Takes an optional parameter.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
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

    /// Takes all parameters of the form `name[key]`, by key.
    pub(crate) fn take_map(&mut self, name: &str) -> BTreeMap<String, String> {
        let key = |text: &str| Some(text.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?.to_owned());
        let taken: Vec<_> = self.0.extract_if(.., |text, _| key(text).is_some()).collect();
        taken.into_iter().filter_map(|(text, value)| Some((key(&text)?, value))).collect()
    }

    /// Takes `expand[]`, of which only `latest_charge` is supported.
    pub(crate) fn take_expand(&mut self) -> Result<Expand, StripeError> {
        let mut expand = Expand::Nothing;
        for (_, field) in self.take_map("expand") {
            match &*field {
                "latest_charge" => expand = Expand::LatestCharge,
                other => {
                    let message = format!("This property cannot be expanded ({other}).");
                    return Err(StripeError::invalid_value("expand", message));
                }
            }
        }
        Ok(expand)
    }

    /// Fails if parameters are left.
    pub(crate) fn finish(self) -> Result<(), StripeError> {
        self.0.into_keys().next().map_or(Ok(()), |name| Err(StripeError::unknown_parameter(&name)))
    }
}
