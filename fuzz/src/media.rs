//! Frames of Recall's audio socket: the quick ways of reading one say what a plain reading of the same text says.
//!
//! An input is a frame a line, as of one socket: from how one is written, those that look alike are read.

use attache_meeting::vendors::recall::{FrameForm, MediaFrame, MediaFrameError, read_media_frame};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;

const SOUND: &str = "audio_mixed_raw.data";
const MAX_SOUND_BYTES: usize = 320_000;
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Deserialize)]
struct Named {
    event: String,
}

#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    data: Outer,
}

#[derive(Default, Deserialize)]
struct Outer {
    #[serde(default)]
    data: Inner,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Inner {
    buffer: Option<String>,
    timestamp: Option<Stamp>,
}

#[derive(Deserialize)]
struct Stamp {
    relative: Option<f64>,
}

/// Checks one input: frames, one a line.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut usual = None;
    for line in text.lines() {
        let plain = read_plainly(line);
        let read = read_media_frame(line);
        assert_eq!(read.clone().map(|(frame, _)| frame), plain, "{line}");
        if let Some(quick) = usual.and_then(|form| read_by_form(form, line)) {
            match plain {
                Ok(plain) => assert_eq!(quick, plain, "{line}"),
                Err(_) => is_damaged_in_its_time_only(line, &quick),
            }
        }
        if let Ok((frame, form)) = read {
            if let MediaFrame::Sound { sound, .. } = &frame {
                assert!(sound.len() <= MAX_SOUND_BYTES + 3);
            }
            if let Some(form) = form {
                // White space behind the number is left to the careful reader.
                if let Some(quick) = read_by_form(form, line) {
                    assert_eq!(quick, frame, "{line}");
                }
                usual = Some(form);
            }
        }
    }
}

/// Reads a frame by how another of the same socket is written, as the runtime does it for the Worker.
fn read_by_form(form: FrameForm<'_>, line: &str) -> Option<MediaFrame> {
    let after = line.strip_prefix(form.opening)?;
    let (buffer, _) = after.split_once('"')?;
    let number = after[buffer.len()..].strip_prefix(form.between)?;
    let (stamp, closing) = number.split_at(number.find('}')?);
    let stamp = stamp.split(',').next()?;
    let digits = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
    if closing != form.closing || !stamp.chars().all(digits) {
        return None;
    }
    let stamp = stamp.parse().ok().filter(|stamp: &f64| stamp.is_finite())?;
    Some(MediaFrame::Sound {
        sound: BASE64
            .decode(buffer)
            .ok()
            .filter(|sound| sound.len() <= MAX_SOUND_BYTES)?,
        stamp: Some(stamp),
    })
}

/// By its form, nothing but the number is read of a time stamp. So text that is no JSON passes, if that is where it is
/// wrong and nowhere else.
fn is_damaged_in_its_time_only(line: &str, quick: &MediaFrame) {
    let at = line.find("\"relative\"").expect("the time stamp is named");
    let end = at + line[at..].find('}').expect("the time stamp ends");
    let mended = format!("{}\"relative\":0{}", &line[..at], &line[end..]);
    let sound = |frame: &MediaFrame| match frame {
        MediaFrame::Sound { sound, .. } => Some(sound.clone()),
        MediaFrame::Other { .. } => None,
    };
    let plain = read_plainly(&mended).ok();
    assert_eq!(plain.as_ref().and_then(sound), sound(quick), "{line}");
}

fn read_plainly(text: &str) -> Result<MediaFrame, MediaFrameError> {
    let Named { event } = serde_json::from_str(text).map_err(|_| MediaFrameError::Malformed)?;
    if event != SOUND {
        return Ok(MediaFrame::Other { event });
    }
    let frame: Frame = serde_json::from_str(text).map_err(|_| MediaFrameError::Malformed)?;
    let inner = frame.data.data;
    let buffer = inner.buffer.ok_or(MediaFrameError::Malformed)?;
    if buffer.len() / 4 * 3 > MAX_SOUND_BYTES {
        return Err(MediaFrameError::TooLong);
    }
    let sound = BASE64
        .decode(buffer)
        .map_err(|_| MediaFrameError::NotBase64)?;
    let stamp = inner.timestamp.and_then(|stamp| stamp.relative);
    Ok(MediaFrame::Sound { sound, stamp })
}
