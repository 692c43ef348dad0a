//! The contracts of the ports on every engine, and the tests of what only one engine does.

mod deferrals;
mod listeners;
mod log;
mod mongo;
mod nats;
mod redis;
mod relay;
mod service;
mod sqlite;

mod store {
    testing::store_contract!(sqlite, crate::sqlite::store);
    testing::store_contract!(mongo, crate::mongo::store);
}

mod bus {
    testing::bus_contract!(sqlite, crate::sqlite::bus);
    testing::bus_contract!(nats, crate::nats::bus);
}

mod jobs {
    testing::jobs_contract!(sqlite, crate::sqlite::jobs);
    testing::jobs_contract!(redis, crate::redis::jobs);
}
