//! Every contract suite against every engine.

mod spread;
mod sqlite;

mod store {
    common::store_contract!(sqlite, crate::sqlite::store);
    common::store_contract!(mongo, crate::spread::mongo::store);
}

mod bus {
    common::bus_contract!(sqlite, crate::sqlite::bus);
    common::bus_contract!(nats, crate::spread::nats::bus);
}

mod jobs {
    common::jobs_contract!(sqlite, crate::sqlite::jobs);
    common::jobs_contract!(redis, crate::spread::redis::jobs);
}
