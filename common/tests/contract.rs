//! Every contract suite against every engine.

mod sqlite;

mod store {
    common::store_contract!(sqlite, crate::sqlite::store);
}

mod bus {
    common::bus_contract!(sqlite, crate::sqlite::bus);
}

mod jobs {
    common::jobs_contract!(sqlite, crate::sqlite::jobs);
}
