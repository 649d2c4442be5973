//! When a bot leaves by itself: the conditions of `automatic_leave`.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::bot::{Bot, Phase};
use super::fields::{FieldError, Fields, integer, message, string};
use super::meeting_url::Platform;

/// How long a bot puts up with what.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    waiting_room: Duration,
    noone_joined: Duration,
    everyone_left: Delayed,
    in_call_not_recording: Duration,
    in_call_recording: Option<Duration>,
    permission_denied: Duration,
    silence: Delayed,
    /// Only participants whose names contain one of these are left.
    pub(crate) only_bots: Option<(Delayed, Vec<String>)>,
}

/// A timer that is only armed some time into the call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delayed {
    timeout: Duration,
    activate_after: Duration,
}

/// No documented upper bound; a week keeps arithmetic on times safe.
pub(crate) const ANY_SECONDS: u64 = 7 * 24 * 3600;

impl Default for Patience {
    fn default() -> Self {
        read(&Value::Object(serde_json::Map::new()), None).expect("the defaults are valid")
    }
}

/// Reads `automatic_leave`. The longest wait in a lobby depends on the platform.
pub(crate) fn read(value: &Value, platform: Option<Platform>) -> Result<Patience, FieldError> {
    let lobby_limit = match platform {
        Some(Platform::GoogleMeet) => 600,
        Some(Platform::MicrosoftTeams) => 1800,
        Some(Platform::Zoom | Platform::Webex) | None => ANY_SECONDS,
    };
    let mut fields = Fields::of(value)?;
    let mut seconds = |name, max, default| {
        Duration::from_secs(fields.read(name, integer(1, max)).unwrap_or(default))
    };
    let waiting_room = seconds("waiting_room_timeout", lobby_limit, 1200);
    let noone_joined = seconds("noone_joined_timeout", ANY_SECONDS, 1200);
    let in_call_not_recording = seconds("in_call_not_recording_timeout", ANY_SECONDS, 3600);
    let permission_denied = seconds("recording_permission_denied_timeout", ANY_SECONDS, 30);
    let in_call_recording = fields
        .read("in_call_recording_timeout", integer(1, ANY_SECONDS))
        .map(Duration::from_secs);
    let everyone_left = fields.read("everyone_left_timeout", |value| delayed(value, (2, 0)));
    let silence = fields.read("silence_detection", |value| delayed(value, (3600, 1200)));
    let only_bots = fields.read("bot_detection", bot_detection).flatten();
    fields.finish()?;
    Ok(Patience {
        waiting_room,
        noone_joined,
        everyone_left: everyone_left.unwrap_or_else(|| Delayed::seconds(2, 0)),
        in_call_not_recording,
        in_call_recording,
        permission_denied,
        silence: silence.unwrap_or_else(|| Delayed::seconds(3600, 1200)),
        only_bots,
    })
}

impl Delayed {
    fn seconds(timeout: u64, activate_after: u64) -> Self {
        Self {
            timeout: Duration::from_secs(timeout),
            activate_after: Duration::from_secs(activate_after),
        }
    }
}

fn delayed(value: &Value, (timeout, activate_after): (u64, u64)) -> Result<Delayed, FieldError> {
    let mut fields = Fields::of(value)?;
    let timeout = fields
        .read("timeout", integer(1, ANY_SECONDS))
        .unwrap_or(timeout);
    let armed = fields
        .read("activate_after", integer(0, ANY_SECONDS))
        .unwrap_or(activate_after);
    fields.finish()?;
    Ok(Delayed::seconds(timeout, armed))
}

fn bot_detection(value: &Value) -> Result<Option<(Delayed, Vec<String>)>, FieldError> {
    let mut fields = Fields::of(value)?;
    fields.read("using_participant_events", |value| {
        delayed(value, (600, 1200))
    });
    let names = fields.read("using_participant_names", |value| {
        let mut fields = Fields::of(value)?;
        let timeout = fields
            .read("timeout", integer(1, ANY_SECONDS))
            .unwrap_or(3600);
        let armed = fields
            .read("activate_after", integer(0, ANY_SECONDS))
            .unwrap_or(1200);
        let matches = fields.read_required("matches", |value| {
            let list = value
                .as_array()
                .ok_or_else(|| message("Expected a list of items."))?;
            list.iter()
                .map(|item| string(item).map(str::to_owned))
                .collect::<Result<Vec<_>, _>>()
        });
        fields.finish()?;
        Ok((
            Delayed::seconds(timeout, armed),
            matches.unwrap_or_default(),
        ))
    });
    fields.finish()?;
    Ok(names)
}

impl Bot {
    /// When its patience runs out, and the sub-code that says with what.
    pub(crate) fn runs_out(&self, scale: f64) -> Option<(Timestamp, &'static str)> {
        if !matches!(self.phase, Phase::WaitingRoom | Phase::InCall { .. }) {
            return None;
        }
        let (timers, patience) = (&self.timers, &self.request.leave);
        let after =
            |since: Option<Timestamp>, timeout: Duration| Some(since? + timeout.div_f64(scale));
        let armed = |since: Option<Timestamp>, timer: Delayed| {
            let earliest = timers.in_call? + timer.activate_after.div_f64(scale);
            Some(since?.max(earliest) + timer.timeout.div_f64(scale))
        };
        let alone = timers.in_call.filter(|_| self.participants.is_empty());
        let only_bots = patience.only_bots.as_ref();
        [
            (
                after(timers.in_waiting_room, patience.waiting_room),
                "timeout_exceeded_waiting_room",
            ),
            (
                after(alone, patience.noone_joined),
                "timeout_exceeded_noone_joined",
            ),
            (
                armed(timers.everyone_left, patience.everyone_left),
                "timeout_exceeded_everyone_left",
            ),
            (
                after(timers.not_recording, patience.in_call_not_recording),
                "timeout_exceeded_in_call_not_recording",
            ),
            (
                patience
                    .in_call_recording
                    .and_then(|timeout| after(timers.recording, timeout)),
                "timeout_exceeded_in_call_recording",
            ),
            (
                after(timers.permission_denied, patience.permission_denied),
                "timeout_exceeded_recording_permission_denied",
            ),
            (
                armed(timers.silent, patience.silence),
                "timeout_exceeded_silence_detected",
            ),
            (
                only_bots.and_then(|(timer, _)| armed(timers.only_bots, *timer)),
                "timeout_exceeded_only_bots_detected_using_participant_names",
            ),
        ]
        .into_iter()
        .filter_map(|(due, sub_code)| Some((due?, sub_code)))
        .min()
    }
}
