use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::ControlError;
use crate::app::AppState;
use crate::reply::found;
use crate::webhooks::Endpoint;

/// `PUT /_simulator/webhooks`: sets where events are delivered to.
pub(super) async fn set_endpoint(State(app): State<AppState>, body: Bytes) -> Result<Response, ControlError> {
    let endpoint: Endpoint = ControlError::parse(&body)?;
    endpoint.check().map_err(|error| ControlError::Invalid(error.to_string()))?;
    app.journal.endpoints().set(Some(endpoint.clone())).await?;
    app.journal.written.notify_one();
    Ok(found(view(&endpoint)))
}

/// `GET /_simulator/webhooks`: null if there is none.
pub(super) async fn find_endpoint(State(app): State<AppState>) -> Result<Response, ControlError> {
    let endpoint = app.journal.endpoints().get().await?;
    Ok(found(endpoint.as_ref().map_or(Value::Null, view)))
}

/// `DELETE /_simulator/webhooks`: events wait for the next endpoint.
pub(super) async fn remove_endpoint(State(app): State<AppState>) -> Result<StatusCode, ControlError> {
    app.journal.endpoints().set(None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The endpoint without its secret.
fn view(endpoint: &Endpoint) -> Value {
    json!({
        "url": endpoint.url,
        "delayMs": endpoint.delay_ms,
        "copies": endpoint.copies,
        "order": endpoint.order,
        "paused": endpoint.paused,
    })
}
