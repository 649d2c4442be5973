//! The sound of a call on its way to a WebSocket server.

#![allow(
    clippy::unwrap_used,
    reason = "a broken bench fails the test that uses it"
)]

mod support;

use std::time::Duration;

use attache_simulator::{
    AudioClose, AudioDelivery, AudioEnd, AudioFault, AudioNews, AudioSent, AudioStyle, Delivery,
    Event, Junk, MeetingScript, SimulatorConfig, What, sign,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::listener::{Listener, Manners, Seen};
use support::{Bench, MEET, SOON};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const DANA: &str = "Dana Whitfield";

/// Frames of 20 ms in meetings that begin at once; retries come soon.
fn instant() -> SimulatorConfig {
    with_delivery(Delivery::default())
}

fn with_delivery(delivery: Delivery) -> SimulatorConfig {
    SimulatorConfig {
        default_script: MeetingScript::instant().with_delivery(delivery),
        audio_frame: Duration::from_millis(20),
        realtime_retry_scale: 0.01,
        ..SimulatorConfig::default()
    }
}

fn listening_bot(url: &str) -> Value {
    json!({
        "meeting_url": MEET,
        "metadata": { "meeting_id": "mtg_1" },
        "recording_config": {
            "audio_mixed_raw": {},
            "realtime_endpoints": [{
                "type": "websocket",
                "url": format!("{url}/recall/media/mtg_1/?a=%20b"),
                "events": ["audio_mixed_raw.data"],
                "metadata": { "meeting_id": "mtg_1" },
            }],
        },
    })
}

/// A bot in a call that listens, its connection open.
struct Call {
    bench: Bench,
    listener: Listener,
    bot_id: String,
}

impl Call {
    async fn start(config: SimulatorConfig) -> Self {
        let call = Self::dial(config, Listener::start().await).await;
        // The first frame may be a short one.
        call.listener.until(0, |seen| seen.texts.len() > 1).await;
        call
    }

    async fn dial(config: SimulatorConfig, listener: Listener) -> Self {
        let bench = Bench::start(config).await;
        let bot_id = bench.create(&listening_bot(&listener.url)).await;
        Self {
            bench,
            listener,
            bot_id,
        }
    }

    fn advance(&self, event: Event) {
        self.bench.sim.advance(&self.bot_id, event).unwrap();
    }

    /// Somebody says this; when it returns, the last word was spoken.
    async fn says(&self, name: &str, text: &str) {
        let name = name.to_owned();
        self.advance(Event::Says {
            name,
            text: text.to_owned(),
        });
        self.was_said(text).await;
    }

    async fn was_said(&self, words: &str) {
        let over = move |entry: &attache_simulator::Entry| matches!(&entry.what, What::Said { text, .. } if text == words);
        self.bench.sim.wait_for(over, SOON).await.unwrap();
    }

    async fn news(&self, number: usize, matches: impl Fn(&AudioNews) -> bool) {
        let wanted = |entry: &attache_simulator::Entry| matches!(&entry.what, What::Audio { connection, news, .. } if *connection == number && matches(news));
        self.bench.sim.wait_for(wanted, SOON).await.unwrap();
    }

    /// Asks for a fault and waits until so many frames more have come on connection 0.
    async fn fault(&self, fault: AudioFault, more: usize) {
        let before = self.listener.seen(0).texts.len();
        self.bench.sim.audio_fault(MEET, &fault).unwrap();
        self.listener
            .until(0, |seen| seen.texts.len() >= before + more)
            .await;
    }

    async fn hang_up(&self) {
        self.advance(Event::CallEnded("call_ended_by_host".to_owned()));
        let last = self.bench.sim.audio_connections(MEET).len() - 1;
        self.news(last, |news| matches!(news, AudioNews::Ended { .. }))
            .await;
        self.listener.closed(last).await;
        self.bench.wait_for_event("bot.call_ended").await;
    }

    /// The place of the first such entry in the journal.
    fn when(&self, matches: impl Fn(&What) -> bool) -> u64 {
        let journal = self.bench.sim.journal();
        let found = journal.iter().find(|entry| matches(&entry.what));
        found.expect("no such entry").seq
    }

    fn sent(&self) -> Vec<AudioSent> {
        self.bench.sim.audio_sent(MEET)
    }
}

/// The sound in the text frames of a connection.
fn sounds(seen: &Seen) -> Vec<Vec<u8>> {
    let frames = seen.texts.iter().map(|text| buffer(text));
    frames.collect()
}

fn buffer(text: &str) -> Vec<u8> {
    let frame: Value = serde_json::from_str(text).unwrap();
    STANDARD
        .decode(frame["data"]["data"]["buffer"].as_str().unwrap())
        .unwrap()
}

fn bytes(sent: &[AudioSent]) -> Vec<Vec<u8>> {
    sent.iter().map(|frame| frame.bytes.clone()).collect()
}

fn holds(sound: &[u8], line: &[u8]) -> bool {
    sound.windows(line.len()).any(|part| part == line)
}

#[tokio::test]
async fn a_line_arrives_whole_and_what_was_sent_is_what_arrived() {
    let call = Call::start(instant()).await;
    call.says(DANA, "Shall we look at the roadmap?").await;
    call.hang_up().await;
    let seen = call.listener.seen(0);
    let arrived = sounds(&seen);
    assert_eq!(bytes(&call.sent()), arrived);
    let line = call.bench.sim.line(DANA, "Shall we look at the roadmap?");
    assert!(holds(&arrived.concat(), &line.pcm));
    assert_eq!(seen.close, Some(1000));
    assert!(
        arrived[1..arrived.len() - 1]
            .iter()
            .all(|frame| frame.len() == 640)
    );
    let first: Value = serde_json::from_str(&seen.texts[0]).unwrap();
    assert_eq!(first["data"]["bot"]["id"], call.bot_id);
    assert_eq!(
        first["data"]["realtime_endpoint"]["metadata"]["meeting_id"],
        "mtg_1"
    );
}

#[tokio::test]
async fn the_upgrade_goes_to_the_url_as_given_and_is_signed_over_nothing() {
    let call = Call::start(instant()).await;
    let seen = call.listener.seen(0);
    assert_eq!(seen.target, "/recall/media/mtg_1/?a=%20b");
    let header = |name: &str| seen.headers[name].to_str().unwrap().to_owned();
    let expected = sign(
        SECRET,
        &header("webhook-id"),
        header("webhook-timestamp").parse().unwrap(),
        b"",
    );
    assert_eq!(header("webhook-signature"), expected.unwrap());
}

#[tokio::test]
async fn a_refused_handshake_is_tried_again_and_every_answer_is_known() {
    let listener = Listener::with(&[Manners::Refuses(401), Manners::Refuses(503)]).await;
    let call = Call::dial(instant(), listener).await;
    call.news(2, |news| *news == AudioNews::Opened).await;
    let statuses: Vec<_> = call
        .bench
        .sim
        .audio_connections(MEET)
        .iter()
        .map(|connection| connection.status)
        .collect();
    assert_eq!(statuses, [Some(401), Some(503), Some(101)]);
    let ids: std::collections::BTreeSet<_> = (0..3)
        .map(|number| {
            call.listener.seen(number).headers["webhook-id"]
                .clone()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn an_endpoint_that_never_answers_has_failed_after_thirty_retries() {
    let listener = Listener::with(&[Manners::Refuses(500); 40]).await;
    let call = Call::dial(
        SimulatorConfig {
            realtime_retry_scale: 0.001,
            ..instant()
        },
        listener,
    )
    .await;
    call.news(30, |news| *news == AudioNews::GivenUp).await;
    assert_eq!(call.bench.sim.audio_connections(MEET).len(), 31);
    let endpoint = call.bench.sim.bot(&call.bot_id).unwrap().failed_endpoints;
    let path = format!("/realtime_endpoint/{}/", endpoint[0]);
    let (_, view) = call.bench.get(&path).await;
    assert_eq!(view["status"]["code"], "failed");
    call.says(DANA, "Is anybody there?").await;
    let lasts = call.bench.sim.audio_lost(MEET);
    assert!(lasts > Duration::from_secs(1), "{lasts:?}");
    assert_eq!(call.listener.count(), 31);
    assert!(call.sent().is_empty());
}

#[tokio::test]
async fn a_server_that_closes_is_dialled_again_and_misses_what_was_said() {
    let listener = Listener::with(&[Manners::Closes {
        after: 5,
        code: 1012,
    }])
    .await;
    let config = SimulatorConfig {
        realtime_retry_scale: 0.1,
        ..instant()
    };
    let call = Call::dial(config, listener).await;
    call.news(1, |news| *news == AudioNews::Opened).await;
    call.listener.until(1, |seen| seen.texts.len() > 5).await;
    call.hang_up().await;
    let ends: Vec<_> = call
        .bench
        .sim
        .audio_connections(MEET)
        .into_iter()
        .map(|connection| connection.end.unwrap().1)
        .collect();
    let (code, answer, reason) = (1000, Some(1000), "enough".to_owned());
    let server = AudioEnd::Server {
        code: Some(1012),
        reason,
    };
    assert_eq!(ends, [server, AudioEnd::Bot { code, answer }]);
    let lost = call.bench.sim.audio_lost(MEET);
    assert!(lost >= Duration::from_millis(300), "{lost:?}");
    let sent = call.sent();
    let second = sent.iter().position(|frame| frame.connection == 1).unwrap();
    let jump = sent[second].relative - sent[second - 1].relative;
    assert!(jump >= 0.3, "{jump}");
    assert_eq!(bytes(&sent[second..]), sounds(&call.listener.seen(1)));
}

#[tokio::test]
async fn a_broken_connection_is_made_again() {
    let listener = Listener::with(&[Manners::Breaks { after: 3 }]).await;
    let call = Call::dial(instant(), listener).await;
    call.news(1, |news| *news == AudioNews::Opened).await;
    let connections = call.bench.sim.audio_connections(MEET);
    let (_, end) = connections[0].end.clone().unwrap();
    assert!(matches!(end, AudioEnd::Broken(_)), "{end:?}");
}

fn ended(what: &What) -> bool {
    matches!(
        what,
        What::Audio {
            news: AudioNews::Ended { .. },
            ..
        }
    )
}

fn told(what: &What) -> bool {
    what.webhook()
        .is_some_and(|sent| sent.event == "bot.call_ended")
}

#[tokio::test]
async fn the_socket_closes_before_the_end_of_the_call_is_told() {
    let call = Call::start(instant()).await;
    call.hang_up().await;
    assert!(call.when(ended) < call.when(told));
    call.bench.sim.settled(SOON).await.unwrap();
    let codes = call.bench.sim.bot(&call.bot_id).unwrap().status_changes;
    assert_eq!(codes.last().unwrap().0, "done");
    assert!(call.bench.inbox.events().contains(&"bot.done".to_owned()));
}

#[tokio::test]
async fn the_socket_closes_after_the_end_of_the_call_is_told_if_the_script_says_so() {
    let close = AudioClose::After(Duration::from_millis(500));
    let audio = AudioDelivery {
        close,
        ..AudioDelivery::default()
    };
    let delivery = Delivery {
        audio,
        ..Delivery::default()
    };
    let call = Call::start(with_delivery(delivery)).await;
    call.hang_up().await;
    assert!(call.when(told) < call.when(ended));
    assert_eq!(call.listener.seen(0).close, Some(1000));
}

#[tokio::test]
async fn a_bot_that_dies_closes_nothing() {
    let call = Call::start(instant()).await;
    call.advance(Event::Fatal("bot_errored".to_owned()));
    call.listener.closed(0).await;
    assert_eq!(call.listener.seen(0).close, None);
    call.news(0, |news| {
        matches!(
            news,
            AudioNews::Ended {
                end: AudioEnd::Broken(_),
                ..
            }
        )
    })
    .await;
}

#[tokio::test]
async fn what_the_server_says_is_ignored_and_its_pings_are_answered() {
    let call = Call::dial(instant(), Listener::with(&[Manners::Talks]).await).await;
    call.listener.until(0, |seen| seen.pongs >= 3).await;
    call.hang_up().await;
    let connection = &call.bench.sim.audio_connections(MEET)[0];
    assert!(connection.received >= 6, "{connection:?}");
    assert_eq!(call.listener.count(), 1);
}

#[tokio::test]
async fn nothing_is_sent_while_everybody_is_muted_and_the_times_go_on() {
    let milliseconds = Duration::from_millis;
    let text = "Can you hear me now?";
    let script = MeetingScript::instant()
        .then(milliseconds(300), Event::Mutes(DANA.to_owned()))
        .then(milliseconds(200), Event::Unmutes(DANA.to_owned()))
        .then(
            milliseconds(100),
            Event::Says {
                name: DANA.to_owned(),
                text: text.to_owned(),
            },
        );
    let config = SimulatorConfig {
        default_script: script,
        ..instant()
    };
    let call = Call::start(config).await;
    call.was_said(text).await;
    call.hang_up().await;
    let sent = call.sent();
    let jumps: Vec<_> = sent
        .windows(2)
        .map(|pair| ((pair[1].relative - pair[0].relative) * 1000.0).round())
        .filter(|jump| *jump > 20.0)
        .collect();
    assert_eq!(jumps.len(), 1, "{jumps:?}");
    assert!((180.0..=220.0).contains(&jumps[0]), "{jumps:?}");
    assert_eq!(bytes(&sent), sounds(&call.listener.seen(0)));
    let line = call.bench.sim.line(DANA, text);
    assert!(holds(&bytes(&sent).concat(), &line.pcm));
}

#[tokio::test]
async fn a_repeated_frame_arrives_twice_and_is_marked() {
    let call = Call::start(instant()).await;
    call.fault(AudioFault::Repeat, 5).await;
    call.hang_up().await;
    let sent = call.sent();
    let repeated: Vec<_> = (0..sent.len()).filter(|at| sent[*at].repeated).collect();
    let [at] = repeated[..] else {
        panic!("{repeated:?}")
    };
    assert_eq!(sent[at].relative.to_bits(), sent[at - 1].relative.to_bits());
    let texts = call.listener.seen(0).texts;
    assert_eq!(texts[at], texts[at - 1]);
    assert_eq!(bytes(&sent), sounds(&call.listener.seen(0)));
}

#[tokio::test]
async fn a_gap_loses_its_frames_and_nothing_else() {
    let call = Call::start(instant()).await;
    call.fault(AudioFault::Gap(4), 5).await;
    call.hang_up().await;
    let sent = call.sent();
    let jumps: Vec<_> = sent
        .windows(2)
        .map(|pair| ((pair[1].relative - pair[0].relative) * 1000.0).round())
        .filter(|jump| *jump > 20.0)
        .collect();
    assert_eq!(jumps, [100.0]);
    let lost = call.bench.sim.audio_lost(MEET);
    let before_it_opened = Duration::from_secs_f64(sent[0].relative);
    assert_eq!(lost, before_it_opened + Duration::from_millis(80));
}

#[tokio::test]
async fn frames_of_odd_sizes_hold_the_same_sound() {
    let call = Call::start(instant()).await;
    call.advance(Event::Says {
        name: DANA.to_owned(),
        text: "One two three.".to_owned(),
    });
    call.fault(AudioFault::Sizes(vec![1, 333, 2, 5001]), 8)
        .await;
    call.was_said("One two three.").await;
    call.hang_up().await;
    let arrived = sounds(&call.listener.seen(0));
    let lengths: Vec<_> = arrived.iter().map(Vec::len).collect();
    assert!(
        lengths.windows(4).any(|part| part == [1, 333, 2, 5001]),
        "{lengths:?}"
    );
    assert!(holds(
        &arrived.concat(),
        &call.bench.sim.line(DANA, "One two three.").pcm
    ));
    assert_eq!(bytes(&call.sent()), arrived);
}

#[tokio::test]
async fn junk_comes_beside_the_sound_and_is_not_counted_as_sent() {
    let call = Call::start(instant()).await;
    let kinds = [
        Junk::NotJson,
        Junk::BadBase64,
        Junk::EmptyBuffer,
        Junk::UnknownEvent,
        Junk::Binary,
    ];
    for kind in kinds {
        call.fault(AudioFault::Junk(kind), 3).await;
    }
    call.hang_up().await;
    let seen = call.listener.seen(0);
    assert_eq!(seen.binaries.len(), 1);
    let sent = call.sent();
    assert_eq!(seen.texts.len(), sent.len() + 4);
    let is_sent = |text: &&String| {
        let frame: Value = serde_json::from_str(text).unwrap_or_default();
        let buffer = STANDARD.decode(frame["data"]["data"]["buffer"].as_str().unwrap_or_default());
        frame["event"] == "audio_mixed_raw.data" && buffer.is_ok_and(|buffer| !buffer.is_empty())
    };
    let sound: Vec<_> = seen
        .texts
        .iter()
        .filter(is_sent)
        .map(|text| buffer(text))
        .collect();
    assert_eq!(sound, bytes(&sent));
}

#[tokio::test]
async fn a_stalled_connection_catches_up() {
    let call = Call::start(instant()).await;
    call.fault(AudioFault::Stall(Duration::from_millis(300)), 20)
        .await;
    call.hang_up().await;
    let sent = call.sent();
    assert_eq!(bytes(&sent), sounds(&call.listener.seen(0)));
    assert!(
        sent.windows(2)
            .all(|pair| pair[1].relative - pair[0].relative < 0.021)
    );
}

#[tokio::test]
async fn a_connection_broken_by_the_bot_is_made_again() {
    let call = Call::start(instant()).await;
    call.listener.until(0, |seen| seen.texts.len() > 2).await;
    call.bench
        .sim
        .audio_fault(MEET, &AudioFault::Abort)
        .unwrap();
    call.news(1, |news| *news == AudioNews::Opened).await;
    call.listener.closed(0).await;
    assert_eq!(call.listener.seen(0).close, None);
}

#[tokio::test]
async fn a_second_connection_leaves_the_first_one_sending() {
    let call = Call::start(instant()).await;
    call.bench
        .sim
        .audio_fault(MEET, &AudioFault::DialAgain)
        .unwrap();
    call.news(1, |news| *news == AudioNews::Opened).await;
    let line = call.bench.sim.line(DANA, "Twice, please.");
    call.says(DANA, "Twice, please.").await;
    call.hang_up().await;
    call.listener.closed(0).await;
    for number in [0, 1] {
        let seen = call.listener.seen(number);
        assert_eq!(seen.close, Some(1000));
        assert!(holds(&sounds(&seen).concat(), &line.pcm), "{number}");
        let sent: Vec<_> = call
            .sent()
            .into_iter()
            .filter(|f| f.connection == number)
            .collect();
        assert_eq!(bytes(&sent), sounds(&seen));
    }
}

#[tokio::test]
async fn a_bad_signature_is_one_that_does_not_verify() {
    let call = Call::start(instant()).await;
    for fault in [AudioFault::BadSignature, AudioFault::Abort] {
        call.bench.sim.audio_fault(MEET, &fault).unwrap();
    }
    call.news(1, |news| *news == AudioNews::Opened).await;
    let seen = call.listener.seen(1);
    let header = |name: &str| seen.headers[name].to_str().unwrap().to_owned();
    let timestamp = header("webhook-timestamp").parse().unwrap();
    let good = sign(SECRET, &header("webhook-id"), timestamp, b"").unwrap();
    let given = header("webhook-signature");
    assert_ne!(given, good);
    assert_eq!(given.len(), good.len());
}

#[tokio::test]
async fn frames_come_in_the_style_that_was_asked_for() {
    let style = AudioStyle {
        spaced: true,
        legacy_key: true,
        extra_fields: true,
        reversed: true,
    };
    let audio = AudioDelivery {
        style,
        ..AudioDelivery::default()
    };
    let delivery = Delivery {
        audio,
        ..Delivery::default()
    };
    let call = Call::start(with_delivery(delivery)).await;
    call.listener.until(0, |seen| !seen.texts.is_empty()).await;
    let text = call.listener.seen(0).texts[0].clone();
    assert!(
        text.starts_with("{\"data\": {\"workspace\": null, "),
        "{text}"
    );
    assert!(text.contains("\"audio_mixed_raw\": {\"id\": "), "{text}");
}

#[tokio::test]
async fn nobody_listens_to_a_meeting_without_an_audio_endpoint() {
    let bench = Bench::instant().await;
    bench.create(&json!({ "meeting_url": MEET })).await;
    assert!(bench.sim.audio_fault(MEET, &AudioFault::Abort).is_err());
    assert!(bench.sim.audio_connections(MEET).is_empty());
}
