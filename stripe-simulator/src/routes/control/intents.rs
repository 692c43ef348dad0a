use axum::extract::{Path, State};
use axum::response::Response;
use common::clock::Timestamp;
use common::ids::IntentId;

use super::ControlError;
use crate::app::AppState;
use crate::journal::AppendError;
use crate::lifecycle::{Change, RefundTerms, Refusal};
use crate::reply::found;
use crate::revision::{Created, Revision};
use crate::view::{self, Expand};

/// What a person or a bank does to an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intervention {
    Authenticate,
    FailAuthentication,
    Settle,
    Fail,
    Cancel,
    Capture,
    Refund,
    Dispute,
    Lapse,
}

/// `POST /_simulator/payment_intents/{id}/{action}`
pub(super) async fn change_intent(
    State(app): State<AppState>,
    Path((id, action)): Path<(String, String)>,
) -> Result<Response, ControlError> {
    let unknown = || ControlError::NotFound(format!("no such action: {action}"));
    let intervention = Intervention::parse(&action).ok_or_else(unknown)?;
    loop {
        let missing = || ControlError::NotFound(format!("no such payment_intent: {id}"));
        let mut change = Change::to(app.find(&id).await?.ok_or_else(missing)?);
        let now = app.clock.now();
        let revision = Revision::new(IntentId::generate(now), now);
        intervention.apply(&mut change, revision.id, now).map_err(|error| ControlError::Conflict(error.to_string()))?;
        let creates = (intervention == Intervention::Refund).then_some(Created::Refund);
        match app.journal.append(Revision { creates, ..revision }, Some(&change)).await {
            Ok(()) => return Ok(found(view::intent(&change.intent, Expand::LatestCharge))),
            Err(AppendError::Raced | AppendError::KeyUsed | AppendError::TokenUsed) => {}
            Err(AppendError::Store(error)) => return Err(error.into()),
        }
    }
}

impl Intervention {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "authenticate" => Some(Self::Authenticate),
            "fail_authentication" => Some(Self::FailAuthentication),
            "settle" => Some(Self::Settle),
            "fail" => Some(Self::Fail),
            "cancel" => Some(Self::Cancel),
            "capture" => Some(Self::Capture),
            "refund" => Some(Self::Refund),
            "dispute" => Some(Self::Dispute),
            "lapse" => Some(Self::Lapse),
            _ => None,
        }
    }

    fn apply(self, change: &mut Change, revision: IntentId, now: Timestamp) -> Result<(), Refusal> {
        match self {
            Self::Authenticate => change.authenticate(now),
            Self::FailAuthentication => change.fail_authentication(),
            Self::Settle => change.settle(now),
            Self::Fail => change.fail_processing(),
            Self::Cancel => change.cancel(None, now),
            Self::Capture => change.capture(now),
            Self::Refund => change.refund(format!("re_{revision}"), RefundTerms::default(), now),
            Self::Dispute => change.dispute(now),
            Self::Lapse => change.lapse(now),
        }
    }
}
