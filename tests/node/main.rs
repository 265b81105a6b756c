//! Named channels and nodes over every back end, as an application uses them.
//!
//! A case is a function over a [`Pair`](pair::Pair) of transports and knows nothing of what is below. On real sockets a
//! case waits on timeouts of at most 300 ms; only a bug makes one wait for [`pair::STUCK`].

mod broken;
mod channels;
mod ended;
mod fragile;
mod held;
mod hostile;
mod hubs;
mod leaving;
#[path = "../loopback/mod.rs"]
mod loopback;
mod order;
#[path = "../conformance/pair.rs"]
#[allow(dead_code, reason = "what only the other suite needs of it")]
mod pair;
#[path = "../conformance/path.rs"]
#[allow(dead_code, reason = "what only the other suite needs of it")]
mod path;
mod returning;
mod room;
#[path = "../conformance/security.rs"]
#[allow(dead_code, reason = "what only the other suite needs of it")]
mod security;
mod stars;
mod time;

/// Fails unless writing was refused, for this reason.
fn not_written<T: std::fmt::Debug>(result: Result<T, udpair::node::WriteError>, why: &udpair::node::WriteError) {
    assert_eq!(format!("{:?}", result.unwrap_err()), format!("{why:?}"));
}

/// Makes a test of every case for every back end; what seals is below all of this, so that one sealed suite is enough.
macro_rules! everywhere {
    ($($module:ident: $($case:ident)+;)+) => {
        mod udp {
            use crate::security::Security::Psk;
            $($(#[test] fn $case() { crate::pair::over_udp(crate::$module::$case, Psk); })+)+
        }
        mod tcp {
            use crate::security::Security::Plain;
            $($(#[test] fn $case() { crate::pair::over_tcp(crate::$module::$case, Plain); })+)+
        }
        mod sim {
            use crate::security::Security::Plain;
            $($(#[test] fn $case() { crate::pair::over_sim(crate::$module::$case, Plain); })+)+
        }
    };
}

everywhere! {
    broken: a_transport_that_breaks_takes_its_peers_and_no_other
        a_hub_whose_first_transport_breaks_ends_and_says_why;
    channels: the_newest_value_is_read_again_and_again
        every_reader_sees_each_change_once
        a_late_reader_gets_the_newest
        unread_values_that_hold_all_credit_hold_up_no_name
        whoever_waits_is_woken_on_every_channel
        a_reader_waits_for_a_name_that_is_not_there_yet
        queued_values_come_in_order_and_once
        a_value_longer_than_any_buffer_arrives_whole
        a_value_that_is_too_long_is_told_and_passed_over
        newest_values_beyond_what_may_be_held_are_told_and_passed_over
        a_channel_is_of_one_kind
        names_have_limits
        a_full_queue_holds_back_and_lets_go
        a_wait_times_out_and_the_connection_lives
        the_last_value_outlives_the_connection
        values_are_what_they_were_written_as;
    ended: a_closed_node_takes_no_connection_and_keeps_none
        a_node_that_closes_lets_go_of_who_waits_to_be_taken
        a_peer_that_is_away_can_be_given_up
        a_call_that_is_given_up_says_so;
    held: a_peer_that_writes_too_much_is_told_of_and_keeps_no_other_from_being_heard
        what_one_left_behind_takes_no_room_from_its_return;
    hubs: three_hubs_write_to_whom_they_mean
        images_go_on_their_channel
        whoever_joins_later_gets_the_newest
        names_are_unique_or_refused
        there_is_no_such_peer
        values_in_order_go_by_the_channels_of_a_peer
        a_wait_for_the_newest_minds_no_queued_value_of_the_same_name
        a_reader_waits_for_all_and_each_has_its_turn
        hubs_that_call_each_other_are_connected_once
        a_hub_has_peers_at_several_transports
        connections_that_there_are_already_are_taken
        what_was_written_before_leaving_can_be_read
        closing_ends_every_wait
        a_disconnected_peer_is_told_and_gone
        no_more_peers_than_there_may_be
        those_who_say_nothing_give_way_to_those_who_do
        those_who_are_no_hubs_are_turned_away
        a_peer_that_stalls_holds_up_nobody
        a_hub_that_is_dropped_closes_in_the_background;
    order: writers_at_once_leave_everybody_with_the_same_value
        a_busy_peer_at_one_transport_keeps_no_other_from_being_heard;
    stars: a_host_and_its_clients_read_and_write
        images_go_both_ways
        a_client_of_a_name_that_is_taken_is_refused
        a_get_waits_for_the_first_value_and_no_longer_than_it_may
        a_host_knows_who_is_there
        clients_use_one_transport_and_many_threads
        the_host_leaves_and_everybody_is_told
        a_client_and_its_host_speak_on_connections_that_there_are_already
        a_spoken_code_brings_them_together
        roles_that_do_not_belong_together_are_refused;
    returning: a_host_that_was_away_has_its_clients_and_their_values_again
        values_come_again_to_whoever_has_not_seen_them_and_only_to_those
        what_was_written_to_one_peer_is_restored
        the_same_node_takes_its_own_place
        those_who_do_not_understand_each_other_do_not_try_again
        a_node_that_tries_again_can_be_closed;
    time: whoever_attends_answers_for_a_program_that_does_nothing_else
        the_age_of_a_value_is_known;
    hostile: a_value_before_its_name_waits
        a_value_that_is_cut_off_is_no_fault_of_this_side
        what_cannot_be_read_ends_that_connection_with_its_reason
        a_peer_of_another_version_is_refused
        answers_that_nobody_asked_for_change_nothing
        a_flood_of_questions_is_answered_in_part_and_ends_nothing;
}
