//! Executing a request at most once per idempotency key, with the faults that tests ask for.

use axum::response::{IntoResponse, Response};
use common::clock::Timestamp;
use common::ids::IntentId;

use crate::app::AppState;
use crate::card::Card;
use crate::error::StripeError;
use crate::fault::{CardFault, Fault, FaultKind, Operation};
use crate::idempotency::{InFlightGuard, RequestIdentity};
use crate::intent::Intent;
use crate::journal::{AppendError, Earlier};
use crate::lifecycle::Change;
use crate::reply::{Reply, broken_connection};
use crate::revision::{Created, Revision};

/// A request that is to be executed.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) identity: RequestIdentity,
    pub(crate) operation: Operation,
    /// The fault of this call, if it concerns the work itself.
    pub(crate) fault: Option<Fault>,
}

/// The effect of a request and the reply to it.
#[derive(Debug)]
pub(crate) struct Effect {
    pub(crate) change: Change,
    pub(crate) reply: Reply,
    pub(crate) creates: Option<Created>,
    pub(crate) spent_token: Option<String>,
}

/// The intent that a request changes.
pub(crate) struct Target<'a> {
    /// As the request names it.
    pub(crate) id: &'a str,
    /// The error if there is none.
    pub(crate) missing: StripeError,
}

/// A call whose key is reserved.
struct Execution<'a> {
    app: &'a AppState,
    call: &'a Call,
    _in_flight: Option<InFlightGuard>,
}

/// Whether an effect was stored.
enum Stored {
    Yes(Response),
    /// Another request changed the intent first.
    Raced,
}

/// Creates an intent. `create` gets its id.
pub(crate) async fn create(
    app: &AppState,
    call: &Call,
    card: Option<&Card>,
    create: impl Fn(IntentId, Timestamp) -> Result<Effect, StripeError>,
) -> Result<Response, StripeError> {
    let execution = match Execution::begin(app, call).await? {
        Ok(execution) => execution,
        Err(replayed) => return Ok(replayed),
    };
    let id = IntentId::generate(app.clock.now());
    let scope = call.identity.key.clone().unwrap_or_else(|| id.to_string());
    let fault = execution.fault(card.and_then(|card| card.fault), &scope);
    if let Some(response) = before(fault).await {
        return Ok(response);
    }
    if is(fault, FaultKind::Error) {
        return execution.refuse(StripeError::simulated()).await;
    }
    let now = app.clock.now();
    let response = match create(id, now) {
        Ok(effect) => match execution.store(id, effect, fault, now).await? {
            Stored::Yes(response) => response,
            Stored::Raced => return Err(StripeError::simulated()),
        },
        Err(error) => execution.refuse(error).await?,
    };
    Ok(after(fault, response))
}

/// Changes an intent.
pub(crate) async fn change(
    app: &AppState,
    call: &Call,
    target: Target<'_>,
    change: impl Fn(Intent, IntentId, Timestamp) -> Result<Effect, StripeError>,
) -> Result<Response, StripeError> {
    let execution = match Execution::begin(app, call).await? {
        Ok(execution) => execution,
        Err(replayed) => return Ok(replayed),
    };
    let mut fault = None;
    let mut is_first_try = true;
    loop {
        let now = app.clock.now();
        let Some(intent) = app.find(target.id).await? else { return execution.refuse(target.missing).await };
        if std::mem::take(&mut is_first_try) {
            fault = execution.fault(intent.card_fault(), target.id);
            if let Some(response) = before(fault).await {
                return Ok(response);
            }
        }
        if is(fault, FaultKind::Error) {
            return execution.refuse(StripeError::simulated()).await;
        }
        let id = IntentId::generate(now);
        let response = match change(intent, id, now) {
            Ok(effect) => match execution.store(id, effect, fault, now).await? {
                Stored::Yes(response) => response,
                Stored::Raced => continue,
            },
            Err(error) => execution.refuse(error).await?,
        };
        return Ok(after(fault, response));
    }
}

/// What a fault makes of a call before its work. Waits if it is a delay.
pub(crate) async fn before(fault: Option<Fault>) -> Option<Response> {
    let Fault { kind, delay } = fault?;
    match kind {
        FaultKind::Closed => Some(broken_connection()),
        FaultKind::RateLimited => Some(StripeError::rate_limited().into_response()),
        FaultKind::Conflict => Some(StripeError::lock_timeout().into_response()),
        FaultKind::Delay => {
            tokio::time::sleep(delay).await;
            None
        }
        FaultKind::Error | FaultKind::ErrorAfter | FaultKind::LostResponse => None,
    }
}

/// What a fault makes of the response.
pub(crate) fn after(fault: Option<Fault>, response: Response) -> Response {
    if is(fault, FaultKind::LostResponse) { broken_connection() } else { response }
}

pub(crate) fn is(fault: Option<Fault>, kind: FaultKind) -> bool {
    fault.is_some_and(|fault| fault.kind == kind)
}

impl<'a> Execution<'a> {
    /// Reserves the key, or returns the response to an earlier request with it.
    async fn begin(app: &'a AppState, call: &'a Call) -> Result<Result<Self, Response>, StripeError> {
        let in_flight = call.identity.key.as_ref().map(|key| app.in_flight.enter(key)).transpose()?;
        let execution = Self { app, call, _in_flight: in_flight };
        Ok(match execution.replay().await? {
            Some(response) => Err(response),
            None => Ok(execution),
        })
    }

    async fn replay(&self) -> Result<Option<Response>, StripeError> {
        let identity = &self.call.identity;
        match self.app.journal.earlier(identity, self.app.clock.now()).await? {
            Earlier::Nothing => Ok(None),
            Earlier::Same(reply) => Ok(Some(reply.into_replayed_response())),
            Earlier::Other => Err(StripeError::key_reused(identity.key.as_deref().unwrap_or_default())),
        }
    }

    fn fault(&self, card: Option<CardFault>, scope: &str) -> Option<Fault> {
        self.call.fault.or_else(|| self.app.faults.of_card(card, self.call.operation, scope))
    }

    /// Stores the effect, the key and the reply in one write.
    async fn store(
        &self,
        id: IntentId,
        effect: Effect,
        fault: Option<Fault>,
        now: Timestamp,
    ) -> Result<Stored, StripeError> {
        let Effect { change, mut reply, creates, spent_token } = effect;
        if is(fault, FaultKind::ErrorAfter) {
            reply = StripeError::simulated().reply();
        }
        let revision = Revision { creates, spent_token, ..Revision::new(id, now) };
        let revision = revision.with_request(&self.call.identity, &reply);
        match self.app.journal.append(revision, Some(&change)).await {
            Ok(()) => Ok(Stored::Yes(reply.into_response())),
            Err(AppendError::Raced) => Ok(Stored::Raced),
            Err(AppendError::KeyUsed) => Ok(Stored::Yes(self.replay_of_winner().await?)),
            Err(AppendError::TokenUsed) => self.refuse(StripeError::token_used()).await.map(Stored::Yes),
            Err(AppendError::Store(error)) => Err(error.into()),
        }
    }

    /// Responds with the error, and stores it under the key unless it is about the parameters.
    async fn refuse(&self, error: StripeError) -> Result<Response, StripeError> {
        if self.call.identity.key.is_some() && error.is_stored() {
            let now = self.app.clock.now();
            let revision = Revision::new(IntentId::generate(now), now);
            let revision = revision.with_request(&self.call.identity, &error.reply());
            match self.app.journal.append(revision, None).await {
                Ok(()) => {}
                Err(AppendError::KeyUsed) => return self.replay_of_winner().await,
                // Neither can happen without an intent and a token.
                Err(AppendError::Raced | AppendError::TokenUsed) => {}
                Err(AppendError::Store(error)) => return Err(error.into()),
            }
        }
        Err(error)
    }

    async fn replay_of_winner(&self) -> Result<Response, StripeError> {
        Ok(self.replay().await?.unwrap_or_else(|| StripeError::lock_timeout().into_response()))
    }
}

impl Effect {
    /// A change with a reply.
    pub(crate) fn new(change: Change, reply: Reply) -> Self {
        Self { change, reply, creates: None, spent_token: None }
    }
}
