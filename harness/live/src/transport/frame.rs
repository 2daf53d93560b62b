//! Frames: a length, the logical send time, and a message or a part of one.
//!
//! A frame is a 4-byte big-endian length (of what follows), 8 bytes of little-endian logical send
//! time in nanoseconds of the run's clock, and a postcard-encoded message. A frame of exactly
//! [`FRAME_BYTES_MAX`] holds a part only: the next frame goes on with the message, and the first
//! shorter one, which may hold nothing, ends it. Whatever arrives, the reader holds at most one
//! frame, one read of the socket, and the parts that have really arrived of one message of at most
//! [`MESSAGE_BYTES_MAX`]: memory is taken for what came, never for what was promised.

use bytes::{Buf, BytesMut};
use longhaul_experiment::Time;
use longhaul_experiment::backend::FRAME_HEADER_BYTES;
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::codec::{Decoder, LengthDelimitedCodec};

/// The most bytes of a frame after its length: 16 MiB.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// The most bytes of an encoded message, in parts or not: 1 GiB.
pub const MESSAGE_BYTES_MAX: usize = 1 << 30;

const LENGTH_BYTES: usize = 4;
const TIME_BYTES: usize = 8;
const _: () = assert!(LENGTH_BYTES + TIME_BYTES == FRAME_HEADER_BYTES);

/// How long frames and messages may be.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// A frame after its length.
    frame_bytes: usize,
    /// An encoded message.
    message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            frame_bytes: FRAME_BYTES_MAX,
            message_bytes: MESSAGE_BYTES_MAX,
        }
    }
}

impl Limits {
    /// The bytes of a message in a part that is not the last.
    fn part_bytes(self) -> usize {
        self.frame_bytes - TIME_BYTES
    }
}

/// Why a connection's bytes are refused. The connection is of no further use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The stated length is above the maximum.
    #[error(
        "a frame states more than {FRAME_BYTES_MAX} bytes: the peer does not speak this protocol"
    )]
    TooLong,
    /// The frame is shorter than its send time.
    #[error("a frame of {bytes} bytes is too short for its send time")]
    TooShort {
        /// Its length.
        bytes: usize,
    },
    /// The message does not decode.
    #[error("a frame of {bytes} bytes does not hold a message: {why}")]
    Malformed {
        /// Its length.
        bytes: usize,
        /// What the decoder says.
        why: postcard::Error,
    },
    /// Bytes follow the message.
    #[error("{bytes} bytes follow the message of a frame")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A message is longer than messages may be.
    #[error("a message of {bytes} bytes or more exceeds the {MESSAGE_BYTES_MAX} that are sent")]
    MessageTooLong {
        /// Its length, or as much of it as arrived.
        bytes: usize,
    },
}

/// A decoded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received<T> {
    /// When the sender says it sent it.
    pub sent_at: Time,
    /// The bytes of its frames, lengths and times included.
    pub bytes: usize,
    /// What they carry.
    pub message: T,
}

/// Collects frames to be written in one go.
#[derive(Debug, Default)]
pub struct FrameWriter {
    buffer: Vec<u8>,
    limits: Limits,
}

impl FrameWriter {
    /// Appends a message and returns the bytes of its frames.
    ///
    /// # Errors
    ///
    /// [`FrameError::MessageTooLong`]; nothing is appended then.
    pub fn push<T: Serialize>(&mut self, sent_at: Time, message: &T) -> Result<usize, FrameError> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
        postcard::serialize_with_flavor(message, Appending(&mut self.buffer))
            .expect("encoding into memory succeeds");
        let bytes = self.buffer.len() - start - FRAME_HEADER_BYTES;
        if bytes > self.limits.message_bytes {
            self.buffer.truncate(start);
            return Err(FrameError::MessageTooLong { bytes });
        }
        if bytes < self.limits.part_bytes() {
            let header = header(bytes, sent_at);
            self.buffer[start..start + FRAME_HEADER_BYTES].copy_from_slice(&header);
        } else {
            self.divide(start, sent_at);
        }
        Ok(self.buffer.len() - start)
    }

    /// Divides the message that begins at `start`, after room for a header, into parts.
    fn divide(&mut self, start: usize, sent_at: Time) {
        let message = self.buffer.split_off(start + FRAME_HEADER_BYTES);
        self.buffer.truncate(start);
        let part_bytes = self.limits.part_bytes();
        let mut rest = message.as_slice();
        loop {
            let (part, later) = rest.split_at(rest.len().min(part_bytes));
            self.buffer.extend_from_slice(&header(part.len(), sent_at));
            self.buffer.extend_from_slice(part);
            if part.len() < part_bytes {
                return;
            }
            rest = later;
        }
    }

    /// Says whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Returns the bytes that wait.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Drops the frames.
    pub fn clear(&mut self) {
        self.buffer.clear();
    }

    /// Swaps the frames out against an empty buffer.
    pub fn swap(&mut self, empty: &mut Vec<u8>) {
        debug_assert!(empty.is_empty());
        std::mem::swap(&mut self.buffer, empty);
    }

    /// Returns the frames' bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.buffer
    }
}

/// Returns the header of a frame with so many bytes of a message.
fn header(message_bytes: usize, sent_at: Time) -> [u8; FRAME_HEADER_BYTES] {
    let mut header = [0; FRAME_HEADER_BYTES];
    let length = (message_bytes + TIME_BYTES) as u32;
    header[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    header[LENGTH_BYTES..].copy_from_slice(&sent_at.as_nanos().to_le_bytes());
    header
}

/// A postcard flavor that appends to a buffer.
struct Appending<'a>(&'a mut Vec<u8>);

impl Flavor for Appending<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Splits a stream of bytes into messages.
#[derive(Debug)]
pub struct FrameReader {
    codec: LengthDelimitedCodec,
    buffer: BytesMut,
    /// The parts that have arrived of a message.
    parts: Vec<u8>,
    /// The bytes of their frames.
    parts_bytes: usize,
    limits: Limits,
}

impl Default for FrameReader {
    fn default() -> FrameReader {
        FrameReader::with_limits(Limits::default())
    }
}

impl FrameReader {
    fn with_limits(limits: Limits) -> FrameReader {
        FrameReader {
            codec: LengthDelimitedCodec::builder()
                .length_field_length(LENGTH_BYTES)
                .max_frame_length(limits.frame_bytes)
                .new_codec(),
            buffer: BytesMut::with_capacity(64 << 10),
            parts: Vec::new(),
            parts_bytes: 0,
            limits,
        }
    }

    /// Returns the buffer that the socket is read into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < 16 << 10 {
            self.buffer.reserve(64 << 10);
        }
        &mut self.buffer
    }

    /// Takes the next complete message; `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// The bytes are no frames of such messages.
    pub fn next_frame<T: DeserializeOwned>(&mut self) -> Result<Option<Received<T>>, FrameError> {
        while let Some(mut frame) = self
            .codec
            .decode(&mut self.buffer)
            .map_err(|_| FrameError::TooLong)?
        {
            let length = frame.len();
            if length < TIME_BYTES {
                return Err(FrameError::TooShort { bytes: length });
            }
            let sent_at = Time::from_nanos(frame.get_u64_le());
            if length == self.limits.frame_bytes {
                self.keep_part(&frame)?;
                continue;
            }
            let bytes = std::mem::take(&mut self.parts_bytes) + length + LENGTH_BYTES;
            let message = if self.parts.is_empty() {
                decode(&frame)?
            } else {
                self.check_length(frame.len())?;
                // Such messages are rare: their memory is given back.
                let mut whole = std::mem::take(&mut self.parts);
                whole.extend_from_slice(&frame);
                decode(&whole)?
            };
            return Ok(Some(Received {
                sent_at,
                bytes,
                message,
            }));
        }
        Ok(None)
    }

    fn keep_part(&mut self, part: &[u8]) -> Result<(), FrameError> {
        self.check_length(part.len())?;
        self.parts.extend_from_slice(part);
        self.parts_bytes += part.len() + FRAME_HEADER_BYTES;
        Ok(())
    }

    fn check_length(&self, added: usize) -> Result<(), FrameError> {
        let bytes = self.parts.len() + added;
        if bytes > self.limits.message_bytes {
            return Err(FrameError::MessageTooLong { bytes });
        }
        Ok(())
    }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    let (message, rest) =
        postcard::take_from_bytes(bytes).map_err(|why| FrameError::Malformed {
            bytes: bytes.len(),
            why,
        })?;
    if !rest.is_empty() {
        return Err(FrameError::Trailing { bytes: rest.len() });
    }
    Ok(message)
}

#[cfg(test)]
mod tests;
