//! Scenarios: the built Worker in its real runtime against the simulated vendors, through the public API only.
//!
//! Most of them wait most of the time, so they run side by side on one Worker; each has a room of its own.

mod alone;
mod artifacts;
mod attacks_page;
mod attacks_tenant;
mod attacks_vendor;
mod avatar;
mod avatar_crash;
mod avatar_heygen;
mod avatar_loss;
mod avatar_random;
mod avatar_rotation;
mod avatar_seen;
mod avatars;
mod booking;
mod crash;
mod ears;
mod face;
mod face_crash;
mod face_microphone;
mod face_page;
mod greeting;
mod life;
mod listening;
mod listening_live;
mod listening_loss;
mod listening_socket;
mod mutation;
mod one_bot;
mod panic;
mod reload;
mod talking;
mod tenants;
mod trap;
mod webhooks;
mod world;

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::{Handle, Runtime};

use world::World;

/// How many scenarios run at a time: they wait more than they work.
const SIDE_BY_SIDE: usize = 20;

/// How many scenarios at the pace of speech run at a time: they are measured in real time.
const AT_THE_PACE_OF_SPEECH: usize = 8;

/// The longest a scenario may take; the slowest goes through ten minutes of a meeting, six times as fast.
const LONGEST: Duration = Duration::from_secs(200);

/// Makes a trial of each scenario.
macro_rules! trials {
    ($stage:expr; $($theme:ident: $($scenario:ident)+;)+) => {
        vec![$($({
            let stage = $stage.clone();
            let name = concat!(stringify!($theme), "::", stringify!($scenario));
            Trial::test(name, move || stage.play($theme::$scenario(&stage.world)))
        },)+)+]
    };
}

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(SIDE_BY_SIDE);
    let runtime = Runtime::new().context("could not start tokio")?;
    let stage = Arc::new(Stage {
        world: World::default(),
        handle: runtime.handle().clone(),
    });
    let side_by_side = libtest_mimic::run(&arguments, trials(&stage));
    arguments.test_threads = Some(AT_THE_PACE_OF_SPEECH);
    let paced = libtest_mimic::run(&arguments, trials_at_the_pace_of_speech(&stage));
    arguments.test_threads = Some(1);
    let alone = libtest_mimic::run(&arguments, trials_alone(&stage));
    // The Worker stops here, and its folder goes.
    let _inside = runtime.enter();
    drop(stage);
    let failed = side_by_side.has_failed() || paced.has_failed() || alone.has_failed();
    Ok(ExitCode::from(u8::from(failed)))
}

/// Where scenarios are played.
struct Stage {
    world: World,
    handle: Handle,
}

impl Stage {
    fn play(&self, scenario: impl Future<Output = Result<()>>) -> Result<(), Failed> {
        let bounded = async { tokio::time::timeout(LONGEST, scenario).await };
        match self.handle.block_on(bounded) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("{error:#}").into()),
            Err(_) => Err(format!("not over after {LONGEST:?}").into()),
        }
    }
}

/// What is measured against the pace of speech, which a busy machine does not keep, beside what does little but wait.
fn trials_at_the_pace_of_speech(stage: &Arc<Stage>) -> Vec<Trial> {
    trials! { stage;
        // The longest first, so that the others run beside them.
        listening_socket:
            a_socket_that_is_gone_for_good_is_missed_aloud
        ;
        listening_loss:
            ten_minutes_and_five_lost_connections_cost_no_byte_and_double_no_word
            what_is_lost_while_deepgram_is_away_for_too_long_is_said_in_seconds
            a_call_in_which_nobody_can_be_heard_is_listened_to_all_the_same
            a_connection_that_is_dead_without_a_word_is_noticed_and_nothing_is_lost
        ;
        avatar_loss:
            without_an_avatar_the_face_greets_in_time
            when_the_avatars_socket_is_lost_the_face_says_the_rest
            when_the_vendor_ends_the_session_the_face_says_the_rest
            when_the_session_falls_silent_the_face_says_the_rest
            when_the_avatars_room_is_gone_the_face_says_the_rest
            when_the_picture_stands_still_the_face_says_the_rest
        ;
        avatar_rotation:
            a_session_is_replaced_before_it_may_last_no_longer
            a_session_is_replaced_on_demand_and_no_word_is_lost
        ;
        avatar:
            the_room_is_greeted_once_through_the_avatar
            one_thing_is_said_after_the_other_through_the_avatar
            an_interruption_is_at_the_vendor_at_once_and_no_sound_follows
            a_page_that_is_loaded_again_shows_the_same_session_again
        ;
        face_microphone:
            the_call_can_be_heard_through_the_pages_microphone
        ;
        listening:
            what_is_said_is_live_while_it_is_said_and_kept
        ;
        avatar_heygen:
            heygens_avatar_greets_speaks_and_is_stopped_at_the_end
            heygens_avatar_is_interrupted_and_reacts
            a_greeting_whose_answer_is_lost_was_given_if_the_page_heard_it
            an_avatar_that_heygen_does_not_know_is_asked_for_once
        ;
        attacks_vendor:
            an_avatars_vendor_gets_our_key_nowhere
        ;
        avatar_random:
            thirty_meetings_whatever_happens_leave_no_session_and_say_nothing_twice
        ;
    }
}

/// What needs the Worker for itself, or all that went before.
fn trials_alone(stage: &Arc<Stage>) -> Vec<Trial> {
    trials! { stage;
        avatar_seen:
            in_a_real_browser_the_room_sees_the_avatar_move_and_hears_it
        ;
        alone:
            every_avatar_session_of_all_scenarios_was_stopped
            the_greeting_is_heard_within_two_seconds_of_entering
            a_backlog_is_sent_at_most_a_quarter_faster_than_it_was_spoken
            the_log_of_all_scenarios_holds_no_secret
        ;
    }
}

/// Everything else, side by side.
#[expect(clippy::too_many_lines, reason = "a flat list")]
fn trials(stage: &Arc<Stage>) -> Vec<Trial> {
    trials! { stage;
        // The longest first, so that the others run beside them.
        crash:
            killed_at_any_step_a_meeting_completes_with_one_bot_and_one_greeting
            killed_again_and_again_meetings_complete_with_one_bot_and_one_greeting
            killed_before_its_time_a_booked_meeting_is_joined_on_time
        ;
        life:
            without_any_webhook_the_meeting_is_followed_by_asking
            when_everybody_has_left_the_bot_leaves_too
        ;
        listening_live:
            a_finished_meeting_sleeps_although_somebody_watches
        ;
        face_page:
            a_page_that_takes_over_is_the_only_one
        ;
        reload:
            new_code_in_mid_meeting_takes_over_and_greets_nobody_again
        ;
        avatar_crash:
            killed_at_any_moment_no_session_is_left_and_every_face_speaks_on
            killed_before_it_knows_that_the_avatar_greets_the_meeting_asks_the_page
        ;
        listening_loss:
            a_deepgram_that_is_busy_or_down_is_asked_until_it_listens
            killed_in_mid_call_it_listens_again_within_five_seconds
        ;
        booking:
            a_meeting_ahead_is_booked_with_recall_at_once_to_join_early
            a_bot_booked_ahead_is_not_made_again_when_its_time_has_come
            a_meeting_that_starts_soon_is_joined_by_the_alarm_and_not_before
            a_meeting_without_a_start_or_past_it_is_joined_at_once
            joining_early_replaces_the_bot_that_was_booked_ahead
            joining_early_joins_a_meeting_that_waits_for_its_alarm
            one_idempotency_key_books_one_meeting
            whatever_is_wrong_with_a_booking_is_named
            a_body_over_one_mebibyte_is_refused_whether_or_not_it_says_so
            a_list_is_newest_first_in_pages_and_by_status
            wrong_query_parameters_are_named
            a_meeting_with_a_face_books_a_bot_that_shows_its_page
            the_api_describes_every_call_that_works_and_none_that_does_not
        ;
        listening:
            deepgram_is_asked_for_what_the_meeting_needs
            the_states_of_listening_are_told_as_they_come
            the_last_words_are_heard_however_the_call_ends
            what_is_said_until_the_delegate_is_sent_away_is_heard
            what_deepgram_adds_some_day_changes_nothing
            words_are_told_once_although_recall_transcribes_too
            a_refusing_deepgram_is_asked_once_and_recall_is_heard_instead
            recall_is_heard_from_the_moment_deepgram_gives_up
            the_final_transcript_takes_the_place_of_the_live_one_which_stays
            a_session_that_is_asked_to_end_says_its_last_words_first
        ;
        listening_live:
            fifty_watchers_see_the_same
            a_watcher_that_reads_nothing_is_in_nobodys_way
        ;
        listening_socket:
            only_recall_delivers_sound_and_only_to_a_meeting_that_wants_it
            a_second_dial_takes_the_place_of_the_first
            recall_may_dial_again_while_it_still_delivers
            what_is_no_sound_or_comes_twice_changes_nothing
            however_frames_are_written_their_sound_arrives
            a_lost_socket_is_dialled_again_and_times_stay_on_one_clock
        ;
        one_bot:
            a_rate_limit_is_waited_for_with_the_same_key
            an_empty_pool_is_asked_again_with_a_new_key_each_time
            an_empty_pool_is_given_half_a_minute_when_it_names_no_time
            an_error_of_the_server_is_tried_again_with_the_same_key
            a_conflict_is_tried_again_with_the_same_key
            a_call_that_breaks_off_unheard_is_made_again
            a_bot_whose_making_was_answered_with_garbage_is_found_and_kept
            a_bot_that_reports_while_its_making_is_never_answered_is_kept
            a_bot_that_reports_before_its_making_is_answered_is_kept
            a_silent_bot_of_a_call_that_was_never_answered_is_found_by_asking
            asking_for_a_bot_goes_on_beyond_the_quick_attempts
            a_refusal_fails_the_meeting_and_says_who_refused_and_why
            a_bot_that_turns_up_after_the_meeting_was_called_off_is_sent_away
            a_second_bot_that_carries_the_meetings_name_is_sent_away
        ;
        greeting:
            the_greeting_is_made_as_the_bot_needs_it_and_heard_as_it_was_made
            a_meetings_own_greeting_is_a_template
            webhooks_that_come_twice_greet_once
            webhooks_that_overtake_each_other_greet_once
            entering_again_and_again_greets_once
            speech_that_cannot_be_made_greets_in_the_chat
            speech_that_does_not_come_in_time_greets_in_the_chat
            speech_that_cannot_be_played_greets_in_the_chat
            without_a_speech_vendor_the_delegate_greets_in_the_chat
            a_greeting_neither_spoken_nor_written_says_so_and_the_meeting_goes_on
            a_platform_without_a_chat_is_not_greeted_in_it
            a_greeting_whose_playing_is_in_doubt_is_heard_once
            a_greeting_whose_playing_is_never_answered_is_heard_once
        ;
        life:
            a_bot_in_the_waiting_room_greets_only_once_it_is_let_in
            a_bot_that_is_never_let_in_says_whose_patience_ended
            the_end_says_who_ended_the_call_and_why
            a_done_that_overtakes_the_end_of_the_call_hides_no_reason
            a_bot_that_cannot_join_fails_the_meeting_with_the_vendors_word
            a_bot_that_dies_in_the_call_leaves_what_it_recorded
            a_call_that_may_not_be_recorded_is_greeted_and_leaves_nothing
            news_older_than_what_is_known_changes_nothing
            calling_off_before_the_join_deletes_the_bot
            calling_off_before_there_is_a_bot_makes_none
            calling_off_while_the_machine_starts_makes_the_bot_leave
            calling_off_at_the_door_makes_the_bot_leave
            leaving_the_call_is_asked_once_and_keeps_what_was_recorded
            the_older_form_of_status_webhooks_is_understood
            the_timeline_tells_the_story_in_order_and_in_pages
        ;
        face:
            the_room_is_greeted_once_through_the_face
            one_thing_is_said_after_the_other_through_the_face
            an_interruption_reaches_the_face_which_says_how_much_was_heard
            a_page_that_is_loaded_again_greets_nobody_again_and_is_soon_back
            a_page_that_is_loaded_again_in_mid_sentence_says_nothing_twice
            the_face_reacts_and_has_no_session
            without_a_face_there_is_nothing_to_react
        ;
        face_page:
            only_the_meetings_own_page_is_let_in
            a_page_that_does_not_come_leaves_the_greeting_to_the_chat
            a_page_whose_sound_is_blocked_is_a_warning
            the_page_is_served_under_its_policy_and_shows_no_key
        ;
        face_crash:
            killed_in_mid_sentence_nothing_is_said_twice_and_everything_has_an_end
        ;
        artifacts:
            the_transcript_is_live_in_the_call_and_final_after_it
            the_transcript_reads_as_text_and_as_captions
            the_recording_is_found_at_a_fresh_url_each_time
            an_artifact_that_the_vendor_could_not_make_is_missed_aloud
            artifacts_whose_webhooks_are_lost_are_found_by_asking
            artifacts_are_fetched_although_the_vendor_stumbles
            what_is_purged_is_gone_here_and_at_the_vendor
        ;
        webhooks:
            what_recall_did_not_sign_is_refused_and_changes_nothing
            both_families_of_headers_are_understood
            while_a_secret_is_replaced_either_one_counts
            every_kind_of_webhook_is_accepted_whoever_it_is_about
            what_nobody_knows_yet_is_accepted_and_noted
            what_is_no_webhook_is_refused_with_a_reason
            a_repeated_webhook_takes_effect_once
            a_thousand_damaged_webhooks_break_nothing
            a_flood_leaves_the_newest_entries_of_the_timeline
        ;
        panic:
            a_panic_costs_one_request_and_nothing_else
            nobody_can_ask_for_a_panic_where_it_is_not_switched_on
        ;
        tenants:
            only_the_operator_makes_tenants_and_keys
            a_key_is_shown_once_and_stops_when_it_is_revoked
            a_tenants_settings_stand_in_for_what_a_booking_leaves_out
            another_tenants_meeting_is_not_there
            nothing_is_answered_without_a_good_key
            a_key_that_calls_too_often_is_slowed_down_alone
            no_key_and_no_secret_is_stored_or_logged
        ;
        attacks_tenant:
            whatever_stands_in_the_place_of_an_id_leads_nowhere
            headers_of_our_own_parts_mean_nothing_from_outside
            cursors_and_idempotency_keys_reach_ones_own_meetings_only
            hostile_bodies_are_refused_and_leave_nothing_behind
            what_a_booking_may_hold_comes_back_as_it_was
            the_words_of_a_booking_stay_words
            a_link_that_parsers_read_differently_sends_no_bot
            a_flood_of_watchers_and_messages_meets_its_bounds
        ;
        attacks_page:
            a_token_that_is_damaged_or_shortened_anywhere_opens_nothing
            a_token_outlives_neither_the_call_nor_what_is_kept_of_it
            a_page_that_lies_and_floods_changes_only_what_it_was_given
            what_a_page_says_went_wrong_is_told_without_addresses_and_tokens
            what_opens_a_page_is_shown_to_nobody
        ;
        attacks_vendor:
            a_signed_webhook_moves_only_the_meeting_whose_bot_it_names
            what_comes_after_the_end_brings_nobody_back
            what_is_signed_for_one_thing_is_no_good_for_another
            a_vendor_that_repeats_our_key_gets_it_no_further
            an_address_that_a_vendor_names_is_told_no_credential
            nobody_who_asks_for_a_recording_is_sent_out_of_the_web
            a_vendor_that_redirects_takes_no_key_along
        ;
        talking:
            one_thing_is_said_after_the_other
            an_interruption_cuts_what_is_said_and_drops_what_waits
            something_urgent_is_said_at_once_instead
            an_interruption_does_not_cost_the_room_its_greeting
            speaking_takes_a_call_in_progress_and_a_text_of_some_length
            the_queue_has_an_end
            what_cannot_be_spoken_is_written
            chat_reaches_the_room_up_to_what_the_platform_takes
            watchers_are_told_the_meeting_first_and_then_all_that_happens
            every_watcher_sees_the_same_and_none_can_interfere
            nobody_watches_without_a_key
            what_the_delegate_wrote_comes_back_marked_with_its_name
        ;
    }
}
