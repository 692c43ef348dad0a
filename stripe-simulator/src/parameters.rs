//! What comes in: form-encoded parameters with names like `payment_method_data[card][token]`.

use std::collections::BTreeMap;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Method, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::error::StripeError;

/// The parameters of a request, to be taken one by one; what is left at the end is unknown.
pub(crate) struct Parameters(BTreeMap<String, String>);

/// What makes a repetition of a request known as one.
#[derive(Clone, Debug)]
pub(crate) struct Repetition {
    /// The `Idempotency-Key`, if it brings one.
    pub(crate) key: Option<String>,
    /// Differs when the endpoint or a parameter does.
    pub(crate) fingerprint: String,
}

/// A request as the handlers see it.
pub(crate) struct StripeRequest {
    pub(crate) parameters: Parameters,
    pub(crate) repetition: Repetition,
}

impl<S: Send + Sync> FromRequest<S> for StripeRequest {
    type Rejection = StripeError;

    async fn from_request(request: Request, state: &S) -> Result<Self, StripeError> {
        let endpoint = request.uri().path().to_owned();
        let key = idempotency_key(request.headers())?;
        let has_body = request.headers().contains_key(header::CONTENT_TYPE);
        // A POST without parameters need not say what they would be encoded as.
        let pairs: Vec<(String, String)> = if request.method() == Method::POST && !has_body {
            Vec::new()
        } else {
            let form: Result<Form<_>, FormRejection> = Form::from_request(request, state).await;
            form.map_err(|_| StripeError::not_a_form())?.0
        };
        let parameters = Parameters(pairs.into_iter().collect());
        let fingerprint = parameters.fingerprint(&endpoint);
        Ok(Self { parameters, repetition: Repetition { key, fingerprint } })
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, StripeError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
    let refused = || StripeError::invalid_value("Idempotency-Key", "Idempotency keys are 1 to 255 characters long.");
    key.map(|key| Some(key.to_owned())).ok_or_else(refused)
}

impl Parameters {
    fn fingerprint(&self, endpoint: &str) -> String {
        let mut hash = Sha256::new();
        for part in [endpoint].into_iter().chain(self.0.iter().flat_map(|(name, value)| [&**name, &**value])) {
            // Lengths keep neighbours apart.
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        STANDARD.encode(hash.finalize())
    }

    /// Takes a parameter that may be left out.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Takes a parameter that must be there.
    pub(crate) fn require(&mut self, name: &str) -> Result<String, StripeError> {
        self.take(name).filter(|value| !value.is_empty()).ok_or_else(|| StripeError::missing(name))
    }

    /// Takes a parameter that may be left out or be one of these.
    pub(crate) fn take_one_of(&mut self, name: &str, allowed: &[&str]) -> Result<Option<String>, StripeError> {
        let value = self.take(name);
        match value.as_deref() {
            Some(text) if !allowed.contains(&text) => {
                Err(StripeError::invalid_value(name, format!("Invalid {name}: must be one of {}", allowed.join(", "))))
            }
            _ => Ok(value),
        }
    }

    /// Takes all of `name[…]`, by what stands in the brackets.
    pub(crate) fn take_map(&mut self, name: &str) -> BTreeMap<String, String> {
        let key = |text: &str| Some(text.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?.to_owned());
        let taken: Vec<_> = self.0.extract_if(.., |text, _| key(text).is_some()).collect();
        taken.into_iter().filter_map(|(text, value)| Some((key(&text)?, value))).collect()
    }

    /// Whether the reply shall hold the whole charge: `expand[]=latest_charge`.
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

    /// Refuses what nobody has taken.
    pub(crate) fn finish(self) -> Result<(), StripeError> {
        self.0.into_keys().next().map_or(Ok(()), |name| Err(StripeError::unknown_parameter(&name)))
    }
}

/// What of a reply is told whole instead of by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expand {
    Nothing,
    LatestCharge,
}
