//! Named channels and nodes over every back end, as an application uses them.
//!
//! A case is a function over a [`Pair`](pair::Pair) of transports and knows nothing of what is below. On real sockets a
//! case waits on timeouts of at most 300 ms; only a bug makes one wait for [`pair::STUCK`].

mod channels;
mod hostile;
#[path = "../conformance/pair.rs"]
#[allow(dead_code, reason = "what only the other suite needs of it")]
mod pair;
#[path = "../conformance/path.rs"]
#[allow(dead_code, reason = "what only the other suite needs of it")]
mod path;
mod time;

/// Makes a test of every case for every back end.
macro_rules! everywhere {
    ($($module:ident: $($case:ident)+;)+) => {
        mod udp {
            $($(#[test] fn $case() { crate::pair::over_udp(crate::$module::$case); })+)+
        }
        mod tcp {
            $($(#[test] fn $case() { crate::pair::over_tcp(crate::$module::$case); })+)+
        }
        mod sim {
            $($(#[test] fn $case() { crate::pair::over_sim(crate::$module::$case); })+)+
        }
    };
}

everywhere! {
    channels: the_newest_value_is_read_again_and_again
        every_reader_sees_each_change_once
        a_late_reader_gets_the_newest
        whoever_waits_is_woken_on_every_channel
        a_reader_waits_for_a_name_that_is_not_there_yet
        queued_values_come_in_order_and_once
        a_value_longer_than_any_buffer_arrives_whole
        a_value_that_is_too_long_is_told_and_passed_over
        a_channel_is_of_one_kind
        names_have_limits
        a_full_queue_holds_back_and_lets_go
        a_wait_times_out_and_the_connection_lives
        the_last_value_outlives_the_connection;
    time: the_age_of_a_value_is_known;
    hostile: a_value_before_its_name_waits
        what_cannot_be_read_ends_that_connection_with_its_reason
        a_peer_of_another_version_is_refused
        answers_that_nobody_asked_for_change_nothing
        a_flood_of_questions_is_answered_in_part_and_ends_nothing;
}
