//! The contract of the [`Bus`](common::bus::Bus) port.

pub mod dead_letters;
pub mod delivery;
pub mod fixture;
pub mod history;
pub mod lag;
pub mod progress;
pub mod readers;
pub mod restarts;
pub mod retries;

/// Makes the tests of one engine: `bus_contract!(sqlite, crate::sqlite::bus)`.
#[macro_export]
macro_rules! bus_contract {
    ($engine:ident, $fresh:path) => {
        $crate::contract_tests! { $engine, $fresh;
            $crate::contract::bus::delivery {
                a_published_message_is_delivered_unchanged
                publishing_wakes_a_waiting_reader
                a_reader_gets_its_subject_in_order
                every_durable_gets_every_message
                a_new_durable_starts_at_the_beginning
                a_repeated_message_is_dropped
                a_batch_is_delivered_in_full_and_in_order
                a_receipt_says_where_the_last_message_is
            }
            $crate::contract::bus::retries {
                a_retried_message_is_redelivered_after_its_delay
                a_retried_message_does_not_hold_up_others
                a_retry_wakes_a_waiting_reader
                any_number_of_retried_messages_holds_up_no_others
            }
            $crate::contract::bus::restarts {
                an_unsettled_message_is_redelivered_after_reopening
                acks_become_durable
                a_retry_survives_reopening
            }
            $crate::contract::bus::dead_letters {
                a_rejected_message_becomes_a_dead_letter
                a_rejected_message_is_not_redelivered
                a_replayed_dead_letter_reaches_only_its_listener
                a_replay_waits_for_its_listener
                a_replayed_dead_letter_can_be_rejected_again
                a_dropped_dead_letter_is_gone
                dead_letters_are_read_in_pages
            }
            $crate::contract::bus::history {
                history_is_read_to_its_end_in_order
                history_may_be_empty
            }
            $crate::contract::bus::lag {
                lag_is_the_age_of_the_oldest_event_that_is_not_handled
            }
            $crate::contract::bus::progress {
                progress_shows_unsettled_messages
            }
            $crate::contract::bus::readers {
                readers_of_a_durable_share_its_messages
                a_dropped_reader_releases_its_messages
                held_messages_do_not_hide_new_ones
                cancelling_next_loses_no_message
                many_readers_share_thousands_of_messages
            }
        }
    };
}
