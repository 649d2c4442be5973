use proptest::prelude::*;

use super::*;

/// Two seconds, constant rate, no tags: what a speech vendor sends.
const CLIP: &[u8] = include_bytes!("fixtures/speech-like-22050-32k.mp3");
/// One second, variable rate, stereo, with an index frame and tags at both ends.
const TAGGED: &[u8] = include_bytes!("fixtures/vbr-44100-stereo-tagged.mp3");

#[test]
fn a_speech_clip_is_measured_frame_by_frame() {
    let info = mp3_duration(CLIP).unwrap();
    assert_eq!(info.frames, 79);
    assert_eq!(info.duration, Duration::from_nanos(2_063_673_469));
    assert_eq!(
        (info.sample_rate, info.bitrate, info.channels),
        (22_050, 32_000, 1)
    );
}

#[test]
fn tags_and_the_index_frame_do_not_count() {
    let info = mp3_duration(TAGGED).unwrap();
    assert_eq!(info.frames, 40);
    assert_eq!((info.sample_rate, info.channels), (44_100, 2));
}

#[test]
fn clips_in_a_row_play_one_after_the_other() {
    let twice = [CLIP, b"ID3\x04\0\0\0\0\0\x02xx", CLIP].concat();
    assert_eq!(
        mp3_duration(&twice).unwrap().frames,
        2 * mp3_duration(CLIP).unwrap().frames
    );
}

#[test]
fn a_cut_off_end_costs_one_frame_at_most() {
    let whole = mp3_duration(CLIP).unwrap();
    for cut in 1..=104 {
        let info = mp3_duration(&CLIP[..CLIP.len() - cut]).unwrap();
        assert_eq!(info.frames, whole.frames - 1, "{cut} bytes short");
    }
}

#[test]
fn padding_and_an_old_tag_at_the_end_are_skipped() {
    let mut tag = [0_u8; 128];
    tag[..3].copy_from_slice(b"TAG");
    for tail in [&[0_u8; 300][..], &tag, b"\xff", b"APETAGEX"] {
        let clip = [CLIP, tail].concat();
        assert_eq!(mp3_duration(&clip), mp3_duration(CLIP));
    }
}

#[test]
fn what_is_no_mp3_is_refused() {
    for garbage in [
        &b""[..],
        b"{\"detail\":\"no\"}",
        b"RIFF....WAVE",
        &[0; 500],
        b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
    ] {
        assert!(mp3_duration(garbage).is_err(), "{garbage:?}");
    }
    let interrupted = [CLIP, b"garbage", CLIP].concat();
    assert_eq!(
        mp3_duration(&interrupted),
        Err(Mp3Error::Garbage { offset: CLIP.len() })
    );
    let mixed = [CLIP, TAGGED].concat();
    assert!(matches!(
        mp3_duration(&mixed),
        Err(Mp3Error::Garbage { .. })
    ));
}

#[test]
fn the_placeholder_clip_is_short() {
    let info = mp3_duration(include_bytes!("../vendors/recall/assets/silence.mp3")).unwrap();
    assert!(info.duration < Duration::from_secs(1), "{info:?}");
    assert_eq!((info.sample_rate, info.channels), (22_050, 1));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = mp3_duration(&bytes);
    }

    #[test]
    fn damaged_clips_never_panic_and_never_play_longer(
        at in 0..CLIP.len(), byte in any::<u8>(), end in 0..CLIP.len(),
    ) {
        let mut clip = CLIP[..end].to_vec();
        if let Some(damaged) = clip.get_mut(at) {
            *damaged = byte;
        }
        if let Ok(info) = mp3_duration(&clip) {
            // The smallest frame that a damaged header can claim is 24 bytes long.
            prop_assert!(info.frames as usize <= clip.len() / 24);
        }
    }
}
