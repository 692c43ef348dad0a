//! The contract of the [`Store`](common::store::Store) port.

pub mod deletion;
pub mod documents;
mod fixture;
pub mod outbox;
pub mod queries;
pub mod unique;
pub mod versions;

pub use fixture::SCHEMAS;

/// Makes the tests of one engine: `store_contract!(sqlite, crate::sqlite::store)`.
#[macro_export]
macro_rules! store_contract {
    ($engine:ident, $fresh:path) => {
        $crate::contract_tests! { $engine, $fresh;
            $crate::contract::store::documents {
                a_put_document_round_trips
                ids_and_times_round_trip
                large_and_unicode_bodies_round_trip
                an_absent_document_is_none
                documents_and_events_survive_reopening
            }
            $crate::contract::store::versions {
                inserting_twice_conflicts
                a_stale_version_conflicts
                replacing_an_absent_document_conflicts
                one_of_many_racing_writers_wins
                no_update_is_lost
            }
            $crate::contract::store::unique {
                a_unique_index_refuses_a_duplicate_insert
                a_unique_index_refuses_a_duplicate_update
                documents_without_the_unique_field_do_not_collide
                removing_a_unique_field_frees_its_value
                one_of_many_racing_for_a_unique_value_wins
                a_failed_write_does_not_affect_concurrent_ones
            }
            $crate::contract::store::queries {
                documents_are_found_by_a_field
                documents_are_found_by_a_missing_field
                the_newest_documents_come_first_up_to_the_limit
                pages_neither_overlap_nor_skip
                a_scan_returns_everything_with_the_time_of_its_last_write
            }
            $crate::contract::store::deletion {
                old_documents_are_deleted_in_batches_oldest_first
            }
            $crate::contract::store::outbox {
                unpublished_events_are_returned_in_order
                a_refused_write_stores_no_event
                published_events_leave_the_outbox
                a_write_returns_what_it_adds_to_the_outbox
                unpublished_respects_its_limit
            }
        }
    };
}
