//! Checks that bytes are a jpeg: the markers, and the picture's size.

/// Width and height of a jpeg, or `None` if the bytes are not one.
pub(crate) fn dimensions(data: &[u8]) -> Option<(u16, u16)> {
    if !data.starts_with(&[0xff, 0xd8]) || !data.ends_with(&[0xff, 0xd9]) {
        return None;
    }
    let mut at = 2;
    loop {
        let &[0xff, marker, high, low] = data.get(at..at + 4)? else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if is_start_of_frame(marker) {
            let &[h0, h1, w0, w1] = data.get(at + 5..at + 9)? else {
                return None;
            };
            return Some((u16::from_be_bytes([w0, w1]), u16::from_be_bytes([h0, h1])));
        }
        at += 2 + length;
    }
}

/// SOF0 to SOF15 without the three numbers in that range that mean something else.
fn is_start_of_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_still_has_its_size() {
        assert_eq!(
            dimensions(include_bytes!("../../assets/still.jpeg")),
            Some((640, 360))
        );
    }

    #[test]
    fn a_png_and_a_cut_jpeg_are_not_jpegs() {
        assert_eq!(dimensions(b"\x89PNG\r\n\x1a\n"), None);
        let still = include_bytes!("../../assets/still.jpeg");
        assert_eq!(dimensions(&still[..still.len() / 2]), None);
    }
}
