//! Measuring an mp3: the answer is plausible, and what surrounds the sound does not change it.

use std::time::Duration;

use attache_meeting::audio::{Mp3Error, mp3_duration};

/// The shortest frame there is: 8 kbit/s at 24 kHz.
const LEAST_FRAME: usize = 24;
/// The longest time a frame plays: 576 samples at 8 kHz.
const LONGEST_FRAME: Duration = Duration::from_millis(72);

/// Checks one input: any bytes.
pub fn check(data: &[u8]) {
    let info = match mp3_duration(data) {
        Ok(info) => info,
        Err(Mp3Error::Garbage { offset }) => return assert!(offset < data.len()),
        Err(Mp3Error::NoFrame) => return,
    };
    let frames = usize::try_from(info.frames).expect("frames lie in memory");
    assert!(frames > 0 && frames <= data.len() / LEAST_FRAME);
    assert!(info.duration > Duration::ZERO);
    assert!(info.duration <= LONGEST_FRAME * info.frames);
    assert!(matches!(info.channels, 1 | 2));
    assert!((8_000..=320_000).contains(&info.bitrate));
    assert!((8_000..=48_000).contains(&info.sample_rate));

    let mut padded = data.to_vec();
    padded.extend([0; 7]);
    // A frame that is cut off may be made whole by the padding; a tag that must be the end is none any more.
    if let Ok(padded) = mp3_duration(&padded) {
        assert!((info.frames..=info.frames + 1).contains(&padded.frames));
    }

    let mut tagged = b"ID3\x04\x00\x00\x00\x00\x00\x03abc".to_vec();
    tagged.extend(data);
    assert_eq!(mp3_duration(&tagged), Ok(info), "a tag changes the length");

    let cut = mp3_duration(&data[..data.len() - 1]).map_or(0, |info| info.frames);
    assert!(cut <= info.frames, "a shorter clip plays longer");
}
