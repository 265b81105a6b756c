//! One suite over every back end, plain and sealed: what an application may rely on, whatever carries its messages.
//!
//! A case is a function over a [`Pair`] of transports and knows nothing of what is below, nor whether it is sealed: all
//! of them make sense either way. The simulator's sealed worlds are the swarm test's. On real sockets a case waits on
//! configured timeouts of at most 300 ms, on 2 s where a living peer has to answer before one passes (and once on the
//! half second that a refusal takes over UDP); only a bug makes one wait for [`pair::STUCK`].

mod bells;
mod bulk;
mod closing;
mod contents;
mod delivery;
mod failing;
mod half_open;
mod killed;
#[path = "../loopback/mod.rs"]
mod loopback;
mod many;
mod pair;
mod path;
mod security;
mod silence;
mod streams;
mod versions;

/// Makes a test of every case for every back end, without and with a seal.
macro_rules! conformance {
    ($($module:ident: $($case:ident)+;)+) => {
        conformance! { @udp over_udp Plain: $($module: $($case)+;)+ }
        conformance! { @tcp over_tcp Plain: $($module: $($case)+;)+ }
        conformance! { @sim over_sim Plain: $($module: $($case)+;)+ }
        conformance! { @udp_sealed over_udp Psk: $($module: $($case)+;)+ }
        conformance! { @tcp_sealed over_tcp Psk: $($module: $($case)+;)+ }
    };
    (@$suite:ident $over:ident $security:ident: $($module:ident: $($case:ident)+;)+) => {
        mod $suite {
            $($(
                #[test]
                fn $case() { crate::pair::$over(crate::$module::$case, crate::security::Security::$security); }
            )+)+
        }
    };
}

conformance! {
    delivery: messages_arrive_in_order
        unordered_messages_arrive_exactly_once
        latest_ends_with_the_newest
        unreliable_messages_of_one_datagram_arrive
        sizes_around_every_border
        both_directions_at_once
        tags_and_channels_arrive_as_sent
        a_channel_asked_for_alone_is_not_given_to_whoever_asks_for_any
        an_absent_reader_holds_up_its_own_channel_only
        a_mode_is_fixed_by_the_first_message
        too_long_for_the_mode_is_told_and_nothing_is_lost;
    streams: a_hundred_megabytes_stream_through
        a_writer_dropped_half_way_resets_and_does_not_block_the_channel
        a_reader_that_stops_or_is_dropped_ends_the_writer_and_not_the_connection
        a_stream_of_unknown_length_arrives_whole
        an_announced_length_is_kept
        a_writer_of_one_byte_at_a_time_is_served
        a_reader_and_a_writer_that_time_out_lose_nothing;
    contents: content_of_every_kind_arrives_as_what_it_is
        a_million_items_arrive_whole_and_equal
        an_array_longer_than_any_buffer_arrives_whole
        the_wrong_kind_is_told_and_the_message_kept
        too_long_is_told_and_the_message_kept
        malformed_content_is_told_and_handed_over
        a_call_that_times_out_half_way_loses_nothing
        content_that_does_not_come_to_its_end_never_surfaces
        a_send_waits_as_long_as_it_was_told_to
        whoever_serves_many_is_told_when_a_long_one_is_whole
        threads_that_want_different_kinds_each_get_their_own;
    closing: close_waits_until_all_is_taken
        close_reports_what_was_left_unread
        close_hears_what_was_taken_though_the_taker_never_waits_again
        close_reports_what_never_arrived
        a_close_that_waits_ends_with_its_report_when_the_peer_ends
        the_peer_still_receives_what_arrived_before_the_close
        abort_ends_the_peer_with_its_code
        dropping_the_last_handle_closes_in_the_background
        close_from_another_thread_ends_a_blocked_receive
        both_sides_close_at_once
        both_sides_close_at_once_with_messages_under_way
        reconnecting_after_a_close_works
        close_is_idempotent
        connections_that_ended_unaccepted_do_not_fill_the_backlog;
    failing: nobody_listens
        an_application_refuses_or_drops_what_comes_in
        a_full_backlog_refuses_as_busy
        a_receive_times_out_and_the_connection_lives
        a_flush_times_out_while_nothing_arrives
        a_send_times_out_while_the_queue_is_full_and_the_connection_lives
        an_address_in_use_is_told
        a_transport_that_does_not_listen_says_so
        an_idle_connection_between_living_peers_outlives_its_timeout;
    silence: a_peer_that_falls_silent_is_given_up_by_both_who_wait
        what_a_silent_peer_never_got_is_reported
        a_call_that_nobody_answers_times_out
        half_open_peers_do_not_hold_up_others;
    many: many_connections_are_served_by_one_waiting_thread
        one_thread_sends_while_another_receives
        many_threads_share_one_connection;
    bells: a_ring_ends_a_wait_for_the_network
        a_ring_wakes_everybody_who_waits_for_it
        a_thread_waits_at_two_transports
        a_bell_that_is_gone_ends_the_wait_for_it
        a_bell_may_go_before_whoever_would_ring_it
        chance_is_another_each_time;
    bulk: a_small_receive_buffer_holds_bulk_and_a_million_small_messages;
}
