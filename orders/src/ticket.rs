//! This service's copy of the tickets.

use common::ids::TicketId;
use common::money::Money;
use common::store::{Entity, Schema};
use serde::{Deserialize, Serialize};

/// A ticket as last heard of. Whether it is reserved is not copied: the orders themselves say so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TicketCopy {
    pub(crate) id: TicketId,
    /// The version its owner gave it.
    pub(crate) version: u64,
    pub(crate) title: String,
    #[serde(with = "common::money::as_cents")]
    pub(crate) price: Money,
}

impl Entity for TicketCopy {
    type Id = TicketId;
    const SCHEMA: &'static Schema = &Schema { collection: "tickets", indexes: &[], ids: &[], times: &[] };

    fn id(&self) -> TicketId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}
