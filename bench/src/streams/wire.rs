//! As much of WebSocket as the two ends of a stream need: whole frames, without extensions.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A handshake is a few hundred bytes.
const MOST_HEAD_BYTES: usize = 16 * 1024;
/// Far above any frame that is sent here; a longer one is a fault.
const MOST_FRAME_BYTES: usize = 1024 * 1024;

/// What a client hides its frames with; random ones would make the load generator slower and prove nothing.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x96, 0x0f];

const HAS_MASK: u8 = 0x80;
const FINAL: u8 = 0x80;
/// Lengths from here on mean that the length follows in two bytes, or in eight.
const IN_TWO_BYTES: u8 = 0x7e;
const IN_EIGHT_BYTES: u8 = 0x7f;

/// The kinds of frames that occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    fn from_first_byte(byte: u8) -> Result<Self> {
        ensure!(byte & FINAL != 0, "a frame in pieces");
        Ok(match byte & !FINAL {
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            other => bail!("a frame of the unknown kind {other}"),
        })
    }
}

/// Appends a frame as a client sends it.
pub(crate) fn write_masked(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    write_head(kind, payload.len(), HAS_MASK, out);
    out.extend_from_slice(&MASK);
    let begin = out.len();
    out.extend_from_slice(payload);
    apply_mask(MASK, &mut out[begin..]);
}

/// Appends a frame as a server sends it.
pub(crate) fn write_plain(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    write_head(kind, payload.len(), 0, out);
    out.extend_from_slice(payload);
}

fn write_head(kind: Kind, length: usize, mask: u8, out: &mut Vec<u8>) {
    out.push(FINAL | kind.code());
    if let Some(short) = u8::try_from(length)
        .ok()
        .filter(|length| *length < IN_TWO_BYTES)
    {
        out.push(mask | short);
    } else if let Ok(medium) = u16::try_from(length) {
        out.push(mask | IN_TWO_BYTES);
        out.extend_from_slice(&medium.to_be_bytes());
    } else {
        out.push(mask | IN_EIGHT_BYTES);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

fn apply_mask(mask: [u8; 4], payload: &mut [u8]) {
    // In pieces of a fixed length, which the compiler turns into wide instructions.
    let (words, rest) = payload.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

/// What came from a socket and has not been read yet.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    read: usize,
}

impl Inbox {
    /// Where the next bytes from the socket go.
    pub(crate) fn room(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.read);
        self.read = 0;
        &mut self.bytes
    }

    /// The next frame, if all of it is there, unmasked.
    pub(crate) fn next(&mut self) -> Result<Option<(Kind, &[u8])>> {
        let unread = &self.bytes[self.read..];
        let [first, second, ..] = *unread else {
            return Ok(None);
        };
        let kind = Kind::from_first_byte(first)?;
        let (length, mut head) = match second & !HAS_MASK {
            IN_TWO_BYTES => match unread.get(2..4) {
                Some(bytes) => (usize::from(u16::from_be_bytes([bytes[0], bytes[1]])), 4),
                None => return Ok(None),
            },
            IN_EIGHT_BYTES => match unread.get(2..10) {
                Some(bytes) => {
                    let length = u64::from_be_bytes(bytes.try_into()?);
                    (usize::try_from(length)?, 10)
                }
                None => return Ok(None),
            },
            short => (usize::from(short), 2),
        };
        ensure!(length <= MOST_FRAME_BYTES, "a frame of {length} bytes");
        let mut mask = [0; 4];
        if second & HAS_MASK != 0 {
            match unread.get(head..head + 4) {
                Some(bytes) => mask.copy_from_slice(bytes),
                None => return Ok(None),
            }
            head += 4;
        }
        let (begin, end) = (self.read + head, self.read + head + length);
        let Some(payload) = self.bytes.get_mut(begin..end) else {
            return Ok(None);
        };
        self.read = end;
        if mask != [0; 4] {
            apply_mask(mask, payload);
        }
        Ok(Some((kind, payload)))
    }
}

/// Asks for a socket at a path, with these headers.
pub(crate) async fn dial(
    address: std::net::SocketAddr,
    path: &str,
    headers: &[(&str, String)],
) -> Result<TcpStream> {
    let mut socket = TcpStream::connect(address)
        .await
        .context("could not connect")?;
    socket.set_nodelay(true)?;
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    );
    for (name, value) in headers {
        // Writing to a string cannot fail.
        let _ = write!(request, "{name}: {value}\r\n");
    }
    request.push_str("\r\n");
    socket.write_all(request.as_bytes()).await?;
    let answer = read_head(&mut socket).await?;
    let status = answer.lines().next().unwrap_or_default();
    ensure!(status.contains(" 101 "), "the socket was refused: {status}");
    Ok(socket)
}

/// A request for a socket.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Path and query.
    pub(crate) target: String,
    head: String,
}

impl Asked {
    /// Reads the request.
    pub(crate) async fn read(socket: &mut TcpStream) -> Result<Self> {
        socket.set_nodelay(true)?;
        let head = read_head(socket).await?;
        let target = head.split(' ').nth(1).context("a request has a target")?;
        Ok(Self {
            target: target.to_owned(),
            head,
        })
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// Grants it.
    pub(crate) async fn accept(&self, socket: &mut TcpStream) -> Result<()> {
        let key = self
            .header("sec-websocket-key")
            .context("not a WebSocket")?;
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        );
        Ok(socket.write_all(answer.as_bytes()).await?)
    }
}

/// Reads up to the empty line and not a byte further: frames may follow at once.
async fn read_head(socket: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < MOST_HEAD_BYTES, "the handshake does not end");
        head.push(socket.read_u8().await.context("the handshake broke off")?);
    }
    Ok(String::from_utf8(head)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_arrive_as_they_were_sent_however_they_are_cut() {
        for length in [0, 1, 125, 126, 640, 65_535, 65_536] {
            let payload: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let mut sent = Vec::new();
            write_masked(Kind::Binary, &payload, &mut sent);
            write_plain(Kind::Text, b"next", &mut sent);
            for cut in [1, 3, 7, sent.len() - 5, sent.len()] {
                let (first, rest) = sent.split_at(cut);
                let mut inbox = Inbox::default();
                let mut received = Vec::new();
                for part in [first, rest] {
                    inbox.room().extend_from_slice(part);
                    while let Some((kind, bytes)) = inbox.next().unwrap() {
                        received.push((kind, bytes.to_vec()));
                    }
                }
                let expected = [
                    (Kind::Binary, payload.clone()),
                    (Kind::Text, b"next".to_vec()),
                ];
                assert_eq!(received, expected, "{length} bytes cut at {cut}");
            }
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused() {
        let mut inbox = Inbox::default();
        inbox
            .room()
            .extend_from_slice(&[0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0]);
        assert!(inbox.next().is_err());
    }
}
