//! Every bound and patience of a meeting's life, each with where its number comes from.

use std::time::Duration;

/// A start further away than this is booked with Recall at once, by a bot with its own `join_at`.
///
/// Recall gives such bots a machine of their own when it is asked more than 10 minutes ahead of `join_at`;
/// asked a little later it still takes the order, and the earlier it is asked the longer there is to ask again.
pub const AHEAD: Duration = Duration::from_mins(10);

/// How long after the planned join we go on asking for a bot. Recall's ad-hoc pool refills in a minute or two.
pub const CREATION_PATIENCE: Duration = Duration::from_mins(15);

/// Recall replays stored answers to an idempotency key for an hour; with a margin, older keys are not reused.
pub const KEY_LIFETIME: Duration = Duration::from_mins(55);

/// After this many answered failures under one key, with no bot to be found, the key's stored answer is
/// taken for what keeps failing.
pub const ATTEMPTS_PER_KEY: u32 = 3;

/// The pause between attempts to make a bot once the quick retries are used up.
pub const CREATION_PAUSE: Duration = Duration::from_secs(30);

/// A bot that is made or enters this much after the plan is worth a warning.
pub const LATE: Duration = Duration::from_secs(90);

/// A bot made ahead that joins within this time anyway is not replaced by one that joins now.
pub const ABOUT_TO_JOIN: Duration = Duration::from_mins(1);

/// Somebody has to let the bot in, so it may be in the call this much after the plan without a warning.
pub const LATE_ENTRY: Duration = Duration::from_mins(10);

/// While a call is on, the object wakes up this often: it keeps an object with open sockets in memory,
/// where 70 s without an event allow eviction.
pub const BEAT: Duration = Duration::from_secs(25);

/// While orders are under way the object wakes up this often, so that a crash is noticed within seconds.
pub const WORK_BEAT: Duration = Duration::from_secs(2);

/// An order without a result this long after its last deadline counts as lost.
pub const LEASE_MARGIN: Duration = Duration::from_secs(15);

/// Without news from webhooks for this long we ask Recall ourselves. Reads allow 300 a minute for a workspace.
pub const POLL_JOINING: Duration = Duration::from_secs(45);

/// The same while the call goes on, where only its end can be missed.
pub const POLL_IN_CALL: Duration = Duration::from_mins(2);

/// How soon after a leave order its effect is looked for.
pub const POLL_LEAVING: Duration = Duration::from_secs(15);

/// Waits between looks for artifacts after the end; the last one repeats until [`ARTIFACT_PATIENCE`].
pub const ARTIFACT_POLLS: [Duration; 7] = [
    Duration::from_secs(20),
    Duration::from_secs(40),
    Duration::from_mins(1),
    Duration::from_mins(2),
    Duration::from_mins(5),
    Duration::from_mins(15),
    Duration::from_mins(30),
];

/// How long artifacts are waited for. Recall's own webhook retries go on for about a day.
pub const ARTIFACT_PATIENCE: Duration = Duration::from_hours(24);

/// A bot that is not in the call this long after it should have joined is given up.
/// The longest lobby wait that is configured is 20 minutes.
pub const JOIN_WATCHDOG: Duration = Duration::from_mins(45);

/// Recording is capped at this by the bot's configuration (`in_call_recording_timeout`).
pub const MAX_RECORDING: Duration = Duration::from_hours(4);

/// A call that has not ended this long after the bot entered is ended by us.
pub const CALL_WATCHDOG: Duration = Duration::from_hours(5);

/// How long a bot that must go is chased; by then Recall's own caps have ended it.
pub const REMOVAL_PATIENCE: Duration = Duration::from_hours(6);

/// The pause between attempts to remove a bot.
pub const REMOVAL_PAUSE: Duration = Duration::from_secs(30);

/// Recall may take about 11 s to leave after it was told to; a bot that still reports later is told again.
pub const LEAVING_TIME: Duration = Duration::from_secs(15);

/// The pause while Recall answers "not started" to leaving and "already dispatched" to deleting.
pub const DISPATCH_PAUSE: Duration = Duration::from_secs(3);

/// When to look for bots that a create call in doubt may have left behind, counted from the end.
pub const SWEEPS: [Duration; 3] = [
    Duration::from_mins(10),
    Duration::from_mins(1),
    Duration::from_secs(5),
];

/// The room must be greeted within this time of the bot's entry; then chat takes over from speech.
pub const GREETING_PATIENCE: Duration = Duration::from_secs(12);

/// Silence between two utterances, so that they are heard as two.
pub const UTTERANCE_GAP: Duration = Duration::from_millis(250);

/// How many utterances may wait: at 5,000 characters each that is over four hours of speech.
pub const MAX_UTTERANCES: usize = 50;

/// How many orders may be outstanding before callers' chat messages are refused, so that the snapshot stays small.
pub const MAX_OUTSTANDING: usize = 100;

/// How long Recall's audio socket may be missing. Recall dials 30 times, 3 s apart, and then gives up.
pub const MEDIA_PATIENCE: Duration = Duration::from_secs(100);

/// How long sound still comes in after we learned of the end; Recall closes its socket when the call ends.
pub const LAST_SOUND_PATIENCE: Duration = Duration::from_secs(5);

/// The page must begin to play within this time, and be done this much after the length of what it plays.
pub const PAGE_PATIENCE: Duration = Duration::from_secs(3);

/// A page that is back plays on without being asked, and says right after `ready` what plays and what has ended; one
/// that says nothing for this long was loaded again and knows of nothing.
pub const PAGE_RESUME_PATIENCE: Duration = Duration::from_millis(750);

/// A page that was told to stop says within this time how much was heard; it needs one round trip.
pub const PAGE_HALT_PATIENCE: Duration = Duration::from_secs(1);

/// Progress is taken in only if it is off by more than this, so that a page that plays as it should costs no writes.
pub const PAGE_PROGRESS_SLACK: Duration = Duration::from_millis(500);

/// The page is asked for a sign of life this often. It connects anew when it hears nothing for 70 s; and one that
/// has said nothing at all by the next time is gone without a word.
pub const PAGE_PING: Duration = Duration::from_secs(25);

/// How long a page that is missing is waited for: it loads in a second or two, and reloads in less.
pub const PAGE_READY_PATIENCE: Duration = Duration::from_secs(10);

/// Speech waits this long for the first session of the avatar to come up, and for one that the page has to show
/// anew; then the page says it with the face that it draws.
pub const AVATAR_PATIENCE: Duration = Duration::from_secs(2);

/// A session must be seen by the page and take orders this long after it was started; each takes a second or two.
pub const AVATAR_UP_PATIENCE: Duration = Duration::from_secs(20);

/// A session that no page can show is given up after this time: a page that was loaded anew is back much sooner.
pub const AVATAR_UNSEEN_PATIENCE: Duration = Duration::from_mins(1);

/// The pause after the first failure of a session; each further one doubles it.
pub const AVATAR_PAUSE: Duration = Duration::from_secs(10);

/// After this many failures in a row, five minutes, the page's own face stays.
pub const MAX_AVATAR_FAILURES: u32 = 5;

/// The next session is begun this long before the limit of the one that is up: it takes some seconds to come up, and
/// the end of an utterance is waited for.
pub const AVATAR_ROTATION: Duration = Duration::from_mins(1);

/// A session is let go of this long before its limit, at which it would fall silent without a word.
pub const AVATAR_END: Duration = Duration::from_secs(15);

/// Sessions without a socket are kept alive by a call this often; they end after two minutes without one.
pub const AVATAR_KEEP_ALIVE: Duration = Duration::from_mins(1);

/// How often a session is stopped that the vendor goes on listing as live, and the pause between.
pub const MAX_AVATAR_STOPS: u32 = 5;
/// See [`MAX_AVATAR_STOPS`].
pub const AVATAR_STOP_PAUSE: Duration = Duration::from_secs(5);
/// The pause after a refusal to stop a session: a firewall's may last some minutes, and a session without anything to
/// do ends of itself after five.
pub const AVATAR_REFUSED_STOP_PAUSE: Duration = Duration::from_mins(1);

/// The avatar must begin to say what it was given within this time. Its socket notices in 3.5 s; this is for a socket
/// that notices nothing.
pub const AVATAR_BEGIN_PATIENCE: Duration = Duration::from_secs(6);

/// The end of what the avatar says must be told this long after it is due; its socket notices in 2 s.
pub const AVATAR_END_PATIENCE: Duration = Duration::from_secs(8);

/// Whether a greeting that the avatar may have said was heard the page tells within this time of showing the avatar:
/// the avatar begins within a second, and the page listens four times a second.
pub const AVATAR_DOUBT_PATIENCE: Duration = Duration::from_secs(2);

/// Text that the vendor has taken counts as heard this long after, unless the page has heard it before that: the avatar
/// begins within a second, and a call that ends sooner ends before the first word.
pub const AVATAR_TEXT_HEARD: Duration = Duration::from_secs(1);

/// A call that makes the avatar say a text is answered, or counts as lost, within this time.
pub const AVATAR_CALL_PATIENCE: Duration = Duration::from_mins(2);

/// A rest shorter than this is not worth another voice taking over.
pub const WORTH_SAYING: Duration = Duration::from_millis(300);

/// A session that is still not at its end this long after it was told to end is given up: it bounds itself at 30 s
/// for the rest of the sound and 10 s for the last words.
pub const LISTENING_END_PATIENCE: Duration = Duration::from_mins(1);

/// How much of a vendor's name for something unknown is written down.
pub const MAX_NOTED_CHARS: usize = 100;

/// How many warnings a meeting has at most.
pub const MAX_WARNINGS: usize = 50;

/// How many entries of a meeting's timeline are kept, the newest ones: a call of five hours in which something is said
/// every minute has about half of it. What comes without end is participants' updates, or a page that reloads in a loop.
pub const MAX_TIMELINE: u64 = 5_000;

/// The longest pause between attempts to book a bot that is not needed for days.
pub const LONGEST_CREATION_PAUSE: Duration = Duration::from_mins(30);

/// How many bots are sent away at a time.
pub const MAX_REMOVALS: usize = 20;

/// The longest text that is spoken in one utterance.
pub const MAX_SAY_CHARS: usize = 5_000;
