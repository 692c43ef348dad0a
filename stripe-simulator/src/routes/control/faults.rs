use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::ControlError;
use crate::app::AppState;
use crate::fault::FaultRule;
use crate::reply::found;

/// `POST /_simulator/faults`: makes coming calls fail.
pub(super) async fn add_fault(State(app): State<AppState>, body: Bytes) -> Result<Response, ControlError> {
    let rule: FaultRule = ControlError::parse(&body)?;
    app.faults.add(rule).map_err(|error| ControlError::Invalid(error.to_string()))?;
    Ok(list_faults(State(app)).await)
}

/// `GET /_simulator/faults`
pub(super) async fn list_faults(State(app): State<AppState>) -> Response {
    found(json!({"faults": app.faults.list()}))
}

/// `DELETE /_simulator/faults`
pub(super) async fn clear_faults(State(app): State<AppState>) -> StatusCode {
    app.faults.clear();
    StatusCode::NO_CONTENT
}
