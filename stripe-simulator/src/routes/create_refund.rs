use axum::extract::State;
use axum::response::Response;

use crate::app::AppState;
use crate::error::StripeError;
use crate::execute::{self, Effect, Target};
use crate::fields;
use crate::lifecycle::{Change, RefundTerms};
use crate::parameters::StripeRequest;
use crate::reply::Reply;
use crate::revision::Created;
use crate::view;

const REASONS: [&str; 3] = ["duplicate", "fraudulent", "requested_by_customer"];

/// `POST /v1/refunds`: refunds the whole captured amount.
pub(super) async fn create_refund(
    State(app): State<AppState>,
    StripeRequest { mut parameters, call }: StripeRequest,
) -> Result<Response, StripeError> {
    let id = parameters.require("payment_intent")?;
    let amount = parameters.take_number("amount")?;
    let reason = parameters.take_one_of("reason", &REASONS)?;
    let terms = RefundTerms { reason, metadata: fields::metadata(&mut parameters)? };
    parameters.finish()?;
    let target = Target { id: &id, missing: StripeError::no_such("payment_intent", &id, "payment_intent") };
    execute::change(&app, &call, target, |intent, revision, now| {
        let mut change = Change::to(intent);
        change.refund(format!("re_{revision}"), terms.clone(), now)?;
        fields::expect_whole_amount("amount", amount, &change.intent)?;
        let reply = Reply::ok(&view::refund(&change.intent));
        Ok(Effect { creates: Some(Created::Refund), ..Effect::new(change, reply) })
    })
    .await
}
