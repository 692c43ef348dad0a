//! Every contract suite against every engine.

#[cfg(feature = "spread")]
mod spread;
mod sqlite;

mod store {
    common::store_contract!(sqlite, crate::sqlite::store);
    #[cfg(feature = "spread")]
    common::store_contract!(mongo, crate::spread::mongo::store);
}

mod bus {
    common::bus_contract!(sqlite, crate::sqlite::bus);
    #[cfg(feature = "spread")]
    common::bus_contract!(nats, crate::spread::nats::bus);
}

mod jobs {
    common::jobs_contract!(sqlite, crate::sqlite::jobs);
    #[cfg(feature = "spread")]
    common::jobs_contract!(redis, crate::spread::redis::jobs);
}
